"""Draws that keep groups, people, sessions or recordings, on one side: a part of them held out, or each in turn.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from datasets.protocols.divisions import divide
from datasets.protocols.splits import (
    Draw,
    DrawSettings,
    SplitError,
    check_counts,
    remedy,
    stream,
    windows_in_groups,
)

_NAMED = 5  # folds that lack windows in a message


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
        SplitError: if a class has too few windows or lives in one group only, or no division was found.
    """
    names, counts = windows_in_groups(labels, groups, len(classes))
    check_counts(counts.sum(axis=0).tolist(), classes, settings)
    lonely = [f"{c} (only {names[n.argmax()]})" for c, n in zip(classes, counts.T, strict=True) if (n > 0).sum() == 1]
    if lonely:
        raise SplitError(
            f"split {split}: {', '.join(lonely)} cannot be on both sides, every class needs two {split}s or more; "
            "leave the class out with --classes or --small_classes drop, or use --split recording"
        )
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
    labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], settings: DrawSettings
) -> list[Draw]:
    """Every group is held out once in every draw, with all its windows; shots come from the other groups.

    A group may lack classes: it says nothing about them. The predictions of all folds of a draw belong together,
    and its balanced accuracy is that of all its predictions. Arguments as in ``draw_apart``.

    Returns:
        draws * G folds, those of the first draw first.

    Raises:
        SplitError: if there is one group only, or the others of a fold have too few windows of a class.
    """
    names, counts = windows_in_groups(labels, groups, len(classes))
    if len(names) < 2:
        raise SplitError(f"split leave_one_group_out: {names[0]} is the only group; use --split recording")
    needed = (1 if settings.shorten else settings.shots) + settings.select
    short = [
        f"{classes[k]} without {names[g]} has {n}"
        for (g, k), n in np.ndenumerate(counts.sum(axis=0) - counts)
        if n < needed
    ]
    if short:
        listed = ", ".join(short[:_NAMED]) + (f", and {len(short) - _NAMED} more" if len(short) > _NAMED else "")
        raise SplitError(
            f"split leave_one_group_out: {needed} windows per class are to be learnt from, and {listed}: use "
            f"fewer --shots, {remedy(settings)}"
        )
    of_class, result = [labels == k for k in range(len(classes))], []
    for draw in range(settings.draws):
        for fold, name in enumerate(names.tolist()):
            own, others = (
                [np.flatnonzero(side & one) for one in of_class] for side in (groups == name, groups != name)
            )
            others = [stream(settings.seed, draw, k, fold).permutation(other) for k, other in enumerate(others)]
            result.append(Draw.of(others, own, (name,), draw, settings, is_fold=True))
    return result
