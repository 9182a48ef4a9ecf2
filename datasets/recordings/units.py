"""Units of a recording, guessed from all of it.

At rest an accelerometer reads gravity, whatever its unit. Degrees a second are 57 times as many as radians, and people
do not turn fast for long.
"""

import numpy as np

from configs.constants import ACC_UNITS, IMU_RATE_HZ, STANDARD_GRAVITY
from datasets.preparation.units_check import (
    LEAST_RATIO,
    MOST_RATIO,
    MOST_SUSTAINED_RAD_S,
    SLOPE_FACTOR,
    gyro_scale,
    quietest,
)
from datasets.recording import BadRecording
from datasets.recordings.signal import Epochs, Signal

_MOST_MEAN_RAD_S = 12.0  # length of the angular rate over 10 s, in the fastest 1 % of them: nobody turns faster
_BLOCK_S, _BLOCKS = 300, 12  # stretches with most turning, from which the scale of the gyroscope is estimated


def gravity_at_rest(epochs: Epochs) -> float:
    """Median length of the mean acceleration of the quietest tenth of the epochs, in the unit of the file.

    Epochs of zeros, as of a sensor that is not connected yet, are not among them; 0 if there are no others.
    """
    length = np.linalg.norm(epochs.mean[:, :3], axis=1)
    connected = length > 0
    if not connected.any():
        return 0.0
    length = length[connected]
    unrest = np.linalg.norm(epochs.std[connected, :3], axis=1) / length
    return float(np.median(length[quietest(unrest)]))


def acc_unit(epochs: Epochs, stated: str | None) -> str:
    """The unit in which gravity at rest is about 1 g.

    Raises:
        BadRecording: ``wrong_units`` if it is so in none, or not in the stated one.
    """
    rest = gravity_at_rest(epochs)
    ratios = {unit: rest * factor / STANDARD_GRAVITY for unit, factor in ACC_UNITS.items()}
    fitting = [unit for unit, ratio in ratios.items() if LEAST_RATIO < ratio < MOST_RATIO]
    if stated in fitting or (stated is None and fitting):
        return stated or fitting[0]
    wanted = ", ".join(f"{STANDARD_GRAVITY / factor:.4g} in {unit}" for unit, factor in ACC_UNITS.items())
    remedy = "export the accelerometer itself with gravity, in one of these units"
    if fitting:
        remedy = f"it is {fitting[0]}, not {stated}: give --acc_unit {fitting[0]}"
    raise BadRecording("wrong_units", f"at rest the acceleration is {rest:.4g}, want about {wanted}; {remedy}")


def gyro_unit(signal: Signal, stated: str | None, acc_factor: float) -> tuple[str, str, str]:
    """The unit of the angular rate, what says so, and what speaks against it (empty if nothing does).

    A stated unit is taken, since the turning of gravity is disturbed by steps.

    Args:
        acc_factor: from the file's unit of acceleration to m/s².
    """
    guess, why = _by_gravity(signal, acc_factor)
    if stated is None:
        return (guess, why, "") if guess else (*_by_size(signal.epochs), "")
    problem = f"the angular rate is stated to be in {stated}, and {why}: is it in {guess}? See --gyro_unit"
    return stated, "stated", problem if guess not in (None, stated) else ""


def _by_gravity(signal: Signal, acc_factor: float) -> tuple[str | None, str]:
    """From how fast gravity turns in the sensor's frame, in the stretches with most turning."""
    blocks = [
        (run.first + offset, min(_BLOCK_S * IMU_RATE_HZ, run.samples - offset), run.start_s + offset / IMU_RATE_HZ)
        for run in signal.runs
        for offset in range(0, run.samples, _BLOCK_S * IMU_RATE_HZ)
    ]
    epochs = signal.epochs
    turning = np.concatenate([[0.0], np.cumsum(epochs.turning)])
    begin, end = (np.searchsorted(epochs.start_s, [start + after for *_, start in blocks]) for after in (0, _BLOCK_S))
    order = np.argsort(turning[begin] - turning[end], kind="stable")[:_BLOCKS]
    scales = []
    for place in order:
        imu = signal.read(*blocks[place][:2]).astype(np.float64)
        scales.append(gyro_scale(imu[:, :3] * acc_factor, imu[:, 3:]))
    known = [scale for scale in scales if np.isfinite(scale)]
    if not known:
        return None, ""
    scale = float(np.median(known))
    return ("deg/s" if scale > SLOPE_FACTOR else "rad/s"), f"it reads {scale:.3g} for each rad/s at which gravity turns"


def _by_size(epochs: Epochs) -> tuple[str, str]:
    length = epochs.turning / epochs.samples
    median, most = float(np.median(length)), float(np.percentile(length, 99))
    fast = median > MOST_SUSTAINED_RAD_S or most > _MOST_MEAN_RAD_S
    return ("deg/s" if fast else "rad/s"), f"its median over 10 s is {median:.3g}, the 99th percentile {most:.3g}"
