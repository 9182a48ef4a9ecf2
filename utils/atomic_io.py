"""Files of a prepared dataset appear whole or not at all.

Each is written under a temporary name, flushed to the disk and renamed, so that a reader, or a call that follows a
killed one, never meets a part of a file.
"""

import hashlib
import io
import os
import secrets
from pathlib import Path

import numpy as np

_PROCESS = secrets.token_hex(4)  # machines that share a disk may share process numbers


def temporary(path: Path) -> Path:
    """Where this process writes a file before it gets its name.

    Another process may be at the same file: one that outlived the call that started it, or a job that a batch queue
    started twice. With names of their own, each writes a whole file.
    """
    return path.with_name(f"{path.name}.{os.getpid()}-{_PROCESS}.tmp")


def write_temporary(contents: dict[Path, bytes]) -> None:
    """Write files to the disk, all or none, each beside the one that it is to replace."""
    try:
        for path, content in contents.items():
            with open(temporary(path), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        for path in contents:
            temporary(path).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_temporary({path: text.encode()})
    temporary(path).replace(path)


def write_array(path: Path, array: np.ndarray) -> None:
    """Replace a file in one step by a ``.npy`` of float32, whatever the array's own type."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
    write_temporary({path: content.getvalue()})
    temporary(path).replace(path)


def sha256_of(path: Path) -> str:
    """Digest of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
