"""Prototypes (labelled windows of each class), and bootstrap samples of the queries.

Letters: W windows, Q queries, P prototypes, K classes, M prototypes per class.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from configs.load import read_yaml
from datasets.protocols.classes import near
from datasets.protocols.splits import stream


def draw_prototypes(
    labels: np.ndarray,
    recordings: np.ndarray,
    classes: Sequence[str],
    per_class: int | None,
    seed: int,
    leave_queries: bool,
) -> np.ndarray:
    """Draw M windows of each class, spread as evenly as possible over recordings drawn at random.

    Args:
        labels: (W,) class of each window, 0..K-1.
        recordings: (W,) number of each window's recording.
        classes: (K,) names, for errors.
        per_class: M; None takes every window of the recordings that may serve.
        leave_queries: take them from at most half of a class's recordings, so that the others remain as queries.

    Returns:
        (K * M,) positions, class by class; without M as many as there are.

    Raises:
        ValueError: if a class has too few windows or recordings.
    """
    chosen, problems = [], []
    for k, name in enumerate(classes):
        rng = stream(seed, k)
        own = rng.permutation(np.flatnonzero(labels == k))
        there = np.unique(recordings[own])
        limit = len(there) // 2 if leave_queries else len(there)
        allowed = rng.permutation(there)[: limit if per_class is None else min(limit, per_class)]
        # Fewer recordings than prototypes: their second windows follow when all first ones are taken, and so on.
        turns = [own[recordings[own] == recording] for recording in allowed]
        own = [turn[i] for i in range(max(map(len, turns), default=0)) for turn in turns if i < len(turn)]
        if len(own) < (per_class or 1):
            problems.append(f"{name} has {len(own)} windows in {limit} of its {len(there)} recordings")
        chosen.append(own[:per_class])
    if problems:
        half = ", of which at most half may be used so that queries remain" if leave_queries else ""
        raise ValueError(
            f"too few labelled video windows for {per_class or 'any'} prototypes per class{half}: "
            f"{'; '.join(problems)}; use fewer --prototypes_per_class, or leave classes out with --classes"
        )
    return np.concatenate(chosen).astype(np.int64)


def bootstrap(labels: np.ndarray, num_classes: int, fraction: float, repetitions: int, seed: int) -> list[np.ndarray]:
    """For each repetition the positions of a random fraction of each class's queries, drawn without replacement.

    The paper bootstraps 80 % of the samples of each class. Without replacement, no window counts twice.

    Args:
        labels: (Q,) class of each query, 0..K-1.
    """
    result = []
    for repetition in range(repetitions):
        order = [stream(seed, repetition, k).permutation(np.flatnonzero(labels == k)) for k in range(num_classes)]
        result.append(np.sort(np.concatenate([own[: max(1, round(fraction * len(own)))] for own in order])))
    return result


def prototype_classes(
    file: Path | None, classes: Sequence[str], target_classes: Sequence[str], source_classes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """For each class of the queries the classes of its prototypes.

    Args:
        file: YAML of ``class: class``, or ``class: [class, class]``; None if they have the same names.
        classes: classes that are evaluated.
        target_classes: all classes of the dataset of the queries.
        source_classes: all classes of the dataset of the prototypes.

    Raises:
        ValueError: if an entry is neither, a name is unknown (the message suggests similar ones), a class is missing,
            or two classes share a prototype class, so that they could not be distinguished.
    """
    where = file or "without --class_map"
    mapping = {name: [name] for name in classes}
    if file is not None:
        mapping = {name: value if isinstance(value, list) else [value] for name, value in read_yaml(file).items()}
    for name, own in mapping.items():
        if not own or not all(isinstance(word, str) for word in (name, *own)):
            raise ValueError(f"{where}: {name!r}: {own!r} is not 'class: class' or 'class: [class, class]'")
        if name not in target_classes:
            raise ValueError(f"{where}: the dataset has no class {name!r}{near(name, target_classes)}")
    if missing := [name for name in classes if name not in mapping]:
        raise ValueError(
            f"{where}: no prototype class for {', '.join(missing)}: add a line, or leave it out with --classes"
        )
    owner: dict[str, str] = {}
    for name in classes:
        for prototype in mapping[name]:
            if prototype not in source_classes:
                raise ValueError(
                    f"{where}: the prototypes' dataset has no class {prototype!r} (for {name})"
                    f"{near(prototype, source_classes)}; it has {', '.join(source_classes)}"
                )
            if prototype in owner:
                raise ValueError(
                    f"{where}: {owner[prototype]} and {name} both map to {prototype}, so they cannot be "
                    "distinguished: choose another class for one of them, or leave one out with --classes"
                )
            owner[prototype] = name
    return {name: tuple(own) for name, own in mapping.items()}
