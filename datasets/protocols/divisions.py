"""Dividing groups, people, sessions or recordings, at random into those learnt from and those held out.

Letters: K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np

from datasets.protocols.splits import SplitError, remedy

HELD_OUT_GROUPS = 0.25  # fraction of the groups that a division by groups aims to hold out
# Shots per class that a division leaves room for, however few are asked for: the first of these that most divisions
# can. Runs with 10 and with 100 shots (the paper's most) then hold out the same groups. People are few, so that each
# step of room costs some who could be held out; recordings are many.
ROOM = {"group": (100, 50, 20, 10), "recording": tuple(range(100, 0, -1))}
_MOST = 0.6  # of divisions: were it fewer, always the same groups would be held out
_SAMPLE = 100  # divisions that are looked at to tell
_TRIES = 2000  # random divisions of the groups that are looked at before a split is refused
_NAMED = 12  # groups whose windows are counted in a message


def divide(
    split: str,
    counts: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seeds: tuple[int, tuple[int, ...]],
    select: int,
    shorten: bool,
) -> np.ndarray:
    """For each draw the groups that are held out, as near to a quarter as every class allows.

    Args:
        split: ``group`` or ``recording``, what is divided.
        counts: (G, K) windows.
        classes: (K,) names, for errors.
        shots: S.
        held_out: V.
        seeds: of the run, and the key that tells these random numbers from others; between them stands the draw.
        select: N.
        shorten: a class that has too few windows asks for no room, and none does where no division leaves it.

    Returns:
        (draws, G) masks.

    Raises:
        SplitError: if no division was found; names the class that lacks most.
    """
    seed, key = seeds
    left = _most_left(counts, held_out, seed)
    possible = next((n for n in ROOM[split] if n <= left), 0)
    usual = np.full(len(classes), max(possible, select + 1))
    is_short = counts.sum(axis=0) < shots + held_out + select
    rooms = [np.maximum(np.where(is_short, 0, shots + select), usual)] + [usual] * shorten
    masks = np.zeros((draws, len(counts)), dtype=bool)
    for draw in range(draws):
        for room in rooms:
            found = _first_division(counts, room, held_out, np.random.default_rng([seed, draw, *key]))
            if isinstance(found, np.ndarray):
                break
        else:
            raise SplitError(_no_division(split, *found, counts, classes, int(room.max()), held_out, shorten))
        masks[draw] = found
    return masks


def _most_left(counts: np.ndarray, held_out: int, seed: int) -> int:
    """Windows of every class that most random orders of the groups can leave, when just enough are held out."""
    rng, total, left = np.random.default_rng(seed), counts.sum(axis=0), []
    for _ in range(_SAMPLE):
        there = np.cumsum(counts[rng.permutation(len(counts))], axis=0)[:-1]
        enough = np.flatnonzero((there >= held_out).all(axis=1))
        left.append((total - there[enough[0]]).min() if len(enough) else 0)
    return int(np.quantile(left, 1 - _MOST, method="lower"))


def _first_division(
    counts: np.ndarray, room: np.ndarray, held_out: int, rng: np.random.Generator
) -> np.ndarray | tuple[int, int]:
    """(G,) mask of held-out groups such that both sides have enough windows of every class.

    Args:
        room: (K,) windows that the side that is learnt from must have.

    Returns:
        The mask; if none was found, how many windows the nearest lacks, and of which class most.
    """
    num_groups = len(counts)
    wanted = max(1, round(HELD_OUT_GROUPS * num_groups))
    least, worst = None, 0
    for _ in range(_TRIES):
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


def _no_division(
    split: str,
    least: int,
    worst: int,
    counts: np.ndarray,
    classes: Sequence[str],
    room: int,
    held_out: int,
    shorten: bool,
) -> str:
    there = sorted(filter(None, counts[:, worst].tolist()), reverse=True)
    listed = ", ".join(map(str, there[:_NAMED])) + (f", and {len(there) - _NAMED} more" if len(there) > _NAMED else "")
    return (
        f"split {split}: none of {_TRIES} random divisions of {len(counts)} {split}s leaves {room} windows of every "
        f"class on one side and {held_out} on the other; the nearest lacks {least} windows, most of them of "
        f"{classes[worst]} (windows in each {split} that has any: {listed}). Use fewer --shots or --val_samples, "
        f"{remedy(shorten)}" + ("" if split == "recording" else ", or use --split recording")
    )
