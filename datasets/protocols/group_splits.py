"""Draws that keep each group (subject, session or recording) on one side: part of them held out, or each in turn.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from datasets.protocols.splits import LEAST, Draw, DrawSettings, stream, windows_in_groups

HELD_OUT_GROUPS = 0.25  # fraction of the groups to hold out
# Training windows per class that a division reserves, also for fewer shots: the first of these that most divisions
# allow. So runs with 10 and with 100 shots (the most of the paper) hold out the same groups. Each step reserves more
# people, and people are few; recordings are many.
ROOM = {"group": (100, 50, 20, 10), "recording": tuple(range(100, 0, -1))}
_MOST = 0.6  # of divisions: with a smaller fraction, the same groups would be held out in every draw
_SAMPLE = 100  # random divisions to estimate that fraction
_TRIES = 2000  # random divisions before a split is refused
_NAMED = 12  # groups listed in a message


def draw_apart(
    split: str, labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], settings: DrawSettings
) -> list[Draw]:
    """Draw so that no group has windows on both sides.

    Each draw divides the groups at random, as near to a quarter held out as every class allows, and then draws
    windows on each side. The division reserves as many training windows as most divisions allow (``ROOM``), so that it
    depends on the number of shots only above that. Windows to select by come from the training side.

    Classes that share no recording are divided separately: where every recording has one class, a quarter of each
    class's recordings is held out, and the draw of a class does not depend on the other classes.

    Args:
        split: ``group`` (subjects or sessions) or ``recording``.
        labels: (W,) class of each window, 0..K-1.
        groups: (W,) name of each window's group.
        classes: (K,) names, for errors.
        settings: with ``shorten`` a class with fewer than S + N windows on the training side is trained on those, and
            where V held-out windows are too many it is measured on those of the held-out groups, see ``_divide``.

    Raises:
        ValueError: if no division was found.
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
        held_out[:, there] = _divide(split, own, [classes[k] for k in members], settings, key)
    of_class, result = [labels == k for k in range(len(classes))], []
    for draw, of_draw in enumerate(held_out):
        on_test = of_draw[np.searchsorted(names, groups)]
        learnt, test = (
            [stream(settings.seed, draw, k).permutation(np.flatnonzero(side & own)) for k, own in enumerate(of_class)]
            for side in (~on_test, on_test)
        )
        measured = [own[: settings.held_out] for own in test]
        result.append(Draw.of(learnt, measured, tuple(names[of_draw].tolist()), draw, settings))
    return result


def draw_leaving_one_group_out(
    labels: np.ndarray,
    groups: np.ndarray,
    num_classes: int,
    settings: DrawSettings,
    can_be_shots: np.ndarray | bool = True,
) -> list[Draw]:
    """Every group is held out once in every draw, with all its windows; shots come from the other groups.

    A group may lack classes. Metrics of a draw are computed over the predictions of all its folds together.
    Arguments as in ``draw_apart``; of the other groups only windows that ``can_be_shots`` (W,) are.

    Returns:
        draws * G folds, those of the first draw first.
    """
    names = np.unique(groups)
    of_class, result = [labels == k for k in range(num_classes)], []
    for draw in range(settings.draws):
        for fold, name in enumerate(names.tolist()):
            here = groups == name
            own, others = ([np.flatnonzero(side & one) for one in of_class] for side in (here, ~here & can_be_shots))
            others = [stream(settings.seed, draw, k, fold).permutation(other) for k, other in enumerate(others)]
            result.append(Draw.of(others, own, (name,), draw, settings))
    return result


def remedy(split: str, settings: DrawSettings) -> str:
    """What to do if there are too few windows, for error messages."""
    fewer = ["--shots"] * (not settings.shorten) + ["--val_samples"] * bool(settings.held_out)
    ways = [f"use fewer {' or '.join(fewer)}"] if fewer else []
    if not settings.shorten:
        ways.append("allow fewer of small classes with --small_classes shorten")
    elif settings.held_out and settings.held_out >= 2 * LEAST:
        ways[0] += f" (a shortened class keeps {LEAST} held out, and {LEAST} to learn from)"
    ways.append("leave small classes out with --classes or --small_classes drop")
    if split not in ("window", "recording"):
        ways.append("use --split recording")
    said = ", or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
    return said[0].upper() + said[1:]


def _divide(
    split: str, counts: np.ndarray, classes: Sequence[str], settings: DrawSettings, key: tuple[int, ...]
) -> np.ndarray:
    """(draws, G) masks of the groups that are held out, as near to a quarter as every class allows.

    Args:
        counts: (G, K) windows.
        key: of this stream of random numbers.
    """
    attempts = _attempts(split, counts, settings)
    masks = np.zeros((settings.draws, len(counts)), dtype=bool)
    for draw in range(settings.draws):
        for room, measured in attempts:
            mask, missing = _first_division(counts, room, measured, stream(settings.seed, draw, *key))
            if mask is not None:
                break
        else:
            worst = missing.argmax()
            there = sorted(filter(None, counts[:, worst].tolist()), reverse=True)
            more = f", and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
            wanted = " to ".join(map(str, sorted({int(measured.min()), int(measured.max())})))
            raise ValueError(
                f"split {split}: none of {_TRIES} random divisions of {len(counts)} {split}s leaves {room.max()} "
                f"windows of every class on one side and {wanted} on the other; the nearest lacks {missing.sum()} "
                f"windows, most of them of {classes[worst]} (windows in each {split} that has any: "
                f"{', '.join(map(str, there[:_NAMED]))}{more}). {remedy(split, settings)}"
            )
        masks[draw] = mask
    return masks


def _attempts(split: str, counts: np.ndarray, settings: DrawSettings) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a division must have, (K,) windows to learn from and (K,) held out; the first that one allows counts.

    With ``shorten``, nothing is reserved for a class with too few windows, nor for any if no division allows it. What
    still cannot be divided holds out a quarter of the windows, at most V, of the classes that have too few for V, and
    leaves at least ``LEAST`` on either side; if no division allows that, of every class.
    """
    total, held_out = counts.sum(axis=0), np.full(counts.shape[1], settings.held_out)
    usual, learnt = _usual_room(split, counts, held_out, settings), settings.shots + settings.select
    is_short = total < learnt + held_out
    attempts = [(np.maximum(np.where(is_short, 0, learnt), usual), held_out)]
    if settings.shorten:
        attempts.append((usual, held_out))
        quarter = np.ceil(HELD_OUT_GROUPS * (total - settings.select)).astype(np.int64)
        fewer = np.clip(quarter, min(LEAST, settings.held_out), settings.held_out)
        for measured in (np.where(settings.lacks(total), fewer, held_out), fewer):
            room = np.maximum(_usual_room(split, counts, measured, settings), settings.select + LEAST)
            attempts.append((room, measured))
    return [own for own in attempts if (sum(own) <= total).all()] or attempts[-1:]


def _usual_room(split: str, counts: np.ndarray, held_out: np.ndarray, settings: DrawSettings) -> np.ndarray:
    """(K,) windows that a division reserves for training, whatever the number of shots (``ROOM``)."""
    left = _most_left(counts, held_out, settings.seed)
    possible = next((n for n in ROOM[split] if n <= left), 0)
    return np.full(counts.shape[1], max(possible, settings.select + 1))


def _most_left(counts: np.ndarray, held_out: np.ndarray, seed: int) -> int:
    """Windows of every class that most random divisions leave for training, when just enough are held out."""
    rng, total, left = np.random.default_rng(seed), counts.sum(axis=0), []
    for _ in range(_SAMPLE):
        there = np.cumsum(counts[rng.permutation(len(counts))], axis=0)[:-1]
        enough = np.flatnonzero((there >= held_out).all(axis=1))
        left.append((total - there[enough[0]]).min() if len(enough) else 0)
    return int(np.quantile(left, 1 - _MOST, method="lower"))


def _first_division(
    counts: np.ndarray, room: np.ndarray, held_out: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray | None, np.ndarray]:
    """(G,) mask of held-out groups, None if no division suffices, and (K,) windows that the nearest division lacks.

    Args:
        room: (K,) windows that the training side must have; ``held_out`` (K,) alike, the other side.
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
