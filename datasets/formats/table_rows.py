"""One recording of described tables: its rows to SI units, times, labels and subject."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import ACC_UNITS, GYRO_UNITS, TIME_UNITS
from configs.table import Counts, TableConfig, same_value
from datasets.formats.annotations import one_label, rows_of, stretches
from datasets.formats.common import sampling_times, segments_of
from datasets.formats.delimited import read_numbers, read_parquet
from datasets.recording import BadRecording, Recording, Segment


@dataclass(frozen=True)
class Files:
    """The files of one recording."""

    acc: Path
    gyro: Path | None
    annotations: Path | None
    video: Path | None

    def __repr__(self) -> str:
        """Names alone: a recording is not prepared again because its folder moved."""
        return f"Files({', '.join(path.name for path in self.there())})"

    def there(self) -> tuple[Path, ...]:
        """Those that it has."""
        return tuple(file for file in (self.acc, self.gyro, self.annotations, self.video) if file is not None)


def parse(
    recording_id: str,
    files: Files,
    parts: dict[str, str],
    how: TableConfig,
    sensor: str,
    missing_gyro: str | None = None,
) -> Recording:
    """Read one recording.

    Args:
        parts: what the path says: subject, session, label.
        sensor: its name, if the description has several.
        missing_gyro: see ``datasets.formats.table.find``.

    Raises:
        BadRecording: if it cannot be used.
    """
    path = files.acc
    if how.gyro is None and missing_gyro is None:
        raise BadRecording(
            "missing_gyro",
            f"{path}: its description names no gyro columns; --missing_gyro zeros prepares acceleration alone",
        )
    texts = [name for name in (how.label, how.subject) if name is not None]
    axes, turning = [*how.acc, *(how.gravity or [])], how.gyro or []
    table, cut = _read(path, how, axes if files.gyro else [*axes, *turning], texts)
    of_gyro, more = _read(files.gyro, how, turning, []) if files.gyro else (table, 0)
    empty = [name for frame, names in ((table, axes), (of_gyro, turning)) for name in names if frame[name].isna().all()]
    if sensor and empty:
        raise BadRecording("not_worn", f"{path}: {', '.join(empty)} hold no value; try another --sensor")
    time_s, first = _seconds(path, table, how)
    gyro_time_s = _seconds(files.gyro, of_gyro, how, first)[0] if files.gyro else time_s
    if how.time_of == "arrival":
        gyro_time_s = sampling_times(gyro_time_s)
        time_s = sampling_times(time_s) if files.gyro else gyro_time_s
    acc = table[how.acc].to_numpy(np.float64)
    if how.gravity is not None:
        acc = acc + table[how.gravity].to_numpy(np.float64)
    notes: dict[str, str | float | int] = {"sensor": sensor} if sensor else {}
    first_stamp_s = 0.0
    if first is not None:
        first_stamp_s = first.timestamp() if isinstance(first, pd.Timestamp) else first * TIME_UNITS[how.time_unit]
        notes |= {} if how.video_clock else {"first_stamp_s": round(first_stamp_s, 6)}
    notes |= {"cut_off_rows": cut + more} if cut + more else {}
    if how.gyro is None:
        gyro_time_s = time_s[np.isfinite(time_s) & np.isfinite(acc).all(1)]  # what is not there is not counted as lost
        gyro = np.zeros((len(gyro_time_s), 3))
    else:
        gyro = of_gyro[how.gyro].to_numpy(np.float64) * _factor(GYRO_UNITS[how.gyro_unit], how.gyro_counts_per_unit)

    label, segments, outside = _labels(files, parts, how, table, time_s, first_stamp_s)
    notes |= {"labels_outside": outside} if outside else {}
    subject = parts.get("subject", "") if how.subject is None else _subject(path, table[how.subject])
    subject = (how.subjects or {}).get(same_value(subject), subject)
    run = recording_id.removesuffix(f"-{sensor}") if sensor else ""  # what all sensors of a recording share
    session = "_".join(filter(None, (subject, parts["session"]))) if parts.get("session") else run
    return Recording(
        recording_id,
        time_s,
        acc * _factor(ACC_UNITS[how.acc_unit], how.acc_counts_per_unit),
        gyro_time_s,
        gyro,
        subject=subject,
        session=session,  # everybody may have had a Monday
        label=label,
        video=files.video,
        segments=segments,
        notes=notes,
        counted_time=how.rate_hz is not None,
        missing_gyro=how.gyro is None,
    )


def _labels(
    files: Files, parts: dict[str, str], how: TableConfig, table: pd.DataFrame, time_s: np.ndarray, first_stamp_s: float
) -> tuple[str, tuple[Segment, ...], int]:
    """Label of the whole recording, labelled stretches, and how many annotations lie outside it."""
    if "label" in parts:
        return _renamed(files.acc, parts["label"], how), (), 0
    if how.label is not None:
        names = {value: _renamed(files.acc, value, how) for value in table[how.label].unique()}
        return "", segments_of(time_s, table[how.label].map(names).to_numpy(object)), 0
    if how.annotations is None:
        return "", (), 0
    path = files.annotations
    rows = rows_of(path, how.annotations, parts)
    if how.annotations.start is None:
        return _renamed(path, one_label(path, rows, how.annotations), how), (), 0
    called = partial(_renamed, path, how=how)
    return "", *stretches(path, rows, how.annotations, time_s, first_stamp_s, called)


def _factor(unit: float, counts: Counts) -> float | np.ndarray:
    """From counts to SI, of all axes or of each."""
    return unit / (np.array(counts) if isinstance(counts, list) else counts)


def _read(path: Path, how: TableConfig, axes: list[str], texts: list[str]) -> tuple[pd.DataFrame, int]:
    """Channels as numbers; label, subject and dates as text; time as either."""
    numbers = list(axes)
    if how.time is not None:
        texts, numbers = ([*texts, how.time], numbers) if how.time_unit == "date" else (texts, [*numbers, how.time])
    try:
        if path.suffix == ".parquet":
            return read_parquet(path, numbers, texts), 0
        return read_numbers(path, numbers, how.columns, texts, how.separator, how.decimal, how.line_end)
    except BadRecording as error:
        if error.reason == "missing_column":
            raise BadRecording(error.reason, f"{error.message}; mend the names in the YAML file") from error
        raise


def _seconds(
    path: Path, table: pd.DataFrame, how: TableConfig, first: float | pd.Timestamp | None = None
) -> tuple[np.ndarray, float | pd.Timestamp | None]:
    """(N,) float64 seconds, and the stamp at which they are 0.

    Args:
        first: that stamp; None: of the first row that has a time, or 0 where the time is the video's clock.
    """
    if how.rate_hz is not None:
        return np.arange(len(table)) / how.rate_hz, None
    stamps = table[how.time]
    if how.time_unit == "date":
        dates = pd.to_datetime(stamps, errors="coerce", format="ISO8601", utc=True)
        if (wrong := dates.isna() & (stamps != "")).any():
            row = int(np.flatnonzero(wrong)[0])
            message = f"{path}: row {row + 1} has the time {stamps.iloc[row]!r}, want ISO 8601: 2024-05-01T10:00:00.25"
            raise BadRecording("text_cell", message)
        stamps = dates
    timed = stamps.dropna() if how.time_unit == "date" else stamps[np.isfinite(stamps)]
    if timed.empty:
        raise BadRecording("missing_time", f"{path}: column {how.time} holds no time; give rate_hz if rows are even")
    if first is None:
        first = 0.0 if how.video_clock else timed.iloc[0]
    # the difference first: nanoseconds since 1970 fill a float64
    if how.time_unit == "date":
        return (stamps - first).dt.total_seconds().to_numpy(np.float64), first  # NaN where there is no date
    return (stamps.to_numpy(np.float64) - first) * TIME_UNITS[how.time_unit], float(first)


def _renamed(path: Path, value: str, how: TableConfig) -> str:
    if how.labels is None or value == "":
        return value
    if same_value(value) not in how.labels:
        known = ", ".join(how.labels)
        raise BadRecording("unknown_label", f"{path}: has the label {value!r}, labels in the YAML file has {known}")
    return how.labels[same_value(value)]


def _subject(path: Path, column: pd.Series) -> str:
    names = [name for name in column.unique() if name]
    if len(names) > 1:
        message = f"{path}: holds {len(names)} subjects ({', '.join(names[:3])} ...); split it, one file per subject"
        raise BadRecording("several_subjects", message)
    return names[0] if names else ""
