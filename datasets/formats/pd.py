"""The Parkinson's study of the paper, or any patients' recordings kept like it: no video.

    <patient>/<class>/<recording>.csv     time, date and six channels, 50 Hz

The study's column names are not public, so columns and units (m/s² or g, rad/s or deg/s, or raw counts) are settings.
``time`` may be seconds, or the time of day (24 h, or 12 h with AM or PM), its date before it or in a column of its own.
Where stamps are whole seconds, or tell nothing, ``rate_hz`` says how far the rows are apart; a row that is missing then
goes unseen. Axes are the sensor's own, as the columns are named.

The authors of the paper read 4096 counts per g, 32.8 counts per deg/s and 50 Hz, take files of 4 s and more, and fill
each file's last window up with zeros. Zeros among accelerations in m/s² would be free fall: a step of gravity that
nobody made. With ``pad_last`` a stretch of 4 s or more is filled up with the mean of its channels, which is zero once
it is z-scored by recording, and leaves gravity where it was. Mean and standard deviation do not count the filling, and
``padded_samples`` in the recording's notes says how long it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import ACC_UNITS, CHANNELS, GYRO_UNITS
from datasets.formats.common import id_from, need_folder
from datasets.formats.delimited import read_numbers
from datasets.recording import BadRecording, Found, Recording, Rejection, Source

OPTIONS = (
    "imu_columns",
    "time_column",
    "date_column",
    "rate_hz",
    "acc_unit",
    "gyro_unit",
    "acc_counts_per_g",
    "gyro_counts_per_deg_s",
    "pad_last",
)
PAD_FROM_S = 4.0  # the authors'
_CLOCKS = ("ISO8601", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M:%S.%f %p")
CLASSES = ("walking", "turning", "bending", "standing", "sitting")


@dataclass(frozen=True)
class Columns:
    """Where a table keeps what.

    Attributes:
        imu: acceleration x, y, z and angular rate x, y, z.
        time: column of the time, not read if there is a rate.
        date: column of the date that belongs to ``time``; None: ``date``, if ``time`` is a time of day without one.
        rate_hz: of rows that are evenly spaced; None: as ``time`` says.
    """

    imu: tuple[str, ...]
    time: str
    date: str | None
    rate_hz: float | None


def find(
    raw: Path,
    imu_columns: Sequence[str] | None = None,
    time_column: str | None = None,
    date_column: str | None = None,
    rate_hz: float | None = None,
    acc_unit: str | None = None,
    gyro_unit: str | None = None,
    acc_counts_per_g: float | None = None,
    gyro_counts_per_deg_s: float | None = None,
    pad_last: bool | None = None,
) -> Found:
    """List the tables.

    Args:
        imu_columns: names of acceleration x, y, z and angular rate x, y, z; default: acc_x ... gyro_z.
        time_column: default: time.
        date_column: of the date, where ``time_column`` holds the time of day alone; default: date.
        rate_hz: rows are evenly spaced; default: as the time column says.
        acc_unit: m/s2 (default) or g.
        gyro_unit: rad/s (default) or deg/s.
        acc_counts_per_g, gyro_counts_per_deg_s: of raw counts, instead of units.
        pad_last: fill up the last window of stretches of 4 s or more.

    Raises:
        FileNotFoundError: if there is no table at the right depth.
    """
    need_folder(raw, "give the folder with one folder per patient as --raw")
    layout = "the layout is <patient>/<class>/<recording>.csv"
    columns = Columns(tuple(imu_columns or CHANNELS), time_column or "time", date_column, rate_hz)
    acc = ACC_UNITS["g"] / acc_counts_per_g if acc_counts_per_g else ACC_UNITS[acc_unit or "m/s2"]
    gyro = GYRO_UNITS["deg/s"] / gyro_counts_per_deg_s if gyro_counts_per_deg_s else GYRO_UNITS[gyro_unit or "rad/s"]
    factors = np.repeat([acc, gyro], 3)
    pad_from_s = PAD_FROM_S if pad_last else None
    sources, rejected = [], []
    for path in sorted(raw.rglob("*.csv")):
        place = path.relative_to(raw).with_suffix("").parts
        if len(place) != 3:
            rejected.append(Rejection(id_from(*place), "unexpected_place", f"{path}: {layout}"))
            continue
        job = partial(parse, id_from(*place), path, place[0], place[1], columns, factors, pad_from_s)
        sources.append(Source(id_from(*place), (path,), job))
    if not sources:
        raise FileNotFoundError(f"{raw} holds no table: {layout}")
    return Found(tuple(sources), tuple(rejected), CLASSES)


def parse(
    recording_id: str,
    path: Path,
    patient: str,
    label: str,
    columns: Columns,
    factors: np.ndarray,
    pad_from_s: float | None,
) -> Recording:
    """Read one table.

    Args:
        factors: (6,) from the table's units to SI.
        pad_from_s: see ``Recording``.

    Raises:
        BadRecording: ``whole_seconds``, ``text_cell`` if a time is none, or as ``read_numbers``.
    """
    try:
        table, cut = read_numbers(path, columns.imu, text_columns=() if columns.rate_hz else (columns.time,))
        time_s = np.arange(len(table)) / columns.rate_hz if columns.rate_hz else _seconds(path, table, columns)
    except BadRecording as error:
        if error.reason == "missing_column":
            message = f"{error.message}; name yours with --time_column, --date_column and --imu_columns"
            raise BadRecording(error.reason, message) from error
        raise
    imu = table[list(columns.imu)].to_numpy() * factors
    return Recording(
        recording_id,
        time_s,
        imu[:, :3],
        time_s,
        imu[:, 3:],
        subject=patient,
        label=label,
        notes={"cut_off_rows": cut} if cut else {},
        counted_time=columns.rate_hz is not None,
        pad_from_s=pad_from_s,
    )


def _seconds(path: Path, table: pd.DataFrame, columns: Columns) -> np.ndarray:
    """(N,) seconds after the first stamp; empty cells become NaN."""
    stamps = table[columns.time]
    seconds = pd.to_numeric(stamps, errors="coerce")
    if columns.date is not None or (seconds.isna().all() and (stamps != "").any()):
        clock = _clock(path, stamps, columns.date)
        seconds = (clock - clock.min()).dt.total_seconds()
    if (wrong := seconds.isna() & (stamps != "")).any():
        row = int(np.flatnonzero(wrong)[0])
        raise BadRecording(
            "text_cell",
            f"{path}: row {row + 1} has the time {stamps[row]!r}, want seconds, or 2023-03-01 23:59:59.98, or "
            f"2023/03/01 11:59:59.98 PM, the date before it or in column {columns.date or 'date'} (--date_column)",
        )
    time_s = (seconds - seconds.min()).to_numpy(np.float64)
    timed = np.sort(time_s[np.isfinite(time_s)])
    if len(timed) > 1 and np.median(np.diff(timed)) == 0 and (timed % 1 == 0).all():
        raise BadRecording(
            "whole_seconds",
            f"{path}: column {columns.time} has {len(np.unique(timed))} times for {len(timed)} rows, all of them whole "
            "seconds; say how many rows are a second, such as --rate_hz 50",
        )
    return time_s


def _clock(path: Path, stamps: pd.Series, date_column: str | None) -> pd.Series:
    """(N,) date and time of text stamps, NaT where one is none."""
    text = stamps
    if date_column is not None or not stamps.str.match(r"\d{4}[-/]").any():
        name = date_column or "date"
        text = read_numbers(path, (), text_columns=(name,))[0][name] + " " + stamps
    text = text.str.replace("/", "-")
    whole, half, half_with_fraction = (
        pd.to_datetime(text, errors="coerce", format=format, utc=True).dt.as_unit("us") for format in _CLOCKS
    )
    return whole.fillna(half).fillna(half_with_fraction)
