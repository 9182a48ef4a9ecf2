"""Read a prepared dataset again, every byte of it, and name what is damaged."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import CHANNELS
from datasets.frames import FrameError, index_path
from datasets.masking import LISTED, RULES, VIDEO_OFFSET
from datasets.recording import ID_PATTERN
from datasets.store import Store, frames_path, imu_path
from utils.atomic_io import sha256_of

FRAMES_DECODED = 10  # of each recording: the first, the last, and some between, drawn by its number
_TOLERANCE_S = 0.011  # half a sample, and rounding


@dataclass
class VerifyReport:
    """What was read and what is wrong with it.

    Attributes:
        damage: a line per damaged file or contradiction, the file first.
        unchecked: what could not be checked, and why.
    """

    root: Path
    checked: dict[str, int] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For the terminal."""
        read = ", ".join(f"{number} {what}" for what, number in self.checked.items())
        verdict = f"{len(self.damage)} damaged" if self.damage else "sound"
        remedy = ["prepare the dataset again: the same command writes anew what is missing; remove damaged files first"]
        return [f"{self.root}: {verdict}; read {read}", *self.unchecked, *self.damage, *(remedy if self.damage else [])]


def verify(root: Path) -> VerifyReport:
    """Compare a dataset's files with its tables, and its tables with each other.

    Raises:
        FileNotFoundError: if the folder holds no prepared dataset.
    """
    report = VerifyReport(root)
    if not (root / "dataset.json").is_file():
        raise FileNotFoundError(f"{root} is not a prepared dataset, or its preparation has not ended: no dataset.json")
    _check_tables(report)
    try:
        store = Store(root)
        rows = store.recordings[["id", "samples", "frames", "duration_s"]]
        rows = rows.astype({"samples": int, "frames": int, "duration_s": float})
    except (OSError, ValueError, KeyError) as error:
        report.damage.append(f"tables: the dataset cannot be opened ({error})")
        return report
    try:
        _check_content(report, store)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # a table holds what no table should
        report.damage.append(f"tables: cannot be compared further ({error})")
    return report


def _check_content(report: VerifyReport, store: Store) -> None:
    """Files against tables, and tables against each other."""
    changed = _check_files(report)
    _check_counts(report, store)
    frames = 0
    for recording in range(len(store.recordings)):
        _check_signal(report, store, recording, changed)
        frames += _check_frames(report, store, recording, changed)
    report.checked |= {"recordings": len(store.recordings), "frames decoded": frames}
    _check_stretches(report, store, "segments", store.segments)
    _check_stretches(report, store, "masked", store.masked)


def _check_tables(report: VerifyReport) -> None:
    """Tables against their digests in ``dataset.json``."""
    try:
        info = json.loads((report.root / "dataset.json").read_text(encoding="utf-8"))
    except ValueError as error:
        report.damage.append(f"dataset.json: is no JSON ({error})")
        return
    tables = info.get("tables", {})
    if not tables:
        report.damage.append("dataset.json: holds no digests of the tables")
    for name, digest in tables.items():
        path = report.root / name
        if not path.is_file():
            report.damage.append(f"{name}: is missing")
        elif problem := _problem(path, digest, "was changed since the preparation"):
            report.damage.append(f"{name}: {problem}")
    report.checked["tables"] = len(tables)


def _check_files(report: VerifyReport) -> set[str]:
    """Files against ``files.csv``; returns those that are not as they were written."""
    path = report.root / "files.csv"
    if not path.is_file():
        return set()
    table = pd.read_csv(path, dtype={"file": str, "sha256": str})
    changed = set()
    for row in table.itertuples():
        file = (report.root / row.file).resolve()
        if not file.is_relative_to(report.root.resolve()):
            problem = "lies outside the dataset"
        elif not file.is_file():
            problem = "is missing"
        elif file.stat().st_size != row.bytes:
            problem = f"has {file.stat().st_size} bytes, was written with {row.bytes}"
        elif not (problem := _problem(file, row.sha256, "holds other bytes than were written (SHA-256 differs)")):
            continue
        changed.add(row.file)
        report.damage.append(f"{row.file}: {problem}")
    known, unfinished = set(table["file"]), 0
    begun = "|".join(re.escape(path.stem) for path in (report.root / ".journal").glob("*.started"))
    for folder in ("imu", "quality", "frames"):
        for file in sorted((report.root / folder).glob("*")):
            if f"{folder}/{file.name}" in known:
                continue
            if begun and re.match(rf"({begun})(_part\d+)?\.(npy|idx\.npy|mjpeg)", file.name):
                unfinished += 1
            else:
                report.damage.append(f"{folder}/{file.name}: is in no table")
    if unfinished:
        report.unchecked.append(f"{unfinished} files are of recordings whose preparation was begun and has not ended")
    report.checked["files"] = len(table)
    return changed


def _problem(path: Path, digest: str, differs: str) -> str:
    """What is wrong with a file's content, empty if nothing is; what cannot be read must not hide the rest."""
    try:
        return "" if sha256_of(path) == digest else differs
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _check_counts(report: VerifyReport, store: Store) -> None:
    for name, there in (("recordings", len(store.recordings)), ("rejected", _lines(store.root / "rejected.csv"))):
        if there != store.info[name]:
            report.damage.append(f"{name}.csv: has {there} rows, dataset.json says {store.info[name]}")
    twice = store.recordings["id"][store.recordings["id"].duplicated()]
    if len(twice):
        report.damage.append(f"recordings.csv: {twice.iloc[0]} stands there more than once")
    for source, rows in store.recordings.groupby("source"):
        if not ID_PATTERN.fullmatch(source):
            report.damage.append(f"recordings.csv: source {source!r} of {rows['id'].iloc[0]} is no id")
        elif rows["source_hash"].nunique() > 1:
            report.damage.append(f"recordings.csv: parts of source {source} have different source_hash")
    if strange := sorted(set(store.recordings["label"]) - set(store.classes) - {""}):
        report.damage.append(f"recordings.csv: label {strange[0]!r} is not among the classes of dataset.json")


def _lines(path: Path) -> int:
    return len(pd.read_csv(path, dtype=str)) if path.is_file() else 0


def _check_signal(report: VerifyReport, store: Store, recording: int, changed: set[str]) -> None:
    """Length and type, values, and mean and standard deviation as in the table.

    Args:
        changed: files that are named already.
    """
    name = imu_path(store.root, store.recordings["id"].iloc[recording]).name
    if f"imu/{name}" in changed:
        return
    try:
        signal = np.asarray(store.imu(recording))
    except ValueError as error:
        report.damage.append(str(error).replace(f"{store.root}/", ""))
        return
    if missing := int((~np.isfinite(signal)).any(1).sum()):
        report.damage.append(f"imu/{name}: {missing} samples are NaN or infinite")
        return
    signal = signal[: store.measured_samples[recording]]
    for what, there, wanted in (
        ("mean", signal.mean(0, dtype=np.float64), store.means[recording]),
        ("std", signal.std(0, dtype=np.float64), store.stds[recording]),
    ):
        if len(wrong := np.flatnonzero(~np.isclose(there, wanted, rtol=1e-5, atol=1e-6))):
            channel = wrong[0]
            report.damage.append(
                f"imu/{name}: {what} of {CHANNELS[channel]} is {there[channel]:.6g}, recordings.csv says "
                f"{wanted[channel]:.6g}"
            )
            return


def _check_frames(report: VerifyReport, store: Store, recording: int, changed: set[str]) -> int:
    """Offsets of all frames, and a few of them decoded; returns how many.

    Args:
        changed: files that are named already.
    """
    stream = store.frames(recording)
    if len(stream) == 0:
        return 0
    path = frames_path(store.root, store.recordings["id"].iloc[recording])
    index = index_path(path)
    names = {f"frames/{file.name}" for file in (path, index)}
    if names & changed:
        return 0
    try:
        offsets = np.load(index, allow_pickle=False)
        end = path.stat().st_size
    except (OSError, ValueError) as error:
        report.damage.append(f"frames/{index.name}: cannot be read ({error})")
        return 0
    if len(offsets) != len(stream) + 1 or offsets[0] != 0 or offsets[-1] != end or (np.diff(offsets) <= 0).any():
        report.damage.append(
            f"frames/{index.name}: its {len(offsets)} offsets do not cut {end} bytes into {len(stream)} frames"
        )
        return 0
    drawn = np.random.default_rng(recording).integers(0, len(stream), FRAMES_DECODED - 2)
    chosen = np.unique(np.concatenate([[0, len(stream) - 1], drawn]))
    try:
        for number in chosen:  # one at a time: the error then names the frame
            stream.read(np.array([number]))
    except FrameError as error:
        report.damage.append(f"frames/{error.path.name}: {error.problem}")
    return len(chosen)


def _check_stretches(report: VerifyReport, store: Store, name: str, table: pd.DataFrame) -> None:
    """Stretches lie within recordings that exist; reasons are known ones."""
    duration_s = store.recordings.drop_duplicates("id").set_index("id")["duration_s"]
    known = {rule.reason for rule in RULES} | {VIDEO_OFFSET, LISTED}
    for row in table.itertuples():
        if row.id not in duration_s.index:
            problem = "there is no such recording"
        elif not 0 <= row.start_s < row.end_s <= float(duration_s[row.id]) + _TOLERANCE_S:
            problem = f"{row.start_s:g} to {row.end_s:g} s do not lie within its {duration_s[row.id]:g} s"
        elif name == "masked" and row.reason not in known:
            problem = f"unknown reason {row.reason!r}"
        else:
            continue
        report.damage.append(f"{name}.csv: {row.id}: {problem}")
    report.checked[f"rows of {name}.csv"] = len(table)
