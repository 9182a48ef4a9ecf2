"""Which labelled windows a few-shot evaluation learns from, and which it is measured on.

Letters: W windows, K classes, S most shots, V held-out windows per class, G groups.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# mmea5: the classes on which the paper's MMEA columns were almost certainly computed (its zero-shot baseline sits at
# five-class chance).
CLASS_SETS = {
    "mmea5": ("standing", "walking", "sit_stand", "downstairs", "fall"),
    "pd": ("walking", "turning", "bending", "standing", "sitting"),
}
HELD_OUT_GROUPS = 0.25  # share of the groups that a division by groups aims to hold out
_TRIES = 2000  # random divisions of the groups that are looked at before a split is refused


class SplitError(ValueError):
    """A split that these windows do not allow; the message names counts and remedy."""


@dataclass(frozen=True)
class Draw:
    """One random draw. Shots are nested: the first n columns are the n-shot set of every n.

    Attributes:
        shots: (K, S) positions of windows to learn from.
        held_out: (K, V) positions of windows to be measured on.
        held_out_groups: names of the groups that are held out; empty where windows are split one by one.
    """

    shots: np.ndarray
    held_out: np.ndarray
    held_out_groups: tuple[str, ...] = ()

    def train(self, shots: int) -> np.ndarray:
        """(K * shots,) positions of the n-shot set, class by class."""
        return self.shots[:, :shots].ravel()

    @property
    def test(self) -> np.ndarray:
        """(K * V,) positions of the held-out windows, class by class."""
        return self.held_out.ravel()

    def named(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
        """The draw with window ids, to be written to a file: the first n shots of a class are its n-shot set."""
        return {
            "held_out_groups": list(self.held_out_groups),
            "shots": {name: [ids[i] for i in row] for name, row in zip(classes, self.shots, strict=True)},
            "held_out": {name: [ids[i] for i in row] for name, row in zip(classes, self.held_out, strict=True)},
        }


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
            "tell which belong together; use --split window, or prepare the dataset with subjects"
        )
    names = np.where(known, np.char.add("subject ", subject), np.char.add("session ", session))
    if known.all():
        return names, "subject"
    return names, "subject, session where unknown" if known.any() else "session"


def draw_windows(
    labels: np.ndarray, classes: Sequence[str], shots: int, held_out: int, draws: int, seed: int
) -> list[Draw]:
    """Draw windows one by one, as the paper does: windows of one recording may fall on both sides.

    The held-out windows and the first n shots of a draw do not depend on ``shots``, nor on the number of draws.

    Args:
        labels: (W,) class of each window, 0..K-1.
        classes: (K,) names, for errors.
        shots: S, windows per class to learn from.
        held_out: V, windows per class to be measured on.

    Raises:
        SplitError: if a class has fewer than S + V windows.
    """
    members = [np.flatnonzero(labels == k) for k in range(len(classes))]
    _check_counts([len(m) for m in members], classes, shots, held_out)
    result = []
    for draw in range(draws):
        order = [_rng(seed, draw, k).permutation(member) for k, member in enumerate(members)]
        result.append(
            Draw(
                shots=np.stack([o[held_out : held_out + shots] for o in order]),
                held_out=np.stack([o[:held_out] for o in order]),
            )
        )
    return result


def draw_by_group(
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    shots: int,
    held_out: int,
    draws: int,
    seed: int,
) -> list[Draw]:
    """Draw so that no group (subject or session) has windows on both sides.

    Each draw divides the groups at random, as near to a quarter held out as every class allows, and then draws
    windows on each side.

    Args:
        groups: (W,) name of each window's group; the others as in ``draw_windows``.

    Raises:
        SplitError: if a class has too few windows or lives in one group only, or no division was found.
    """
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), dtype=np.int64)  # (G, K)
    np.add.at(counts, (group, labels), 1)
    _check_counts(counts.sum(axis=0).tolist(), classes, shots, held_out)
    lonely = [f"{c} (only {names[n.argmax()]})" for c, n in zip(classes, counts.T, strict=True) if (n > 0).sum() == 1]
    if lonely:
        raise SplitError(
            f"split group: {', '.join(lonely)} cannot be on both sides, every class needs two groups or more; "
            "leave the class out with --classes, or use --split window"
        )
    result = []
    for draw in range(draws):
        division = _divide(counts, classes, shots, held_out, _rng(seed, draw, len(classes)))
        on_test = division[group]
        sides = []
        for side, size in ((~on_test, shots), (on_test, held_out)):
            members = [np.flatnonzero(side & (labels == k)) for k in range(len(classes))]
            sides.append(np.stack([_rng(seed, draw, k).permutation(m)[:size] for k, m in enumerate(members)]))
        result.append(Draw(*sides, held_out_groups=tuple(names[division].tolist())))
    return result


def _divide(
    counts: np.ndarray, classes: Sequence[str], shots: int, held_out: int, rng: np.random.Generator
) -> np.ndarray:
    """(G,) mask of held-out groups such that both sides have enough windows of every class."""
    num_groups = len(counts)
    wanted = max(1, round(HELD_OUT_GROUPS * num_groups))
    least, worst = None, 0
    for _ in range(_TRIES):
        order = rng.permutation(num_groups)
        there = np.cumsum(counts[order], axis=0)[:-1]  # (G - 1, K) held out, if the first 1, 2, ... groups are
        here = counts.sum(axis=0) - there
        missing = np.maximum(held_out - there, 0) + np.maximum(shots - here, 0)  # (G - 1, K)
        possible = np.flatnonzero(missing.sum(axis=1) == 0) + 1
        if len(possible):
            size = possible[np.abs(possible - wanted).argmin()]
            return np.isin(np.arange(num_groups), order[:size])
        if least is None or missing.sum(axis=1).min() < least:
            least = missing.sum(axis=1).min()
            worst = missing[missing.sum(axis=1).argmin()].argmax()
    raise SplitError(
        f"split group: none of {_TRIES} random divisions of {num_groups} groups leaves {shots} windows of every class "
        f"on one side and {held_out} on the other; the nearest lacks {least} windows, most of them of "
        f"{classes[worst]} (windows in each group: {', '.join(map(str, counts[:, worst]))}). Use fewer --shots or "
        "--val_samples, leave the class out with --classes, or use --split window"
    )


def _check_counts(counts: Sequence[int], classes: Sequence[str], shots: int, held_out: int) -> None:
    few = [f"{name} has {n}" for name, n in zip(classes, counts, strict=True) if n < shots + held_out]
    if few:
        most = min(counts) - held_out
        remedy = f"use at most --shots {most}" if most > 0 else f"use --val_samples below {min(counts)}"
        raise SplitError(
            f"too few windows: {', '.join(few)}; {shots} shots and {held_out} held-out windows need "
            f"{shots + held_out} of each class: {remedy}, or leave classes out with --classes"
        )


def _rng(seed: int, draw: int, stream: int) -> np.random.Generator:
    """One stream per draw and class, so that a class's draw does not hang on how many windows the others have."""
    return np.random.default_rng([seed, draw, stream])
