"""A prepared dataset on disk: reading it, and writing one recording at a time.

    dataset.json     format version, name, classes in order, totals, preparation settings, tool versions
    recordings.csv   a row per recording       segments.csv   labelled stretches       rejected.csv   what was left out
    imu/<id>.npy     (T, 6) float32 at 50 Hz, m/s² and rad/s, median-filtered, not z-scored
    frames/<id>.mjpeg, <id>.idx.npy            10 fps, square JPEG frames; or, as dataset.json's ``store`` says,
    frames/<id>.npy                            their pixels
    masked.csv       stretches whose windows are not used, and why       files.csv   length and SHA-256 of each file
    quality/<id>.npy (W, 8) float32, measures of quality of every 5 s, from which masked.csv follows
    .journal/        one JSON per source, written last: what a killed preparation had finished

Any number of processes may write different sources at once. A source counts as prepared when its journal entry
exists, and every file appears by a rename, so nothing half-written is ever read.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.constants import CHANNELS
from datasets.frames import FrameStream, FrameWriter, index_path, temporary
from datasets.quality import MASK_COLUMNS, mask_table
from datasets.raw_frames import RawFrameStream, RawFrameWriter
from datasets.recording import ID_PATTERN, Rejection, Segment

FORMAT_VERSION = 1
FRAME_STREAMS = {"jpeg": FrameStream, "raw": RawFrameStream}  # by dataset.json's ``store``
RECORDING_COLUMNS = (
    ["id", "source", "subject", "session", "label", "split", "duration_s", "source_rate_hz", "samples", "frames"]
    + [f"mean_{c}" for c in CHANNELS]
    + [f"std_{c}" for c in CHANNELS]
    + ["dropped_samples", "interpolated_samples", "notes", "source_hash"]
)
_FILE_FOLDERS = ("imu", "quality", "frames")
_TEXT = ["id", "source", "subject", "session", "label", "split", "notes", "source_hash"]


@dataclass(frozen=True)
class PreparedRecording:
    """One row of ``recordings.csv`` with its signal; frames are written by a ``FrameWriter`` before it.

    Attributes:
        imu: (T, 6) float32.
        frames: number of frames written, 0 without video.
        source_hash: digest of the source files.
        measures: (W, M) of ``datasets.quality``, or None if they were not taken.
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
    notes: dict[str, Any] | None = None
    measures: np.ndarray | None = None

    def row(self) -> dict[str, Any]:
        """The row of ``recordings.csv``."""
        values = {name: getattr(self, name) for name in RECORDING_COLUMNS if hasattr(self, name)}
        mean, std = self.imu.mean(0, dtype=np.float64), self.imu.std(0, dtype=np.float64)
        values |= {f"mean_{c}": float(m) for c, m in zip(CHANNELS, mean, strict=True)}
        values |= {f"std_{c}": float(s) for c, s in zip(CHANNELS, std, strict=True)}
        values |= {"samples": len(self.imu), "duration_s": len(self.imu) / 50, "notes": json.dumps(self.notes or {})}
        return values


def imu_path(root: Path, recording_id: str) -> Path:
    return root / "imu" / f"{_checked(recording_id)}.npy"


def quality_path(root: Path, recording_id: str) -> Path:
    return root / "quality" / f"{_checked(recording_id)}.npy"


def frames_path(root: Path, recording_id: str, store: str = "jpeg") -> Path:
    return root / "frames" / f"{_checked(recording_id)}{'.npy' if store == 'raw' else '.mjpeg'}"


def frame_files(root: Path, recording_id: str, store: str = "jpeg") -> list[Path]:
    """All files that the frames of a recording take."""
    path = frames_path(root, recording_id, store)
    return [path] if store == "raw" else [path, index_path(path)]


def open_frame_writer(root: Path, recording_id: str, store: str, jpeg_quality: int) -> FrameWriter | RawFrameWriter:
    """A writer of the frames of one recording, for ``with``.

    Args:
        store: ``jpeg`` or ``raw``; ``dataset.json`` must say the same.
        jpeg_quality: 1 to 100; pixels are stored as they are.
    """
    path = frames_path(root, recording_id, store)
    path.parent.mkdir(parents=True, exist_ok=True)
    return RawFrameWriter(path) if store == "raw" else FrameWriter(path, jpeg_quality)


def journal_path(root: Path, source_id: str) -> Path:
    return root / ".journal" / f"{_checked(source_id)}.json"


def started_path(root: Path, source_id: str) -> Path:
    """A note that lies there from when a process begins with a source until its journal entry is written."""
    return journal_path(root, source_id).with_suffix(".started")


def _checked(recording_id: str) -> str:
    """An id becomes part of a path: one that could leave its dataset is refused."""
    if not ID_PATTERN.fullmatch(recording_id):
        raise ValueError(f"recording id {recording_id!r} is not allowed: it must match {ID_PATTERN.pattern}")
    return recording_id


def write_source(
    root: Path,
    source_id: str,
    fingerprint: str,
    recordings: Sequence[PreparedRecording],
    rejected: Sequence[Rejection] = (),
    store: str = "jpeg",
) -> None:
    """Write what one source gave, its journal entry last.

    Args:
        fingerprint: digest of the source's content and of the settings; a later call compares it.
        store: how the frames were stored.
    """
    files: list[Path] = []
    for recording in recordings:
        arrays = {imu_path(root, recording.id): recording.imu}
        if recording.measures is not None:
            arrays[quality_path(root, recording.id)] = recording.measures
        for path, array in arrays.items():
            _write_array(path, array)
        files += [*arrays, *(frame_files(root, recording.id, store) if recording.frames else ())]
    entry = {
        "fingerprint": fingerprint,
        "files": [_file_row(root, path) for path in files],
        "recordings": [recording.row() for recording in recordings],
        "segments": [{"id": r.id, **asdict(s)} for r in recordings for s in r.segments],
        "rejected": [asdict(rejection) for rejection in rejected],
    }
    write_text(journal_path(root, source_id), json.dumps(entry))


def _write_array(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
    _write_temporary({path: content.getvalue()})
    temporary(path).replace(path)


def _file_row(root: Path, path: Path) -> dict[str, Any]:
    """A row of ``files.csv``."""
    return {"file": path.relative_to(root).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def sha256_of(path: Path) -> str:
    """Digest of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_journal(root: Path, source_id: str) -> dict[str, Any] | None:
    """The journal entry of a source, or None if it was not (or not legibly) prepared."""
    try:
        entry = json.loads(journal_path(root, source_id).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return entry if "files" in entry else None  # without digests: prepared before there were any


def recordings_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """``recordings.csv`` of the rows that journal entries hold, in the order of ids."""
    return pd.DataFrame(list(rows), columns=RECORDING_COLUMNS).sort_values("id", ignore_index=True)


def finish(
    root: Path,
    source_ids: Iterable[str],
    rejected: Iterable[Rejection],
    classes: Sequence[str],
    info: dict[str, Any],
    masked: Iterable[dict[str, Any]] = (),
    known: Iterable[str] = (),
) -> None:
    """Merge the journal into the tables and write ``dataset.json``: from here on the dataset can be opened.

    Args:
        source_ids: the sources that belong to the dataset.
        rejected: sources that were refused before they could be read.
        classes: labels in order; labels that the recordings add come after them, sorted.
        info: what ``dataset.json`` holds beside totals: name, format, settings, versions, ``simulated``,
            ``frame_size``, ``store`` (how frames are stored).
        masked: rows of ``masked.csv``, see ``datasets.quality``.
        known: ``known_sources`` from before the sources were listed. Those that are not among ``source_ids`` have
            vanished, and their files are removed; those of a source that another call has found since are not.

    Raises:
        ValueError: if a file that the journal names is gone.
    """
    ids = list(source_ids)
    entries = [entry for entry in (read_journal(root, source) for source in ids) if entry is not None]
    rows = recordings_table(row for e in entries for row in e["recordings"])
    segments = pd.DataFrame([s for e in entries for s in e["segments"]], columns=["id", "start_s", "end_s", "label"])
    refused = [asdict(r) for r in rejected] + [r for e in entries for r in e["rejected"]]
    table = pd.DataFrame(refused, columns=["id", "reason", "detail", "start_s", "end_s"])
    files = pd.DataFrame([f for e in entries for f in e["files"]], columns=["file", "bytes", "sha256"])
    tables = {"recordings": rows, "segments": segments, "rejected": table, "masked": mask_table(masked)}
    tables["files"] = files.sort_values("file", ignore_index=True)
    if gone := [name for name in tables["files"]["file"] if not (root / name).is_file()]:
        raise ValueError(
            f"{root / gone[0]}: was prepared and is gone ({len(gone)} such files): give the same command again, it "
            "prepares these recordings anew"
        )

    found = (set(rows["label"]) | set(segments["label"])) - {""}
    in_order = [name for name in classes if name in found]
    info = info | {
        "format_version": FORMAT_VERSION,
        "classes": in_order + sorted(found - set(in_order)),
        "subjects": sorted(set(rows["subject"]) - {""}),
        "recordings": len(rows),
        "hours": round(float(rows["duration_s"].sum()) / 3600, 4),
        "rejected": len(table),
    }
    texts = {root / f"{name}.csv": frame.to_csv(index=False) for name, frame in tables.items()}
    info["tables"] = {path.name: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    texts[root / "dataset.json"] = json.dumps(info, indent=2, default=str) + "\n"
    _write_temporary({path: text.encode() for path, text in texts.items()})  # a full disk leaves the old ones
    unfinish(root)
    _remove_strays(root, set(tables["files"]["file"]), set(known) - set(ids))
    for path in texts:  # dataset.json comes last
        temporary(path).replace(path)


def frame_store(info: dict[str, Any]) -> str:
    """How a dataset's frames are stored: ``jpeg`` (also where ``dataset.json`` does not say) or ``raw``."""
    name = info.get("store", "jpeg")
    if name not in FRAME_STREAMS:
        raise ValueError(
            f"dataset.json: store {name!r} must be {' or '.join(FRAME_STREAMS)}: prepare the dataset again"
        )
    return name


def known_sources(root: Path) -> set[str]:
    """Sources that the journal knows."""
    return {path.stem for path in (root / ".journal").glob("*.json")}


def possible_sources(file: Path) -> set[str]:
    """Ids of sources to which a file in the folder of a dataset may belong, finished or temporary, by its name."""
    name = file.name.rsplit(".", 2)[0] if file.suffix == ".tmp" else file.name  # <name>.<process>.tmp
    ids = {name.removesuffix(suffix) for suffix in (".idx.npy", ".npy", ".mjpeg", ".json") if name.endswith(suffix)}
    return {part for i in ids for part in (i, re.sub(r"_part\d+$", "", i)) if ID_PATTERN.fullmatch(part)}


def _remove_strays(root: Path, named: set[str], vanished: set[str]) -> None:
    """Delete what vanished sources left, and files that no journal names: but nothing of a source at work.

    Other calls may be preparing sources of this dataset, also some that this one has never heard of. Their files have
    their names before the journal names them; until then there is a note that the source was started.

    Args:
        named: files of the dataset.
        vanished: ids of sources.
    """
    for folder in (*_FILE_FOLDERS, ".journal"):
        for path in (root / folder).glob("*"):
            sources = possible_sources(path)
            if path.relative_to(root).as_posix() in named or any(started_path(root, s).exists() for s in sources):
                continue
            nameless = folder != ".journal" and path.suffix != ".tmp"
            # the journal is read after the note was looked for: its entry is written before the note goes
            if sources & vanished or (nameless and not any(_names(root, s, path) for s in sources)):
                path.unlink(missing_ok=True)  # another call may be ending at the same moment


def _names(root: Path, source_id: str, path: Path) -> bool:
    """Whether the journal entry of a source, as it is now, names a file."""
    entry = read_journal(root, source_id)
    return entry is not None and path.relative_to(root).as_posix() in {file["file"] for file in entry["files"]}


def unfinish(root: Path) -> None:
    """Close the dataset to readers until ``finish``: files that its tables speak of are about to change."""
    (root / "dataset.json").unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_temporary({path: text.encode()})
    temporary(path).replace(path)


def _write_temporary(contents: dict[Path, bytes]) -> None:
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


class Recordings:
    """Signals and frames of prepared recordings; they are read when first asked for.

    Those of a dataset that may not be opened yet are read through this class, those of an open one through ``Store``.

    Args:
        root: folder of the dataset.
        info: what ``dataset.json`` holds, or will hold.
        recordings: a row per recording, numbered from 0; columns of ``recordings.csv``.
    """

    def __init__(self, root: Path, info: dict[str, Any], recordings: pd.DataFrame):
        self.root, self.info, self.recordings = root, info, recordings
        for recording_id in recordings["id"]:
            _checked(recording_id)

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def simulated(self) -> bool:
        return bool(self.info["simulated"])

    def only(self, recording: int) -> "Recordings":
        """One recording by itself, as number 0: what is sent to a worker."""
        return Recordings(self.root, self.info, self.recordings.iloc[[recording]])

    def imu(self, recording: int) -> np.ndarray:
        """(T, 6) float32 of one recording, memory-mapped.

        Raises:
            ValueError: if the file is missing, damaged, or not as long as the table says.
        """
        row = self.recordings.iloc[recording]
        path = imu_path(self.root, row["id"])
        try:
            signal = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read ({error}); prepare the dataset again") from error
        if signal.shape != (row["samples"], len(CHANNELS)) or signal.dtype != np.float32:
            raise ValueError(f"{path}: holds {signal.dtype} {signal.shape}, the table says {row['samples']} samples")
        return signal

    def frames(self, recording: int) -> FrameStream | RawFrameStream:
        """The stored frames of one recording; it has none if ``len`` is 0."""
        return self._frame_streams[recording]

    @cached_property
    def _frame_streams(self) -> list[FrameStream | RawFrameStream]:
        # made once: looking a row up in a table takes as long as reading a frame's bytes
        kind, size = frame_store(self.info), int(self.info["frame_size"])
        rows = zip(self.recordings["id"], self.recordings["frames"].tolist(), strict=True)
        return [FRAME_STREAMS[kind](frames_path(self.root, name, kind), frames, size) for name, frames in rows]


class Store(Recordings):
    """A prepared dataset, opened for reading.

    Attributes:
        segments: id, start_s, end_s, label.
        masked: id, start_s, end_s, reason, value, threshold of stretches that windows must not touch; empty in a
            dataset that was prepared without it.
        classes: labels in order.
    """

    def __init__(self, root: Path):
        if not (root / "dataset.json").is_file():
            if (root / ".journal").is_dir():
                raise FileNotFoundError(
                    f"{root}: its preparation has not ended: give the same scripts.prepare command again, it goes on"
                )
            raise FileNotFoundError(
                f"{root} is not a prepared dataset (it has no dataset.json): "
                f"make it with python -m scripts.prepare --format F --raw DIR --out {root}"
            )
        info: dict[str, Any] = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
        version = info["format_version"]
        if version != FORMAT_VERSION:
            raise ValueError(f"{root}: format version {version}, this code reads {FORMAT_VERSION}: prepare it again")
        table = pd.read_csv(
            root / "recordings.csv", dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values={}
        )
        super().__init__(root, info, table)
        self.segments = pd.read_csv(root / "segments.csv", dtype={"id": str, "label": str}, keep_default_na=False)
        self.masked = pd.DataFrame(columns=MASK_COLUMNS)
        if (root / "masked.csv").is_file():
            self.masked = pd.read_csv(root / "masked.csv", dtype={"id": str, "reason": str})
        self.classes: list[str] = list(self.info["classes"])

    @cached_property
    def means(self) -> np.ndarray:
        """(R, 6) float64 mean of each recording's channels."""
        return self.recordings[[f"mean_{c}" for c in CHANNELS]].to_numpy(np.float64)

    @cached_property
    def stds(self) -> np.ndarray:
        """(R, 6) float64 standard deviation of each recording's channels."""
        return self.recordings[[f"std_{c}" for c in CHANNELS]].to_numpy(np.float64)

    def fingerprint(self) -> dict[str, Any]:
        """What a result should say of the data that it was computed on.

        The digest is over the tables: they hold every recording's moments and the digest of its source files.
        """
        facts = {k: self.info[k] for k in ("name", "classes", "recordings", "hours", "simulated", "settings")}
        names = ["recordings", "segments"] + (["masked"] if len(self.masked) else [])
        tables = [(self.root / f"{name}.csv").read_bytes() for name in names]
        return facts | {"sha256": hashlib.sha256(b"".join(tables)).hexdigest()}


def open_store(data_root: Path, name: str) -> Store:
    """Open ``data_root/name``; where it does not exist, the error names the datasets that do."""
    root = data_root / name
    if not root.is_dir():
        there = sorted(path.parent.name for path in data_root.glob("*/dataset.json"))
        raise FileNotFoundError(
            f"no dataset {name!r} under {data_root}: there is {', '.join(there) or 'none'}; "
            f"make it with python -m scripts.prepare --format F --raw DIR --out {root}"
        )
    return Store(root)
