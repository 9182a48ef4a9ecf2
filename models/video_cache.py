"""What a frozen video encoder makes of clips, computed once and kept in a file.

    <digest of the facts>.npy    (K, W, D) float32: draws, windows, features
    <digest of the facts>.json   the facts, and the SHA-256 of the array

A file that a run of whatever machine has mapped is not removed: the mapping holds a lock on it.

Letters: K draws, W windows, D features.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.atomic_io import sha256_of, write_array, write_text
from utils.distributed import gather_objects, on_first_rank

_log = logging.getLogger(__name__)


def encoder_digest(encoder: nn.Module) -> str:
    """Digest of an encoder's weights, buffers and architecture."""
    digest = hashlib.sha256(f"{type(encoder).__name__} {json.dumps(encoder.config, sort_keys=True)}".encode())
    for name, value in encoder.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def cached_features(
    folder: Path,
    facts: dict[str, Any],
    encoder: nn.Module,
    draws: Sequence[int | None],
    batches: Callable[[int | None], Iterable[Any]],
    windows: int,
    device: torch.device,
    dtype: torch.dtype,
    limit_gb: float,
) -> np.ndarray:
    """Features of all windows in all draws: from the folder, or computed by all ranks together and kept there.

    Args:
        folder: that all ranks see; what was used longest ago gives way, unless it is in use.
        facts: plain values that the clips follow from; the encoder's digest and ``dtype`` are added.
        encoder: in eval mode.
        draws: K numbers, which ``batches`` is called with.
        batches: gives this rank's share of the windows, each with ``to(device)`` and ``index``.
        windows: W.
        dtype: of the encoder's arithmetic.
        limit_gb: largest size of the folder; with a warning it is larger while what is in use takes more.

    Returns:
        (K, W, D) float32, memory-mapped.

    Raises:
        ValueError: if the array alone is larger than the limit.
    """
    facts = facts | {"encoder": encoder_digest(encoder), "dtype": str(dtype)}
    text = json.dumps(facts, sort_keys=True)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"
    gigabytes = 4 * len(draws) * windows * encoder.dim / 1e9
    if gigabytes > limit_gb:
        raise ValueError(
            f"video_cache: {len(draws)} draws of {windows} windows with {encoder.dim} features take "
            f"{gigabytes:.1f} GB, video_cache_gb allows {limit_gb:g}: raise it, or use fewer video_draws"
        )
    if not on_first_rank(lambda: _is_whole(path)):
        _log.info("video       %d draws of %d windows go through the frozen encoder once", len(draws), windows)
        found = np.stack([_embed(encoder, batches(draw), windows, device, dtype) for draw in draws])
        on_first_rank(lambda: _keep(path, found, facts, limit_gb))
    _log.info("video       embeddings from %s", path)
    return _mapped(path)


@torch.no_grad()
def _embed(
    encoder: nn.Module, batches: Iterable[Any], windows: int, device: torch.device, dtype: torch.dtype
) -> np.ndarray:
    """(W, D) features of all windows, of which each rank computes a part."""
    out = np.full((windows, encoder.dim), np.nan, dtype=np.float32)
    rows, values = [], []
    for batch in batches:
        if not len(batch.index):
            continue  # the last batch has no window for this rank
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            values.append(encoder(batch.to(device)[1]).float().cpu().numpy())
        rows.append(batch.index.numpy().copy())
    for rows_of_rank, values_of_rank in gather_objects((rows, values)):
        for row, value in zip(rows_of_rank, values_of_rank, strict=True):
            out[row] = value
    return out


def _is_whole(path: Path) -> bool:
    """Whether a file is there with its digest; one that is damaged is said to be."""
    notes = path.with_suffix(".json")
    if not (path.is_file() and notes.is_file()):
        return False
    os.utime(path)  # used last
    if json.loads(notes.read_text(encoding="utf-8"))["sha256"] != sha256_of(path):
        _log.warning("%s: does not match its digest, so it is damaged: computed again", path)
        return False
    return True


def _mapped(path: Path) -> np.ndarray:
    """An array, memory-mapped; the mapping keeps the file open, and with it a shared lock, see ``_removed``."""
    with open(path, "rb") as file:
        with suppress(OSError):  # a file system without locks, where nothing is removed
            fcntl.flock(file, fcntl.LOCK_SH)
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, dtype, "r", file.tell(), shape)


def _keep(path: Path, features: np.ndarray, facts: dict[str, Any], limit_gb: float) -> None:
    """Write an array and what it follows from; the ones used longest ago make room."""
    others = {other: other.stat() for other in path.parent.glob("*.npy") if other != path}
    size = features.nbytes + sum(stat.st_size for stat in others.values())
    for other in sorted(others, key=lambda p: others[p].st_mtime_ns):
        if size > 1e9 * limit_gb and _removed(other):
            size -= others[other].st_size
    if size > 1e9 * limit_gb:
        _log.warning("%s: %.3g GB are in use, video_cache_gb allows %g", path.parent, size / 1e9, limit_gb)
    write_array(path, features)
    write_text(path.with_suffix(".json"), json.dumps(facts | {"sha256": sha256_of(path)}, indent=1) + "\n")


def _removed(path: Path) -> bool:
    """Remove an array and what is said of it, unless some process has it mapped; whether it is gone."""
    try:
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:
        return False
    path.with_suffix(".json").unlink(missing_ok=True)
    return True
