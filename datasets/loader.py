"""Batches of windows with their frames, decoded by threads straight into reused buffers.

Decoding releases the interpreter lock, so threads inside the training process beat worker processes: nothing is
copied between processes and frames stay uint8. What a batch holds follows from (seed, epoch, window) alone, not from
threads, ranks or where a run was interrupted.

In training, a window whose frames cannot be read gives way to another, which follows from the same three, so that one
damaged file does not end a run of days. Evaluation never replaces anything; a report may leave such windows out.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from configs.constants import WINDOW_FRAMES
from datasets.frames import FrameError, draw_frames
from datasets.prefetch import Batch, Filling, FillingThreads, Slot, UnreadableWindows
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
        seed: decides order and frames, together with the epoch.
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

    @property
    def global_batch(self) -> int:
        """Windows per batch of all ranks."""
        return self.batch_size * self.world_size


class PairLoader:
    """Yields the batches of one rank, epoch after epoch.

    The global batch k of an epoch is the same whatever the number of ranks: its rows are dealt out in rank order.

    Args:
        windows: what to draw from.

    Raises:
        ValueError: if there are too few windows to train on.
    """

    def __init__(self, windows: Windows, settings: LoaderSettings):
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
        settings, order = self.settings, np.arange(len(self.windows))
        if settings.train:
            np.random.default_rng([settings.seed, epoch]).shuffle(order)
        slots, self._slots = self._slots or self._new_slots(), []  # kept for the next epoch: fresh memory is slow
        if settings.clip_len == 0:
            yield from self._imu_batches(slots, order, range(start_batch, len(self)))
            self._slots = slots
            return
        free, ahead, used = list(slots), deque[_Fill](), None
        numbers = iter(range(start_batch, len(self)))
        threads = FillingThreads(settings.num_threads, settings.timeout_s)
        try:
            while True:
                while free and (number := next(numbers, None)) is not None:
                    ahead.append(_Fill(self, free.pop(), order, number, epoch))
                    threads.submit(ahead[-1])
                if not ahead:
                    return
                fill = ahead.popleft()
                threads.wait(fill)
                if used is not None:
                    free.append(used)
                used, n = fill.slot, len(fill.rows)
                if n or not settings.leave_out:
                    yield Batch(used.imu[:n], used.video[:n], torch.from_numpy(fill.rows), used)
        finally:
            if threads.close():
                self._slots = slots

    def _imu_batches(self, slots: list[Slot], order: np.ndarray, numbers: range) -> Iterator[Batch]:
        """Batches without video: they are in memory already, so no thread is needed."""
        for number in numbers:
            slot, rows = slots[number % len(slots)], order[self.positions(number)]
            slot.wait()
            slot.imu.numpy()[: len(rows)] = self.windows.imu(rows, self.settings.normalize)
            yield Batch(slot.imu[: len(rows)], slot.video[: len(rows)], torch.from_numpy(rows), slot)

    def positions(self, number: int) -> slice:
        """Where in an epoch's order this rank's windows of global batch ``number`` stand."""
        size = self.settings.batch_size
        first = number * self.settings.global_batch + self.settings.rank * size
        return slice(first, first + size)

    def _new_slots(self) -> list[Slot]:
        shape = self.settings.batch_size, len(self._frames_used), int(self.windows.store.info["frame_size"])
        return [Slot(*shape, self.settings.pin) for _ in range(min(_SLOTS, len(self) + 1))]

    def read_video(self, index: int, epoch: int, slot: Slot, task: int) -> None:
        """Decode the frames that a window shows in an epoch into its place in a slot."""
        rng = np.random.default_rng([self.settings.seed, epoch, index]) if self.settings.train else None
        chosen = draw_frames(WINDOW_FRAMES, self.settings.clip_len, rng)[self._frames_used]
        self.windows.read_frames(index, chosen, slot.video.numpy()[task])


class _Fill(Filling):
    """A batch of a loader on its way, one window at a time.

    Attributes:
        rows: (B,) int64 windows; one that is replaced changes here.
    """

    def __init__(self, loader: PairLoader, slot: Slot, order: np.ndarray, number: int, epoch: int):
        total = loader.settings.global_batch
        self.loader, self.slot, self.order, self.epoch = loader, slot, order, epoch
        self.batch = range(number * total, (number + 1) * total)  # positions in the order, of all ranks
        self.first = loader.positions(number).start
        self.rows = order[loader.positions(number)].copy()
        slot.wait()
        super().__init__(tasks=len(self.rows))

    def fill(self, task: int) -> None:
        """Read the frames of one window, or of the first that can stand in for it."""
        index, substitutes = int(self.rows[task]), self._substitutes(self.first + task)
        settings = self.loader.settings
        while True:
            try:
                self.loader.read_video(index, self.epoch, self.slot, task)
                break
            except FrameError as error:
                if not (settings.train or settings.leave_out):
                    raise
                self.loader.unreadable.note(index, error)
                if settings.leave_out:
                    index = _LEFT_OUT
                    break
                index = next(substitutes, None)
                if index is None:
                    raise FrameError(
                        error.path,
                        f"{error.problem}; no readable window is left to replace it: use a smaller batch_size",
                    ) from error
        self.rows[task] = index

    def finish(self) -> None:
        """Read the IMU, of the windows that are really in the batch."""
        if (self.rows == _LEFT_OUT).any():
            self._close_gaps()
        self.slot.imu.numpy()[: len(self.rows)] = self.loader.windows.imu(self.rows, self.loader.settings.normalize)

    def _close_gaps(self) -> None:
        """Move windows up to where others were left out."""
        kept, slot = np.flatnonzero(self.rows != _LEFT_OUT), self.slot
        self.rows = self.rows[kept]
        slot.video.numpy()[: len(kept)] = slot.video.numpy()[kept]

    def describe(self, task: int) -> str:
        windows, index = self.loader.windows, int(self.rows[task])
        return f"{windows.ids(np.array([index]))[0]} ({windows.store.frames(int(windows.recording[index])).path})"

    def _substitutes(self, position: int) -> Iterator[int]:
        """Windows that may replace the one at a position, in an order that depends on nothing else.

        They have its place in the global batches that follow, round the end. So none is of its own global batch, nor
        may it replace another window there: a window that is there twice would be its own negative.
        """
        for candidate in range(position + len(self.batch), self.batch.start + len(self.order), len(self.batch)):
            yield int(self.order[candidate % len(self.order)])
