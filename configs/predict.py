"""Settings of the commands that apply a classifier to recordings: predict, collate."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, field_validator, model_validator

from configs.base import Config, Share, setting
from configs.constants import ACC_UNITS, DATE_UNITS, GYRO_UNITS, IMU_RATE_HZ, TIME_UNITS
from configs.data import DESCRIBED, PARSED

PLAIN_ONLY = ("csv_columns", "acc_unit", "gyro_unit", "time_unit", "sample_rate")
SHIPPED = "daily_movements"  # the classifier in models/weights
RecordingFormat = Literal["csv", *PARSED, *DESCRIBED]
TimeUnit = Literal[*TIME_UNITS, *DATE_UNITS]
TIME_UNIT_HELP = (
    "csv: unit of the time, since 1970 or since a start; date: dates, as ISO 8601 or in an order that numbers over 12 "
    "tell; dmy, mdy: dates such as 03/04/2026 of which the day, or the month, comes first; default: by the first stamps"
)


def column_names(csv_columns: str | None, timed: bool = True) -> list[str] | None:
    """Names in the setting ``csv_columns``; None where it names none.

    Args:
        timed: whether the first is the time.

    Raises:
        ValueError: if they are not as many as there may be, or one is there twice.
    """
    if csv_columns is None:
        return None
    names = [name.strip() for name in csv_columns.split(",")]
    if len(names) not in (3 + timed, 6 + timed) or len(set(names)) < len(names):
        wanted = "time and 3 or 6 channels" if timed else "3 or 6 channels, since sample_rate gives the times"
        raise ValueError(f"csv_columns must name {wanted}, each once, separated by commas")
    return names


def _known_zone(zone: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is no time zone: give a name such as Europe/Berlin, or UTC") from error


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class ReadingConfig(Config):
    """How the commands that take recordings of any kind read them."""

    positional = ("files",)

    files: list[Path] = setting([], help="recordings, or folders that hold some")
    format: Literal[RecordingFormat, "table"] | None = setting(
        None, help="layout of the files; csv: plain tables; default: by their names, csv where these are of no format"
    )
    table: Path | None = setting(
        None,
        help="format table: YAML that describes the files, see configs/table.py, such as that of the tables learnt "
        "from; labels and people in it may be missing here",
    )
    sensor: list[str] | None = setting(None, help="formats with several sensors: those to take; default: the first")
    csv_columns: str | None = setting(
        None,
        help="csv: columns of time and of acceleration and angular rate x, y, z, in this order, such as "
        "time,ax,ay,az,gx,gy,gz; date+time are two columns; numbers from 1 on where there is no header line; default: "
        "by the header",
    )
    acc_unit: Literal[*ACC_UNITS] | None = setting(
        None, help="csv: unit of the acceleration; default: by the header and gravity"
    )
    gyro_unit: Literal[*GYRO_UNITS] | None = setting(
        None, help="csv: unit of the angular rate; default: by the header, the turning of gravity and the size"
    )
    time_unit: TimeUnit | None = setting(None, help=TIME_UNIT_HELP)
    time_zone: TimeZone | None = setting(
        None,
        help="zone of the tables, such as Europe/Berlin, also of stamps that name none; default: that of the stamps, "
        "UTC for times since 1970",
    )
    start: str | None = setting(
        None, help="date and time, ISO 8601, at which the time of a recording that counts from a start is 0"
    )
    sample_rate: float | None = setting(
        None, gt=0, help="csv: rows are evenly spaced, so many a second; the time column, if there is one, is not used"
    )

    @field_validator("start")
    @classmethod
    def _date(cls, start: str | None) -> str | None:
        try:
            return start and datetime.fromisoformat(start).isoformat()
        except ValueError as error:
            raise ValueError("must be ISO 8601, such as 2024-05-01T10:00:00") from error

    @model_validator(mode="after")
    def _check_reading(self) -> "ReadingConfig":
        if (self.table is None) == (self.format == "table"):
            raise ValueError("format table and table go together: table is the YAML that describes the files")
        if (changed := self._changed(PLAIN_ONLY)) and self.format not in (None, "csv"):
            raise ValueError(f"{', '.join(changed)} only serves with format csv, not {self.format}")
        if self.sensor and self.format == "csv":
            raise ValueError("sensor only serves with a format that has several: name the columns, csv_columns")
        column_names(self.csv_columns, self.sample_rate is None)
        if self.sample_rate is not None and self.time_unit is not None:
            raise ValueError("sample_rate counts the rows: leave time_unit out")
        return self

    def _changed(self, names: Collection[str]) -> list[str]:
        """Those of these settings that are not their defaults."""
        fields = type(self).model_fields
        return [name for name in fields if name in names and getattr(self, name) != fields[name].default]

    @property
    def columns(self) -> list[str] | None:
        """Names in ``csv_columns``."""
        return column_names(self.csv_columns, self.sample_rate is None)


class PredictConfig(ReadingConfig):
    """python -m scripts.predict"""

    program = "python -m scripts.predict"
    summary = "Classify recordings: what was done when, as tables, a summary and a page for each of them."

    stdin: bool = setting(
        False,
        help="instead of files: samples as they come, time,ax,ay,az,gx,gy,gz (s, m/s2, rad/s unless the settings of "
        "csv say otherwise); a line of probabilities for each window goes out, nothing is written to --out",
    )
    model: str = setting(
        SHIPPED, help="folder of a classifier of downstream.py --save_model, a name in models/weights, or a hub id"
    )
    out: Path = setting(Path("predictions"), help="folder to write to: a folder for each recording")
    missing_gyro: Literal["refuse", "zeros"] = setting(
        "refuse",
        help="csv, table, and formats that are a description of tables: recordings without angular rate; zeros: 0 "
        "takes its place, if the classifier has learnt with windows that lack it (--augment_drop_sensor of its "
        "encoder)",
    )
    hop_s: float | None = setting(
        None, gt=0, multiple_of=1 / IMU_RATE_HZ, help="from one window to the next, seconds; default: half a window"
    )
    threshold: Share | None = setting(
        None, help="probability of the likeliest activity below which it is unknown; default: the classifier's"
    )
    no_smooth: bool = setting(False, help="leave out the hidden Markov model over neighbouring windows")
    no_calibrate: bool = setting(False, help="leave out the calibration of the accelerometer by gravity at rest")
    still_mg: float = setting(
        13.0, gt=0, help="10 s are still if the standard deviation of each axis of the acceleration is below it, mg"
    )
    nonwear_min: float = setting(
        90.0, gt=0, help="still for so long, minutes, means not worn; shorter stillness is classified"
    )

    @model_validator(mode="after")
    def _check(self) -> "PredictConfig":
        if bool(self.files) == self.stdin:
            raise ValueError("files is missing: give recordings or folders, or --stdin, and not both")
        if self.stdin:
            self._check_stdin()
        if self.missing_gyro == "zeros" and self.format not in (None, "csv", "table", *DESCRIBED):
            raise ValueError(f"missing_gyro: recordings of format {self.format} always have a gyroscope, leave out")
        return self

    def _check_stdin(self) -> None:
        used = {"stdin", "model", "hop_s", "threshold", "no_smooth", *PLAIN_ONLY} - {"sample_rate"}
        if strange := self._changed(type(self).model_fields.keys() - used):
            raise ValueError(f"{', '.join(strange)}: not with stdin, leave out")
        if self.time_unit in DATE_UNITS or (self.csv_columns is not None and len(self.columns) != 7):
            raise ValueError("stdin takes seven columns, and times as numbers: s, ms, us or ns; dates only from files")


class CollateConfig(Config):
    """python -m scripts.collate"""

    program = "python -m scripts.collate"
    summary = "One table of the summaries below a folder: a row for each recording."
    positional = ("folder",)

    folder: Path = setting(help="folder that scripts.predict has written to")
    out: Path | None = setting(None, help="CSV to write; default: summaries.csv in the folder")
