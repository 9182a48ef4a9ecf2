"""What a person sees of a run: lines on the screen and in log.txt, beside a progress bar."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm


class _Screen(logging.Handler):
    """Prints lines above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record))


@contextmanager
def run_log(path: Path | None) -> Iterator[None]:
    """Send log lines to the screen and append them to a file while inside.

    Args:
        path: the file; None (on ranks other than the first) shows warnings only, and writes no file.
    """
    root = logging.getLogger()
    level = root.level
    handlers: list[logging.Handler] = [_Screen()]
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
    """Speed since the last look, and how much of that time went into waiting for data."""

    def __init__(self) -> None:
        self._since = self._mark = time.perf_counter()
        self._waited = 0.0
        self._windows = 0

    def data_arrived(self) -> None:
        """A batch is there; the time since ``step_done`` was spent waiting for it."""
        self._waited += time.perf_counter() - self._mark

    def step_done(self, windows: int) -> None:
        """A step over this many windows (of all ranks) has ended."""
        self._windows += windows
        self._mark = time.perf_counter()

    def look(self) -> tuple[float, float]:
        """Windows per second and share of time waited, since the last look."""
        now = time.perf_counter()
        elapsed = max(now - self._since, 1e-9)
        speed, wait = self._windows / elapsed, self._waited / elapsed
        self._since = self._mark = now
        self._waited, self._windows = 0.0, 0
        return speed, wait


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe_step(epoch: int, epochs: int, step: int, steps: int, values: dict[str, float], left_s: float) -> str:
    """A training step as a line."""
    return (
        f"epoch {epoch}/{epochs}  step {step}/{steps}  loss {values['loss']:.4f}  lr {values['lr']:.1e}  "
        f"scale {values['scale']:.2f}  bias {values['bias']:.2f}  grad {values['grad_norm']:.2f}  "
        f"{values['windows_per_s']:.0f} windows/s  waiting {values['wait_share']:.0%}  left {duration(left_s)}"
    )
