"""Draws that keep groups, people or sessions, on one side: a part of them held out, or each in turn.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np

from datasets.splits import Draw, SplitError, check_counts, stream, windows_in_groups

HELD_OUT_GROUPS = 0.25  # share of the groups that a division by groups aims to hold out
# Shots per class that a division by groups leaves room for, however few are asked for: the first of these that most
# divisions can. Runs with 10 and with 100 shots (the paper's most) then hold out the same groups.
ROOM = (100, 50, 20, 10)
_MOST = 0.6  # of divisions: were it fewer, always the same groups would be held out
_SAMPLE = 100  # divisions that are looked at to tell
_TRIES = 2000  # random divisions of the groups that are looked at before a split is refused


def draw_by_group(
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seed: int,
    select: int = 0,
) -> list[Draw]:
    """Draw so that no group (subject or session) has windows on both sides.

    Each draw divides the groups at random, as near to a quarter held out as every class allows, and then draws
    windows on each side. The division leaves room for as many shots as most divisions can (see ``ROOM``), so that
    it depends on how many are asked for only beyond; windows to select by come from the side that is learnt from.

    Args:
        groups: (W,) name of each window's group; the others as in ``draw_windows``.

    Raises:
        SplitError: if a class has too few windows or lives in one group only, or no division was found.
    """
    names, group = np.unique(groups, return_inverse=True)
    counts = windows_in_groups(labels, group, len(names), len(classes))
    check_counts(counts.sum(axis=0).tolist(), classes, shots, held_out, select)
    lonely = [f"{c} (only {names[n.argmax()]})" for c, n in zip(classes, counts.T, strict=True) if (n > 0).sum() == 1]
    if lonely:
        raise SplitError(
            f"split group: {', '.join(lonely)} cannot be on both sides, every class needs two groups or more; "
            "leave the class out with --classes or --drop_small_classes, or use --split window"
        )
    needed, result = shots + select, []
    room = max(needed, _usual_room(counts, held_out, seed))
    for draw in range(draws):
        division = _divide(counts, room, held_out, stream(seed, draw, len(classes)))
        if not isinstance(division, np.ndarray):
            raise SplitError(_no_division(*division, counts, classes, needed, held_out))
        on_test = division[group]
        order = [
            [stream(seed, draw, k).permutation(np.flatnonzero(side & (labels == k))) for k in range(len(classes))]
            for side in (~on_test, on_test)
        ]
        result.append(
            Draw(
                shots=np.stack([o[:shots] for o in order[0]]),
                held_out=np.stack([o[:held_out] for o in order[1]]),
                held_out_groups=tuple(names[division].tolist()),
                number=draw,
                select=np.stack([o[len(o) - select :] for o in order[0]]),
            )
        )
    return result


def draw_leaving_one_group_out(
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    shots: int,
    draws: int,
    seed: int,
    select: int = 0,
) -> list[Draw]:
    """Every group is held out once in every draw, with all its windows; shots come from the other groups.

    A group may lack classes: it says nothing about them. The answers of all folds of a draw belong together, and
    its balanced accuracy is that of all its answers.

    Args:
        groups: (W,) name of each window's group; the others as in ``draw_windows``.

    Returns:
        draws * G folds, those of the first draw first.

    Raises:
        SplitError: if there is one group only, or the others of a fold have too few windows of a class.
    """
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise SplitError(f"split leave_one_group_out: {names[0]} is the only group; use --split window")
    counts = windows_in_groups(labels, group, len(names), len(classes))
    short = [
        f"{classes[k]} without {names[g]} has {n}"
        for (g, k), n in np.ndenumerate(counts.sum(axis=0) - counts)
        if n < shots + select
    ]
    if short:
        listed = ", ".join(short[:5]) + (f", and {len(short) - 5} more" if len(short) > 5 else "")
        raise SplitError(
            f"split leave_one_group_out: {shots + select} windows per class are to be learnt from, and {listed}: use "
            "fewer --shots, or leave classes out with --classes or --drop_small_classes"
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
            result.append(
                Draw(
                    shots=np.stack([o[:shots] for o in others]),
                    held_out=tuple(own),
                    held_out_groups=(str(name),),
                    number=draw,
                    select=np.stack([o[len(o) - select :] for o in others]),
                )
            )
    return result


def _usual_room(counts: np.ndarray, held_out: int, seed: int) -> int:
    """The first of ``ROOM`` that most random orders of the groups can be divided for; 0 if there is none."""
    for room in ROOM:
        rng = np.random.default_rng([seed, room])
        possible = [isinstance(_divide(counts, room, held_out, rng, 1), np.ndarray) for _ in range(_SAMPLE)]
        if np.mean(possible) > _MOST:
            return room
    return 0


def _divide(
    counts: np.ndarray, room: int, held_out: int, rng: np.random.Generator, tries: int = _TRIES
) -> np.ndarray | tuple[int, int]:
    """(G,) mask of held-out groups such that both sides have enough windows of every class.

    If none was found: how many windows the nearest lacks, and of which class most.
    """
    num_groups = len(counts)
    wanted = max(1, round(HELD_OUT_GROUPS * num_groups))
    least, worst = None, 0
    for _ in range(tries):
        order = rng.permutation(num_groups)
        there = np.cumsum(counts[order], axis=0)[:-1]  # (G - 1, K) held out, if the first 1, 2, ... groups are
        here = counts.sum(axis=0) - there
        missing = np.maximum(held_out - there, 0) + np.maximum(room - here, 0)  # (G - 1, K)
        possible = np.flatnonzero(missing.sum(axis=1) == 0) + 1
        if len(possible):
            size = possible[np.abs(possible - wanted).argmin()]
            return np.isin(np.arange(num_groups), order[:size])
        if least is None or missing.sum(axis=1).min() < least:
            least = int(missing.sum(axis=1).min())
            worst = int(missing[missing.sum(axis=1).argmin()].argmax())
    return least, worst


def _no_division(least: int, worst: int, counts: np.ndarray, classes: Sequence[str], needed: int, held_out: int) -> str:
    return (
        f"split group: none of {_TRIES} random divisions of {len(counts)} groups leaves {needed} windows of every "
        f"class on one side and {held_out} on the other; the nearest lacks {least} windows, most of them of "
        f"{classes[worst]} (windows in each group: {', '.join(map(str, counts[:, worst]))}). Use fewer --shots or "
        "--val_samples, leave the class out with --classes, or use --split window"
    )
