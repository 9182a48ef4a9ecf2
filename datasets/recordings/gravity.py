"""Calibration of the accelerometer by gravity: at rest it must read 1 g, however it lies.

van Hees et al. 2014 (https://doi.org/10.1152/japplphysiol.00421.2014): a gain and an offset of each axis bring the
means of still stretches onto the unit sphere. It needs stretches in many orientations.
"""

from dataclasses import dataclass

import numpy as np

LEAST_EPOCHS = 50  # 8 minutes of stillness
LEAST_REACH_G = 0.3  # each axis must have pointed up and down by as much
MOST_ERROR_G = 0.01  # that may be left: beyond it the still stretches contradict each other
_MOST_OFF_G = 0.5  # means that are further from the sphere are not of a sensor at rest
_ITERATIONS = 1000
_TOLERANCE = 1e-10
_MOST_WEIGHT = 100.0


@dataclass(frozen=True)
class Calibration:
    """Acceleration in g becomes ``gain * acc + offset``.

    Attributes:
        gain, offset: (3,); 1 and 0 if not applied. The offset is in g.
        applied: whether they are to be used.
        why: why not, or empty.
        epochs: still stretches of 10 s that it is from.
        before_mg, after_mg: mean distance of their length from 1 g; NaN without any. Equal if not applied.
        rest_before_g, rest_after_g: median of their length.
    """

    gain: np.ndarray
    offset: np.ndarray
    applied: bool
    why: str
    epochs: int
    before_mg: float
    after_mg: float
    rest_before_g: float
    rest_after_g: float


def calibrate(still_g: np.ndarray, wanted: bool = True) -> Calibration:
    """Fit gain and offset of each axis.

    Args:
        still_g: (n, 3) mean acceleration of still stretches, g.
        wanted: False: only report how far gravity is from 1 g.
    """
    still_g = still_g[np.abs(np.linalg.norm(still_g, axis=1) - 1) < _MOST_OFF_G]
    before = _error(still_g)
    gain, offset, why = np.ones(3), np.zeros(3), ""
    if not wanted:
        why = "switched off"
    elif len(still_g) < LEAST_EPOCHS:
        why = f"{len(still_g)} still stretches of 10 s, want {LEAST_EPOCHS}"
    elif not ((still_g.min(0) < -LEAST_REACH_G) & (still_g.max(0) > LEAST_REACH_G)).all():
        why = f"too few orientations at rest: each axis must reach beyond -{LEAST_REACH_G:g} and {LEAST_REACH_G:g} g"
    else:
        gain, offset = fit_sphere(still_g)
        after = _error(gain * still_g + offset)
        if after >= before or after > MOST_ERROR_G:
            why = f"it would leave {1000 * after:.1f} mg of {1000 * before:.1f} mg"
            gain, offset = np.ones(3), np.zeros(3)
    lengths = np.linalg.norm(still_g, axis=1), np.linalg.norm(gain * still_g + offset, axis=1)
    rest = [float(np.median(length)) if len(length) else np.nan for length in lengths]
    after = _error(gain * still_g + offset)
    return Calibration(gain, offset, not why, why, len(still_g), 1000 * before, 1000 * after, *rest)


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset (3,) of each axis that bring (n, 3) points near the unit sphere.

    Repeated weighted regression of the nearest points of the sphere on the points, axis by axis; points that are far
    from it weigh less (their inverse distance, at most 100), as in GGIR's ``g.calibrate``.
    """
    gain, offset, weights, last = np.ones(3), np.zeros(3), np.ones(len(points)), np.inf
    for _ in range(_ITERATIONS):
        moved = gain * points + offset
        nearest = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        share = weights / weights.sum()
        centre, target = share @ moved, share @ nearest
        spread = share @ (moved - centre) ** 2
        slope = share @ ((moved - centre) * (nearest - target)) / spread
        gain, offset = gain * slope, slope * offset + target - slope * centre
        distance = np.abs(np.linalg.norm(gain * points + offset, axis=1) - 1)
        weights = np.minimum(1 / np.maximum(distance, 1e-12), _MOST_WEIGHT)
        residual = float(np.mean(distance))
        if abs(last - residual) < _TOLERANCE:
            break
        last = residual
    return gain, offset


def _error(points: np.ndarray) -> float:
    return float(np.mean(np.abs(np.linalg.norm(points, axis=1) - 1))) if len(points) else np.nan
