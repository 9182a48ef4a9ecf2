"""Labelled video windows that stand for their classes, and the queries that may be compared with them.

Letters: W windows, Q queries, P prototypes, K classes, M prototypes per class.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from configs.load import read_yaml


class PrototypeError(ValueError):
    """Prototypes that these windows or this class map do not allow; the message names counts and remedy."""


def draw_prototypes(
    labels: np.ndarray,
    recordings: np.ndarray,
    classes: Sequence[str],
    per_class: int,
    seed: int,
    leave_queries: bool,
) -> np.ndarray:
    """Draw M windows of each class, spread as evenly as can be over recordings drawn at random.

    Args:
        labels: (W,) class of each window, 0..K-1.
        recordings: (W,) number of each window's recording.
        classes: (K,) names, for errors.
        per_class: M.
        leave_queries: take them from at most half of a class's recordings, so that the others remain as queries.

    Returns:
        (K * M,) positions, class by class.

    Raises:
        PrototypeError: if a class has too few windows or recordings.
    """
    chosen, problems = [], []
    for k, name in enumerate(classes):
        rng = np.random.default_rng([seed, k])
        own = rng.permutation(np.flatnonzero(labels == k))
        there = np.unique(recordings[own])
        limit = len(there) // 2 if leave_queries else len(there)
        allowed = rng.permutation(there)[: min(limit, per_class)]
        # Fewer recordings than prototypes: their second windows follow when all first ones are taken, and so on.
        turns = [own[recordings[own] == recording] for recording in allowed]
        own = [turn[i] for i in range(max(map(len, turns), default=0)) for turn in turns if i < len(turn)]
        if len(own) < per_class:
            problems.append(f"{name} has {len(own)} windows in {limit} of its {len(there)} recordings")
        chosen.append(own[:per_class])
    if problems:
        half = ", of which at most half may serve so that queries remain" if leave_queries else ""
        raise PrototypeError(
            f"too few labelled video windows for {per_class} prototypes per class{half}: {'; '.join(problems)}; "
            "use fewer --prototypes_per_class, or leave classes out with --classes"
        )
    return np.concatenate(chosen).astype(np.int64)


def queries_without(recordings: np.ndarray, of_prototypes: np.ndarray) -> np.ndarray:
    """Positions of the windows that may be queries: none of a recording that gave a prototype.

    Leaving out the prototypes' own windows would not do: the seconds before and after look and move alike.

    Args:
        recordings: (W,) number of each window's recording.
        of_prototypes: numbers of the recordings that gave prototypes.
    """
    return np.flatnonzero(~np.isin(recordings, of_prototypes))


def bootstrap(labels: np.ndarray, num_classes: int, fraction: float, repetitions: int, seed: int) -> list[np.ndarray]:
    """For each repetition the positions of a random fraction of each class's queries, drawn without replacement.

    The paper bootstraps 80 % of the samples of each class. Drawn without replacement, so that no window counts twice.

    Args:
        labels: (Q,) class of each query, 0..K-1.
    """
    result = []
    for repetition in range(repetitions):
        parts = []
        for k in range(num_classes):
            own = np.flatnonzero(labels == k)
            size = max(1, round(fraction * len(own))) if len(own) else 0
            parts.append(np.random.default_rng([seed, repetition, k]).permutation(own)[:size])
        result.append(np.sort(np.concatenate(parts)))
    return result


def read_class_map(path: Path) -> dict[str, tuple[str, ...]]:
    """A YAML file of ``class: class of the prototypes``, or a list of such classes.

    Raises:
        PrototypeError: if an entry is neither; ConfigError if the file cannot be read.
    """
    mapping = {}
    for name, value in read_yaml(path).items():
        names = value if isinstance(value, list) else [value]
        if not isinstance(name, str) or not names or not all(isinstance(n, str) for n in names):
            raise PrototypeError(f"{path}: {name!r}: {value!r} is not 'class: class' or 'class: [class, class]'")
        mapping[name] = tuple(names)
    return mapping


def check_class_map(
    mapping: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    target_classes: Sequence[str],
    prototype_classes: Sequence[str],
    where: str,
) -> None:
    """Check that every class has prototypes of its own.

    Args:
        mapping: class -> classes of the prototypes.
        classes: classes that are evaluated.
        target_classes: all classes of the dataset of the queries.
        prototype_classes: all classes of the dataset of the prototypes.
        where: file or flags that the mapping comes from, for the message.

    Raises:
        PrototypeError: if a name is unknown (naming near ones), a class is missing, or two classes share a prototype
            class, since then nothing could tell them apart.
    """
    for name in mapping:
        if name not in target_classes:
            raise PrototypeError(f"{where}: the dataset has no class {name!r}{_near(name, target_classes)}")
    if missing := [name for name in classes if name not in mapping]:
        raise PrototypeError(
            f"{where}: no prototype class for {', '.join(missing)}: add a line, or leave it out with --classes"
        )
    owner: dict[str, str] = {}
    for name in classes:
        for prototype in mapping[name]:
            if prototype not in prototype_classes:
                raise PrototypeError(
                    f"{where}: the prototypes' dataset has no class {prototype!r} (for {name})"
                    f"{_near(prototype, prototype_classes)}"
                )
            if prototype in owner:
                raise PrototypeError(
                    f"{where}: {owner[prototype]} and {name} both map to {prototype}, so nothing could tell them "
                    "apart: choose another class for one of them, or leave one out with --classes"
                )
            owner[prototype] = name


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {', '.join(near)}?" if near else f"; it has {', '.join(known)}"
