"""The prepared files of one source, and its entry in the journal.

The entry, ``.journal/<source>.json``, is written last: digests of the prepared files, rows of the tables. A source
counts as prepared when its entry exists; ``finalize`` merges the entries into the tables.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from configs.constants import CHANNELS
from datasets.recording import Rejection, Segment, Source
from datasets.store import RECORDING_COLUMNS, checked_id, frame_files, imu_path, quality_path
from utils.atomic_io import sha256_of, write_array, write_text

FOLDERS = ("imu", "quality", "frames", ".journal")  # of the files of a source
WHOLE_FILE_BYTES = 16 << 20
_SAMPLES, _SAMPLE_BYTES = 16, 1 << 16


@dataclass(frozen=True)
class PreparedRecording:
    """One row of ``recordings.csv`` with its signal; frames are written by a ``frame_writer`` before it.

    Attributes:
        imu: (T, 6) float32.
        padded_samples: padding at the end of ``imu``, left out of mean and std.
        frames: number of frames written, 0 without video.
        source_hash: digest of the source files.
        measures: (W, M) of ``datasets.masking``, or None if nothing was measured.
    """

    id: str
    source: str
    imu: np.ndarray
    subject: str
    session: str
    label: str
    source_rate_hz: float
    source_hash: str
    frames: int = 0
    split: str = ""
    segments: tuple[Segment, ...] = ()
    dropped_samples: int = 0
    interpolated_samples: int = 0
    padded_samples: int = 0
    notes: dict[str, Any] | None = None
    measures: np.ndarray | None = None

    def row(self) -> dict[str, Any]:
        """The row of ``recordings.csv``."""
        values = {name: getattr(self, name) for name in RECORDING_COLUMNS if hasattr(self, name)}
        measured = self.imu[: len(self.imu) - self.padded_samples]
        mean, std = measured.mean(0, dtype=np.float64), measured.std(0, dtype=np.float64)
        values |= {f"mean_{c}": float(m) for c, m in zip(CHANNELS, mean, strict=True)}
        values |= {f"std_{c}": float(s) for c, s in zip(CHANNELS, std, strict=True)}
        values |= {"samples": len(self.imu), "duration_s": len(self.imu) / 50, "notes": json.dumps(self.notes or {})}
        return values


def journal_path(root: Path, source_id: str) -> Path:
    return root / ".journal" / f"{checked_id(source_id)}.json"


def write_source(
    root: Path,
    source_id: str,
    fingerprint: str,
    recordings: Sequence[PreparedRecording],
    rejected: Sequence[Rejection] = (),
) -> None:
    """Write the files of one source, its journal entry last.

    Args:
        fingerprint: digest of the source's content and of the settings; a later call compares it.
    """
    files: list[Path] = []
    for recording in recordings:
        arrays = {imu_path(root, recording.id): recording.imu}
        if recording.measures is not None:
            arrays[quality_path(root, recording.id)] = recording.measures.astype(np.float32)
        for path, array in arrays.items():
            write_array(path, array)
        files += [*arrays, *(frame_files(root, recording.id) if recording.frames else ())]
    entry = {
        "fingerprint": fingerprint,
        "files": [
            {"file": path.relative_to(root).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in files
        ],
        "recordings": [recording.row() for recording in recordings],
        "segments": [{"id": r.id, **asdict(s)} for r in recordings for s in r.segments],
        "rejected": [asdict(rejection) for rejection in rejected],
    }
    write_text(journal_path(root, source_id), json.dumps(entry))


def read_journal(root: Path, source_id: str) -> dict[str, Any] | None:
    """The journal entry of a source, or None if there is none, or none that can be read."""
    try:
        return json.loads(journal_path(root, source_id).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def remove_temporary_files(root: Path) -> None:
    """Delete incomplete files of killed processes, which may take gigabytes. Needs the dataset's lock."""
    for folder in FOLDERS:
        for path in (root / folder).glob("*.tmp"):
            path.unlink(missing_ok=True)


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over names and contents.

    A file of at most 16 MiB is read whole. Of a larger one (source videos) 16 evenly spaced blocks of 64 KiB are read,
    the first and last bytes among them, together with its length and modification time. A change between the blocks
    that keeps both is not detected.

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
    """Digest of everything that determines the prepared files of a source.

    Args:
        source_hash: ``hash_files`` of the source's files.
        settings: of the preparation, plain values.
    """
    words = [source.id, source_hash, *_words(source.parse), *(f"{k}={settings[k]!r}" for k in sorted(settings))]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _words(parse: Any) -> list[str]:
    """The parser and its arguments, such as a label. Of paths only the file name counts, so that folders may move."""
    if not isinstance(parse, partial):
        return [parse.__module__, parse.__qualname__]
    given = [*parse.args, *(value for _, value in sorted(parse.keywords.items()))]
    return [*_words(parse.func), *(value.name if isinstance(value, Path) else repr(value) for value in given)]
