"""A label for every sample to labelled stretches of time."""

from collections.abc import Sequence

import numpy as np

from datasets.recording import Segment


def segments_of(time_s: np.ndarray, labels: Sequence[str]) -> tuple[Segment, ...]:
    """Stretches of one label, each up to the first sample of the next; the last ends one period after its sample.

    Samples without a time say nothing, and the others count in the order of their times.

    Args:
        time_s: (N,) float64, NaN where unknown.
        labels: (N,) one per sample; samples whose label is empty belong to no stretch.
    """
    timed = np.flatnonzero(np.isfinite(time_s))
    order = timed[np.argsort(time_s[timed], kind="stable")]
    if len(order) < 2:
        return ()
    time_s, names = time_s[order], np.array(labels, dtype=object)[order]
    starts = np.concatenate([[0], np.flatnonzero(names[1:] != names[:-1]) + 1])
    ends = np.append(time_s[starts[1:]], time_s[-1] + np.median(np.diff(time_s)))
    return tuple(
        Segment(float(time_s[start]), float(end), str(names[start]))
        for start, end in zip(starts, ends, strict=True)
        if names[start]
    )
