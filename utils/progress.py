"""What a person sees of a run: lines on the screen and in log.txt, and the speed that they tell."""

import logging
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch

PHASES = ("wait", "forward", "backward", "optimizer")
_MAX_OPEN = 400  # moments that are kept until they are read

Item = TypeVar("Item")
Moment = float | torch.cuda.Event


@contextmanager
def run_log(path: Path | None) -> Iterator[None]:
    """Send log lines to the screen and append them to a file while inside.

    Args:
        path: the file; None (on ranks other than the first) shows warnings only, and writes no file.
    """
    root = logging.getLogger()
    level = root.level
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    handlers[0].setLevel(logging.WARNING if path is None else logging.INFO)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, encoding="utf-8"))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


class Stopwatch:
    """Speed since the last look, and the fraction of that time spent in each phase and in waiting for data.

    On a GPU a moment is an event in its queue of work: measuring makes nobody wait, and waiting for data counts only
    where the GPU had nothing else to do.

    Args:
        device: where the phases run.
    """

    def __init__(self, device: torch.device):
        self._device, self._on_gpu = device, device.type == "cuda"
        self._open: list[tuple[str, Moment, Moment]] = []  # not yet added up
        self._begin()

    def _begin(self) -> None:
        self._since, self._windows, self._seconds = time.perf_counter(), 0, dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside as this phase; a name of ``PHASES``."""
        begun = self._now()
        yield
        self._open.append((name, begun, self._now()))

    def waiting(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The same batches; the time until each is there counts as ``wait``."""
        batches = iter(batches)
        while True:
            with self.phase("wait"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def step_done(self, windows: int) -> None:
        """A step over this many windows (of all ranks) has ended."""
        self._windows += windows
        if len(self._open) > _MAX_OPEN:
            self._settle()

    def look(self) -> dict[str, float]:
        """Speed and shares since the last look, and the most memory since the start.

        Returns:
            ``windows_per_s``; ``<phase>_share`` of the time, where the rest of 1 went elsewhere; ``memory_gb``, of the
            GPU's memory what tensors took, on a CPU what the process took.
        """
        self._settle()
        elapsed = max(time.perf_counter() - self._since, 1e-9)
        shares = {f"{name}_share": seconds / elapsed for name, seconds in self._seconds.items()}
        found = {"windows_per_s": self._windows / elapsed, "memory_gb": self._peak_bytes() / 1e9} | shares
        self._begin()
        return found

    def _peak_bytes(self) -> int:
        if self._on_gpu:
            return torch.cuda.max_memory_allocated(self._device)
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _now(self) -> Moment:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _settle(self) -> None:
        """Add up what was measured since the last time; on a GPU, once it has done it."""
        for name, begun, ended in self._open:
            if self._on_gpu:
                ended.synchronize()
            self._seconds[name] += begun.elapsed_time(ended) / 1000 if self._on_gpu else ended - begun
        self._open.clear()


def describe_step(epoch: int, epochs: int, step: int, steps: int, values: dict[str, float], left_s: float) -> str:
    """A training step as a line; scale and bias of the logits where the method has them."""
    logits = "".join(f"{name} {values[name]:.2f}  " for name in ("scale", "bias") if name in values)
    return (
        f"epoch {epoch}/{epochs}  step {step}/{steps}  loss {values['loss']:.4f}  lr {values['lr']:.1e}  "
        f"{logits}grad {values['grad_norm']:.2f}  "
        f"{values['windows_per_s']:.0f} windows/s  waiting {values['wait_share']:.0%}  "
        f"{values['memory_gb']:.1f} GB  left {timedelta(seconds=round(left_s))}"
    )
