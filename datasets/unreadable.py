"""Windows whose frames cannot be read: counted, named once for each file, and too many of them are an error."""

import logging
import math
import threading
from collections import Counter
from pathlib import Path

from datasets.frames import FrameError

_FEW = 3  # so many are allowed in a small dataset, whatever the share
_LOG = logging.getLogger(__name__)


class UnreadableWindows:
    """The unreadable windows that a process has met. Several threads may tell of them at once.

    Args:
        windows: number of windows in all.
        share: of them that may be unreadable; three always may, but never all.
        fate: what happens to them, in words.
    """

    def __init__(self, windows: int, share: float, fate: str):
        self._windows, self._fate = windows, fate
        self._allowed = min(max(_FEW, math.floor(share * windows)), windows - 1)
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
            _LOG.warning("%s: its unreadable windows are %s", error, self._fate)
        if files.total() > self._allowed:
            raise FrameError(
                error.path.parent,
                f"{files.total()} of {self._windows} windows cannot be read, {self._allowed} may be: "
                + ", ".join(f"{name} ({count})" for name, count in files.most_common(20))
                + "; prepare these recordings again",
            )
