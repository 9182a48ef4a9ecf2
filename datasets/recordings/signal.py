"""The clean 50 Hz signal of a recording of any length, on disk while it is worked on.

What has to be known before the first window is classified - units, gravity, when nobody wore the sensor - takes the
whole recording. So it is read once, through ``SignalStream``, into an unnamed file of 100 MB a day that vanishes with
the process, and gone through again from there. Sums over every 10 s stay in memory.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from configs.constants import CHANNELS, IMU_RATE_HZ
from datasets.preparation.signals import EPSILON_S
from datasets.recordings.dead_axes import DeadAxes
from datasets.recordings.reader import Reading
from datasets.streaming import Piece, SignalStream

EPOCH_S = 10.0  # of the sums
_LEAST_BACK_S = 1 / IMU_RATE_HZ + EPSILON_S  # a run may begin within the last sample of the one before


@dataclass(frozen=True)
class Run:
    """A stretch without a long gap.

    Attributes:
        start_s: time of its first sample.
        first: its row in the file.
        samples: at 50 Hz.
    """

    start_s: float
    first: int
    samples: int

    @property
    def end_s(self) -> float:
        """End of its last sample."""
        return self.start_s + self.samples / IMU_RATE_HZ


@dataclass(frozen=True)
class Epochs:
    """Sums over every 10 s that have samples; E of them, in the units of the file.

    Attributes:
        start_s: (E,) multiples of 10 s.
        samples: (E,) at 50 Hz; 500 in a whole one.
        total, squares: (E, 6) sums of the channels and of their squares.
        turning: (E,) sum of the length of the angular rate.
    """

    start_s: np.ndarray
    samples: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    turning: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(E, 6)."""
        return self.total / self.samples[:, None]

    @property
    def std(self) -> np.ndarray:
        """(E, 6)."""
        return np.sqrt(np.maximum(self.squares / self.samples[:, None] - self.mean**2, 0))


class Signal:
    """A recording at 50 Hz, (T, 6) float32 in the units of its file.

    Its runs are in order of time, also where the clock was set back or several stretches stand in any order. A clock
    that has begun again and counts from a start does not tell when: what follows comes right after what was before.

    Args:
        reading: of which the samples are read.
        folder: for the unnamed file.

    Attributes:
        seen: samples of ``acc`` and ``gyro`` in the file.
        span_s: from the least to the largest stamp of the acceleration.
        dead: what is wrong with the axes of ``acc`` and ``gyro`` (``DeadAxes``), empty if nothing is.
        set_back: (k, 2) stamps from which and to which the clock went back, seconds.
        overlap: whether it went back to times that it had had before; the runs are of no use then.
    """

    def __init__(self, reading: Reading, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        self.runs: list[Run] = []
        self.samples = self.interpolated = 0
        self.seen = {"acc": 0, "gyro": 0}
        self.set_back: list[tuple[float, float]] = []
        self._counts_from_start, self._shift_s = reading.clock.kind == "relative", 0.0
        self._rows: list[np.ndarray] = []
        stream, axes = SignalStream(), {"acc": DeadAxes(), "gyro": DeadAxes()}
        least_s, most_s = np.inf, -np.inf
        for piece in reading.samples:
            least_s = min(least_s, np.nanmin(piece.acc_time_s, initial=np.inf))
            most_s = max(most_s, np.nanmax(piece.acc_time_s, initial=-np.inf))
            self.seen["acc"] += len(piece.acc_time_s)
            self.seen["gyro"] += len(piece.gyro_time_s)
            axes["acc"].push(piece.acc)
            axes["gyro"].push(piece.gyro)
            self._add(stream.push(piece.acc_time_s, piece.acc, piece.gyro_time_s, piece.gyro))
        self._add(stream.finish())
        self._file.flush()
        self.counts, self.rates_hz = stream.counts, stream.rates_hz
        self.span_s = float(max(most_s - least_s, 0))
        self.dead = {name: of.problem for name, of in axes.items()}
        self.epochs = _merged(self._rows)
        self.runs.sort(key=lambda run: run.start_s)
        self.overlap = any(b.start_s < a.end_s - _LEAST_BACK_S for a, b in pairwise(self.runs))

    def _add(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.new_run:
                self._begin(piece.start_s)
            run = self.runs[-1]
            at_s = run.start_s + (run.samples + np.arange(len(piece.imu))) / IMU_RATE_HZ
            self.runs[-1] = Run(run.start_s, run.first, run.samples + len(piece.imu))
            self.samples += len(piece.imu)
            self.interpolated += piece.interpolated
            self._file.write(np.ascontiguousarray(piece.imu, dtype=np.float32).tobytes())
            self._rows += _sums(at_s, piece.imu.astype(np.float64))

    def _begin(self, stamp_s: float) -> None:
        end_s = self.runs[-1].end_s if self.runs else -np.inf
        if stamp_s + self._shift_s < end_s - _LEAST_BACK_S:
            self.set_back.append((end_s - self._shift_s, stamp_s))
            if self._counts_from_start:
                self._shift_s = end_s - stamp_s
        self.runs.append(Run(stamp_s + self._shift_s, self.samples, 0))

    @property
    def first_s(self) -> float:
        """Time of its first sample; stamps that were dropped do not count."""
        return self.runs[0].start_s

    @property
    def last_s(self) -> float:
        """Time of its last sample."""
        return self.runs[-1].end_s - 1 / IMU_RATE_HZ

    def read(self, first: int, count: int) -> np.ndarray:
        """(count, 6) from a row on."""
        width = len(CHANNELS) * 4
        self._file.seek(first * width)
        return np.frombuffer(self._file.read(count * width), dtype=np.float32).reshape(-1, len(CHANNELS))

    def pieces(self, most: int) -> Iterator[Piece]:
        """The signal again, in pieces of up to ``most`` samples."""
        for run in self.runs:
            for offset in range(0, run.samples, most):
                imu = self.read(run.first + offset, min(most, run.samples - offset))
                yield Piece(run.start_s + offset / IMU_RATE_HZ, imu, offset == 0, 0)

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()


def _sums(at_s: np.ndarray, imu: np.ndarray) -> list[np.ndarray]:
    """Rows of (number of the epoch, samples, 6 totals, 6 squares, turning)."""
    if len(at_s) == 0:
        return []
    number = np.floor(at_s / EPOCH_S + 1e-9)
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    columns = [np.ones((len(imu), 1)), imu, imu**2, np.linalg.norm(imu[:, 3:], axis=1, keepdims=True)]
    sums = np.add.reduceat(np.concatenate(columns, axis=1), first, axis=0)
    return [np.concatenate([number[first, None], sums], axis=1)]


def _merged(rows: list[np.ndarray]) -> Epochs:
    """One row for each epoch, of which several pieces may have a part."""
    table = np.concatenate(rows) if rows else np.zeros((0, 3 + 2 * len(CHANNELS)))
    number, place = np.unique(table[:, 0], return_inverse=True)
    sums = np.zeros((len(number), table.shape[1] - 1))
    np.add.at(sums, place, table[:, 1:])
    return Epochs(number * EPOCH_S, sums[:, 0], sums[:, 1:7], sums[:, 7:13], sums[:, 13])
