"""Dividing groups, people, sessions or recordings, at random into those learnt from and those held out.

Letters: K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np

from datasets.protocols.splits import DrawSettings, SplitError, stream

HELD_OUT_GROUPS = 0.25  # fraction of the groups that a division by groups aims to hold out
# Shots per class that a division leaves room for, however few are asked for: the first of these that most divisions
# can. Runs with 10 and with 100 shots (the paper's most) then hold out the same groups. People are few, so that each
# step of room costs some who could be held out; recordings are many.
ROOM = {"group": (100, 50, 20, 10), "recording": tuple(range(100, 0, -1))}
_MOST = 0.6  # of divisions: were it fewer, always the same groups would be held out
_SAMPLE = 100  # divisions that are looked at to tell
_TRIES = 2000  # random divisions of the groups that are looked at before a split is refused
REMEDY = (
    "Use fewer --shots or --val_samples, let small classes be learnt from with fewer by --small_classes shorten, leave "
    "them out by --classes or --small_classes drop, or use --split recording"
)
_NAMED = 12  # groups whose windows are counted in a message


def divide(
    split: str, counts: np.ndarray, classes: Sequence[str], settings: DrawSettings, key: tuple[int, ...]
) -> np.ndarray:
    """For each draw the groups that are held out, as near to a quarter as every class allows.

    Args:
        split: ``group`` or ``recording``, what is divided.
        counts: (G, K) windows.
        classes: (K,) names, for errors.
        settings: with ``shorten`` a class that has too few windows asks for no room, and none does where no division
            leaves it.
        key: tells these random numbers from others of the seed.

    Returns:
        (draws, G) masks.

    Raises:
        SplitError: if no division was found; names the class that lacks most.
    """
    learnt, held_out = settings.shots + settings.select, settings.held_out
    left = _most_left(counts, held_out, settings.seed)
    possible = next((n for n in ROOM[split] if n <= left), 0)
    usual = np.full(len(classes), max(possible, settings.select + 1))
    is_short = counts.sum(axis=0) < learnt + held_out
    rooms = [np.maximum(np.where(is_short, 0, learnt), usual)] + [usual] * settings.shorten
    masks = np.zeros((settings.draws, len(counts)), dtype=bool)
    for draw in range(settings.draws):
        for room in rooms:
            mask, missing = _first_division(counts, room, held_out, stream(settings.seed, draw, *key))
            if mask is not None:
                break
        else:
            worst = missing.argmax()
            there = sorted(filter(None, counts[:, worst].tolist()), reverse=True)
            more = f", and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
            raise SplitError(
                f"split {split}: none of {_TRIES} random divisions of {len(counts)} {split}s leaves {room.max()} "
                f"windows of every class on one side and {held_out} on the other; the nearest lacks {missing.sum()} "
                f"windows, most of them of {classes[worst]} (windows in each {split} that has any: "
                f"{', '.join(map(str, there[:_NAMED]))}{more}). {REMEDY}"
            )
        masks[draw] = mask
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
) -> tuple[np.ndarray | None, np.ndarray]:
    """(G,) mask of held-out groups such that both sides have enough windows of every class, None if none was found.

    Args:
        room: (K,) windows that the side that is learnt from must have.

    Returns:
        The mask, and (K,) how many windows the nearest division lacks.
    """
    num_groups = len(counts)
    wanted = max(1, round(HELD_OUT_GROUPS * num_groups))
    nearest = None
    for _ in range(_TRIES):
        order = rng.permutation(num_groups)
        there = np.cumsum(counts[order], axis=0)[:-1]  # (G - 1, K) held out, if the first 1, 2, ... groups are
        here = counts.sum(axis=0) - there
        missing = np.maximum(held_out - there, 0) + np.maximum(room - here, 0)  # (G - 1, K)
        possible = np.flatnonzero(missing.sum(axis=1) == 0) + 1
        if len(possible):
            size = possible[np.abs(possible - wanted).argmin()]
            return np.isin(np.arange(num_groups), order[:size]), missing[size - 1]
        least = missing[missing.sum(axis=1).argmin()]
        if nearest is None or least.sum() < nearest.sum():
            nearest = least
    return None, nearest
