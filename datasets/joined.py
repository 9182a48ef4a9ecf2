"""Windows of several lists as one, as of several datasets. Letters: W windows, K lists, T samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.windows import Windows


@dataclass(frozen=True)
class JoinedWindows:
    """The windows of several lists, those of the first first; read like ``Windows`` of the same length.

    Attributes:
        parts: the lists.
        part: (W,) 0 to K - 1, the list of each window.
        row: (W,) its position there.
        label, subject, session: (W,) as of ``Windows``; a label numbers the classes of its own list.
    """

    parts: tuple[Windows, ...]
    part: np.ndarray
    row: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    session: np.ndarray

    @classmethod
    def of(cls, *parts: Windows) -> "JoinedWindows":
        """All windows of all lists."""
        sizes = list(map(len, parts))
        part, row = np.repeat(np.arange(len(parts)), sizes), np.concatenate([np.arange(n) for n in sizes])
        columns = (np.concatenate([getattr(p, name) for p in parts]) for name in ("label", "subject", "session"))
        return cls(parts, part, row, *columns)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def sizes(self) -> list[int]:
        """Windows of each list."""
        return np.bincount(self.part, minlength=len(self.parts)).tolist()

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the first list: of use where all have the same."""
        return self.parts[0].classes

    @property
    def window_s(self) -> float:
        return self.parts[0].window_s

    @property
    def samples(self) -> int:
        return self.parts[0].samples

    @property
    def frames(self) -> int:
        return self.parts[0].frames

    @property
    def frame_size(self) -> int:
        return self.parts[0].frame_size

    def describe_too_short(self) -> str:
        """How many recordings gave no window, see ``Windows.describe_too_short``."""
        return "; ".join(filter(None, (part.describe_too_short() for part in self.parts)))

    def subset(self, indices: np.ndarray) -> "JoinedWindows":
        """The windows at these positions (or where a mask is true)."""
        names = ("part", "row", "label", "subject", "session")
        return replace(self, **{name: getattr(self, name)[indices] for name in names})

    def sources(self) -> np.ndarray:
        """(W,) str: the raw recording of each window, see ``Windows.sources``."""
        return self._of_parts([part.sources() for part in self.parts])

    def ids(self, indices: np.ndarray | None = None) -> list[str]:
        """Names as of ``Windows``; of several datasets, each behind the name of its own."""
        chosen = self if indices is None else self.subset(indices)
        roots = [part.store.root for part in self.parts]
        prefixes = [f"{root.name}/" if len(set(roots)) > 1 else "" for root in roots]
        of_parts = [part.ids() for part in self.parts]
        return [prefixes[part] + of_parts[part][row] for part, row in zip(chosen.part, chosen.row, strict=True)]

    def imu(self, indices: np.ndarray, normalize: str) -> np.ndarray:
        """(n, 6, T) float32 of the windows at these positions, each z-scored as in its own dataset."""
        part, row = self.part[indices], self.row[indices]
        out = np.empty((len(part), 6, self.samples), np.float32)
        for number, windows in enumerate(self.parts):
            out[part == number] = windows.imu(row[part == number], normalize)
        return out

    def moments(self, indices: np.ndarray, normalize: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (n, 6, 1) of the z-score of each window in its own dataset, see ``Windows``."""
        part, row = self.part[indices], self.row[indices]
        out = np.empty((2, len(part), 6, 1), np.float32)
        for number, windows in enumerate(self.parts):
            own = part == number
            out[0, own], out[1, own] = windows.moments(row[own], normalize)
        return out[0], out[1]

    def read_frames(self, index: int, chosen: np.ndarray, out: np.ndarray) -> None:
        """Decode frames of one window, see ``Windows.read_frames``."""
        self.parts[self.part[index]].read_frames(int(self.row[index]), chosen, out)

    def frames_path(self, index: int) -> Path:
        """The file of the frames of one window."""
        return self.parts[self.part[index]].frames_path(int(self.row[index]))

    def _of_parts(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """(W,) the values of these windows, from (n,) those of all windows of each list."""
        first = np.cumsum([0, *map(len, self.parts)])
        return np.concatenate(values)[first[self.part] + self.row]
