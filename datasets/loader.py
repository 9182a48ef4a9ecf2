"""Batches of windows with their frames, decoded by threads straight into reused buffers.

Decoding releases the interpreter lock, so threads inside the training process beat worker processes: nothing is
copied between processes and frames stay uint8. What a batch holds follows from (seed, epoch, window) alone, not from
threads, ranks or where a run was interrupted.

A thread that hangs in a read (a network share that is gone) cannot be ended from Python. So whoever waits for a window
waits for a bounded time, and buffers that such a thread may still write to are not used again.

In training, a window whose frames cannot be read gives way to another, which follows from the same three, so that one
damaged file does not end a run of days. Evaluation never replaces anything; a report may leave such windows out.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from datasets.frames import FrameError, draw_frames
from datasets.joined import JoinedWindows
from datasets.mixing import mixed_order
from datasets.placing import beside, place_anew
from datasets.prefetch import Batch, Slot, Threads, UnreadableWindows
from datasets.windows import Windows

_LEFT_OUT = -1  # stands where a window was
_SLOTS = 4  # one batch in use, three on their way


@dataclass(frozen=True)
class LoaderSettings:
    """What a loader reads of its windows, and how.

    Attributes:
        batch_size: windows per batch and rank.
        clip_len: frames per window; 0 leaves the video unread.
        normalize: z-score of the IMU, see ``Windows.imu``.
        seed: decides order, frames and places, together with the epoch.
        num_threads: threads that decode.
        train: shuffle, draw frames at random, drop an uneven last global batch and replace unreadable windows;
            otherwise keep the order, take middle frames, keep the last batch and raise ``FrameError``.
        leave_out: without ``train``, leave unreadable windows out instead: batches lack them, empty ones do not come.
        frames_used: places of the frames of a clip that are read; all are drawn. Default: all.
        rank, world_size: which part of each global batch is this process's.
        pin: page-locked buffers, for fast copies to a GPU.
        max_unreadable: fraction of the windows, found by this process, that may be replaced or left out, see
            ``UnreadableWindows``.
        timeout_s: an epoch raises ``TimeoutError`` if no window is read for so long.
        random_start, speed_jitter: with ``train``, see ``place_anew``.
        neighbours: fraction of the windows, without video, that come with a neighbour in time, see ``beside``; the
            others come with themselves.
        draws: with ``train``, so many draws of frames and places, which the epochs take in turn; None: one an epoch.
        only_draw: without ``train``, a draw, from 1, whose frames and places are read; None: the middle frames of the
            windows as they were cut.
        moments: unit of the z-score that comes with each batch, for who z-scores later, see ``Batch``.
        weights: with ``train``, of the datasets whose windows are joined, see ``windows_per_epoch``.
    """

    batch_size: int
    clip_len: int
    normalize: str
    seed: int = 0
    num_threads: int = 2
    train: bool = True
    leave_out: bool = False
    frames_used: Sequence[int] | None = None
    rank: int = 0
    world_size: int = 1
    pin: bool = False
    max_unreadable: float = 0.01
    timeout_s: float = 300.0
    random_start: bool = False
    speed_jitter: float = 0.0
    neighbours: float = 0.0
    draws: int | None = None
    only_draw: int | None = None
    moments: str | None = None
    weights: Sequence[float] | None = None

    @property
    def global_batch(self) -> int:
        """Windows per batch of all ranks."""
        return self.batch_size * self.world_size


class PairLoader:
    """Yields the batches of one rank, epoch after epoch.

    The global batch k of an epoch is the same whatever the number of ranks: its rows are dealt out in rank order.
    Windows of several datasets are drawn as ``datasets.mixing`` says. One that comes more than once in an epoch shows
    the same frames at the same place each time.

    Args:
        windows: what to draw from.

    Raises:
        ValueError: if there are too few windows to train on.
    """

    def __init__(self, windows: Windows | JoinedWindows, settings: LoaderSettings):
        self.windows, self.settings = windows, settings
        used = range(settings.clip_len) if settings.frames_used is None else settings.frames_used
        self._frames_used = list(used)
        fate = "left out of the report" if settings.leave_out else "replaced by others in training"
        self.unreadable = UnreadableWindows(len(windows), settings.max_unreadable, fate)
        self._slots: list[Slot] = []
        if settings.train and len(self) == 0:
            raise ValueError(
                f"{len(windows)} windows do not fill one batch of {settings.batch_size} x {settings.world_size} ranks: "
                "use a smaller batch_size or more data"
            )

    def __len__(self) -> int:
        """Batches per epoch."""
        total, global_batch = len(self.windows), self.settings.global_batch
        return total // global_batch if self.settings.train else -(-total // global_batch)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from ``start_batch`` on.

        Raises:
            FrameError: if frames cannot be read, and may not be replaced.
            TimeoutError: if a read hangs.
        """
        settings, order, windows = self.settings, self._order(epoch), self.placed(epoch)
        slots, self._slots = self._slots or self._new_slots(), []  # kept for the next epoch: fresh memory is slow
        if settings.clip_len == 0:
            yield from self._imu_batches(windows, slots, order, epoch, range(start_batch, len(self)))
            self._slots = slots
            return
        free, ahead, used = list(slots), deque[tuple[Slot, np.ndarray, list[Future]]](), None
        numbers = iter(range(start_batch, len(self)))
        threads, patience_s = Threads(settings.num_threads), settings.timeout_s
        try:
            while True:
                while free and (number := next(numbers, None)) is not None:
                    slot, positions = free.pop(), np.arange(len(order))[self.positions(number)]
                    slot.wait()
                    reads = [
                        threads.submit(partial(self._read, windows, slot, row, order, int(position), epoch))
                        for row, position in enumerate(positions)
                    ]
                    ahead.append((slot, order[positions], reads))
                if not ahead:
                    return
                rows = self._result(*ahead[0])
                if used is not None:
                    free.append(used)
                used, n = ahead.popleft()[0], len(rows)
                used.imu.numpy()[:n] = windows.imu(rows, settings.normalize)  # of a whole batch at once: much faster
                if n or not settings.leave_out:
                    yield Batch(used.imu[:n], used.video[:n], torch.from_numpy(rows), used, self._moments(rows))
        except TimeoutError:
            patience_s = 0.0
            raise
        finally:
            reads = [read for *_, reads in ahead for read in reads]
            for read in reads:
                read.cancel()
            threads.close()
            if not wait(reads, patience_s).not_done:
                self._slots = slots

    def _order(self, epoch: int) -> np.ndarray:
        """Positions of the windows in the order of an epoch."""
        settings = self.settings
        if settings.train and isinstance(self.windows, JoinedWindows):
            sizes, weights = self.windows.sizes, settings.weights
            return mixed_order(sizes, weights, settings.seed, epoch, settings.global_batch)
        order = np.arange(len(self.windows))
        if settings.train:
            np.random.default_rng([settings.seed, epoch]).shuffle(order)
        return order

    def draw_of(self, epoch: int) -> int | None:
        """Which draw decides frames and places of an epoch; None if nothing is drawn."""
        settings = self.settings
        if not settings.train:
            return settings.only_draw
        return epoch if settings.draws is None else (epoch - 1) % settings.draws + 1

    def placed(self, epoch: int) -> Windows | JoinedWindows:
        """The windows where they are in an epoch."""
        settings, draw = self.settings, self.draw_of(epoch)
        if draw is None or not (settings.random_start or settings.speed_jitter):
            return self.windows
        return place_anew(self.windows, settings.seed, draw, settings.random_start, settings.speed_jitter)

    def _imu_batches(
        self, windows: Windows | JoinedWindows, slots: list[Slot], order: np.ndarray, epoch: int, numbers: range
    ) -> Iterator[Batch]:
        """Batches without video: they are in memory already, so no thread is needed."""
        settings, others = self.settings, None
        if settings.neighbours:
            others = beside(windows, settings.seed, epoch, settings.neighbours)
        for number in numbers:
            slot, rows = slots[number % len(slots)], order[self.positions(number)]
            slot.wait()
            slot.imu.numpy()[: len(rows)] = windows.imu(rows, settings.normalize)
            neighbour = None if others is None else torch.from_numpy(others.imu(rows, settings.normalize))
            moments = self._moments(rows)
            video = self._unread(slot, rows, epoch)
            yield Batch(slot.imu[: len(rows)], video, torch.from_numpy(rows), slot, moments, neighbour)

    def _unread(self, slot: Slot, rows: np.ndarray, epoch: int) -> torch.Tensor:
        """What stands in a batch where no frames are read."""
        return slot.video[: len(rows)]

    def _moments(self, rows: np.ndarray) -> tuple[torch.Tensor, ...] | None:
        normalize = self.settings.moments
        if normalize is None:
            return None
        mean, std = self.windows.moments(rows, normalize)
        unit = self.windows.moments(rows, "dataset")[1] if normalize == "none" else np.ones_like(std)
        return tuple(map(torch.from_numpy, (mean, std, unit)))

    def positions(self, number: int) -> slice:
        """Where in an epoch's order this rank's windows of global batch ``number`` stand."""
        size = self.settings.batch_size
        first = number * self.settings.global_batch + self.settings.rank * size
        return slice(first, first + size)

    def _new_slots(self) -> list[Slot]:
        shape = self.settings.batch_size, len(self._frames_used), self.windows.frame_size
        return [Slot(self.windows.samples, *shape, self.settings.pin) for _ in range(min(_SLOTS, len(self) + 1))]

    def read_video(self, windows: Windows | JoinedWindows, index: int, epoch: int, slot: Slot, task: int) -> None:
        """Decode the frames that a window shows in an epoch into its place in a slot."""
        draw = self.draw_of(epoch)
        rng = None if draw is None else np.random.default_rng([self.settings.seed, draw, index])
        chosen = draw_frames(windows.frames, self.settings.clip_len, rng)[self._frames_used]
        windows.read_frames(index, chosen, slot.video.numpy()[task])

    def _read(
        self, windows: Windows | JoinedWindows, slot: Slot, row: int, order: np.ndarray, position: int, epoch: int
    ) -> int:
        """Read the window at a position of an epoch's order into a row of a slot, or the first that can replace it.

        Those are the ones at its place in the global batches that follow, round the end: never one of its own global
        batch, nor (but where weights repeat windows within an epoch) one that replaces another there. A window that is
        there twice would be its own negative.
        """
        total = self.settings.global_batch
        first = position - position % total
        for candidate in range(position, first + len(order), total):
            index = int(order[candidate % len(order)])
            if candidate != position and index in order[first : first + total]:
                continue
            try:
                self.read_video(windows, index, epoch, slot, row)
            except FrameError as error:
                if not (self.settings.train or self.settings.leave_out):
                    raise
                self.unreadable.note(index, error)
                if self.settings.leave_out:
                    return _LEFT_OUT
                last = error
                continue
            return index
        raise FrameError(
            last.path, f"{last.problem}; no readable window is left to replace it: use a smaller batch_size"
        ) from last

    def _result(self, slot: Slot, planned: np.ndarray, reads: list[Future]) -> np.ndarray:
        """Wait until a batch is full; the (n,) windows in it, moved up where some of the planned (B,) are left out."""
        rows = planned.copy()
        for row, read in enumerate(reads):  # each has begun when the one before it has ended
            try:
                rows[row] = read.result(self.settings.timeout_s)
            except TimeoutError as error:
                (name,), path = self.windows.ids(planned[[row]]), self.windows.frames_path(int(planned[row]))
                raise TimeoutError(
                    f"no window was read within {self.settings.timeout_s:g} s; still reading {name} "
                    f"({path}): is the disk or network share that holds it reachable?"
                ) from error
        if (rows == _LEFT_OUT).any():
            kept = np.flatnonzero(rows != _LEFT_OUT)
            slot.video.numpy()[: len(kept)] = slot.video.numpy()[kept]
            rows = rows[kept]
        return rows
