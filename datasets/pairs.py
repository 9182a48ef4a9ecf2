"""Batches of windows with their frames, decoded by threads straight into reused buffers.

Decoding releases the interpreter lock, so threads inside the training process beat worker processes: nothing is
copied between processes and frames stay uint8. What a batch holds follows from (seed, epoch, window) alone, not from
threads, ranks or where a run was interrupted.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from configs.constants import WINDOW_FRAMES, WINDOW_SAMPLES
from datasets.frames import draw_frames
from datasets.windows import Windows

_PREFETCH = 2  # batches decoded ahead of the one in use


class _Slot:
    """The buffers of one batch. They are filled again only when the batch's copy to the device has ended."""

    def __init__(self, batch: int, frames: int, size: int, pin: bool):
        self.imu = torch.empty(batch, 6, WINDOW_SAMPLES, pin_memory=pin)
        self.video = torch.empty(batch, frames, size, size, 3, dtype=torch.uint8, pin_memory=pin)
        self.copied: torch.cuda.Event | None = None

    def wait(self) -> None:
        if self.copied is not None:
            self.copied.synchronize()
            self.copied = None


@dataclass(frozen=True)
class Batch:
    """A batch on the host; its tensors are overwritten once the next batch has been asked for.

    Attributes:
        imu: (B, 6, 250) float32.
        video: (B, F, S, S, 3) uint8; F is 0 without video.
        index: (B,) int64 positions in the loader's windows.
    """

    imu: Tensor
    video: Tensor
    index: Tensor
    _slot: _Slot

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """IMU and video on a device. On a GPU the copy runs beside the computation."""
        if device.type != "cuda":
            return self.imu.to(device), self.video.to(device)
        imu, video = self.imu.to(device, non_blocking=True), self.video.to(device, non_blocking=True)
        self._slot.copied = torch.cuda.Event()
        self._slot.copied.record()
        return imu, video


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
        train: shuffle, draw frames at random and drop an uneven last global batch; otherwise keep the order, take
            middle frames and keep the last batch.
        rank, world_size: which part of each global batch is this process's.
        pin: page-locked buffers, for fast copies to a GPU.
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
    ):
        self.windows, self.batch_size, self.clip_len, self.normalize = windows, batch_size, clip_len, normalize
        self.seed, self.num_threads, self.train = seed, num_threads, train
        self.rank, self.world_size, self.pin = rank, world_size, pin
        if train and len(self) == 0:
            raise ValueError(
                f"{len(windows)} windows do not fill one batch of {batch_size} x {world_size} ranks: "
                "use a smaller batch_size or more data"
            )

    def __len__(self) -> int:
        """Batches per epoch."""
        total = self.batch_size * self.world_size
        return len(self.windows) // total if self.train else -(-len(self.windows) // total)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from ``start_batch`` on."""
        order = np.arange(len(self.windows))
        if self.train:
            np.random.default_rng([self.seed, epoch]).shuffle(order)
        size = int(self.windows.store.info["frame_size"])
        free = [_Slot(self.batch_size, self.clip_len, size, self.pin) for _ in range(_PREFETCH + 2)]
        queue: deque[tuple[_Slot, np.ndarray, list[Future]]] = deque()
        numbers = iter(range(start_batch, len(self)))
        used: _Slot | None = None
        with ThreadPoolExecutor(self.num_threads, thread_name_prefix="decode") as pool:
            try:
                while True:
                    while len(queue) <= _PREFETCH and (number := next(numbers, None)) is not None:
                        rows = self._rows(order, number)
                        slot = free.pop()
                        slot.wait()
                        queue.append((slot, rows, self._submit(pool, slot, rows, epoch)))
                    if not queue:
                        return
                    slot, rows, parts = queue.popleft()
                    for part in parts:
                        part.result()
                    if used is not None:
                        free.append(used)
                    used = slot
                    n = len(rows)
                    yield Batch(slot.imu[:n], slot.video[:n], torch.from_numpy(rows), slot)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _rows(self, order: np.ndarray, number: int) -> np.ndarray:
        """This rank's positions in global batch ``number``."""
        total = self.batch_size * self.world_size
        first = number * total + self.rank * self.batch_size
        return order[first : min(first + self.batch_size, (number + 1) * total)]

    def _submit(self, pool: ThreadPoolExecutor, slot: _Slot, rows: np.ndarray, epoch: int) -> list[Future]:
        edges = np.linspace(0, len(rows), self.num_threads + 1).astype(int)
        return [
            pool.submit(self._fill, slot, rows, first, end, epoch)
            for first, end in zip(edges[:-1], edges[1:], strict=True)
            if end > first
        ]

    def _fill(self, slot: _Slot, rows: np.ndarray, first: int, end: int, epoch: int) -> None:
        """Read windows ``first`` to ``end`` of a batch into its buffers."""
        slot.imu.numpy()[first:end] = self.windows.imu(rows[first:end], self.normalize)
        if self.clip_len == 0:
            return
        video = slot.video.numpy()
        for position in range(first, end):
            index = int(rows[position])
            rng = np.random.default_rng([self.seed, epoch, index]) if self.train else None
            self.windows.read_frames(index, draw_frames(WINDOW_FRAMES, self.clip_len, rng), video[position])
