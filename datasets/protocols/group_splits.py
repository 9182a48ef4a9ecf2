"""Draws that keep groups, people, sessions or recordings, on one side: a part of them held out, or each in turn.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from datasets.protocols.divisions import divide
from datasets.protocols.splits import Draw, DrawSettings, stream, windows_in_groups


def draw_apart(
    split: str, labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], settings: DrawSettings
) -> list[Draw]:
    """Draw so that no group has windows on both sides.

    Each draw divides the groups at random, as near to a quarter held out as every class allows, and then draws
    windows on each side. The division leaves room for as many shots as most divisions can (``divisions.ROOM``), so
    that it depends on how many are asked for only beyond; windows to select by come from the side that is learnt from.

    Classes that share no recording are divided each by itself: where every recording has one class, a quarter of each
    class's recordings is held out, and a class's draw does not depend on the others'.

    Args:
        split: ``group`` (subjects or sessions) or ``recording``.
        labels: (W,) class of each window, 0..K-1.
        groups: (W,) name of each window's group.
        classes: (K,) names, for errors.
        settings: with ``shorten`` a class for which a division leaves fewer than S + N windows is learnt from with
            those.

    Raises:
        SplitError: if no division was found.
    """
    names, counts = windows_in_groups(labels, groups, len(classes))
    parts = [(np.arange(len(classes)), (len(classes),))]  # classes, and the key of the random numbers that divide them
    if split == "recording":
        there = counts > 0
        count, part = connected_components(there.T.astype(np.int64) @ there)
        parts = [(members, (int(members[0]), 1)) for members in (np.flatnonzero(part == n) for n in range(count))]
    held_out = np.zeros((settings.draws, len(names)), dtype=bool)
    for members, key in parts:
        there = np.flatnonzero(counts[:, members].any(axis=1))
        own = counts[np.ix_(there, members)]
        held_out[:, there] = divide(split, own, [classes[k] for k in members], settings, key)
    result = []
    for draw, of_draw in enumerate(held_out):
        on_test = of_draw[np.searchsorted(names, groups)]
        learnt, test = (
            [
                stream(settings.seed, draw, k).permutation(np.flatnonzero(side & (labels == k)))
                for k in range(len(classes))
            ]
            for side in (~on_test, on_test)
        )
        measured = [own[: settings.held_out] for own in test]
        result.append(Draw.of(learnt, measured, tuple(names[of_draw].tolist()), draw, settings))
    return result


def draw_leaving_one_group_out(
    labels: np.ndarray, groups: np.ndarray, num_classes: int, settings: DrawSettings
) -> list[Draw]:
    """Every group is held out once in every draw, with all its windows; shots come from the other groups.

    A group may lack classes: it says nothing about them. The predictions of all folds of a draw belong together,
    and its balanced accuracy is that of all its predictions. Arguments as in ``draw_apart``.

    Returns:
        draws * G folds, those of the first draw first.
    """
    names = np.unique(groups)
    of_class, result = [labels == k for k in range(num_classes)], []
    for draw in range(settings.draws):
        for fold, name in enumerate(names.tolist()):
            own, others = (
                [np.flatnonzero(side & one) for one in of_class] for side in (groups == name, groups != name)
            )
            others = [stream(settings.seed, draw, k, fold).permutation(other) for k, other in enumerate(others)]
            result.append(Draw.of(others, own, (name,), draw, settings, is_fold=True))
    return result
