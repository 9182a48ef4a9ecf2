"""Check of units (m/s², rad/s): gravity gives the scale of the accelerometer, and often that of the gyroscope.

At rest an accelerometer reads 9.81 m/s², however it lies; in motion it reads more or less. So a recording is judged
alone where it rests; ``units_report`` judges those that never rest together. When the wearer turns, gravity turns in
the sensor's frame: with the direction u of gravity and the angular rate w, du/dt = u x w. So the slope of one on the
other is 1, or 1/57 if degrees were taken for radians. If gravity hardly turns, or steps disturb it too much, the slope
is unknown. Then only implausibly high angular rates reveal degrees.

Letters: T samples at 50 Hz, S seconds.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.ndimage import uniform_filter1d

from configs.constants import ACC, IMU_RATE_HZ, STANDARD_GRAVITY

GRAVITY_TOLERANCE = 2.0  # m/s² at rest: sensors are off by up to 1.9 (SisFall's z axis); data sheets allow 2.5
LEAST_RATIO, MOST_RATIO = 0.6, 1.6  # of gravity at rest to 1 g, if the unit is right and rest was never quite reached
QUIET_SHARE = 0.1  # fraction of the seconds, those in which the length of the acceleration varies least
_REST_UNREST = 0.02  # standard deviation of the acceleration's length in a second, as a fraction of its mean
_REST_TURNING_RAD_S = 0.3  # standard deviation of each axis of the angular rate; the mean may be the sensor's offset
_OFF_SHARE = 0.05  # of the seconds of rest: a wrong axis is seen only while gravity lies along it
MIN_CORRELATION = 0.6  # between the turning of gravity and the gyroscope: below it, the slope is unreliable
SLOPE_FACTOR = 5.0  # steps bias the slope by a factor of up to 3; degrees for radians by 57
MOST_SUSTAINED_RAD_S = 3.0  # 172 deg/s as the median of a recording; people at work and walking stay below 1.2
SUSTAINED_S = 30  # seconds; the median of a gesture of 3 s is up to 4.4 rad/s
MOST_RAD_S = 35.0  # 2000 deg/s, the largest range that sensors are commonly set to
_SMOOTH = IMU_RATE_HZ // 2  # samples over which the direction of gravity is averaged, and its turn is computed
_ACC_CAUSES = (  # by the ratio of what is read at rest to 1 g
    (0.0, 0.085, "gravity is missing; export the accelerometer itself, not the linear (user) acceleration"),
    (0.085, 0.12, "probably g taken for m/s²; state g as the unit of the acceleration"),
    (8.3, 11.5, "probably m/s² taken for g; state m/s² as the unit of the acceleration"),
    (50.0, np.inf, "probably counts or mg taken for m/s²; state the unit, or the counts per g"),
)
_RANGES = (0.125, 0.25, 0.5, 2.0, 4.0, 8.0)  # factors between the usual ranges of accelerometers


def check_units(imu: np.ndarray) -> dict[str, float | str]:
    """Judge the units of a recording.

    Args:
        imu: (T, 6) m/s² and rad/s at 50 Hz, at least one second.

    Returns:
        for its notes: ``gravity_m_s2``, the median length of the acceleration in the quietest seconds; ``unrest``, how
        much it varies there, as a fraction of it and at most 1; ``rest_s``, the seconds of rest; ``gyro_scale``, the
        reading of the gyroscope for each rad/s at which gravity turns, if it can be estimated; ``units_problem``, the
        problem, its likely cause and the remedy, if there is one.
    """
    acc, gyro = imu[:, :3].astype(np.float64), imu[:, 3:].astype(np.float64)
    seconds = Seconds.of(acc, gyro)
    quiet = quietest(seconds.unrest)
    gravity, unrest, quiet_gyro = (
        float(np.median(values[quiet])) for values in (seconds.length, seconds.unrest, seconds.rate)
    )
    scale = gyro_scale(acc, gyro)
    of_acc = _columns_problem(gravity, quiet_gyro) or _rest_problem(seconds)
    problems = [problem for problem in (of_acc, _gyro_cause(scale, np.linalg.norm(gyro, axis=1))) if problem]
    notes: dict[str, float | str] = {
        "gravity_m_s2": round(gravity, 3),
        "unrest": float(f"{min(unrest, 1.0):.3g}"),
        "rest_s": int(seconds.at_rest.sum()),
    }
    notes |= {"gyro_scale": float(f"{scale:.3g}")} if np.isfinite(scale) else {}
    return notes | ({"units_problem": "; ".join(problems)} if problems else {})


@dataclass(frozen=True)
class Seconds:
    """What a recording reads in each of its whole seconds.

    Attributes:
        length, rate: (S,) mean length of the acceleration, and of the angular rate.
        unrest: (S,) standard deviation of the acceleration's length as a fraction of its mean, whatever its unit;
            infinite in seconds of zeros, as of a sensor that is not connected yet.
        at_rest: (S,) bool: neither the acceleration's length nor the angular rate varies.
        along: (S,) the axis along which gravity lies most.
    """

    length: np.ndarray
    rate: np.ndarray
    unrest: np.ndarray
    at_rest: np.ndarray
    along: np.ndarray

    @classmethod
    def of(cls, acc: np.ndarray, gyro: np.ndarray) -> Self:
        """Of (T, 3) m/s² and rad/s; samples behind the last whole second are left out."""
        count = len(acc) // IMU_RATE_HZ
        both = np.stack([acc, gyro])[:, : count * IMU_RATE_HZ].reshape(2, count, IMU_RATE_HZ, 3)
        lengths = np.linalg.norm(both, axis=3)
        length, rate = lengths.mean(2)
        unrest = np.where(length > 0, lengths[0].std(1) / np.maximum(length, 1e-12), np.inf)
        at_rest = (unrest < _REST_UNREST) & (both[1].std(1) < _REST_TURNING_RAD_S).all(1)
        return cls(length, rate, unrest, at_rest, np.abs(both[0].mean(1)).argmax(1))


def quietest(unrest: np.ndarray) -> np.ndarray:
    """Places of the tenth, and at least one, with the least unrest; infinite ones do not count."""
    return np.argsort(unrest, kind="stable")[: max(1, round(np.isfinite(unrest).sum() * QUIET_SHARE))]


def gyro_scale(acc: np.ndarray, gyro: np.ndarray) -> float:
    """Reading of the gyroscope for each rad/s at which gravity turns; NaN if the two are hardly correlated.

    Least squares of the change of gravity's direction over half a second on the integral of u x w.

    Args:
        acc, gyro: (T, 3).
    """
    smooth = uniform_filter1d(acc, _SMOOTH, axis=0)
    direction = smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    turning = np.cross(direction, uniform_filter1d(gyro, _SMOOTH, axis=0))
    integral = np.cumsum(turning, axis=0) / IMU_RATE_HZ
    at = np.arange(_SMOOTH, len(acc) - _SMOOTH, _SMOOTH)  # the filter's ends are left out
    if len(at) < 8:
        return np.nan
    told, seen = np.diff(integral[at], axis=0), np.diff(direction[at], axis=0)
    both, told_square, seen_square = (told * seen).sum(), (told**2).sum(), (seen**2).sum()
    if both <= MIN_CORRELATION * np.sqrt(told_square * seen_square):
        return np.nan
    return float(told_square / both)


def _columns_problem(gravity: float, quiet_gyro: float) -> str:
    """Empty unless the quietest seconds read gravity in the columns of the gyroscope alone."""
    if abs(quiet_gyro - STANDARD_GRAVITY) > GRAVITY_TOLERANCE or gravity > STANDARD_GRAVITY / 2:
        return ""
    return "gravity is in the gyroscope's columns; are they first? Name the columns in the right order"


def _rest_problem(seconds: Seconds) -> str:
    """Empty if the accelerometer reads gravity at rest, or never rests."""
    length, along = seconds.length[seconds.at_rest], seconds.along[seconds.at_rest]
    off = np.abs(length - STANDARD_GRAVITY) > GRAVITY_TOLERANCE
    if off.sum() <= _OFF_SHARE * len(off):
        return ""
    read = float(np.median(length[off]))
    axes = [axis for k, axis in enumerate(ACC) if (along[off] == k).any()]
    where = "" if off.all() else f" with gravity along {' or '.join(axes)}"
    return f"at rest{where} the accelerometer reads {read:.4g} m/s², want 9.8: {acc_cause(read)}"


def acc_cause(gravity: float) -> str:
    """Likely cause and remedy, if this length of the acceleration, m/s², is too far from that of gravity."""
    ratio = gravity / STANDARD_GRAVITY
    for low, high, cause in _ACC_CAUSES:
        if low <= ratio < high:
            return cause
    nearest = min(_RANGES, key=lambda factor: abs(np.log(ratio / factor)))
    if abs(ratio / nearest - 1) < 0.15:
        return f"probably the counts per g of another range ({nearest:g} times); correct the sensor's scale"
    return "a wrong scale, or an axis that is missing; compare the format's units with the sensor's"


def _gyro_cause(scale: float, length: np.ndarray) -> str:
    """Empty if nothing is wrong; ``length`` (T,) of the angular rate, rad/s."""
    sustained = len(length) >= SUSTAINED_S * IMU_RATE_HZ
    if scale > SLOPE_FACTOR:
        found = f"reads {scale:.3g} for each rad/s at which gravity turns"
    elif scale < 1 / SLOPE_FACTOR:
        return (
            f"the gyroscope reads {scale:.3g} for each rad/s at which gravity turns, want 1: "
            "probably rad/s taken for deg/s; state rad/s as its unit"
        )
    elif not np.isfinite(scale) and sustained and (median := float(np.median(length))) > MOST_SUSTAINED_RAD_S:
        found = f"reads {median:.3g} rad/s as its median, more than anybody keeps up"
    elif not np.isfinite(scale) and (most := float(np.percentile(length, 99))) > MOST_RAD_S:
        found = f"exceeds {MOST_RAD_S:g} rad/s in 1 % of the samples (99th percentile {most:.3g})"
    else:
        return ""
    return f"the gyroscope {found}: probably deg/s taken for rad/s; state deg/s as its unit"
