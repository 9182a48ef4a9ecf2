"""Whether a sensor measures at all: axes that never change over a recording, or copy one another.

The limit of copies is that by which preparation masks stretches (``datasets.masking``). Axes are compared where they
change: a gyroscope that reads 0 at rest, in a recording that is nearly all rest, copies nothing.
"""

from itertools import combinations

import numpy as np

from configs.data import QualityLimitsConfig

MAX_COPIED_SHARE = QualityLimitsConfig().max_copied_share
_PAIRS = tuple(combinations(range(3), 2))


class DeadAxes:
    """Looks at the samples of one sensor as they come."""

    def __init__(self):
        self._first: np.ndarray | None = None
        self._last: np.ndarray | None = None
        self._changed = np.zeros(3, dtype=bool)
        self._equal, self._moved = np.zeros((2, len(_PAIRS)), dtype=np.int64)

    def push(self, values: np.ndarray) -> None:
        """Take (N, 3) values in any unit; rows with NaN do not count."""
        values = values[np.isfinite(values).all(1)]
        if len(values) == 0:
            return
        if self._first is None:
            self._first = self._last = values[0].copy()
        self._changed |= (values != self._first).any(0)
        new = np.diff(values, axis=0, prepend=self._last[None]) != 0
        for pair, (a, b) in enumerate(_PAIRS):
            moved = new[:, a] | new[:, b]
            self._moved[pair] += moved.sum()
            self._equal[pair] += (moved & (values[:, a] == values[:, b])).sum()
        self._last = values[-1].copy()

    @property
    def problem(self) -> str:
        """What is wrong with the axes, in words; empty if nothing is."""
        if self._first is None:
            return ""
        if not self._changed.all():
            kept = [f"{axis} = {self._first[k]:g}" for k, axis in enumerate("xyz") if not self._changed[k]]
            return f"{', '.join(kept)} in all of its rows"
        share = self._equal / np.maximum(self._moved, 1)
        copied = [
            f"{'xyz'[a]} and {'xyz'[b]}" for (a, b), of in zip(_PAIRS, share, strict=True) if of > MAX_COPIED_SHARE
        ]
        return (
            f"{', '.join(copied)} are equal in {100 * share.max():.0f} % of the rows in which they change"
            if copied
            else ""
        )
