"""Which labelled windows a few-shot evaluation learns from, and which it is measured on.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# mmea5: the classes on which the paper's MMEA columns were almost certainly computed (its zero-shot baseline sits at
# five-class chance).
CLASS_SETS = {
    "mmea": tuple(
        """
        upstairs downstairs drinking fall reading sweep_floor cut_fruits mop_floor writing wipe_table wash_hand
        standing play_phone type_pc eating cooking pick_up_phone drop_trush fold_clothes walking play_card
        brush_teeth wash_dish moving_sth type_phone chat open_close_door ride_bike sit_stand take_drop_sth shopping
        watch_TV
        """.split()
    ),
    "mmea5": ("standing", "walking", "sit_stand", "downstairs", "fall"),
    "pd": ("walking", "turning", "bending", "standing", "sitting"),
}


class SplitError(ValueError):
    """A split that these windows do not allow; the message names counts and remedy."""


@dataclass(frozen=True)
class Draw:
    """One random draw. Shots are nested: of each class the first n are its n-shot set, or all where it has fewer.

    Attributes:
        shots: for each of the K classes positions of windows to learn from: S, or fewer of a class that is shortened.
        held_out: for each class positions of windows to be measured on: V, or all where a group is held out whole.
        held_out_groups: names of the groups (or recordings) held out; empty where windows are split one by one.
        number: of the draw, from 0; the folds of one draw share it.
        select: for each class N positions of windows that may choose among states of the training.
        is_fold: whether the draw has others that hold out other groups.
    """

    shots: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]
    held_out_groups: tuple[str, ...]
    number: int
    select: tuple[np.ndarray, ...]
    is_fold: bool = False

    def train(self, shots: int) -> np.ndarray:
        """Positions of the n-shot set, class by class: K * shots, unless a class is shortened."""
        return np.concatenate([own[:shots] for own in self.shots])

    @property
    def learnt_from(self) -> np.ndarray:
        """Positions of all windows that decide on the trained state: shots, and those to select by."""
        return np.concatenate([*self.shots, *self.select])

    @property
    def test(self) -> np.ndarray:
        """Positions of the held-out windows, class by class."""
        return np.concatenate(self.held_out)

    def named(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
        """The draw with window ids, to be written to a file: the first n shots of a class are its n-shot set."""
        sides = {"shots": self.shots, "held_out": self.held_out}
        if any(map(len, self.select)):
            sides["select"] = self.select
        named = {
            side: {name: [ids[i] for i in row] for name, row in zip(classes, rows, strict=True)}
            for side, rows in sides.items()
        }
        return {"draw": self.number, "held_out_groups": list(self.held_out_groups)} | named


def resolve_classes(names: Sequence[str] | None, available: Sequence[str]) -> tuple[str, ...]:
    """Class names in the order asked for; a class set stands for its classes, None for all there are.

    Raises:
        SplitError: if a class is not in the dataset (naming near ones), is named twice, or only one is left.
    """
    wanted = available if names is None else names
    chosen = tuple(c for name in wanted for c in ([name] if name in available else CLASS_SETS.get(name, [name])))
    for name in chosen:
        if name not in available:
            near = difflib.get_close_matches(name, [*available, *CLASS_SETS], n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(near)}?" if near else "."
            raise SplitError(f"classes: the dataset has no {name!r}{hint} It has {', '.join(available)}")
    if len(set(chosen)) != len(chosen):
        raise SplitError(f"classes: {', '.join(chosen)} names a class twice")
    if len(chosen) < 2:
        raise SplitError(f"classes: {', '.join(chosen) or 'none'} leaves nothing to tell apart, name at least two")
    return chosen


def paper_column(classes: Sequence[str]) -> str:
    """What a reader must know who sets results on all of MMEA beside the paper's; empty for other classes."""
    if set(classes) != set(CLASS_SETS["mmea"]):
        return ""
    return f"All {len(classes)} classes of MMEA: the paper's column is five of them (--classes mmea5)."


def groups_of(subject: np.ndarray, session: np.ndarray) -> tuple[np.ndarray, str]:
    """The group of each window: its subject, or its session where the subject is unknown.

    Args:
        subject: (W,) names, empty where unknown.
        session: (W,) names, empty where unknown.

    Returns:
        (W,) group names, and what they stand for in words.

    Raises:
        SplitError: if a window has neither.
    """
    known = subject != ""
    if (neither := ~known & (session == "")).any():
        raise SplitError(
            f"split group: {neither.sum()} of {len(subject)} windows have neither subject nor session, so nobody can "
            "tell which belong together; use --split recording, or prepare the dataset with subjects"
        )
    names = np.where(known, np.char.add("subject ", subject), np.char.add("session ", session))
    if known.all():
        return names, "subject"
    return names, "subject, session where unknown" if known.any() else "session"


def centre_windows(recordings: np.ndarray, labels: np.ndarray, part: np.ndarray, start: np.ndarray) -> np.ndarray:
    """One window of each recording, that in the middle of it, as the authors' code takes on MMEA.

    In order of time it is the middle one of the recording's windows, of two in the middle the earlier. A recording that
    changes activity gives one of each class, the middle one of its windows of that class, in however many segments.

    Args:
        recordings: (W,) name of each window's recording.
        labels: (W,) class of each window.
        part: (W,) number of the part of its recording, increasing with time, where gaps have split it.
        start: (W,) where the window begins in its part.

    Returns:
        positions, sorted.
    """
    recording = np.unique(recordings, return_inverse=True)[1]
    order = np.lexsort((start, part, labels, recording))
    pairs = np.stack([recording, labels])[:, order]
    first = np.flatnonzero(np.r_[True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)])
    count = np.diff(np.r_[first, len(order)])
    return np.sort(order[first + (count - 1) // 2])


def draw_windows(
    labels: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seed: int,
    select: int = 0,
    shorten: bool = False,
) -> list[Draw]:
    """Draw windows one by one: windows of one recording may fall on both sides (``leakage.siblings_share``: how many).

    The held-out windows and the first n shots of a draw do not depend on ``shots``, ``select`` or the number of draws.

    Args:
        labels: (W,) class of each window, 0..K-1.
        classes: (K,) names, for errors.
        shots: S, windows per class to learn from.
        held_out: V, windows per class to be measured on.
        select: N, windows per class to choose among states of the training.
        shorten: let a class with fewer than S + V + N windows be learnt from with those that are left, at least one.

    Raises:
        SplitError: if a class has too few windows.
    """
    members = [np.flatnonzero(labels == k) for k in range(len(classes))]
    check_counts([len(m) for m in members], classes, shots, held_out, select, shorten)
    result = []
    for draw in range(draws):
        order = [stream(seed, draw, k).permutation(member) for k, member in enumerate(members)]
        learnt, last = shots_and_select([o[held_out:] for o in order], shots, select)
        result.append(Draw(learnt, tuple(o[:held_out] for o in order), (), draw, last))
    return result


def shots_and_select(
    order: Sequence[np.ndarray], shots: int, select: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Of each class's windows on the side that is learnt from, in random order, the shots and those to select by.

    The latter come from the end, so that the shots stay what they are without them.
    """
    learnt = tuple(own[: min(shots, len(own) - select)] for own in order)
    return learnt, tuple(own[len(own) - select :] for own in order)


def small_classes(
    labels: np.ndarray, groups: np.ndarray | None, classes: Sequence[str], needed: int, whole_group: bool
) -> dict[str, str]:
    """Classes that a split must do without, and why.

    Args:
        groups: (W,) names where the split is by groups, else None.
        needed: windows of each class: shots, those to select by, and (unless whole groups are held out) held-out ones.
        whole_group: each group is held out in turn, so that the others must have ``needed`` windows.
    """
    names, group = np.unique(groups if groups is not None else np.zeros(len(labels)), return_inverse=True)
    counts = windows_in_groups(labels, group, len(names), len(classes))
    small = {}
    for name, own in zip(classes, counts.T, strict=True):
        left = int(own.sum() - own.max()) if whole_group else int(own.sum())
        if left < needed:
            without = f" without {names[own.argmax()]}" if whole_group else ""
            small[name] = f"{left} windows{without}, {needed} are needed"
        elif groups is not None and (own > 0).sum() == 1:
            small[name] = f"only {names[own.argmax()]} has it"
    return small


def windows_in_groups(labels: np.ndarray, group: np.ndarray, num_groups: int, num_classes: int) -> np.ndarray:
    """(G, K) counts."""
    counts = np.zeros((num_groups, num_classes), dtype=np.int64)
    np.add.at(counts, (group, labels), 1)
    return counts


def check_counts(
    counts: Sequence[int], classes: Sequence[str], shots: int, held_out: int, select: int, shorten: bool
) -> None:
    """Refuse classes with too few windows, with counts and remedy."""
    least = 1 if shorten else shots
    needed = least + held_out + select
    few = [f"{name} has {n}" for name, n in zip(classes, counts, strict=True) if n < needed]
    if few:
        most = min(counts) - held_out - select
        fewer = f"use at most --shots {most}" if most > 0 else f"use --val_samples below {min(counts) - select}"
        learnt = f"{least} shots" if least > 1 else "1 shot"
        choosing = f" and {select} windows to select by" if select else ""
        raise SplitError(
            f"too few windows: {', '.join(few)}; {learnt} and {held_out} held-out windows{choosing} need {needed} "
            f"of each class: {fewer}, {remedy(shorten)}"
        )


def remedy(shorten: bool) -> str:
    """What else to do about a class with too few windows."""
    shortening = "" if shorten else "let such classes be learnt from with fewer by --small_classes shorten, "
    return f"{shortening}or leave classes out with --classes or --small_classes drop"


def stream(seed: int, draw: int, number: int) -> np.random.Generator:
    """One stream per draw and class, so that a class's draw does not hang on how many windows the others have."""
    return np.random.default_rng([seed, draw, number])
