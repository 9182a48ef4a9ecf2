"""A run of one sensor, whose samples come piece by piece: evenly spaced at its rate, then at times of a 50 Hz grid.

The steps are those of ``preparation/signals.py``. Every number depends on nearby samples only, so that it does not
matter how they were cut into pieces.

Letters: N raw samples, K evenly spaced ones, M grid samples at 50 Hz, C channels.
"""

from fractions import Fraction

import numpy as np
from scipy.signal import upfirdn

from configs.constants import IMU_RATE_HZ
from datasets.preparation.signals import EPSILON_S, MIN_RATE_HZ, ZERO_CROSSINGS, sinc_weights, true_rate_hz

RATE_FROM_S = 10.0  # of a run, from which its rate is taken
_PHASES = 1000  # of the filter, at most: rates are taken as 50 Hz p/q with q up to it, exact to 0.025 Hz up to 100 Hz
_BLOCK = 1 << 13  # samples interpolated at a time: they stay in the processor's cache
_REACH = 4  # samples beyond the nearest one on which a curve can depend


class SensorRun:
    """Samples of one sensor without a long gap: evenly spaced at a rate, then at times of a 50 Hz grid.

    The rate is that of the first 10 s, or of all of a shorter run.

    Args:
        time_s: (N,) strictly increasing.
        values: (N, 3).

    Attributes:
        first_s, last_s: times of its first and newest sample.
        true_rate_hz: mean rate of the first 10 s; 0 as long as it is unknown.
        slow: whether it is below 19.5 Hz.
    """

    def __init__(self, time_s: np.ndarray, values: np.ndarray):
        self.first_s, self.last_s = float(time_s[0]), float(time_s[-1])
        self.closed, self.slow, self.true_rate_hz = False, False, 0.0
        self._raw = [(time_s, values)]
        self._next = 0  # number of the evenly spaced sample that is interpolated next
        self._steady = np.empty((0, values.shape[1]))
        self._start = 0  # number of the first of these; negative before the run
        self._gap_ends: list[tuple[np.ndarray, np.ndarray]] = []
        self._looked_s = self.first_s  # gaps up to here are known

    def append(self, time_s: np.ndarray, values: np.ndarray) -> None:
        """Take samples that follow."""
        self._raw.append((time_s, values))
        self.last_s = float(time_s[-1])

    def close(self) -> None:
        """The newest sample is the last."""
        self.closed = True

    @property
    def ready(self) -> bool:
        """Whether its rate is known."""
        return self.true_rate_hz > 0

    def take_slow(self) -> int:
        """Samples of a slow run that were not counted yet; they are let go."""
        if not self.slow:
            return 0
        count = sum(len(time) for time, _ in self._raw)
        self._raw = []
        return count

    def advance(self) -> None:
        """Interpolate what does not depend on samples to come."""
        if self.slow or not self._raw:
            return
        time_s = np.concatenate([time for time, _ in self._raw])
        values = np.concatenate([part for _, part in self._raw])
        self._raw = [(time_s, values)]
        if not self.ready and not self._set_rate(time_s):
            return
        self._note_gaps(time_s)
        limit_s = time_s[-1] if self.closed else time_s[max(len(time_s) - 1 - _REACH, 0)]
        stop = int(np.floor((limit_s - self.first_s) * self._rate + (1e-3 if self.closed else 0))) + 1
        parts = [self._steady]
        for start in range(self._next, stop, _BLOCK):
            wanted = self.first_s + np.arange(start, min(start + _BLOCK, stop)) / self._rate
            wanted = np.minimum(wanted, time_s[-1])
            left, right = np.searchsorted(time_s, (wanted[0], wanted[-1]))
            near = slice(max(left - _REACH, 0), right + _REACH)
            parts.append(makima(time_s[near], values[near], wanted))
        if len(parts) > 1 or self.closed:
            self._steady = self._mirrored(np.concatenate(parts))
            self._next = stop
        done = np.searchsorted(time_s, self.first_s + self._next / self._rate)
        keep = len(time_s) if self.closed else max(done - _REACH, 0)
        self._raw = [(time_s[keep:], values[keep:])] if keep < len(time_s) else []

    def _mirrored(self, steady: np.ndarray) -> np.ndarray:
        """With the signal's mirror image before its first sample, and after its last: half the filter long."""
        before = self._reach if self._next == 0 else 0
        after = self._reach + 2 if self.closed else 0
        self._start -= before
        return np.pad(steady, ((before, after), (0, 0)), mode="reflect", reflect_type="odd")

    def _set_rate(self, time_s: np.ndarray) -> bool:
        early = time_s[: np.searchsorted(time_s, self.first_s + RATE_FROM_S)]
        if len(early) == len(time_s) and not self.closed:
            return False
        self.true_rate_hz = true_rate_hz(early)
        self.slow = bool(np.median(np.diff(early)) > 1 / MIN_RATE_HZ + EPSILON_S)
        most = int(np.clip(100 * _PHASES / self.true_rate_hz, 1, _PHASES))  # memory does not grow with the rate
        ratio = Fraction(self.true_rate_hz / IMU_RATE_HZ).limit_denominator(most)
        self._p, self._q = ratio.numerator, ratio.denominator
        self._rate = IMU_RATE_HZ * self._p / self._q
        self._cutoff = min(1.0, IMU_RATE_HZ / self._rate)
        self._reach = int(np.ceil(ZERO_CROSSINGS / self._cutoff))
        return not self.slow

    def _note_gaps(self, time_s: np.ndarray) -> None:
        new = time_s[np.searchsorted(time_s, self._looked_s) :]
        wide = np.flatnonzero(np.diff(new) > 1.5 / self._rate)
        if len(wide):
            self._gap_ends.append((new[wide], new[wide + 1]))
        self._looked_s = time_s[-1]

    def in_gap(self, grid_s: np.ndarray) -> np.ndarray:
        """Which increasing grid times (M,) lie between two samples over 1.5 periods apart: (M,) bool."""
        self._forget_gaps(grid_s[0])
        if not self._gap_ends:
            return np.zeros(len(grid_s), dtype=bool)
        left, right = (np.concatenate(ends) for ends in zip(*self._gap_ends, strict=True))
        right_of = np.searchsorted(right, grid_s - EPSILON_S)
        return np.append(left, np.inf)[right_of] < grid_s - EPSILON_S

    def _forget_gaps(self, before_s: float) -> None:
        self._gap_ends = [ends for ends in self._gap_ends if ends[1][-1] >= before_s - EPSILON_S]

    def begin_grid(self, first_s: float) -> None:
        """Set the 50 Hz grid's first time. The filter is that of ``signals.resample``, at each of its q phases."""
        position = (first_s - self.first_s) * self._rate
        self._origin = int(np.floor(position))
        number = np.arange(-(self._reach + 1) * self._q, self._reach * self._q)
        distance = position - self._origin + number / self._q
        weights = sinc_weights(distance, self._cutoff).reshape(-1, self._q)
        self._weights = (weights / weights.sum(0)).ravel()

    @property
    def available(self) -> float:
        """How many grid samples can be computed."""
        if self.closed:
            return np.inf
        last = self._next - 1 - self._reach - self._origin
        return max((last * self._q - 1) // self._p + 1, 0)

    def grid(self, start: int, stop: int) -> np.ndarray:
        """(M, 3) grid samples from number ``start`` to ``stop``; what only earlier ones needed is let go."""
        first = self._origin + start * self._p // self._q - self._reach + 1
        self._trim(first)
        shift = start * self._p + (self._origin + self._reach + 1 - self._start) * self._q  # of the steps 1/q
        skipped = -(-shift // self._p)
        weights = np.concatenate([np.zeros(skipped * self._p - shift), self._weights])
        steady = self._steady[: first + (stop - start) * self._p // self._q + 2 * self._reach + 2 - self._start]
        return upfirdn(weights, steady, self._q, self._p, axis=0)[skipped : skipped + stop - start]

    def trim_before(self, time_s: float) -> None:
        """Let go what no grid that begins at a time or later can need."""
        if self.ready and np.isfinite(time_s):
            self._trim(int(np.floor((time_s - self.first_s) * self._rate)) - self._reach)
            self._forget_gaps(time_s)

    def _trim(self, number: int) -> None:
        number = min(number, self._next - self._reach - 1) - 2  # enough for the mirror image at the end
        if number > self._start:
            self._steady = self._steady[number - self._start :]
            self._start = number


def makima(time_s: np.ndarray, values: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Modified Akima interpolation, as scipy's ``Akima1DInterpolator(method="makima")`` but for its threshold.

    There a slope counts as none if it is below 1e-9 of the largest that was passed in, so that the curve depends on
    what else was passed in.

    Args:
        time_s: (N,) increasing, at least 3.
        values: (N, C).
        wanted_s: (K,) within ``time_s``.

    Returns:
        (K, C).
    """
    step = np.diff(time_s)[:, None]
    slope = np.empty((len(time_s) + 3, values.shape[1]))
    inner = slope[2:-2]
    inner[:] = np.diff(values, axis=0) / step
    slope[1] = 2 * slope[2] - slope[3]
    slope[0] = 2 * slope[1] - slope[2]
    slope[-2] = 2 * slope[-3] - slope[-4]
    slope[-1] = 2 * slope[-2] - slope[-3]
    change = np.abs(np.diff(slope, axis=0)) + 0.5 * np.abs(slope[1:] + slope[:-1])
    left, right = change[:-2], change[2:]
    share = left / np.maximum(left + right, np.finfo(float).tiny)  # a flat stretch: 0 / tiny
    tangent = slope[1:-2] + share * (slope[2:-1] - slope[1:-2])
    second = (3 * inner - 2 * tangent[:-1] - tangent[1:]) / step
    third = (tangent[:-1] + tangent[1:] - 2 * inner) / step**2
    index = np.clip(np.searchsorted(time_s, wanted_s, side="right") - 1, 0, len(time_s) - 2)
    s = (wanted_s - time_s[index])[:, None]
    return values[index] + s * (tangent[index] + s * (second[index] + s * third[index]))
