"""Checkpoints that survive a kill at any moment and are checked before they are used.

A file is written under a temporary name, flushed to the disk and renamed. Beside ``x.pt`` lies ``x.pt.sha256``. While
a file is being replaced the checksum file holds both digests, the new one and the old one, so that whatever moment
the process dies at, the file that is there has its digest beside it.

What a checkpoint holds is decided in ``train.py``.
"""

import logging
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.atomic_io import replacing, sha256_of

FORMAT = 1
_log = logging.getLogger(__name__)


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file, what is wrong, and the remedy."""


def save(path: Path, payload: dict[str, Any]) -> None:
    """Write a checkpoint; when this returns it is on the disk.

    Args:
        payload: tensors, numbers, text, and lists and dicts of them; ``format`` is added.

    Raises:
        OSError: if the disk is full or the folder cannot be written; an older file of that name stays as it was.
    """
    try:
        with _replacing(path) as unfinished, open(unfinished, "wb") as file:  # torch would not name a full disk
            torch.save({"format": FORMAT} | payload, file)
            file.flush()
    except BaseException as error:
        # torch.save turns an error of the disk into one of its own that does not tell
        if isinstance(cause := error.__context__ if isinstance(error, RuntimeError) else error, OSError):
            raise OSError(
                cause.errno, f"{cause.strerror}: cannot save the checkpoint; make room, then --resume auto", str(path)
            ) from error
        raise


def copy(source: Path, target: Path) -> None:
    """Give a saved checkpoint a second name; the bytes are shared where the file system can."""
    with _replacing(target) as unfinished:
        unfinished.unlink(missing_ok=True)
        try:
            os.link(source, unfinished)
        except OSError:  # no hard links here
            shutil.copyfile(source, unfinished)


def load(path: Path, kind: str | None = None) -> dict[str, Any]:
    """Read a checkpoint into CPU memory. No code in the file runs.

    Args:
        kind: what the checkpoint must be, such as ``pretrain``; None takes any.

    Raises:
        CheckpointError: if the file is missing, damaged, no checkpoint of this project, or of another kind.
    """
    if not path.is_file():
        there = sorted(p.name for p in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        raise CheckpointError(f"{path}: no such checkpoint; the folder has {', '.join(there) or 'none'}")
    if not (known := _known_digests(path)):
        _log.warning("%s: has no checksum beside it, so damage would go unnoticed", path)
    elif sha256_of(path) not in known:
        raise CheckpointError(
            f"{path}: does not match its checksum, so it is truncated or damaged: use an older checkpoint, or copy it "
            "again"
        )
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, KeyError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({reason[0]}); it is truncated or not one: use another"
        ) from error
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a checkpoint of this project (format {FORMAT}): name one from runs/")
    if kind is not None and payload["kind"] != kind:
        raise CheckpointError(f"{path}: holds a {payload['kind']!r} checkpoint, a {kind!r} one is needed")
    return payload


def newest_valid(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that is whole; damaged ones are named in the log. None if there is none."""
    for path in sorted(folder.glob("*.pt"), key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True):
        try:
            load(path)
        except CheckpointError as error:
            _log.warning("skipped %s", error)
            continue
        return path
    return None


def load_weights(module: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Copy weights into a module; names and shapes must agree.

    Args:
        path: where they come from, for the message.

    Raises:
        CheckpointError: naming the first parameters that are missing, too many, or of another shape.
    """
    own = module.state_dict()
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is not part of this model" for name in state if name not in own]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, the model {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
        raise CheckpointError(f"{path}: does not fit the model: {shown}. Use the settings it was trained with")
    module.load_state_dict(state)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """As ``replacing``. The checksum file names both the old and the new content until the rename is on the disk."""
    with replacing(path, path.with_name(f".{path.name}.tmp")) as unfinished:
        yield unfinished
        digest = sha256_of(unfinished)
        _write_digests(path, [digest, *_known_digests(path)])
    _flush_folder(path.parent)
    _write_digests(path, [digest])


def _digest_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _write_digests(path: Path, digests: list[str]) -> None:
    """Lines that ``sha256sum --check`` understands."""
    target = _digest_file(path)
    with replacing(target, target.with_name(f".{target.name}.tmp")) as unfinished:
        unfinished.write_text("".join(f"{digest}  {path.name}\n" for digest in digests), encoding="ascii")
    _flush_folder(path.parent)


def _known_digests(path: Path) -> list[str]:
    target = _digest_file(path)
    if not target.is_file():
        return []
    return [line.split()[0] for line in target.read_text(encoding="utf-8", errors="replace").splitlines() if line]


def _flush_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
