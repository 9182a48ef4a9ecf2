"""What a YAML for ``scripts.prepare --format table`` says about somebody's tables: one file is one recording.

files: "{subject}/{label}/*.csv"            # pattern below --raw; {subject} {session} {label} are parts of the path
acc: [ax, ay, az]                           # columns of acceleration x, y, z
gyro: [gx, gy, gz]
acc_unit: g                                 # m/s2, g or mg; raw counts: counts per unit as acc_counts_per_unit
gyro_unit: deg/s                            # rad/s or deg/s; gyro_counts_per_unit
time: t                                     # column; or rate_hz: 100, evenly spaced rows
time_unit: ms                               # s, ms, us, ns, or date: 2024-05-01T10:00:00.25, any ISO 8601
video: "videos/{subject}/{stem}.mp4"        # optional; {stem} is the table's name without its endings
"""

import re
from typing import ClassVar, Literal

from pydantic import field_validator, model_validator

from configs.base import Config, setting

PATH_PARTS = ("subject", "session", "label")  # what a part of a table's path can say


class TableConfig(Config):
    """A description of tables; ``datasets.formats.table`` reads by it."""

    program: ClassVar[str] = "table"
    summary: ClassVar[str] = "Columns, units and places of somebody's tables."

    files: str = setting(help="pattern of the tables below --raw: .csv, .txt (.gz) or .parquet; ** is any folders")
    columns: list[str] | None = setting(None, help="names of all columns, for text files without a header line")
    separator: Literal[",", ";", " ", "\t"] = setting(",", help="between the fields of a text file; ' ': any blanks")
    decimal: Literal[".", ","] = setting(".", help="decimal point of a text file")
    acc: list[str] = setting(min_length=3, max_length=3, help="columns of acceleration x, y, z")
    gyro: list[str] | None = setting(None, min_length=3, max_length=3, help="columns of angular rate x, y, z")
    acc_unit: Literal["m/s2", "g", "mg"] = setting(help="unit of the acceleration")
    gyro_unit: Literal["rad/s", "deg/s"] | None = setting(None, help="unit of the angular rate")
    acc_counts_per_unit: float = setting(1.0, gt=0, help="of a sensor that gives raw counts: how many are one acc_unit")
    gyro_counts_per_unit: float = setting(1.0, gt=0, help="how many raw counts are one gyro_unit")
    time: str | None = setting(None, help="column of each row's time")
    time_unit: Literal["s", "ms", "us", "ns", "date"] | None = setting(None, help="of time; date: ISO 8601")
    rate_hz: float | None = setting(None, gt=0, help="instead of time: rows are evenly spaced")
    label: str | None = setting(None, help="column whose changes cut a recording into labelled segments")
    labels: dict[str, str] | None = setting(None, help="what a label's value is called; empty: no label")
    subject: str | None = setting(None, help="column of the subject, the same in all rows of a file")
    video: str | None = setting(None, help="video below --raw; {stem}, {folder} of the table, and what files names")
    video_clock: bool = setting(False, help="time 0 is the video's first frame; otherwise the first row is")

    @field_validator("labels", mode="before")
    @classmethod
    def _words(cls, labels):
        """YAML reads ``0: walking`` as a number, and no value as none."""
        if not isinstance(labels, dict):
            return labels
        return {str(value): "" if name is None else str(name) for value, name in labels.items()}

    @field_validator("files", "video")
    @classmethod
    def _below(cls, pattern: str | None) -> str | None:
        if pattern is not None and (pattern.startswith(("/", "~")) or "\\" in pattern or ".." in pattern.split("/")):
            raise ValueError("must be a path below --raw, with / between folders and without ..")
        return pattern

    @model_validator(mode="after")
    def _check(self) -> "TableConfig":
        for given, wanted, message in (
            ((self.time is None) != (self.rate_hz is None), True, "give either time (with time_unit) or rate_hz"),
            (self.time is None, self.time_unit is None, "time and time_unit go together"),
            (self.gyro is None, self.gyro_unit is None, "gyro and gyro_unit go together"),
            (self.separator == self.decimal, False, "separator and decimal are both a comma"),
            (self.video_clock and (self.video is None or self.time is None), False, "video_clock needs video and time"),
            (self.video_clock and self.time_unit == "date", False, "video_clock counts from the video: no dates"),
        ):
            if given != wanted:
                raise ValueError(message)
        parts = set(_names(self.files))
        if strange := sorted(parts - set(PATH_PARTS)):
            raise ValueError(
                f"files has {{{strange[0]}}}, it may have {', '.join(f'{{{name}}}' for name in PATH_PARTS)}"
            )
        if unknown := sorted(set(_names(self.video or "")) - parts - {"stem", "folder"}):
            raise ValueError(f"video has {{{unknown[0]}}}, which files does not have")
        for name in ("subject", "label"):
            if name in parts and getattr(self, name) is not None:
                raise ValueError(f"{name} is a column, and a part of the path in files: choose one")
        if self.labels is not None and self.label is None and "label" not in parts:
            raise ValueError("labels renames labels, and there are none: give label, or {label} in files")
        return self


def _names(pattern: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", pattern)
