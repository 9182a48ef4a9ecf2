"""Samples of one sensor that come piece by piece: which time stamps are believed, and where runs begin and end.

Letter: N raw samples.
"""

from collections import deque

import numpy as np

from configs.constants import MAX_GAP_S
from datasets.clock_restart import BACK_S
from datasets.preparation.signals import EPSILON_S
from datasets.sensor_run import SensorRun

RESTART_S = 60.0  # a clock that goes back by more has begun again; by less it is waited for
SHORTEST_RUN_S = 0.9  # less holds no window: the shortest, of 1 s, takes 0.98 s from first to last sample


class SensorStream:
    """Samples of one sensor, in the order in which they come, to runs without long gaps.

    Time must go on. A sample at or before the newest believed one is dropped. After a jump forward by more than 0.1 s
    the samples are believed once they have lasted 0.9 s; if the clock goes back before that, they were stray and are
    dropped, and the run before them goes on.

    A clock that goes back by more than a minute, or to the first second of its samples, and goes on from there for
    0.9 s has begun again. What comes from then on is held, and not looked at until ``begin_again``.

    Attributes:
        runs: believed runs that are still needed; the last may be open.
        last_s: time of the newest believed sample.
        held_s: how long the clock has gone on since it went back, seconds; 0 if it has not.
        counts: samples dropped, by reason: ``nan_time``, ``nan_value``, ``repeated_time``, ``backwards``, ``stray``,
            ``short_run`` (less than 0.9 s between two gaps), ``low_rate`` (a run below 19.5 Hz).
    """

    def __init__(self):
        reasons = ("nan_time", "nan_value", "repeated_time", "backwards", "stray", "short_run", "low_rate")
        self.counts = dict.fromkeys(reasons, 0)
        self.runs: deque[SensorRun] = deque()
        self.last_s, self.held_s = -np.inf, 0.0
        self._first_s = np.inf  # of all believed samples
        self._newest_s = np.nan  # of all samples, believed or not
        self._behind: list[tuple[np.ndarray, np.ndarray]] = []  # what came since the clock went back
        self._open: SensorRun | None = None
        self._candidate: list[tuple[np.ndarray, np.ndarray]] = []
        self._rates: list[tuple[float, float]] = []  # of each run: rate in Hz, seconds

    @property
    def rate_hz(self) -> float | None:
        """Mean true rate of all runs so far, missing samples included; None where there was none."""
        rates = self._rates + [(run.true_rate_hz, run.last_s - run.first_s) for run in self._unfinished()]
        seconds = sum(length for _, length in rates)
        return sum(rate * length for rate, length in rates) / seconds if seconds else None

    def _unfinished(self) -> list[SensorRun]:
        return [self._open] if self._open is not None and self._open.true_rate_hz else []

    def push(self, time_s: np.ndarray, values: np.ndarray) -> None:
        """Take (N,) times, seconds, and (N, 3) values."""
        if self.restarted:
            self._hold(time_s, values)
            return
        timed, valued = np.isfinite(time_s), np.isfinite(values).all(1)
        keep = timed & valued
        self.counts["nan_time"] += int((~timed).sum())
        self.counts["nan_value"] += int((timed & ~valued).sum())
        step = np.diff(time_s[keep], prepend=self._newest_s)
        repeated = step == 0
        self.counts["repeated_time"] += int(repeated.sum())
        keep[keep] = ~repeated
        time_s, values, step = time_s[keep], values[keep], step[~repeated]
        if len(time_s) == 0:
            return
        self._newest_s = time_s[-1]
        cuts = np.flatnonzero((step < 0) | (step > MAX_GAP_S + EPSILON_S)).tolist()
        edges = sorted({0, *cuts, len(time_s)})
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            self._take(time_s[start:stop], values[start:stop])
            if self.restarted:
                self._hold(time_s[stop:], values[stop:])
                return

    def _take(self, time_s: np.ndarray, values: np.ndarray) -> None:
        """Samples that follow each other without a gap, wherever they are."""
        if self._goes_on_behind(time_s[0]):
            self._hold(time_s, values)
            return
        time_s, values = self._after(self.last_s, time_s, values)
        if self._candidate and len(time_s):
            if time_s[0] < self._candidate[0][0][0]:
                self._drop_candidate("stray")
            else:
                time_s, values = self._after(self._candidate[-1][0][-1], time_s, values)
        if len(time_s) == 0:
            return
        if self._candidate and time_s[0] - self._candidate[-1][0][-1] > MAX_GAP_S + EPSILON_S:
            self._drop_candidate("short_run")
        if not self._candidate and self._open and time_s[0] - self.last_s <= MAX_GAP_S + EPSILON_S:
            self._open.append(time_s, values)
        else:
            self._candidate.append((time_s, values))
            if time_s[-1] - self._candidate[0][0][0] < SHORTEST_RUN_S:
                return
            self._close()
            times, parts = zip(*self._candidate, strict=True)
            self._open = SensorRun(np.concatenate(times), np.concatenate(parts))
            self._first_s = min(self._first_s, self._open.first_s)
            self.runs.append(self._open)
            self._candidate = []
        self.last_s = float(time_s[-1])

    def _goes_on_behind(self, time_s: float) -> bool:
        """Whether a sample at this time belongs to a clock that has perhaps begun again; what does not is dropped."""
        if self._behind:
            if 0 < time_s - self._behind[-1][0][-1] <= MAX_GAP_S + EPSILON_S:
                return True
            self.counts["backwards"] += sum(len(time) for time, _ in self._behind)
            self._behind, self.held_s = [], 0.0
        back_s = self.last_s - time_s
        return bool(back_s > RESTART_S or (back_s > BACK_S and time_s < self._first_s + BACK_S))

    def _hold(self, time_s: np.ndarray, values: np.ndarray) -> None:
        self._behind.append((time_s, values))
        self.held_s = max(self.held_s, float(np.nanmax(time_s, initial=-np.inf) - self._behind[0][0][0]))

    @property
    def restarted(self) -> bool:
        """Whether the clock has begun again."""
        return self.held_s >= SHORTEST_RUN_S

    def begin_again(self) -> None:
        """Take what is held, as from a sensor that begins; all before it must have been finished."""
        held, self._behind, self.held_s = self._behind, [], 0.0
        self.runs.clear()
        self.last_s, self._first_s, self._newest_s = -np.inf, np.inf, np.nan
        for time_s, values in held:
            self.push(time_s, values)

    def _after(self, last_s: float, time_s: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        passed = np.searchsorted(time_s, last_s, side="right")
        self.counts["backwards"] += int(passed)
        return time_s[passed:], values[passed:]

    def _drop_candidate(self, why: str) -> None:
        self.counts[why] += sum(len(time) for time, _ in self._candidate)
        self._candidate = []

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open.advance()
            self._rates.append((self._open.true_rate_hz, self._open.last_s - self._open.first_s))
            self._remove_slow(self._open)
            self._open = None

    def _remove_slow(self, run: SensorRun) -> None:
        if run.slow and run in self.runs:
            self.runs.remove(run)
        self.counts["low_rate"] += run.take_slow()

    def skip_to(self, time_s: float) -> None:
        """Nothing more is awaited from before a time: what is open ends."""
        self._close()
        if self._candidate and self._candidate[0][0][0] <= time_s:
            self._drop_candidate("short_run")
        self.last_s = max(self.last_s, time_s)

    def advance(self) -> None:
        """Interpolate what can be."""
        if self._open is not None:
            self._open.advance()
            self._remove_slow(self._open)

    def finish(self) -> None:
        """No sample comes any more, but what is held since the clock began again."""
        self._close()
        self._drop_candidate("short_run")
        if not self.restarted:
            self._goes_on_behind(np.inf)
