"""What must be known of a recording's whole signal before its first window: units, calibration, what nobody wore."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.constants import ACC_UNITS, GYRO_UNITS, STANDARD_GRAVITY
from datasets.recording import BadRecording
from datasets.recordings.clock import Clock
from datasets.recordings.gravity import Calibration, calibrate
from datasets.recordings.reader import Reading
from datasets.recordings.signal import Signal
from datasets.recordings.stillness import nonwear, still_epochs, within
from datasets.recordings.units import acc_unit, gyro_unit
from datasets.sensor_stream import SHORTEST_RUN_S

_SUMMER_TIME_S, _TOLERANCE_S = 3600.0, 60.0  # by which clocks are set back in autumn


@dataclass(frozen=True)
class Scaling:
    """From the units of a file to m/s² and rad/s, calibrated.

    Attributes:
        acc, gyro: factors.
        calibration: of the accelerometer.
        gyro_mean: (3,) rad/s, in place of a missing gyroscope; None: there is one.
    """

    acc: float
    gyro: float
    calibration: Calibration
    gyro_mean: np.ndarray | None = None

    def __call__(self, imu: np.ndarray) -> np.ndarray:
        """(..., 6) float32 from the file's units."""
        gain, offset = self.calibration.gain * self.acc, self.calibration.offset * STANDARD_GRAVITY
        gyro = imu[..., 3:] * self.gyro if self.gyro_mean is None else np.zeros_like(imu[..., 3:]) + self.gyro_mean
        return np.concatenate([imu[..., :3] * gain + offset, gyro], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Measured:
    """A signal that can be classified.

    Attributes:
        scaling: to m/s² and rad/s.
        nonwear: (m, 2) stretches that nobody wore, seconds.
        units: what the summary says of them.
    """

    scaling: Scaling
    nonwear: np.ndarray
    units: dict[str, Any]


def measure(
    signal: Signal,
    reading: Reading,
    file: Path,
    still_mg: float,
    nonwear_min: float,
    calibrated: bool = True,
    gyro_mean: np.ndarray | None = None,
) -> Measured:
    """Find units, gravity and non-wear.

    Args:
        file: named in errors.
        still_mg, nonwear_min: limits of stillness, and for how long it means that nobody wore the sensor.
        calibrated: whether the accelerometer is calibrated, if it can be.
        gyro_mean: see ``Scaling``.

    Raises:
        BadRecording: ``no_samples``, ``clock_back``, ``missing_acc``, ``missing_gyro`` or ``wrong_units``.
    """
    if signal.samples == 0:
        counted = ", ".join(f"{why} {n}" for why, n in signal.counts.items()) or "none dropped"
        what = f"no stretch of {SHORTEST_RUN_S:g} s without a gap in which both sensors run ({counted})"
        if signal.span_s < SHORTEST_RUN_S:
            what = f"it is {signal.span_s:.2g} s long, too short for any window ({counted})"
        raise BadRecording("no_samples", f"{file}: {what}; if it is longer, see to its times (--time_unit)")
    if signal.overlap:
        raise BadRecording("clock_back", f"{file}: {_overlap(signal.set_back, reading.clock)}")
    _check_axes(signal, reading, file)
    try:
        unit = acc_unit(signal.epochs, reading.acc_unit)
    except BadRecording as error:
        raise BadRecording(error.reason, f"{file}: {error.message}") from error
    acc = float(ACC_UNITS[unit])
    turning, why, problem = gyro_unit(signal, reading.gyro_unit, acc)
    still = still_epochs(signal.epochs, still_mg, acc)
    calibration = calibrate(signal.epochs.mean[still, :3] * acc / STANDARD_GRAVITY, wanted=calibrated)
    units = {
        "acc_unit": unit,
        "acc_unit_guessed": reading.acc_unit is None,
        "gyro_unit": turning if reading.has_gyro else None,
        "gyro_unit_guessed": reading.gyro_unit is None,
        "gyro_unit_by": why,
        "units_problem": problem if problem and reading.has_gyro else None,
        "clock_problem": _set_back(signal.set_back, reading.clock) or None,
    }
    scaling = Scaling(acc, float(GYRO_UNITS[turning]), calibration, gyro_mean)
    return Measured(scaling, nonwear(signal.epochs, still, nonwear_min * 60), units)


def _check_axes(signal: Signal, reading: Reading, file: Path) -> None:
    """Refuse a sensor with dead axes like one that is missing."""
    there = {
        "acc": ("accelerometer", "--csv_columns or --sensor"),
        "gyro": ("gyroscope", "--missing_gyro of scripts.predict"),
    }
    for sensor, (called, option) in there.items():
        if signal.dead[sensor] and (sensor == "acc" or reading.has_gyro):
            message = f"{file}: the {called} does not measure: {signal.dead[sensor]}; see to the sensor, or {option}"
            raise BadRecording(f"missing_{sensor}", message)


def _overlap(set_back: list[tuple[float, float]], clock: Clock) -> str:
    """Why times that come twice cannot be used, and what would mend it."""
    what = f"{_jump(set_back[0], clock)}, and times come twice"
    if clock.kind == "local" and any(abs(a - b - _SUMMER_TIME_S) < _TOLERANCE_S for a, b in set_back):
        return f"{what}: if this is the end of summer time, give --time_zone, such as Europe/Berlin"
    return f"{what}: split the file there, or mend its times; are several recordings in it?"


def _set_back(set_back: list[tuple[float, float]], clock: Clock) -> str:
    """How often the clock went back, and where that which follows stands; empty if it never did."""
    if not set_back:
        return ""
    where = "right after what was before, how long it paused is unknown" if clock.kind == "relative" else "by its times"
    return f"{_jump(set_back[0], clock)} ({len(set_back)} in all): what follows stands {where}"


def _jump(of: tuple[float, float], clock: Clock) -> str:
    if clock.kind == "relative":
        return f"the clock goes back from {of[0]:.2f} s to {of[1]:.2f} s"
    return "the clock goes back from {} to {}".format(*clock.iso(np.array(of)))


def moments(signal: Signal, measured: Measured) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (6,) of the time in which the sensor was worn, for the z-score by the recording."""
    epochs, scaling = signal.epochs, measured.scaling
    kept = ~within(epochs.start_s, measured.nonwear)
    kept = kept if kept.any() else ~kept
    count = epochs.samples[kept].sum()
    mean = epochs.total[kept].sum(0) / count
    std = np.sqrt(np.maximum(epochs.squares[kept].sum(0) / count - mean**2, 0))
    factor = np.concatenate([scaling.calibration.gain * scaling.acc, np.full(3, scaling.gyro)])
    return torch.from_numpy(scaling(mean)), torch.from_numpy((np.abs(factor) * std).astype(np.float32))
