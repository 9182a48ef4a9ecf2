"""What a YAML for ``scripts.prepare --format table`` says about somebody's tables: one file is one recording.

files: "{subject}/{label}/*.csv"            # below --raw; {subject} {session} {label} {trial} are read off the path
gyro_files: "{subject}/{label}/{stem}_gyro.csv"  # optional: the gyroscope's own file, with times of its own
acc: [ax, ay, az]                           # columns of acceleration x, y, z
gyro: [gx, gy, gz]
acc_unit: g                                 # m/s2, g or mg; raw counts: counts per unit as acc_counts_per_unit
gyro_unit: deg/s                            # rad/s or deg/s; gyro_counts_per_unit
time: t                                     # column; or rate_hz: 100, evenly spaced rows
time_unit: ms                               # s, ms, us, ns, or date: 2024-05-01T10:00:00.25, any ISO 8601
licence: CC-BY-4.0                          # optional: of the data; model cards say it
labels: {1: walking, 2: sitting}            # what values of the label are called
video: "videos/{subject}/{stem}.mp4"        # optional; {stem} is the table's name without its endings

Columns of a file without a header line are called as ``columns`` says, or 1, 2, 3 if it gives their number. In
``files`` ``{subject:S[AE]\\d+}`` also says what the part looks like. Every text file may be gzipped (.gz). Labels may
also be a column (``label``), or stand in a table of their own (``annotations``). ``sensors`` gives keys that change
with ``--sensor``: ``{chest: {acc: ...}, head: {acc: ...}}``; the first is taken if none is named.
"""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from configs.base import Config, setting
from configs.constants import ACC_UNITS, GYRO_UNITS, TIME_UNITS

PATH_PARTS = ("subject", "session", "label", "trial")  # what a part of a table's path can say
OF_THE_TABLE = ("stem", "folder")  # what other patterns can say beside
PART = re.compile(r"\{(\w+)(?::([^{}]+))?\}")  # {name} or {name:regular expression}
_INTEGER = re.compile(r"(-?\d+)(?:\.0*)?")


def _text(value):
    """YAML reads the column ``5`` as a number."""
    return str(value) if type(value) is int else value


def _below(pattern: str | None) -> str | None:
    path = PART.sub("x", pattern or "")
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
        raise ValueError("must be a path below --raw, with / between folders and without ..")
    return pattern


Column = Annotated[str, BeforeValidator(_text)]
Three = Annotated[list[Column], Field(min_length=3, max_length=3)]
Columns = list[Column] | Annotated[int, Field(gt=0)]
Counts = float | Annotated[list[float], Field(min_length=3, max_length=3)]
Separator = Literal[",", ";", " ", "\t"]


def same_value(text: str) -> str:
    """``01``, ``1`` and ``1.0`` are one value of a label, subject or experiment; other text is itself."""
    return f"{int(found[1])}" if (found := _INTEGER.fullmatch(text)) else text


def parts_of(pattern: str | None) -> list[str]:
    """Names of the parts in a pattern."""
    return [found[1] for found in PART.finditer(pattern or "")]


class AnnotationsConfig(Config):
    """A table of labels: each row is a stretch of a recording, or, without ``start`` and ``end``, all of it."""

    program: ClassVar[str] = "annotations"
    summary: ClassVar[str] = "Where labels are that stand in a table of their own."

    files: str = setting(help="the table below --raw; {stem}, {folder} of the recording, and what files names")
    columns: Columns | None = setting(None, help="names of all columns, or their number, if there is no header line")
    separator: Separator = setting(",", help="between the fields; ' ': any blanks")
    match: dict[str, str] = setting({}, help="which rows are a recording's: column: '{part of its path}'")
    label: Column = setting(help="column of the label")
    start: Column | None = setting(None, help="column of a stretch's start")
    end: Column | None = setting(None, help="column of its end")
    unit: Literal[*TIME_UNITS, "samples"] | None = setting(None, help="of start and end; samples: row numbers")
    first_sample: Literal[0, 1] = setting(0, help="unit samples: number of the first row")
    end_included: bool = setting(False, help="unit samples: the end is the last row that has the label")
    zero: Literal["first_row", "time"] = setting(
        "first_row", help="start and end count from the recording's first row, or as its time column does"
    )

    @field_validator("match", mode="before")
    @classmethod
    def _names(cls, match):
        return {_text(column): pattern for column, pattern in match.items()} if isinstance(match, dict) else match

    @model_validator(mode="after")
    def _check(self) -> "AnnotationsConfig":
        _below(self.files)
        if len({value is None for value in (self.start, self.end, self.unit)}) > 1:
            raise ValueError("start, end and unit go together; without them a label is that of a whole recording")
        if self.unit != "samples" and (self.first_sample or self.end_included):
            raise ValueError("first_sample and end_included are about unit: samples")
        if self.zero == "time" and self.unit in (None, "samples"):
            raise ValueError("zero: time is about start and end in s, ms, us or ns")
        return self


class TableConfig(Config):
    """A description of tables; ``datasets.formats.table`` reads by it."""

    program: ClassVar[str] = "table"
    summary: ClassVar[str] = "Columns, units and places of somebody's tables."

    licence: str | None = setting(None, help="of the data, such as CC-BY-4.0, for the card of what learns from them")
    files: str = setting(help="pattern of the tables below --raw, text (.gz) or .parquet; ** is any folders")
    gyro_files: str | None = setting(None, help="the gyroscope's file, if it has its own, laid out as the other one")
    id: str | None = setting(None, help="id of a recording, such as {stem}; default: folders and stem")
    columns: Columns | None = setting(None, help="names of all columns, or their number, if there is no header line")
    separator: Separator = setting(",", help="between the fields of a text file; ' ': any blanks")
    line_end: Literal[";"] | None = setting(None, help="what may stand at the end of a line, after its last field")
    decimal: Literal[".", ","] = setting(".", help="decimal point of a text file")
    acc: Three = setting(help="columns of acceleration x, y, z")
    gravity: Three | None = setting(None, help="columns to be added to acc, of a device that gives gravity apart")
    gyro: Three | None = setting(None, help="columns of angular rate x, y, z")
    acc_unit: Literal[*ACC_UNITS] = setting(help="unit of the acceleration")
    gyro_unit: Literal[*GYRO_UNITS] | None = setting(None, help="unit of the angular rate")
    acc_counts_per_unit: Counts = setting(
        1.0,
        help="of a sensor that gives raw counts: how many are one acc_unit, of all axes or of x, y, z; -1 turns one",
    )
    gyro_counts_per_unit: Counts = setting(1.0, help="how many raw counts are one gyro_unit, in the same way")
    time: Column | None = setting(None, help="column of each row's time")
    time_unit: Literal[*TIME_UNITS, "date"] | None = setting(None, help="of time; date: ISO 8601")
    time_of: Literal["sample", "arrival"] = setting(
        "sample",
        help="arrival: evenly spaced samples, of which some are stamped late, as by a phone that hands them on",
    )
    rate_hz: float | None = setting(None, gt=0, help="instead of time: rows are evenly spaced")
    label: Column | None = setting(None, help="column whose changes cut a recording into labelled segments")
    labels: dict[str, str] | None = setting(None, help="what a label's value is called; empty: no label")
    annotations: AnnotationsConfig | None = setting(None, help="labels that stand in a table of their own")
    subject: Column | None = setting(None, help="column of the subject, the same in all rows of a file")
    subjects: dict[str, str] | None = setting(None, help="what a subject's value is called")
    video: str | None = setting(None, help="video below --raw; {stem}, {folder} of the table, and what files names")
    video_clock: bool = setting(False, help="time 0 is the video's first frame; otherwise the first row is")

    @field_validator("labels", "subjects", mode="before")
    @classmethod
    def _words(cls, names):
        """YAML reads ``0: walking`` as a number, and no value as none."""
        if not isinstance(names, dict):
            return names
        return {same_value(str(value)): "" if name is None else str(name) for value, name in names.items()}

    @field_validator("files", "gyro_files", "video")
    @classmethod
    def _paths(cls, pattern: str | None) -> str | None:
        return _below(pattern)

    @field_validator("files")
    @classmethod
    def _expressions(cls, pattern: str) -> str:
        for part, expression in PART.findall(pattern):
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"{{{part}:{expression}}} is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _check(self) -> "TableConfig":
        for given, wanted, message in (
            ((self.time is None) != (self.rate_hz is None), True, "give either time (with time_unit) or rate_hz"),
            (self.time is None, self.time_unit is None, "time and time_unit go together"),
            (self.time is None and self.time_of == "arrival", False, "time_of: arrival needs a time column"),
            (self.gyro is None, self.gyro_unit is None, "gyro and gyro_unit go together"),
            (self.separator == self.decimal, False, "separator and decimal are both a comma"),
            (self.separator == self.line_end, False, "separator and line_end are both a semicolon"),
            (self.video_clock and (self.video is None or self.time is None), False, "video_clock needs video and time"),
            (self.video_clock and self.time_unit == "date", False, "video_clock counts from the video: no dates"),
            (self.time is None and self._of_annotations("zero") == "time", False, "zero: time needs a time column"),
        ):
            if given != wanted:
                raise ValueError(message)
        for name in ("acc_counts_per_unit", "gyro_counts_per_unit"):
            counts = getattr(self, name)
            if 0 in (counts if isinstance(counts, list) else [counts]):
                raise ValueError(f"{name} must not be 0")
        self._check_patterns()
        return self

    def _check_patterns(self) -> None:
        parts = set(parts_of(self.files))
        if strange := sorted(parts - set(PATH_PARTS)):
            raise ValueError(
                f"files has {{{strange[0]}}}, it may have {', '.join(f'{{{name}}}' for name in PATH_PARTS)}"
            )
        rows = self._of_annotations("match") or {}
        patterns = {"video": self.video, "gyro_files": self.gyro_files, "id": self.id}
        patterns |= {"annotations.files": self._of_annotations("files")}
        patterns |= {f"annotations.match.{column}": pattern for column, pattern in rows.items()}
        for name, pattern in patterns.items():
            if unknown := sorted(set(parts_of(pattern)) - parts - set(OF_THE_TABLE)):
                raise ValueError(f"{name} has {{{unknown[0]}}}, which files does not have")
        for name in ("subject", "label"):
            if name in parts and getattr(self, name) is not None:
                raise ValueError(f"{name} is a column, and a part of the path in files: choose one")
        labelled = self.label is not None or "label" in parts
        if self.annotations is not None and labelled:
            raise ValueError("annotations give the labels, and label or {label} in files does: choose one")
        if self.labels is not None and not labelled and self.annotations is None:
            raise ValueError("labels renames labels, and there are none: give label, annotations, or {label} in files")
        if self.subjects is not None and self.subject is None and "subject" not in parts:
            raise ValueError("subjects renames subjects, and there are none: give subject, or {subject} in files")

    def _of_annotations(self, name: str):
        return getattr(self.annotations, name, None)
