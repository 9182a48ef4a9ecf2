"""Measures of quality of every 5 s: of both sensors before filtering, of frames as they are stored.

``datasets.masking`` defines the measures and their limits.

Letters: W stretches, N samples of a sensor.
"""

import numpy as np
from scipy.ndimage import binary_opening

from configs.constants import IMU_RATE_HZ, WINDOW_FRAMES, WINDOW_SAMPLES
from datasets.masking import IMU_MEASURES, VIDEO_MEASURES, stretch_starts
from datasets.preparation.signals import Sensor, in_gap

_LEAST_RANGE = (18.6, 4.1)  # smallest ranges that sensors are set to, 2 g and 250 deg/s, less 5 %
_CLIPPED_RUN = 3  # a peak of a signal that is not clipped has one highest sample, by chance two
_REGULAR = 1.5  # intervals longer than so many usual ones are gaps, not the sensor's rate
_PIXELS = 56  # per side, at most, whose grey levels are looked at


def measure_imu(acc: Sensor, gyro: Sensor | None, start_s: float, samples: int) -> np.ndarray:
    """Measure both sensors; of each stretch the worse of the two.

    Args:
        acc, gyro: as cleaned, of the whole recording; a gyroscope that there was not, None, has no faults.
        start_s: time of the part's first sample at 50 Hz.
        samples: of the part.

    Returns:
        (W, 5) float64, columns as ``IMU_MEASURES``.
    """
    starts = stretch_starts(samples)
    ends = np.minimum(starts + WINDOW_SAMPLES, samples)
    grid = start_s + np.arange(samples) / IMU_RATE_HZ
    worst = np.zeros((len(starts), len(IMU_MEASURES)))
    for sensor, least_range in zip((acc, gyro), _LEAST_RANGE, strict=True):
        if sensor is None:
            continue
        clipped = _clipped(sensor.values, least_range)
        bridged = in_gap(sensor.time_s, grid)
        intervals = np.diff(sensor.time_s)
        usual_s = float(np.median(intervals))
        mean_s = float(intervals[intervals < _REGULAR * usual_s].mean())
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            edges = np.array([start, end]) / IMU_RATE_HZ + start_s
            first, last = np.searchsorted(sensor.time_s, edges)
            if last - first < 2:
                continue
            values, here = sensor.values[first:last], intervals[first : last - 1]
            regular = here[here < _REGULAR * usual_s]
            found = (
                clipped[first:last].mean(0).max(),
                _longest_run(values) * usual_s,
                max((values[:, one] == values[:, other]).mean() for one, other in ((0, 1), (0, 2), (1, 2))),
                bridged[start:end].mean(),
                abs(mean_s / regular.mean() - 1) if len(regular) else 0.0,
            )
            worst[row] = np.maximum(worst[row], found)
    return worst


def _clipped(values: np.ndarray, least_range: float) -> np.ndarray:
    """(N, 3) bool: samples in runs at an axis' extreme, if that could be the end of a sensor's range."""
    at_end = np.zeros(values.shape, dtype=bool)
    for extreme in (values.max(0), values.min(0)):
        at_end |= (values == extreme) & (np.abs(extreme) >= least_range)
    return binary_opening(at_end, np.ones((_CLIPPED_RUN, 1)))


def _longest_run(values: np.ndarray) -> int:
    """Samples in the longest run of one value in any axis of (N, 3)."""
    longest = 0
    for axis in values.T:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(axis)) + 1, [len(axis)]])
        longest = max(longest, int(np.diff(edges).max()))
    return longest


class FrameMeasures:
    """Measures the frames of a part as they are written; it remembers one frame and two numbers of each."""

    def __init__(self):
        self._frozen: list[bool] = []
        self._contrast: list[float] = []
        self._before: np.ndarray | None = None

    def add(self, rgb: np.ndarray) -> None:
        """Take the next frame, (S, S, 3) uint8."""
        before, self._before = self._before, rgb
        self._frozen.append(before is rgb or (before is not None and np.array_equal(before, rgb)))
        step = max(1, len(rgb) // _PIXELS)
        # green alone is most of grey
        self._contrast.append(float(rgb[::step, ::step, 1].std()))

    def table(self, rows: int) -> np.ndarray:
        """(rows, 2) float64, columns as ``VIDEO_MEASURES``; NaN where there were no frames."""
        table = np.full((rows, len(VIDEO_MEASURES)), np.nan)
        for row, first in enumerate(range(0, min(rows * WINDOW_FRAMES, len(self._frozen)), WINDOW_FRAMES)):
            here = slice(first, first + WINDOW_FRAMES)
            table[row] = np.mean(self._frozen[here]), np.median(self._contrast[here])
        return table
