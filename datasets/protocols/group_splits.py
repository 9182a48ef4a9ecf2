"""Draws that keep groups, people, sessions or recordings, on one side: a part of them held out, or each in turn.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from datasets.protocols.divisions import divide
from datasets.protocols.splits import (
    Draw,
    SplitError,
    check_counts,
    remedy,
    shots_and_select,
    stream,
    windows_in_groups,
)


def draw_by_group(
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seed: int,
    select: int = 0,
    shorten: bool = False,
) -> list[Draw]:
    """Draw so that no group (subject or session) has windows on both sides.

    Each draw divides the groups at random, as near to a quarter held out as every class allows, and then draws
    windows on each side. The division leaves room for as many shots as most divisions can (``divisions.ROOM``), so
    that it depends on how many are asked for only beyond; windows to select by come from the side that is learnt from.

    Args:
        groups: (W,) name of each window's group; the others as in ``draw_windows``.
        shorten: let a class for which a division leaves fewer than S + N windows be learnt from with those.

    Raises:
        SplitError: if a class has too few windows or lives in one group only, or no division was found.
    """
    everything = [(np.arange(len(classes)), (len(classes),))]
    return _draw_apart("group", everything, labels, groups, classes, shots, held_out, draws, seed, select, shorten)


def draw_by_recording(
    labels: np.ndarray,
    recordings: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seed: int,
    select: int = 0,
    shorten: bool = False,
) -> list[Draw]:
    """Draw so that no recording has windows on both sides.

    As ``draw_by_group``, but classes that share no recording are divided each by itself: where every recording has one
    class, a quarter of each class's recordings is held out, and a class's draw does not hang on the others'.

    Args:
        recordings: (W,) name of each window's recording; the others as in ``draw_by_group``.

    Raises:
        SplitError: as ``draw_by_group``.
    """
    names, number = np.unique(recordings, return_inverse=True)
    there = windows_in_groups(labels, number, len(names), len(classes)) > 0
    count, part = connected_components(there.T.astype(np.int64) @ there)
    parts = [np.flatnonzero(part == n) for n in range(count)]
    keyed = [(members, (int(members[0]), 1)) for members in parts]
    return _draw_apart("recording", keyed, labels, recordings, classes, shots, held_out, draws, seed, select, shorten)


def _draw_apart(
    split: str,
    parts: Sequence[tuple[np.ndarray, tuple[int, ...]]],
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seed: int,
    select: int,
    shorten: bool,
) -> list[Draw]:
    """Divide the groups, in each part by itself, and draw windows on each side.

    Args:
        split: its name, for errors.
        parts: classes that no other part shares a group with, and the key of the random numbers that divide them.
    """
    names, group = np.unique(groups, return_inverse=True)
    counts = windows_in_groups(labels, group, len(names), len(classes))
    check_counts(counts.sum(axis=0).tolist(), classes, shots, held_out, select, shorten)
    lonely = [f"{c} (only {names[n.argmax()]})" for c, n in zip(classes, counts.T, strict=True) if (n > 0).sum() == 1]
    if lonely:
        raise SplitError(
            f"split {split}: {', '.join(lonely)} cannot be on both sides, every class needs two {split}s or more; "
            "leave the class out with --classes or --small_classes drop, or use --split recording"
        )
    divisions = np.zeros((draws, len(names)), dtype=bool)
    for members, key in parts:
        there = np.flatnonzero(counts[:, members].any(axis=1))
        named = [classes[k] for k in members]
        own = counts[np.ix_(there, members)]
        divisions[:, there] = divide(split, own, named, shots, held_out, draws, (seed, key), select, shorten)
    result = []
    for draw, division in enumerate(divisions):
        on_test = division[group]
        learnt, test = (
            [stream(seed, draw, k).permutation(np.flatnonzero(side & (labels == k))) for k in range(len(classes))]
            for side in (~on_test, on_test)
        )
        chosen, last = shots_and_select(learnt, shots, select)
        measured = tuple(own[:held_out] for own in test)
        result.append(Draw(chosen, measured, tuple(names[division].tolist()), draw, last))
    return result


def draw_leaving_one_group_out(
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    shots: int,
    draws: int,
    seed: int,
    select: int = 0,
    shorten: bool = False,
) -> list[Draw]:
    """Every group is held out once in every draw, with all its windows; shots come from the other groups.

    A group may lack classes: it says nothing about them. The predictions of all folds of a draw belong together,
    and its balanced accuracy is that of all its predictions.

    Args:
        groups: (W,) name of each window's group; the others as in ``draw_windows``.
        shorten: let a class of which the others of a fold have fewer than S + N windows be learnt from with those.

    Returns:
        draws * G folds, those of the first draw first.

    Raises:
        SplitError: if there is one group only, or the others of a fold have too few windows of a class.
    """
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise SplitError(f"split leave_one_group_out: {names[0]} is the only group; use --split recording")
    counts = windows_in_groups(labels, group, len(names), len(classes))
    needed = (1 if shorten else shots) + select
    short = [
        f"{classes[k]} without {names[g]} has {n}"
        for (g, k), n in np.ndenumerate(counts.sum(axis=0) - counts)
        if n < needed
    ]
    if short:
        listed = ", ".join(short[:5]) + (f", and {len(short) - 5} more" if len(short) > 5 else "")
        raise SplitError(
            f"split leave_one_group_out: {needed} windows per class are to be learnt from, and {listed}: use "
            f"fewer --shots, {remedy(shorten)}"
        )
    result = []
    for draw in range(draws):
        for fold, name in enumerate(names):
            own = [np.flatnonzero((group == fold) & (labels == k)) for k in range(len(classes))]
            others = [
                np.random.default_rng([seed, draw, k, fold]).permutation(
                    np.flatnonzero((group != fold) & (labels == k))
                )
                for k in range(len(classes))
            ]
            chosen, last = shots_and_select(others, shots, select)
            result.append(Draw(chosen, tuple(own), (str(name),), draw, last, is_fold=True))
    return result
