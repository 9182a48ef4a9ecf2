"""Axes that do not measure, found piece by piece."""

from itertools import pairwise

import numpy as np
import pytest

from datasets.recordings.dead_axes import DeadAxes

RNG = np.random.default_rng(0)


def oracle(values):
    """All samples at once, an axis at a time."""
    values = values[np.isfinite(values).all(1)]
    constant = [a for a in range(3) if len(set(values[:, a])) <= 1]
    pairs = [
        (a, b)
        for a, b in ((0, 1), (0, 2), (1, 2))
        if (new := [now for last, now in pairwise(values[:, (a, b)].tolist()) if now != last])
        and sum(x == y for x, y in new) > 0.95 * len(new)
    ]
    return bool(len(values) and (constant or pairs))


@pytest.mark.parametrize("piece", [1, 7, 200])
@pytest.mark.parametrize("kind", ["good", "one", "all", "late", "copy", "half_copy", "rest", "nan", "nothing"])
def test_pieces_are_the_whole(kind, piece):
    values = RNG.normal(size=(200, 3))
    if kind in ("one", "late"):
        values[:, 1] = 0.017
        values[-1, 1] += 0.001 * (kind == "late")
    elif kind == "all":
        values[:] = 0
    elif "copy" in kind:
        values[: 192 if kind == "copy" else 100, 2] = values[: 192 if kind == "copy" else 100, 0]
    elif kind == "rest":  # a gyroscope that reads 0 until somebody moves
        values[:192] = 0
    elif kind in ("nan", "nothing"):
        values[:, 0] = np.nan
        values[3:, 0] = RNG.normal(size=197) if kind == "nan" else np.nan
    axes = DeadAxes()
    for start in range(0, len(values), piece):
        axes.push(values[start : start + piece])
    assert bool(axes.problem) == oracle(values) == (kind in ("one", "all", "copy"))
    assert {"one": "y = 0.017", "all": "x = 0, y = 0, z = 0", "copy": "x and z"}.get(kind, "") in axes.problem
