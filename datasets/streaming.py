"""From raw samples that come piece by piece to the clean 50 Hz signal and its windows, in bounded memory.

    stream, cutter = SignalStream(), WindowCutter(window_s=5.0, hop_s=1.0)
    for acc_time_s, acc, gyro_time_s, gyro in chunks:
        start_s, windows = cutter.push(stream.push(acc_time_s, acc, gyro_time_s, gyro))
    start_s, windows = cutter.push(stream.finish())

The same steps as ``preparation/signals.py``, which has the whole recording: long gaps split the signal, short ones are
bridged, 50 Hz without aliases, median of 5. Two things differ. The rate of a sensor is that of the first 10 s of each
run. And samples that come late are dropped, where a whole recording is sorted; but where the clock has begun again
(``SensorStream``) a run begins, whose times come before those of the run before.

Letters: N raw samples, T samples at 50 Hz, n windows.
"""

from dataclasses import dataclass

import numpy as np

from configs.constants import CHANNELS, IMU_RATE_HZ
from datasets.preparation.signals import EPSILON_S, median
from datasets.sensor_run import SensorRun
from datasets.sensor_stream import SensorStream

LONGEST_LAG_S = 600.0  # one sensor is waited for so long; what memory holds grows with it
_WORK_S = 0.1  # new samples are looked at together, so that one at a time is not slow
_MEDIAN_REACH = 2  # samples on each side that a median of 5 takes


@dataclass(frozen=True)
class Piece:
    """Some of the clean signal.

    Attributes:
        start_s: time of its first sample on the recording's clock.
        imu: (T, 6) float32 at 50 Hz, acceleration m/s² then angular rate rad/s.
        new_run: whether a run begins here; otherwise it goes on from the piece before.
        interpolated: samples that lie in bridged gaps of either sensor.
    """

    start_s: float
    imu: np.ndarray
    new_run: bool
    interpolated: int


class SignalStream:
    """Raw samples of both sensors in, pieces of the clean 50 Hz signal out.

    The result does not depend on how the samples are cut into chunks, as long as no sensor is more than 10 minutes
    behind the other at the end of a chunk: it is not waited for longer. The signal comes 0.6 s after its samples, and
    10 s after the beginning of a run, whose rate must be known first.
    """

    def __init__(self):
        self._sensors = {"acc": SensorStream(), "gyro": SensorStream()}
        self._worked_s = -np.inf
        self._first_s: float | None = None  # of the grid of the run that both sensors are in
        self._done = 0  # grid samples of it that were computed
        self._unfiltered = np.empty((0, len(CHANNELS)))  # the last of them, that medians still need
        self._emitted = 0  # how many of these were given out

    @property
    def counts(self) -> dict[str, int]:
        """Samples dropped, by sensor and reason (``SensorStream``), without zeros."""
        return {f"{name}_{why}": n for name, s in self._sensors.items() for why, n in s.counts.items() if n}

    @property
    def rates_hz(self) -> dict[str, float | None]:
        """Mean true rate of ``acc`` and ``gyro``, missing samples included; None where no run came."""
        return {name: sensor.rate_hz for name, sensor in self._sensors.items()}

    def push(self, acc_time_s: np.ndarray, acc: np.ndarray, gyro_time_s: np.ndarray, gyro: np.ndarray) -> list[Piece]:
        """Take the next samples of each sensor; any may be none.

        Args:
            acc_time_s, gyro_time_s: (N,) seconds, in the order in which they came.
            acc, gyro: (N, 3) in m/s² and rad/s.

        Raises:
            ValueError: if the shapes do not fit.
        """
        for (name, sensor), time_s, values in zip(
            self._sensors.items(), (acc_time_s, gyro_time_s), (acc, gyro), strict=True
        ):
            time_s, values = np.asarray(time_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
            if time_s.ndim != 1 or values.shape != (len(time_s), 3):
                raise ValueError(f"{name} has shape {values.shape} at times {time_s.shape}: want (N, 3) and (N,)")
            sensor.push(time_s, values)
        pieces = []
        while self._restarted(LONGEST_LAG_S):
            pieces += self._begin_again()
        newest = max(sensor.last_s for sensor in self._sensors.values())
        if newest - self._worked_s < _WORK_S:
            return pieces
        self._worked_s = newest
        pieces += self._work()
        for sensor in self._sensors.values():
            if sensor.last_s < newest - LONGEST_LAG_S:
                sensor.skip_to(newest - LONGEST_LAG_S)
                pieces += self._work()
        return pieces

    def finish(self) -> list[Piece]:
        """What was held back; no sample may come after it."""
        pieces = []
        while self._restarted(0.0):
            pieces += self._begin_again()
        return pieces + self._end()

    def _restarted(self, patience_s: float) -> bool:
        """Whether the clocks of both sensors have begun again, or one of them, and the other is not waited for."""
        waiting = [sensor for sensor in self._sensors.values() if sensor.restarted]
        return len(waiting) == len(self._sensors) or any(sensor.held_s > patience_s for sensor in waiting)

    def _begin_again(self) -> list[Piece]:
        pieces = self._end()
        for sensor in self._sensors.values():
            sensor.begin_again()
        self._worked_s, self._first_s, self._unfiltered = -np.inf, None, self._unfiltered[:0]
        return pieces

    def _end(self) -> list[Piece]:
        for sensor in self._sensors.values():
            sensor.finish()
        return self._work()

    def _work(self) -> list[Piece]:
        pieces: list[Piece] = []
        acc, gyro = self._sensors.values()
        for sensor in (acc, gyro):
            sensor.advance()
        while acc.runs and gyro.runs and self._both(pieces):
            pass
        for sensor, other in ((acc, gyro), (gyro, acc)):
            if self._first_s is None:  # a common run may begin with the other's first run, or one that is to come
                begin_s = other.runs[0].first_s if other.runs else other.last_s
                while sensor.runs and sensor.runs[0].closed and sensor.runs[0].last_s <= begin_s:
                    sensor.runs.popleft()
                if sensor.runs:
                    sensor.runs[0].trim_before(begin_s)
        return pieces

    def _both(self, pieces: list[Piece]) -> bool:
        """Compute what can be of the runs in front; whether one of them is done with."""
        sensors = list(self._sensors.values())
        runs = [sensor.runs[0] for sensor in sensors]
        if not all(run.ready for run in runs):
            return False
        ended = min(runs, key=lambda run: (not run.closed, run.last_s))  # a closed run, if there is one
        known = ended.closed and all(run.closed or run.last_s >= ended.last_s for run in runs)
        first_s = max(run.first_s for run in runs)
        if ended.closed and ended.last_s <= first_s:
            sensors[runs.index(ended)].runs.popleft()
            return True
        if self._first_s is None:
            self._first_s, self._done, self._emitted = first_s, 0, 0
            for run in runs:
                run.begin_grid(first_s)
        stop = min(run.available for run in runs)
        if known:
            total = int(np.floor((ended.last_s - first_s + EPSILON_S) * IMU_RATE_HZ)) + 1
            stop = min(stop, total)
        finished = known and stop == total
        if stop > self._done or finished:
            self._compute(runs, int(stop), finished, pieces)
        if finished:
            sensors[runs.index(ended)].runs.popleft()
            self._first_s = None
        return finished

    def _compute(self, runs: list[SensorRun], stop: int, finished: bool, pieces: list[Piece]) -> None:
        signal = self._unfiltered
        if stop > self._done:
            new = np.concatenate([run.grid(self._done, stop) for run in runs], axis=1)
            signal = np.concatenate([signal, new])
        held = stop - len(signal)  # number of the first of them
        self._done = stop
        ready = len(signal) - (0 if finished else _MEDIAN_REACH)
        if ready > self._emitted:
            imu = median(signal)[self._emitted : ready].astype(np.float32)
            grid_s = self._first_s + (held + np.arange(self._emitted, ready)) / IMU_RATE_HZ
            bridged = np.any([run.in_gap(grid_s) for run in runs], axis=0)
            pieces.append(Piece(float(grid_s[0]), imu, held + self._emitted == 0, int(bridged.sum())))
        else:
            ready = self._emitted
        keep = max(ready - _MEDIAN_REACH, 0)
        self._unfiltered, self._emitted = signal[keep:], ready - keep
        if finished:
            self._unfiltered = signal[:0]


def default_hop_s(window_s: float) -> float:
    """Half a window, in whole samples: of 2.5 s 1.24 s."""
    return round(window_s * IMU_RATE_HZ) // 2 / IMU_RATE_HZ


class WindowCutter:
    """Pieces of the clean signal in, windows out, at every hop from the beginning of each run, never across a gap.

    Args:
        window_s: length of a window, seconds.
        hop_s: from one window to the next, seconds, a multiple of 0.02.

    Raises:
        ValueError: if the hop is no whole number of samples.
    """

    def __init__(self, window_s: float, hop_s: float):
        self._window, self._hop = round(window_s * IMU_RATE_HZ), round(hop_s * IMU_RATE_HZ)
        if self._hop < 1 or abs(hop_s * IMU_RATE_HZ - self._hop) > 1e-6:
            raise ValueError(f"hop_s {hop_s:g} must be a multiple of {1 / IMU_RATE_HZ:g} s, one sample, and above 0")
        self._held = np.empty((0, len(CHANNELS)), dtype=np.float32)
        self._run_s = 0.0  # beginning of the run
        self._next = 0  # sample of the run at which the next window begins
        self._at = 0  # sample of the run that is held first

    def push(self, pieces: list[Piece]) -> tuple[np.ndarray, np.ndarray]:
        """Windows that these pieces complete: their times (n,), seconds, and (n, 6, T) float32."""
        starts, windows = [], []
        for piece in pieces:
            if piece.new_run:
                self._run_s, self._next, self._at, self._held = piece.start_s, 0, 0, piece.imu[:0]
            self._held = np.concatenate([self._held, piece.imu])
            first = self._next - self._at
            count = max((len(self._held) - first - self._window) // self._hop + 1, 0)
            if count:
                cut = np.lib.stride_tricks.sliding_window_view(self._held, self._window, axis=0)
                windows.append(cut[first :: self._hop][:count])
                starts.append(self._run_s + (self._next + self._hop * np.arange(count)) / IMU_RATE_HZ)
                self._next += self._hop * count
            passed = min(max(self._next - self._at, 0), len(self._held))
            self._at, self._held = self._at + passed, self._held[passed:]
        if not windows:
            return np.empty(0), np.empty((0, len(CHANNELS), self._window), dtype=np.float32)
        return np.concatenate(starts), np.concatenate(windows)
