"""Check of units (m/s², rad/s): gravity gives the scale of the accelerometer, and often that of the gyroscope.

At rest an accelerometer reads 9.81 m/s². When the wearer turns, gravity turns in the sensor's frame: with the direction
u of gravity and the angular rate w, du/dt = u x w. So the slope of one on the other is 1, or 1/57 if degrees were taken
for radians. If gravity hardly turns, or steps disturb it too much, the slope is unknown. Then only implausibly high
angular rates reveal degrees.

Letters: T samples at 50 Hz.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d

from configs.constants import IMU_RATE_HZ, STANDARD_GRAVITY

GRAVITY_TOLERANCE = 1.5  # m/s²: sensors deviate by up to 0.5, the quietest steps by as much again
QUIET_SHARE = 0.1  # fraction of the seconds, those in which the length of the acceleration varies least
MIN_CORRELATION = 0.6  # between the turning of gravity and the gyroscope: below it, the slope is unreliable
SLOPE_FACTOR = 5.0  # steps bias the slope by a factor of up to 3; degrees for radians by 57
MOST_SUSTAINED_RAD_S = 3.0  # 172 deg/s as the median of a recording; people at work and walking stay below 1.2
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
        for its notes: ``gravity_m_s2``, the median length of the acceleration in the quietest seconds; ``gyro_scale``,
        the reading of the gyroscope for each rad/s at which gravity turns, if it can be estimated; ``units_problem``,
        the problem, its likely cause and the remedy, if there is one.
    """
    acc, gyro = imu[:, :3].astype(np.float64), imu[:, 3:].astype(np.float64)
    gravity, quiet_gyro = at_rest(acc, gyro)
    scale = gyro_scale(acc, gyro)
    problems = []
    if abs(gravity - STANDARD_GRAVITY) > GRAVITY_TOLERANCE:
        problems.append(
            f"at rest the accelerometer reads {gravity:.4g} m/s², want 9.8: {_acc_cause(gravity, quiet_gyro)}"
        )
    if cause := _gyro_cause(scale, np.linalg.norm(gyro, axis=1)):
        problems.append(cause)
    notes: dict[str, float | str] = {"gravity_m_s2": round(gravity, 3)}
    notes |= {"gyro_scale": float(f"{scale:.3g}")} if np.isfinite(scale) else {}
    return notes | ({"units_problem": "; ".join(problems)} if problems else {})


def at_rest(acc: np.ndarray, gyro: np.ndarray) -> tuple[float, float]:
    """Median over the quietest seconds of the mean length of (T, 3) acceleration, and of (T, 3) angular rate.

    The quietest seconds are those in which the acceleration varies least relative to its size, whatever its unit;
    seconds of zeros, as of a sensor that is not connected yet, are not among them.
    """
    seconds = len(acc) // IMU_RATE_HZ
    lengths = np.linalg.norm(np.stack([acc, gyro])[:, : seconds * IMU_RATE_HZ], axis=2)
    lengths = lengths.reshape(2, seconds, IMU_RATE_HZ)
    mean = lengths.mean(2)
    connected = mean[0] > 0
    unrest = np.where(connected, lengths[0].std(1) / np.maximum(mean[0], 1e-12), np.inf)
    quiet = np.argsort(unrest, kind="stable")[: max(1, round(connected.sum() * QUIET_SHARE))]
    return float(np.median(mean[0, quiet])), float(np.median(mean[1, quiet]))


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


def _acc_cause(gravity: float, quiet_gyro: float) -> str:
    ratio = gravity / STANDARD_GRAVITY
    if abs(quiet_gyro - STANDARD_GRAVITY) <= GRAVITY_TOLERANCE and ratio < 0.5:
        return "gravity is in the gyroscope's columns; are they first? Name the columns in the right order"
    for low, high, cause in _ACC_CAUSES:
        if low <= ratio < high:
            return cause
    nearest = min(_RANGES, key=lambda factor: abs(np.log(ratio / factor)))
    if abs(ratio / nearest - 1) < 0.15:
        return f"probably the counts per g of another range ({nearest:g} times); correct the sensor's scale"
    return "a wrong scale, or an axis that is missing; compare the format's units with the sensor's"


def _gyro_cause(scale: float, length: np.ndarray) -> str:
    """Empty if nothing is wrong."""
    if scale > SLOPE_FACTOR:
        found = f"reads {scale:.3g} for each rad/s at which gravity turns"
    elif scale < 1 / SLOPE_FACTOR:
        return (
            f"the gyroscope reads {scale:.3g} for each rad/s at which gravity turns, want 1: "
            "probably rad/s taken for deg/s; state rad/s as its unit"
        )
    elif not np.isfinite(scale) and (median := float(np.median(length))) > MOST_SUSTAINED_RAD_S:
        found = f"reads {median:.3g} rad/s as its median, more than anybody keeps up"
    elif not np.isfinite(scale) and (most := float(np.percentile(length, 99))) > MOST_RAD_S:
        found = f"exceeds {MOST_RAD_S:g} rad/s in 1 % of the samples (99th percentile {most:.3g})"
    else:
        return ""
    return f"the gyroscope {found}: probably deg/s taken for rad/s; state deg/s as its unit"


def report_units(ids: Sequence[str], notes: Sequence[dict]) -> list[str]:
    """Lines on a whole dataset: gravity and scale of the gyroscope, then recordings with problems.

    Args:
        ids, notes: of each recording; notes as ``check_units`` gave them.
    """
    gravity = [note["gravity_m_s2"] for note in notes if "gravity_m_s2" in note]
    scales = [note["gyro_scale"] for note in notes if "gyro_scale" in note]
    if not gravity:
        return []
    told = (
        f"; gyroscope {np.median(scales):.2f} of what gravity's turning says (told by {len(scales)})" if scales else ""
    )
    lines = [f"units: {np.median(gravity):.2f} m/s² at rest (median of {len(gravity)} recordings, want 9.8){told}"]
    wrong = [
        (name, str(note["units_problem"])) for name, note in zip(ids, notes, strict=True) if "units_problem" in note
    ]
    lines += [f"WARNING, units of {name}: {problem}" for name, problem in wrong[:5]]
    if len(wrong) > 5:
        lines.append(f"WARNING, units of {len(wrong) - 5} more recordings, see notes in recordings.csv")
    return lines
