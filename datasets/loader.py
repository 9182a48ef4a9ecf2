"""Batches of windows with their frames, decoded by threads straight into reused buffers.

Decoding releases the interpreter lock, so threads inside the training process beat worker processes: nothing is
copied between processes and frames stay uint8. What a batch holds follows from (seed, epoch, window) alone, not from
threads, ranks or where a run was interrupted.

In training, a window whose frames cannot be read gives way to another, which follows from the same three, so that one
damaged file does not end a run of days. Evaluation never replaces anything; a report may leave such windows out.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from configs.constants import WINDOW_FRAMES
from datasets.batch import Batch, Slot
from datasets.frames import FrameError, draw_frames
from datasets.prefetch import Filling, FillingThreads
from datasets.unreadable import UnreadableWindows
from datasets.windows import Windows

_LEFT_OUT = -1  # stands where a window was
_SLOTS = 4  # one batch in use, three on their way


class PairLoader:
    """Yields the batches of one rank, epoch after epoch.

    The global batch k of an epoch is the same whatever the number of ranks: its rows are dealt out in rank order.

    Args:
        windows: what to draw from.
        batch_size: windows per batch and rank.
        clip_len: frames per window; 0 leaves the video unread.
        normalize: z-score of the IMU, see ``Windows.imu``.
        seed: decides order and frames, together with the epoch.
        num_threads: threads that decode.
        train: shuffle, draw frames at random, drop an uneven last global batch and replace unreadable windows;
            otherwise keep the order, take middle frames, keep the last batch and raise ``FrameError``.
        leave_out: without ``train``, leave unreadable windows out instead: batches lack them, empty ones do not come.
        rank, world_size: which part of each global batch is this process's.
        pin: page-locked buffers, for fast copies to a GPU.
        max_unreadable: share of the windows, found by this process, that may be replaced or left out, see
            ``UnreadableWindows``.
        timeout_s: an epoch raises ``TimeoutError`` if it waits so long without any window being read.
        frames_used: places of the frames of a clip that are wanted; the others are drawn, but not read. Default: all.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        clip_len: int,
        normalize: str,
        seed: int = 0,
        num_threads: int = 2,
        train: bool = True,
        rank: int = 0,
        world_size: int = 1,
        pin: bool = False,
        max_unreadable: float = 0.01,
        timeout_s: float = 300.0,
        frames_used: Sequence[int] | None = None,
        leave_out: bool = False,
    ):
        self.windows, self.batch_size, self.clip_len, self.normalize = windows, batch_size, clip_len, normalize
        self.seed, self.num_threads, self.train = seed, num_threads, train
        self.rank, self.world_size, self.pin = rank, world_size, pin
        self.timeout_s, self.leave_out = timeout_s, leave_out
        self.frames_used = list(range(clip_len) if frames_used is None else frames_used)
        fate = "left out of the report" if leave_out else "replaced by others in training"
        self.unreadable = UnreadableWindows(len(windows), max_unreadable, fate)
        self._slots: list[Slot] = []
        if train and len(self) == 0:
            raise ValueError(
                f"{len(windows)} windows do not fill one batch of {batch_size} x {world_size} ranks: "
                "use a smaller batch_size or more data"
            )

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.windows) // self._global_batch if self.train else -(-len(self.windows) // self._global_batch)

    @property
    def _global_batch(self) -> int:
        return self.batch_size * self.world_size

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from ``start_batch`` on.

        Raises:
            FrameError: if frames cannot be read, and may not be replaced.
            TimeoutError: if a read hangs.
        """
        order = np.arange(len(self.windows))
        if self.train:
            np.random.default_rng([self.seed, epoch]).shuffle(order)
        slots, self._slots = self._slots or self._new_slots(), []  # kept for the next epoch: fresh memory is slow
        if self.clip_len == 0:
            yield from self._imu_batches(slots, order, range(start_batch, len(self)))
            self._slots = slots
            return
        free, ahead, used = list(slots), deque[_Fill](), None
        numbers = iter(range(start_batch, len(self)))
        threads = FillingThreads(self.num_threads, self.timeout_s)
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
                if n or not self.leave_out:
                    yield Batch(used.imu[:n], used.video[:n], torch.from_numpy(fill.rows), used)
        finally:
            if threads.close():
                self._slots = slots

    def _imu_batches(self, slots: list[Slot], order: np.ndarray, numbers: range) -> Iterator[Batch]:
        """Batches without video: they are in memory already, so no thread is needed."""
        for number in numbers:
            slot, rows = slots[number % len(slots)], order[self.positions(number)]
            slot.wait()
            slot.imu.numpy()[: len(rows)] = self.windows.imu(rows, self.normalize)
            yield Batch(slot.imu[: len(rows)], slot.video[: len(rows)], torch.from_numpy(rows), slot)

    def positions(self, number: int) -> slice:
        """Where in an epoch's order this rank's windows of global batch ``number`` stand."""
        first = number * self._global_batch + self.rank * self.batch_size
        return slice(first, first + self.batch_size)

    def _new_slots(self) -> list[Slot]:
        size = int(self.windows.store.info["frame_size"])
        return [Slot(self.batch_size, len(self.frames_used), size, self.pin) for _ in range(min(_SLOTS, len(self) + 1))]

    def read_video(self, index: int, epoch: int, slot: Slot, task: int) -> None:
        """Decode the frames that a window shows in an epoch into its place in a slot."""
        rng = np.random.default_rng([self.seed, epoch, index]) if self.train else None
        chosen = draw_frames(WINDOW_FRAMES, self.clip_len, rng)[self.frames_used]
        self.windows.read_frames(index, chosen, slot.video.numpy()[task])


class _Fill(Filling):
    """A batch of a loader on its way, one window at a time.

    Attributes:
        rows: (B,) int64 windows; one that is replaced changes here.
    """

    def __init__(self, loader: PairLoader, slot: Slot, order: np.ndarray, number: int, epoch: int):
        total = loader.batch_size * loader.world_size
        self.loader, self.slot, self.order, self.epoch = loader, slot, order, epoch
        self.batch = range(number * total, (number + 1) * total)  # positions in the order, of all ranks
        self.first = loader.positions(number).start
        self.rows = order[loader.positions(number)].copy()
        slot.wait()
        super().__init__(tasks=len(self.rows))

    def fill(self, task: int) -> None:
        """Read the frames of one window, or of the first that can stand in for it."""
        index, substitutes = int(self.rows[task]), self._substitutes(self.first + task)
        while True:
            try:
                self.loader.read_video(index, self.epoch, self.slot, task)
                break
            except FrameError as error:
                if not (self.loader.train or self.loader.leave_out):
                    raise
                self.loader.unreadable.note(index, error)
                if self.loader.leave_out:
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
        self.slot.imu.numpy()[: len(self.rows)] = self.loader.windows.imu(self.rows, self.loader.normalize)

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
