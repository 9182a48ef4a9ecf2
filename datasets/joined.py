"""Windows of two lists as one, as of two datasets. Letters: W windows, T samples."""

from dataclasses import dataclass, replace

import numpy as np

from datasets.windows import Windows


@dataclass(frozen=True)
class JoinedWindows:
    """The windows of two lists with the same classes, those of the first first; read like ``Windows``.

    Attributes:
        parts: the two lists.
        part: (W,) 0 or 1, the list of each window.
        row: (W,) its position there.
        label, subject, session: (W,) as of ``Windows``.
    """

    parts: tuple[Windows, Windows]
    part: np.ndarray
    row: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    session: np.ndarray

    @classmethod
    def of(cls, first: Windows, second: Windows) -> "JoinedWindows":
        """All windows of both."""
        sizes = len(first), len(second)
        part, row = np.repeat([0, 1], sizes), np.concatenate([np.arange(n) for n in sizes])
        both = (
            np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("label", "subject", "session")
        )
        return cls((first, second), part, row, *both)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.parts[0].classes

    @property
    def window_s(self) -> float:
        return self.parts[0].window_s

    def describe_too_short(self) -> str:
        """How many recordings gave no window, see ``Windows.describe_too_short``."""
        return "; ".join(filter(None, (part.describe_too_short() for part in self.parts)))

    def subset(self, indices: np.ndarray) -> "JoinedWindows":
        """The windows at these positions (or where a mask is true)."""
        names = ("part", "row", "label", "subject", "session")
        return replace(self, **{name: getattr(self, name)[indices] for name in names})

    def sources(self) -> np.ndarray:
        """(W,) str: the raw recording of each window, see ``Windows.sources``."""
        return np.where(self.part == 0, *(self._of(k, part.sources()) for k, part in enumerate(self.parts)))

    def ids(self) -> list[str]:
        """Names as of ``Windows``; of two datasets, each behind the name of its own."""
        roots = [part.store.root for part in self.parts]
        of_part = [
            [f"{root.name}/{name}" for name in part.ids()] if roots[0] != roots[1] else part.ids()
            for root, part in zip(roots, self.parts, strict=True)
        ]
        return [of_part[part][row] for part, row in zip(self.part, self.row, strict=True)]

    def imu(self, indices: np.ndarray, normalize: str) -> np.ndarray:
        """(n, 6, T) float32 of the windows at these positions, each z-scored as in its own dataset."""
        part, row = self.part[indices], self.row[indices]
        out = None
        for number, windows in enumerate(self.parts):
            own = windows.imu(row[part == number], normalize)
            if out is None:
                out = np.empty((len(part), *own.shape[1:]), np.float32)
            out[part == number] = own
        return out

    def _of(self, part: int, values: np.ndarray) -> np.ndarray:
        """(W,) values of one part; whatever of the other."""
        return values[np.where(self.part == part, self.row, 0)]
