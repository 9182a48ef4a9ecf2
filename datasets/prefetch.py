"""Batches in buffers that are used again, threads that fill them, and the count of windows that cannot be read."""

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from datasets.frames import FrameError

_FEW = 3  # unreadable windows that are allowed in a small dataset, whatever the fraction
_log = logging.getLogger(__name__)


class Slot:
    """The buffers of one batch. They are filled again only when the batch's copy to the device has ended."""

    def __init__(self, samples: int, batch: int, frames: int, size: int, pin: bool):
        self.imu = torch.empty(batch, 6, samples, pin_memory=pin)
        self.video = torch.empty(batch, frames, size, size, 3, dtype=torch.uint8, pin_memory=pin)
        self.copied: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Until the copy to the device has ended, if there is one."""
        if self.copied is not None:
            self.copied.synchronize()
            self.copied = None


@dataclass(frozen=True)
class Batch:
    """A batch on the host; its tensors are overwritten once the next batch is requested.

    Attributes:
        imu: (B, 6, T) float32.
        video: (B, F, S, S, 3) uint8, the frames that are used; F is 0 without video.
        index: (B,) int64 positions in the loader's windows.
        moments: where the loader was asked for them: mean and standard deviation of the z-score, and the unit of an
            offset after it (1, or without a z-score the dataset's standard deviation), to broadcast over ``imu``.
        neighbour: (B, 6, T) float32, another window of the same recording, where the loader was asked for it.
    """

    imu: Tensor
    video: Tensor
    index: Tensor
    _slot: Slot
    moments: tuple[Tensor, ...] | None = None
    neighbour: Tensor | None = None

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """IMU and video on a device. On a GPU the copy runs beside the computation."""
        if device.type != "cuda":
            return self.imu.to(device), self.video.to(device)
        imu, video = self.imu.to(device, non_blocking=True), self.video.to(device, non_blocking=True)
        self._slot.copied = torch.cuda.Event()
        self._slot.copied.record()
        return imu, video


class Threads:
    """Do tasks in their order. A thread that hangs does not keep the program alive, as those of an executor would."""

    def __init__(self, count: int):
        self._count = count
        self._tasks: SimpleQueue[tuple[Future, Callable[[], Any]] | None] = SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._run, daemon=True).start()

    def submit(self, task: Callable[[], Any]) -> Future:
        """The future result of a task."""
        future: Future = Future()
        self._tasks.put((future, task))
        return future

    def close(self) -> None:
        """End the threads once all tasks that are not cancelled are done."""
        for _ in range(self._count):
            self._tasks.put(None)

    def _run(self) -> None:
        while (item := self._tasks.get()) is not None:
            future, task = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(task())
                except Exception as error:  # belongs to whoever waits for the result
                    future.set_exception(error)


class UnreadableWindows:
    """Windows whose frames cannot be read: counted, named once per file; too many are an error. Threads share it.

    Args:
        windows: number of windows in all.
        max_fraction: of them that may be unreadable; three always may, but never all.
        fate: what happens to them, in words.

    Attributes:
        files: file that could not be read, by window.
    """

    def __init__(self, windows: int, max_fraction: float, fate: str):
        self._windows, self._fate = windows, fate
        self._allowed = min(max(_FEW, math.floor(max_fraction * windows)), windows - 1)
        self.files: dict[int, Path] = {}
        self._lock = threading.Lock()

    def note(self, index: int, error: FrameError) -> None:
        """Count a window that cannot be read; its file is named once.

        Raises:
            FrameError: if there are now too many of them.
        """
        with self._lock:
            first_of_file = error.path not in self.files.values()
            self.files[index] = error.path
            files = Counter(path.name for path in self.files.values())
        if first_of_file:
            _log.warning("%s: its unreadable windows are %s", error, self._fate)
        if files.total() > self._allowed:
            raise FrameError(
                error.path.parent,
                f"{files.total()} of {self._windows} windows cannot be read, {self._allowed} may be: "
                + ", ".join(f"{name} ({count})" for name, count in files.most_common(20))
                + "; prepare these recordings again",
            )
