"""Leakage in an evaluation: the same window on both sides, or in pretraining."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datasets.protocols.people import are_named
from datasets.protocols.splits import Draw
from datasets.store import open_store
from datasets.windows import Windows
from utils.long_table import datasets_of_pretraining

_NAMED = 5  # examples in a message
_AT_ONCE = 4096  # windows whose samples are copied at a time
NOT_SEEN = {"seen": False, "windows": 0, "why": ""}  # result of ``seen_in_pretraining`` without pretraining


def refuse_leaks(draws: Sequence[Draw], groups: np.ndarray, copies: Sequence[tuple[str, str]]) -> None:
    """Refuse draws that have a group, or copies of a window, on both sides.

    Args:
        groups: (W,) name of each window's group (or recording).
        copies: what ``copies_on_both_sides`` found.

    Raises:
        ValueError: names the draw and the groups, or some of the windows.
    """
    for draw in draws:
        if both := sorted(set(groups[draw.learnt_from].tolist()) & set(groups[draw.test].tolist())):
            raise ValueError(f"draw {draw.number}: {', '.join(both[:_NAMED])} would be on both sides")
    if copies:
        named = ", ".join(f"{a} = {b}" for a, b in copies[:_NAMED])
        raise ValueError(
            f"{len(copies)} held-out windows hold the same samples as training windows ({named}): the recording "
            "is in the dataset under two names; remove one of them from the raw folder and prepare the dataset again"
        )


def refuse_shared(gives: Windows, tested: Windows) -> None:
    """Refuse two lists of windows that share a raw recording or a person.

    Subjects of one name are one person where both datasets are of one format, and of one description of tables.

    Raises:
        ValueError: names some of them, and the remedy.
    """
    both = sorted(set(gives.sources().tolist()) & set(tested.sources().tolist()))
    kinds = [[windows.store.info["settings"].get(key) for key in ("format", "table")] for windows in (gives, tested)]
    if gives.store is tested.store or kinds[0] == kinds[1]:
        both = sorted((set(gives.subject.tolist()) & set(tested.subject.tolist())) - {""}) or both
    if both:
        named = ", ".join(name.partition("\t")[0] for name in both[:_NAMED])
        raise ValueError(
            f"{named} would give labels and be predicted: name people apart by --subjects and --test_subjects"
        )


def siblings_share(draws: Sequence[Draw], recordings: np.ndarray) -> float:
    """Fraction of the held-out windows, over all draws, with another window of their recording among the shots.

    Windows of one recording lie seconds apart and look alike. Computed at the most shots, which is an upper bound for
    fewer shots.

    Args:
        recordings: (W,) name of each window's recording.
    """
    found = [np.isin(recordings[draw.test], recordings[np.concatenate(draw.shots)]) for draw in draws]
    return float(np.concatenate(found).mean())


def copies_on_both_sides(draws: Sequence[Draw], windows: Windows) -> list[tuple[str, str]]:
    """Pairs of a training and a held-out window with the same samples, under any name.

    Returns:
        ids of the two, each pair once.
    """
    used = np.unique(np.concatenate([np.r_[draw.learnt_from, draw.test] for draw in draws]))
    content = np.full(len(windows), "", dtype=object)
    content[used] = _contents(windows.subset(used))
    pairs = set()
    for draw in draws:
        learnt = {content[i]: i for i in draw.learnt_from}
        pairs |= {(int(learnt[content[i]]), int(i)) for i in draw.test if content[i] in learnt}
    ids = windows.ids()
    return [(ids[a], ids[b]) for a, b in sorted(pairs)]


def true_recordings(*lists: Windows) -> list[np.ndarray]:
    """For each list of windows the raw recordings that they were cut from, copies under other names counted as one.

    Recordings that hold a window with the same samples are counted as one, transitively.

    Returns:
        (W,) str each, as ``Windows.sources`` where there is no copy; of copies all have the name that sorts first.
    """
    names, source = np.unique(np.concatenate([windows.sources() for windows in lists]), return_inverse=True)
    contents = [content for windows in lists for content in _contents(windows)]
    nodes = np.concatenate([source, len(names) + np.unique(contents, return_inverse=True)[1]]).reshape(2, -1)
    size = nodes.max() + 1
    links = coo_array((np.ones(nodes.shape[1]), (nodes[0], nodes[1])), shape=(size, size))
    component = connected_components(links, directed=False)[1][: len(names)]
    _, first, of_name = np.unique(component, return_index=True, return_inverse=True)
    return np.split(names[first][of_name][source], np.cumsum([len(windows) for windows in lists])[:-1])


def _contents(windows: Windows) -> list[str]:
    """A digest of each window's samples."""
    order = np.arange(len(windows))
    parts = (order[first : first + _AT_ONCE] for first in range(0, len(order), _AT_ONCE))
    return [hashlib.blake2b(imu, digest_size=16).hexdigest() for part in parts for imu in windows.imu(part, "none")]


def seen_in_pretraining(
    pretraining: Mapping[str, Any],
    excluded: Sequence[str],
    windows: Windows,
    data_root: Path,
    excluded_subjects: Sequence[str] = (),
) -> dict[str, Any]:
    """Whether the encoder was pretrained, with or without labels, on recordings that it is evaluated on.

    They are the same if the dataset is, and if a raw recording is (by the digest of its files), where the dataset of
    pretraining still lies in ``data_root``. A class or a person that pretraining left out has not been seen. Of several
    datasets of pretraining each is looked at.

    Args:
        pretraining: datasets of pretraining from the checkpoint, see ``joint_fingerprint``.
        excluded: classes left out of pretraining.
        windows: those that are evaluated.
        excluded_subjects: people left out of pretraining, names or patterns of its dataset.

    Returns:
        ``seen`` (bool), ``windows`` (number of evaluated windows; None if unknown) and ``why`` in words.
    """
    left = np.array([name not in excluded for name in windows.classes])[windows.label]
    found = [_seen_in(part, windows, data_root, excluded_subjects) for part in datasets_of_pretraining(pretraining)]
    seen = np.logical_or.reduce([mask & left for mask, _ in found if mask is not None] or [np.zeros_like(left)])
    whys = [why for mask, why in found if mask is None or (mask & left).any()]
    unknown = any(mask is None for mask, _ in found)
    count = int(seen.sum())
    return {"seen": count > 0, "windows": count if count or not unknown else None, "why": "; ".join(whys)}


def _seen_in(
    pretraining: Mapping[str, Any], windows: Windows, data_root: Path, excluded_subjects: Sequence[str]
) -> tuple[np.ndarray | None, str]:
    """Which of the (W,) windows are of recordings of one dataset of pretraining, None if unknown; and why, in words."""
    pretrained_on, digest = pretraining["name"], pretraining["sha256"]
    if digest == windows.store.fingerprint()["sha256"]:
        why = f"the encoder was pretrained on this dataset ({pretrained_on})"
        return ~are_named(windows.subject, excluded_subjects), why
    there = (data_root / pretrained_on / "dataset.json").is_file()
    other = open_store(data_root, pretrained_on) if there else None
    if other is None or other.fingerprint()["sha256"] != digest:
        state = "prepared again since" if there else "which is not at hand"
        return None, f"another dataset, {pretrained_on}, {state}: recordings were not compared"
    trained_on = other.recordings[~are_named(other.recordings["subject"], excluded_subjects)]
    known = windows.store.recordings["source_hash"].isin(trained_on["source_hash"]).to_numpy()
    return known[windows.recording], f"the encoder was pretrained on recordings of {pretrained_on}"
