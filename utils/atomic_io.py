"""Files appear whole or not at all, and their digests.

A file is written under a temporary name, flushed to the disk and renamed, so that a reader, or a call that follows a
killed one, never meets a part of it.
"""

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_PROCESS = secrets.token_hex(4)  # machines that share a disk may share process numbers


def temporary(path: Path) -> Path:
    """Where this process writes a file before it gets its name; no other process has the same."""
    return path.with_name(f"{path.name}.{os.getpid()}-{_PROCESS}.tmp")


@contextmanager
def replacing(path: Path, unfinished: Path | None = None) -> Iterator[Path]:
    """The temporary name under which to write a file; the file gets its own name where the block ends without error.

    Args:
        unfinished: the temporary name where one process alone writes the file; what a killed one left is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished or temporary(path)
    try:
        yield unfinished
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(path)


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part."""
    with replacing(path) as file:
        file.write_bytes(text.encode())


def write_array(path: Path, array: np.ndarray) -> None:
    """Replace a file in one step by a ``.npy``."""
    content = io.BytesIO()  # into a file NumPy writes by itself, and does not say whether the disk was full
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    with replacing(path) as file:
        file.write_bytes(content.getvalue())


def sha256_of(path: Path) -> str:
    """Digest of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
