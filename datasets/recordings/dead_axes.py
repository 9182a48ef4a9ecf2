"""Whether a sensor measures at all: axes that never change over a recording, or copy one another.

The measures are those by which preparation masks stretches (``datasets.masking``), over the whole recording: a sensor
of which it would mask every window counts as missing.
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
        self._changed = np.zeros(3, dtype=bool)
        self._equal, self._count = np.zeros(len(_PAIRS), dtype=np.int64), 0

    def push(self, values: np.ndarray) -> None:
        """Take (N, 3) values in any unit; rows with NaN do not count."""
        values = values[np.isfinite(values).all(1)]
        if len(values) == 0:
            return
        self._first = values[0].copy() if self._first is None else self._first
        self._changed |= (values != self._first).any(0)
        self._equal += [(values[:, a] == values[:, b]).sum() for a, b in _PAIRS]
        self._count += len(values)

    @property
    def problem(self) -> str:
        """What is wrong with the axes, in words; empty if nothing is."""
        if self._count == 0:
            return ""
        if not self._changed.all():
            kept = [f"{axis} = {self._first[k]:g}" for k, axis in enumerate("xyz") if not self._changed[k]]
            return f"{', '.join(kept)} in all of its rows"
        share = self._equal / self._count
        copied = [
            f"{'xyz'[a]} and {'xyz'[b]}" for (a, b), of in zip(_PAIRS, share, strict=True) if of > MAX_COPIED_SHARE
        ]
        return f"{', '.join(copied)} are equal in {100 * share.max():.0f} % of its rows" if copied else ""
