"""The Parkinson's study of the paper, or any patients' recordings kept like it: no video.

    <patient>/<class>/<recording>.csv     time, date and six channels, 50 Hz

The study's column names are not public, so columns and units (m/s² or g, rad/s or deg/s) are settings. ``time`` may be
seconds, or the time of day with its ``date`` beside it. Axes are the sensor's own, as the columns are named.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import CHANNELS
from datasets.formats.delimited import read_numbers
from datasets.formats.listing import id_from, need_folder
from datasets.formats.units import ACC_UNITS, GYRO_UNITS
from datasets.recording import BadRecording, Found, Recording, Rejection, Source

OPTIONS = ("imu_columns", "time_column", "acc_unit", "gyro_unit")
CLASSES = ("walking", "turning", "bending", "standing", "sitting")


def find(
    raw: Path, imu_columns: Sequence[str] | None, time_column: str | None, acc_unit: str | None, gyro_unit: str | None
) -> Found:
    """List the tables.

    Args:
        imu_columns: names of acceleration x, y, z and angular rate x, y, z; default: acc_x ... gyro_z.
        time_column: default: time.
        acc_unit: m/s2 (default) or g.
        gyro_unit: rad/s (default) or deg/s.

    Raises:
        FileNotFoundError: if there is no table at the right depth.
    """
    need_folder(raw, "give the folder with one folder per patient as --raw")
    layout = "the layout is <patient>/<class>/<recording>.csv"
    columns = (time_column or "time", tuple(imu_columns or CHANNELS))
    factors = np.repeat([ACC_UNITS[acc_unit or "m/s2"], GYRO_UNITS[gyro_unit or "rad/s"]], 3)
    sources, rejected = [], []
    for path in sorted(raw.rglob("*.csv")):
        place = path.relative_to(raw).with_suffix("").parts
        if len(place) != 3:
            rejected.append(Rejection(id_from(*place), "unexpected_place", f"{path}: {layout}"))
            continue
        job = partial(parse, id_from(*place), path, place[0], place[1], columns, factors)
        sources.append(Source(id_from(*place), (path,), job))
    if not sources:
        raise FileNotFoundError(f"{raw} holds no table: {layout}")
    return Found(tuple(sources), tuple(rejected), CLASSES)


def parse(
    recording_id: str, path: Path, patient: str, label: str, columns: tuple[str, tuple[str, ...]], factors: np.ndarray
) -> Recording:
    """Read one table.

    Args:
        columns: name of the time column, names of the six channels.
        factors: (6,) from the table's units to SI.

    Raises:
        BadRecording: if it cannot be used.
    """
    time_column, imu_columns = columns
    try:
        table, cut = read_numbers(path, imu_columns, text_columns=(time_column,))
    except BadRecording as error:
        if error.reason == "missing_column":
            message = f"{error.message}; name yours with --time_column and --imu_columns"
            raise BadRecording(error.reason, message) from error
        raise
    time_s = _seconds(path, table[time_column])
    imu = table[list(imu_columns)].to_numpy() * factors
    notes = {"cut_off_rows": cut} if cut else {}
    return Recording(recording_id, time_s, imu[:, :3], time_s, imu[:, 3:], subject=patient, label=label, notes=notes)


def _seconds(path: Path, stamps: pd.Series) -> np.ndarray:
    """(N,) seconds after the first stamp; empty cells become NaN."""
    seconds = pd.to_numeric(stamps, errors="coerce")
    if seconds[stamps != ""].isna().any():  # the time of day
        dates = read_numbers(path, (), text_columns=("date",))[0]["date"]
        clock = pd.to_datetime(dates + " " + stamps, errors="coerce", format="ISO8601")
        if (wrong := clock.isna() & (stamps != "")).any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadRecording(
                "text_cell",
                f"{path}: row {row + 1} has the time {dates[row]!r} {stamps[row]!r}, want seconds, or YYYY-MM-DD in "
                "column date and HH:MM:SS.fff here",
            )
        seconds = (clock - clock.min()).dt.total_seconds()
    return (seconds - seconds.min()).to_numpy(np.float64)
