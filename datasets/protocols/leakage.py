"""What would make an evaluation look better than it is: the same window on both sides, or in pretraining."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.protocols.splits import Draw, SplitError
from datasets.store import Store, open_store
from datasets.windows import Windows

_NAMED = 5  # examples in a message
_AT_ONCE = 4096  # windows whose samples are copied at a time
NOT_SEEN = {"seen": False, "windows": 0, "why": ""}  # what ``seen_in_pretraining`` says where nothing was pretrained


def check_groups_apart(draws: Sequence[Draw], groups: np.ndarray) -> None:
    """Refuse a draw that has a group (or recording) on both sides, whoever made it.

    Args:
        groups: (W,) name of each window's group.

    Raises:
        SplitError: names the draw and the groups.
    """
    for draw in draws:
        if both := sorted(set(groups[draw.learnt_from].tolist()) & set(groups[draw.test].tolist())):
            raise SplitError(f"draw {draw.number}: {', '.join(both[:_NAMED])} would be on both sides")


def siblings_share(draws: Sequence[Draw], recordings: np.ndarray) -> float:
    """Fraction of the held-out windows, over all draws, of whose recording another window is among the shots.

    Windows of one recording lie seconds apart: who has learnt from one all but knows its neighbours. Taken at the most
    shots, so that it is what a result with fewer of them has at most.

    Args:
        recordings: (W,) name of each window's recording.
    """
    found = [np.isin(recordings[draw.test], recordings[np.concatenate(draw.shots)]) for draw in draws]
    return float(np.concatenate(found).mean())


def copies_on_both_sides(draws: Sequence[Draw], windows: Windows) -> list[tuple[str, str]]:
    """Pairs of windows with the same samples, one to learn from and one held out, whatever they are called.

    Returns:
        ids of the two, each pair once.
    """
    used = np.unique(np.concatenate([np.r_[draw.learnt_from, draw.test] for draw in draws]))
    content = np.full(len(windows), b"", dtype=object)
    content[used] = _contents(windows.subset(used))
    pairs = set()
    for draw in draws:
        learnt = {content[i]: i for i in draw.learnt_from}
        pairs |= {(int(learnt[content[i]]), int(i)) for i in draw.test if content[i] in learnt}
    ids = windows.ids()
    return [(ids[a], ids[b]) for a, b in sorted(pairs)]


def refuse_copies(pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse a split by groups or recordings that lets copies of a window on both sides.

    Raises:
        SplitError: names some of them.
    """
    if pairs:
        named = ", ".join(f"{a} = {b}" for a, b in pairs[:_NAMED])
        raise SplitError(
            f"{len(pairs)} held-out windows hold the same samples as windows to learn from ({named}): the recording is "
            "in the dataset under two names; remove one of them from the raw folder and prepare the dataset again"
        )


def true_recordings(*lists: Windows) -> list[np.ndarray]:
    """For each list of windows the raw recordings that they were cut from, copies under other names counted as one.

    Recordings are one if they hold a window with the same samples; so are those that a third one joins.

    Returns:
        (W,) str each, as ``Windows.sources`` where there is no copy; of copies all have the name that sorts first.
    """
    same_as: dict[str, str] = {}  # leads from each copy to a name that sorts before its own
    first: dict[bytes, str] = {}

    def name_of(source: str) -> str:
        while source in same_as:
            source = same_as[source]
        return source

    sources = [windows.sources() for windows in lists]
    for windows, named in zip(lists, sources, strict=True):
        for source, content in zip(named.tolist(), _contents(windows), strict=True):
            one, other = sorted((name_of(first.setdefault(content, source)), name_of(source)))
            if one != other:
                same_as[other] = one
    return [np.array([name_of(source) for source in named.tolist()]) for named in sources]


def _contents(windows: Windows) -> list[bytes]:
    """A digest of each window's samples."""
    order = np.arange(len(windows))
    parts = (order[first : first + _AT_ONCE] for first in range(0, len(order), _AT_ONCE))
    return [hashlib.blake2b(imu, digest_size=16).digest() for part in parts for imu in windows.imu(part, "none")]


def seen_in_pretraining(
    pretraining: Mapping[str, Any],
    excluded: Sequence[str],
    store: Store,
    windows: Windows,
    data_root: Path,
) -> dict[str, Any]:
    """Whether the encoder was pretrained on recordings that it is evaluated on, be it without their labels.

    They are the same if the dataset is, and if a raw recording is (by the digest of its files), where the dataset of
    pretraining still lies in ``data_root``. A class that pretraining left out has not been seen.

    Args:
        pretraining: what the checkpoint says of its dataset, see ``Store.fingerprint``.
        excluded: classes left out of pretraining.
        windows: those that are evaluated.

    Returns:
        ``seen`` (bool), ``windows`` (how many of those evaluated; None if there is no telling) and ``why`` in words.
    """
    pretrained_on, mine = pretraining["name"], store.fingerprint()
    kept = np.array([name not in set(excluded) for name in windows.classes])[windows.label]
    if "sha256" not in pretraining:  # a checkpoint older than the digest
        return {"seen": False, "windows": None, "why": f"the checkpoint does not identify its dataset, {pretrained_on}"}
    if pretraining["sha256"] == mine["sha256"]:
        return _seen(int(kept.sum()), f"the encoder was pretrained on this dataset ({pretrained_on})")
    if not (data_root / pretrained_on / "dataset.json").is_file():
        why = f"another dataset, {pretrained_on}, which is not at hand: recordings were not compared"
        return {"seen": False, "windows": None, "why": why}
    other = open_store(data_root, pretrained_on)
    if other.fingerprint()["sha256"] != pretraining["sha256"]:
        why = f"another dataset, {pretrained_on}, prepared again since: recordings were not compared"
        return {"seen": False, "windows": None, "why": why}
    known = set(other.recordings["source_hash"])
    shared = store.recordings["source_hash"].isin(known).to_numpy()[windows.recording]
    return _seen(int((shared & kept).sum()), f"the encoder was pretrained on recordings of {pretrained_on}")


def _seen(windows: int, why: str) -> dict[str, Any]:
    return {"seen": windows > 0, "windows": windows, "why": why if windows else ""}
