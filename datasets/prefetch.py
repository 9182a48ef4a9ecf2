"""Batches in buffers that are used again, and the threads that fill them ahead of the one in use.

A thread that hangs in a read (a network share that is gone) cannot be ended from Python. So the threads are daemons,
which do not keep the program alive; whoever waits for a batch waits for a bounded time; and buffers that such a
thread may still write to are not used again.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import torch
from torch import Tensor

from configs.constants import WINDOW_SAMPLES
from datasets.frames import FrameError

_FEW = 3  # unreadable windows that are allowed in a small dataset, whatever the fraction
_log = logging.getLogger(__name__)


class Slot:
    """The buffers of one batch. They are filled again only when the batch's copy to the device has ended."""

    def __init__(self, batch: int, frames: int, size: int, pin: bool):
        self.imu = torch.empty(batch, 6, WINDOW_SAMPLES, pin_memory=pin)
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
        imu: (B, 6, 250) float32.
        video: (B, F, S, S, 3) uint8, the frames that are used; F is 0 without video.
        index: (B,) int64 positions in the loader's windows.
    """

    imu: Tensor
    video: Tensor
    index: Tensor
    _slot: Slot

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """IMU and video on a device. On a GPU the copy runs beside the computation."""
        if device.type != "cuda":
            return self.imu.to(device), self.video.to(device)
        imu, video = self.imu.to(device, non_blocking=True), self.video.to(device, non_blocking=True)
        self._slot.copied = torch.cuda.Event()
        self._slot.copied.record()
        return imu, video


class Filling:
    """A batch on its way, in ``tasks`` parts that are filled independently; it may have none.

    Attributes:
        ready: set when every part has been filled, or has failed.
        error: what went wrong first, if anything did.
    """

    def __init__(self, tasks: int):
        self.tasks = self.left = tasks
        self.ready = threading.Event()
        self.error: Exception | None = None

    def fill(self, task: int) -> None:
        """Fill one part. Parts are filled by several threads at once."""
        raise NotImplementedError

    def finish(self) -> None:
        """Do what remains when all parts have been filled."""
        raise NotImplementedError

    def describe(self, task: int) -> str:
        """What a part reads, for an error message."""
        raise NotImplementedError


class FillingThreads:
    """Fills batches in the order in which they are submitted.

    Args:
        count: threads.
        timeout_s: an error is raised if no part of any batch is filled for so long.
    """

    def __init__(self, count: int, timeout_s: float):
        self.timeout_s = timeout_s
        self._tasks: SimpleQueue[tuple[Filling, int] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._filled = 0  # parts, of all batches
        self._busy: dict[int, tuple[Filling, int]] = {}
        self._closing = self._hung = False
        self._threads = [threading.Thread(target=self._run, name=f"fill-{k}", daemon=True) for k in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, filling: Filling) -> None:
        """Begin to fill a batch."""
        if filling.tasks == 0:
            filling.ready.set()
        for task in range(filling.tasks):
            self._tasks.put((filling, task))

    def wait(self, filling: Filling) -> None:
        """Wait until a batch is full.

        Raises:
            TimeoutError: if nothing is filled for ``timeout_s``; it names what is being read.
            Exception: whatever filling it raised.
        """
        seen = self._filled
        while not filling.ready.wait(self.timeout_s):
            if self._filled == seen:
                self._hung = True
                reading = ", ".join(sorted(f.describe(task) for f, task in list(self._busy.values()))) or "nothing"
                raise TimeoutError(
                    f"no window was read within {self.timeout_s:g} s; still reading {reading}: "
                    "is the disk or network share that holds it reachable?"
                )
            seen = self._filled
        if filling.error is not None:
            raise filling.error

    def close(self) -> bool:
        """End the threads; what was submitted and not begun is left unfilled.

        Returns:
            Whether all have ended, so that the buffers are free.
        """
        self._closing = True
        for _ in self._threads:
            self._tasks.put(None)
        end = time.monotonic() + (0 if self._hung else self.timeout_s)
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        me = threading.get_ident()
        while (item := self._tasks.get()) is not None:
            filling, task = item
            self._busy[me] = item
            self._attempt(filling, partial(filling.fill, task))
            with self._lock:
                self._filled += 1
                filling.left -= 1
                last = filling.left == 0
            if last:
                self._attempt(filling, filling.finish)
                filling.ready.set()
            del self._busy[me]

    def _attempt(self, filling: Filling, work: Callable[[], None]) -> None:
        """Do some work of a batch, unless it has failed already or nobody wants it any more."""
        if filling.error is not None or self._closing:
            return
        try:
            work()
        except Exception as error:  # belongs to whoever waits for the batch
            filling.error = filling.error or error


class UnreadableWindows:
    """Windows whose frames cannot be read: counted, named once per file; too many are an error. Threads share it.

    Args:
        windows: number of windows in all.
        max_fraction: of them that may be unreadable; three always may, but never all.
        fate: what happens to them, in words.
    """

    def __init__(self, windows: int, max_fraction: float, fate: str):
        self._windows, self._fate = windows, fate
        self._allowed = min(max(_FEW, math.floor(max_fraction * windows)), windows - 1)
        self._files: dict[int, Path] = {}  # window -> file
        self._lock = threading.Lock()

    def by_file(self) -> dict[Path, int]:
        """Files that could not be read so far, with the number of windows that each cost."""
        with self._lock:
            return dict(Counter(self._files.values()))

    def note(self, index: int, error: FrameError) -> None:
        """Count a window that cannot be read; its file is named once.

        Raises:
            FrameError: if there are now too many of them.
        """
        with self._lock:
            first_of_file = error.path not in self._files.values()
            self._files[index] = error.path
            files = Counter(path.name for path in self._files.values())
        if first_of_file:
            _log.warning("%s: its unreadable windows are %s", error, self._fate)
        if files.total() > self._allowed:
            raise FrameError(
                error.path.parent,
                f"{files.total()} of {self._windows} windows cannot be read, {self._allowed} may be: "
                + ", ".join(f"{name} ({count})" for name, count in files.most_common(20))
                + "; prepare these recordings again",
            )
