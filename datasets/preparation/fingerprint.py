"""What a source's files hold, as one digest: it decides whether a recording must be prepared again."""

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from datasets.recording import Source

WHOLE_FILE_BYTES = 16 << 20
_SAMPLES, _SAMPLE_BYTES = 16, 1 << 16


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over names and contents.

    A file up to 16 MiB is read whole. Of a longer one (source videos) 16 blocks of 64 KiB are read, evenly spread and
    the first and last bytes among them, together with its length and the time of its last change: a change of bytes
    in between that keeps both is not seen.

    Raises:
        OSError: if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0".encode())
        with open(path, "rb") as file:
            if status.st_size <= WHOLE_FILE_BYTES:
                digest.update(file.read())
                continue
            digest.update(f"{status.st_mtime_ns}\0".encode())
            for sample in range(_SAMPLES):
                file.seek((status.st_size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def fingerprint(source: Source, source_hash: str, settings: dict[str, Any]) -> str:
    """Digest of all that the prepared files of a source follow from.

    Args:
        source_hash: ``hash_files`` of the source's files.
        settings: what the preparation was told, plain values.
    """
    words = [source.id, source_hash, *_words(source.parse), *(f"{k}={settings[k]!r}" for k in sorted(settings))]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _words(parse: Any) -> list[str]:
    """The parser and the values it was given, such as a label; where the files lie does not matter."""
    if not isinstance(parse, partial):
        return [parse.__module__, parse.__qualname__]
    given = [*parse.args, *(value for _, value in sorted(parse.keywords.items()))]
    return [*_words(parse.func), *(value.name if isinstance(value, Path) else repr(value) for value in given)]
