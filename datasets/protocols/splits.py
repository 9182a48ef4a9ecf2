"""Training and held-out windows of a few-shot evaluation.

Letters: W windows, K classes, S most shots, V held-out windows per class, N windows per class to select by, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from datasets.windows import Windows

LEAST = 5  # windows of a class on either side, where it has too few for V held-out ones


@dataclass(frozen=True)
class DrawSettings:
    """Number of draws, and of windows per class.

    Attributes:
        shots: S, windows to learn from.
        held_out: V, windows to be measured on; None where each group is held out in turn, with all its windows, and 0
            where other windows than those that may be drawn are.
        draws: number of draws.
        seed: of all draws.
        select: N, windows for choosing the epoch.
        shorten: allow a class with too few windows to have fewer shots, at least one; if V held-out windows leave it
            none, it has fewer of them, at least ``LEAST``, and has as many to learn from. Neither depends on S, so that
            runs with other shots are measured on the same windows.
    """

    shots: int
    held_out: int | None
    draws: int
    seed: int
    select: int = 0
    shorten: bool = False

    @property
    def needed(self) -> int:
        """Windows that every class must have; if groups are held out in turn, in the other groups."""
        held_out = self.held_out or 0
        return self.select + (min(1 + held_out, 2 * LEAST) if self.shorten else self.shots + held_out)

    def lacks(self, windows: np.ndarray) -> np.ndarray:
        """(K,) which classes of so many windows, of those that may be drawn, cannot have V held out."""
        return self.shorten & (windows < 1 + self.select + (self.held_out or 0))


@dataclass(frozen=True)
class Draw:
    """One random draw. Shots are nested: of each class the first n are its n-shot set, or all where it has fewer.

    Attributes:
        shots: for each of the K classes positions of training windows: S, or fewer of a class that is shortened.
        held_out: for each class positions of held-out windows: V, or fewer of a class that is shortened; all if groups
            are held out in turn.
        held_out_groups: names of the held-out groups (or recordings); empty in a split by windows.
        number: of the draw, from 0; the folds of one draw share it.
        select: for each class N positions of windows for choosing the epoch.
        is_fold: whether this is one of several folds of a draw, which hold out one group each.
    """

    shots: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]
    held_out_groups: tuple[str, ...]
    number: int
    select: tuple[np.ndarray, ...]
    is_fold: bool

    def train(self, shots: int) -> np.ndarray:
        """Positions of the n-shot set, class by class: K * shots, unless a class is shortened."""
        return np.concatenate([own[:shots] for own in self.shots])

    @classmethod
    def of(
        cls,
        learnt: Sequence[np.ndarray],
        held_out: Sequence[np.ndarray],
        groups: tuple[str, ...],
        number: int,
        settings: DrawSettings,
    ) -> "Draw":
        """From the windows of each class on the training side, in random order, and the held-out windows.

        Windows to select by are taken from the end, so that the shots do not depend on their number.
        """
        ends = [len(own) - settings.select for own in learnt]
        shots = tuple(own[: min(settings.shots, end)] for own, end in zip(learnt, ends, strict=True))
        select = tuple(own[end:] for own, end in zip(learnt, ends, strict=True))
        return cls(shots, tuple(held_out), groups, number, select, is_fold=settings.held_out is None)

    @property
    def learnt_from(self) -> np.ndarray:
        """Positions of all windows that training uses: shots, and windows to select by."""
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


def groups_of(subject: np.ndarray, session: np.ndarray) -> tuple[np.ndarray | None, str]:
    """The group of each window: its subject, or its session where the subject is unknown.

    Args:
        subject: (W,) names, empty where unknown.
        session: (W,) names, empty where unknown.

    Returns:
        (W,) group names, None if a window has neither, and what they stand for in words.
    """
    known = subject != ""
    if (~known & (session == "")).any():
        return None, "unknown"
    names = np.where(known, np.char.add("subject ", subject), np.char.add("session ", session))
    if known.all():
        return names, "subject"
    return names, "subject, session where unknown" if known.any() else "session"


def centre_positions(windows: Windows) -> np.ndarray:
    """Of each recording and class one window, see ``centre_windows``; ``Windows.centred`` moves it into the middle."""
    ids = windows.store.recordings["id"].tolist()
    in_time = sorted(range(len(ids)), key=lambda row: (len(ids[row]), ids[row]))  # part 10 comes after part 2
    part = np.argsort(in_time)[windows.recording]
    return centre_windows(windows.sources(), windows.label, part, windows.start)


def centre_windows(recordings: np.ndarray, labels: np.ndarray, part: np.ndarray, start: np.ndarray) -> np.ndarray:
    """One window of each recording, that nearest to the middle of it, as the authors' code takes on MMEA.

    It is the middle one of the recording's windows in order of time, the earlier of two. A recording that changes
    activity gives one window per class: the middle one of its windows of that class, over all segments.

    Args:
        recordings: (W,) name of each window's recording.
        labels: (W,) class of each window.
        part: (W,) number of the part of a recording that gaps have split, increasing with time.
        start: (W,) first sample of the window in its part.

    Returns:
        positions, sorted.
    """
    table = pd.DataFrame({"recording": recordings, "label": labels, "part": part, "start": start})
    of_class = table.sort_values(["part", "start"]).groupby(["recording", "label"])
    middle = of_class.cumcount() == (of_class["start"].transform("size") - 1) // 2
    return np.sort(middle.index[middle].to_numpy())


def draw_windows(labels: np.ndarray, num_classes: int, settings: DrawSettings) -> list[Draw]:
    """Draw single windows: those of one recording may fall on both sides (``leakage.siblings_share`` counts them).

    The held-out windows and the first n shots of a draw do not depend on S, N or the number of draws. Of a class that
    has too few for V, half of the windows but N are held out.

    Args:
        labels: (W,) class of each window, 0..K-1.
        num_classes: K.
    """
    members = [np.flatnonzero(labels == k) for k in range(num_classes)]
    total, result = np.array(list(map(len, members))), []
    ends = np.where(settings.lacks(total), (total - settings.select) // 2, settings.held_out)
    for draw in range(settings.draws):
        order = [stream(settings.seed, draw, k).permutation(member) for k, member in enumerate(members)]
        sides = ([o[v:] for o, v in zip(order, ends, strict=True)], [o[:v] for o, v in zip(order, ends, strict=True)])
        result.append(Draw.of(*sides, (), draw, settings))
    return result


def draw_transfer(
    labels: np.ndarray,
    gives_labels: np.ndarray,
    people: Sequence[str],
    num_classes: int,
    settings: DrawSettings,
    can_be_shots: np.ndarray | bool = True,
) -> list[Draw]:
    """Draw shots of some windows; all others are held out, in every draw.

    Args:
        labels: (W,) class of each window, 0..K-1.
        gives_labels: (W,) bool, windows that may be learnt from.
        people: names of those who are held out.
        num_classes: K.
        can_be_shots: (W,) bool, those that shots are drawn from, if they may be learnt from.
    """
    sides = (
        [np.flatnonzero((labels == k) & side) for k in range(num_classes)]
        for side in (gives_labels & can_be_shots, ~gives_labels)
    )
    may_be_shots, held_out = sides
    result = []
    for draw in range(settings.draws):
        learnt = [stream(settings.seed, draw, k).permutation(own) for k, own in enumerate(may_be_shots)]
        result.append(Draw.of(learnt, held_out, tuple(people), draw, settings))
    return result


def small_classes(
    labels: np.ndarray, groups: np.ndarray | None, classes: Sequence[str], settings: DrawSettings
) -> dict[str, str]:
    """Classes with too few windows or groups for these draws, and the reason. Draws need that there are none.

    Args:
        groups: (W,) names in a split by groups, else None.
    """
    names, counts = windows_in_groups(labels, groups if groups is not None else np.zeros(len(labels)), len(classes))
    needed, in_turn, small = settings.needed, settings.held_out is None, {}
    for name, own in zip(classes, counts.T, strict=True):
        left = int(own.sum() - own.max()) if in_turn else int(own.sum())
        if left < needed:
            without = f" without {names[own.argmax()]}" if in_turn else ""
            small[name] = f"{left} windows{without}, {needed} are needed"
        elif groups is not None and (own > 0).sum() == 1:
            small[name] = f"only {names[own.argmax()]} has it"
    return small


def windows_in_groups(labels: np.ndarray, groups: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(G,) names of the groups, sorted, and (G, K) numbers of windows of each class."""
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), num_classes), dtype=np.int64)
    np.add.at(counts, (group, labels), 1)
    return names, counts


def stream(*key: int) -> np.random.Generator:
    """A random stream per seed, draw and class, so that the draw of a class does not depend on the other classes."""
    return np.random.default_rng(key)
