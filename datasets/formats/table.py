"""Anybody's tables, described by a YAML file (``configs/table.py`` says what can stand in it); one file, one recording.

    python -m scripts.prepare --format table --table mine.yaml --raw DIR --out data/mine

Text files (.csv, .txt, or these .gz) and Parquet. Units are what the YAML says and become m/s² and rad/s; axes stay the
sensor's own. Where there is a video, time 0 is its first frame.
"""

import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.load import build, read_yaml
from configs.table import TableConfig
from datasets.formats.common import (
    ACC_UNITS,
    GYRO_UNITS,
    TIME_UNITS,
    fill,
    id_from,
    match_paths,
    need_folder,
    segments_of,
)
from datasets.formats.delimited import read_numbers, read_parquet
from datasets.recording import BadRecording, Found, Recording, Rejection, Source

OPTIONS = ("table",)


def find(raw: Path, table: Path) -> Found:
    """List the files that fit the description.

    Args:
        table: YAML file.

    Raises:
        FileNotFoundError: if no file fits.
        ValueError: if the description cannot be used (``ConfigError``), or Parquet cannot be read here.
    """
    need_folder(raw, "give the folder with your tables as --raw")
    how = build(TableConfig, read_yaml(table), str(table))
    sources, rejected = [], []
    for path, parts in match_paths(raw, how.files):
        place = path.relative_to(raw)
        stem = place.name.removesuffix(".gz").rpartition(".")[0] or place.name
        recording_id = id_from(*place.parent.parts, stem)
        files = [path]
        if how.video is not None:
            video = raw / fill(how.video, parts | {"stem": stem, "folder": place.parent.as_posix()})
            if not video.is_file():
                rejected.append(Rejection(recording_id, "missing_video", f"{video}: belongs to {path}, is not there"))
                continue
            files.append(video)
        sources.append(Source(recording_id, tuple(files), partial(parse, recording_id, tuple(files), parts, how)))
    if not sources and not rejected:
        raise FileNotFoundError(f"{raw} holds no file like {how.files}: mend files in {table}, or --raw")
    if any(source.files[0].suffix == ".parquet" for source in sources) and not importlib.util.find_spec("pyarrow"):
        raise ValueError("Parquet is read by pyarrow, which is not installed: pip install pyarrow, or convert to CSV")
    classes = tuple(dict.fromkeys(name for name in (how.labels or {}).values() if name))
    notes = {"table": how.model_dump_json(exclude_unset=True)}  # the dataset travels without the YAML
    return Found(tuple(sources), tuple(rejected), classes, notes)


def parse(recording_id: str, files: tuple[Path, ...], parts: dict[str, str], how: TableConfig) -> Recording:
    """Read one table.

    Args:
        files: the table and, if there is one, its video.
        parts: what the path says: subject, session, label.

    Raises:
        BadRecording: if it cannot be used.
    """
    path = files[0]
    if how.gyro is None or how.gyro_unit is None:
        raise BadRecording(
            "missing_gyro", f"{path}: its description names no gyro columns; all six channels are needed"
        )
    axes = [*how.acc, *how.gyro]
    table, cut = _read(path, how, axes)
    time_s = np.arange(len(table)) / how.rate_hz if how.rate_hz else _seconds(path, table[how.time], how)
    label = _renamed(path, parts.get("label", ""), how) if "label" in parts else ""
    segments = ()
    if how.label is not None:
        names = {value: _renamed(path, value, how) for value in table[how.label].unique()}
        segments = segments_of(time_s, table[how.label].map(names).to_numpy(object))
    subject = parts.get("subject", "") if how.subject is None else _subject(path, table[how.subject])
    session = "_".join(filter(None, (subject, parts["session"]))) if parts.get("session") else ""
    return Recording(
        recording_id,
        time_s,
        table[how.acc].to_numpy(np.float64) * (ACC_UNITS[how.acc_unit] / how.acc_counts_per_unit),
        time_s,
        table[how.gyro].to_numpy(np.float64) * (GYRO_UNITS[how.gyro_unit] / how.gyro_counts_per_unit),
        subject=subject,
        session=session,  # everybody may have had a Monday
        label=label,
        video=files[1] if len(files) > 1 else None,
        segments=segments,
        notes={"cut_off_rows": cut} if cut else {},
        counted_time=how.rate_hz is not None,
    )


def _read(path: Path, how: TableConfig, axes: list[str]) -> tuple[pd.DataFrame, int]:
    """Channels as numbers; label, subject and dates as text; time as either."""
    texts = [name for name in (how.label, how.subject) if name is not None]
    numbers = list(axes)
    if how.time is not None:
        (texts if how.time_unit == "date" else numbers).append(how.time)
    try:
        if path.suffix == ".parquet":
            return read_parquet(path, numbers, texts), 0
        return read_numbers(path, numbers, how.columns, texts, how.separator, how.decimal)
    except BadRecording as error:
        if error.reason == "missing_column":
            raise BadRecording(error.reason, f"{error.message}; mend the names in the YAML file") from error
        raise


def _seconds(path: Path, stamps: pd.Series, how: TableConfig) -> np.ndarray:
    """(N,) float64 seconds; 0 is the first row that has a time, unless the video's clock is given."""
    if how.time_unit == "date":
        dates = pd.to_datetime(stamps, errors="coerce", format="ISO8601", utc=True)
        if (wrong := dates.isna() & (stamps != "")).any():
            row = int(np.flatnonzero(wrong)[0])
            message = f"{path}: row {row + 1} has the time {stamps.iloc[row]!r}, want ISO 8601: 2024-05-01T10:00:00.25"
            raise BadRecording("text_cell", message)
        seconds = (dates - dates.min()).dt.total_seconds().to_numpy(np.float64)  # NaN where there is no date
    else:
        seconds = stamps.to_numpy(np.float64)
    timed = seconds[np.isfinite(seconds)]
    if len(timed) == 0:
        raise BadRecording("missing_time", f"{path}: column {how.time} holds no time; give rate_hz if rows are even")
    # the difference first: nanoseconds since 1970 fill a float64
    begin = 0.0 if how.video_clock else timed[0]
    return (seconds - begin) * TIME_UNITS.get(how.time_unit or "s", 1.0)


def _renamed(path: Path, value: str, how: TableConfig) -> str:
    if how.labels is None or value == "":
        return value
    if value not in how.labels:
        known = ", ".join(how.labels)
        raise BadRecording("unknown_label", f"{path}: has the label {value!r}, labels in the YAML file has {known}")
    return how.labels[value]


def _subject(path: Path, column: pd.Series) -> str:
    names = [name for name in column.unique() if name]
    if len(names) > 1:
        message = f"{path}: holds {len(names)} subjects ({', '.join(names[:3])} ...); split it, one file per subject"
        raise BadRecording("several_subjects", message)
    return names[0] if names else ""
