"""Labels of samples to stretches of time."""

import numpy as np
import pytest

from datasets.formats.labels import segments_of
from datasets.recording import Segment


def oracle(time_s, labels):
    """One sample after the other, in order of time."""
    known = sorted((t, name) for t, name in zip(time_s, labels, strict=True) if not np.isnan(t))
    period = float(np.median([b[0] - a[0] for a, b in zip(known, known[1:], strict=False)]))
    found, begin = [], known[0][0]
    for number, (t, name) in enumerate(known):
        after = known[number + 1] if number + 1 < len(known) else (t + period, None)
        if after[1] != name:
            if name:
                found.append(Segment(begin, after[0], name))
            begin = after[0]
    return tuple(found)


@pytest.mark.parametrize("seed", range(20))
def test_stretches_are_those_of_the_samples(seed):
    rng = np.random.default_rng(seed)
    time_s = rng.permutation(np.arange(60) / 50) if seed % 2 else np.arange(60) / 50
    time_s[rng.integers(60, size=3)] = np.nan
    order = np.argsort(time_s)
    labels = np.empty(60, dtype=object)
    labels[order] = np.repeat(rng.choice(["walk", "sit", ""], 12), 5)
    assert segments_of(time_s, labels) == oracle(time_s, labels)


def test_one_label_is_one_stretch_to_the_end_of_the_last_sample():
    assert segments_of(np.arange(4) * 0.25, ["a"] * 4) == (Segment(0.0, 1.0, "a"),)


@pytest.mark.parametrize("time_s", [[], [1.0], [np.nan, np.nan]])
def test_without_two_times_there_is_no_stretch(time_s):
    assert segments_of(np.array(time_s), ["a"] * len(time_s)) == ()
