"""A plain table of text, read in pieces: time, acceleration and angular rate in columns, a row for each sample.

No description is needed: columns, units and the format of the time are guessed where the user does not say them, and
``Reading.facts`` says what was guessed. A last row that was cut off counts as a sample without values.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.predict import ReadingConfig
from datasets.formats.delimited import MISSING, first_text_cell
from datasets.preparation.signals import MIN_RATE_HZ
from datasets.recording import BadRecording
from datasets.recordings.clock import DAYS, Stamps, clock_of
from datasets.recordings.columns import Columns, chosen_columns, guess_columns, stated_unit
from datasets.recordings.dates import TIME_OF_DAY
from datasets.recordings.reader import Reading, Samples

ROWS = 1 << 15  # of a piece: 5 minutes at 100 Hz; what the work on it takes in memory grows with it
MOST_REPEATED = 0.75  # share of the steps of the first piece without a step in time: stamps were rounded
MOST_BACKWARDS = 0.5  # share of the steps of the first piece that may go back in time
_PACKED = {b"PK\x03\x04": "zip (or Excel)", b"\xd0\xcf\x11\xe0": "Excel"}  # first bytes
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*([eE][-+]?\d+)?|(?i:nan|null|na|none|)")


@dataclass(frozen=True)
class PlainSettings:
    """What the user says about plain tables; None and empty: guess.

    Attributes:
        columns: names in the order time (without ``sample_rate``), acceleration, angular rate.
        missing_gyro: ``zeros`` lets a file without angular rate pass.
    """

    columns: list[str] | None = None
    acc_unit: str | None = None
    gyro_unit: str | None = None
    time_unit: str | None = None
    time_zone: str | None = None
    start: str | None = None
    sample_rate: float | None = None
    missing_gyro: str = "refuse"

    @classmethod
    def of(cls, config: ReadingConfig) -> "PlainSettings":
        """Those of a command; ``missing_gyro`` stays as it is where the command has no such setting."""
        return cls(**{name: getattr(config, name) for name in cls.__dataclass_fields__ if hasattr(config, name)})


@dataclass(frozen=True)
class _Layout:
    names: list[str]
    header: bool
    skipped: int  # lines up to and including the header
    separator: str
    decimal: str


def open_plain(path: Path, settings: PlainSettings) -> Reading:
    """Read the first rows of a table and decide what it holds.

    Raises:
        BadRecording: ``missing_csv``, ``unreadable_csv``, ``empty_csv``, ``missing_column``, ``missing_axis``,
            ``several_sensors``, ``missing_gyro``, ``missing_time``, ``time_format``, ``repeated_time``, ``low_rate``,
            ``reversed_time`` or ``text_cell``; those of later rows come while the samples are read.
    """
    with _explained(path):
        layout = _layout(path)
        timed = settings.sample_rate is None
        if settings.columns is not None:
            columns = chosen_columns(settings.columns, layout.names, timed)
        elif layout.header:
            columns = guess_columns(layout.names, timed)
            if columns.date and not TIME_OF_DAY.fullmatch(_first_stamp(path, layout, columns.time)):
                columns = replace(columns, date=None)
        else:
            message = "has no header line: say what its columns are, such as --csv_columns 1,2,3,4,5,6,7"
            raise BadRecording("missing_column", message)
        if columns.gyro is None and settings.missing_gyro == "refuse":
            message = (
                f"no column was recognised as angular rate among {', '.join(layout.names)}: name time and six channels "
                "by --csv_columns, or describe the file by --format table --table YAML; if there is no gyroscope see "
                "--missing_gyro of scripts.predict"
            )
            raise BadRecording("missing_gyro", message)
        pieces = _pieces(path, layout, columns)
        first = next(pieces)
        stamps = _stamps(first, columns, settings)
        clock, shift_s = (stamps.clock, 0.0) if stamps else clock_of(None, settings.time_zone, settings.start)
        if stamps:
            _check_times(stamps.seconds(_stamp_column(first, columns)))
            stamps = _stamps(first, columns, settings)  # it has not seen these rows yet
    facts: dict[str, Any] = {
        "format": "csv",
        "columns": ",".join([*(["+".join(columns.times)] if columns.times else []), *columns.channels]),
        "columns_guessed": columns.guessed,
        "time_format": f"{settings.sample_rate:g} rows a second" if stamps is None else _time_format(stamps),
        "time_format_guessed": bool(stamps and stamps.guessed),
        "rows": 0,
    }

    def samples() -> Iterator[Samples]:
        with _explained(path):
            piece: pd.DataFrame | None = first
            while piece is not None:
                if stamps is None:
                    time_s = shift_s + (facts["rows"] + np.arange(len(piece))) / settings.sample_rate
                else:
                    time_s = stamps.seconds(_stamp_column(piece, columns))
                facts["rows"] += len(piece)
                acc = piece[list(columns.acc)].to_numpy(np.float64)
                gyro = piece[list(columns.gyro)].to_numpy(np.float64) if columns.gyro else np.zeros_like(acc)
                yield Samples(time_s, acc, time_s, gyro)
                piece = next(pieces, None)

    return Reading(
        clock,
        samples(),
        settings.acc_unit or stated_unit(columns.acc),
        "rad/s" if columns.gyro is None else settings.gyro_unit or stated_unit(columns.gyro),
        columns.gyro is not None,
        facts,
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of reading as ``BadRecording`` that names the file."""
    try:
        yield
    except BadRecording as error:
        raise BadRecording(error.reason, f"{path}: {error.message}") from error
    except FileNotFoundError as error:
        raise BadRecording("missing_csv", f"{path}: does not exist") from error
    except UnicodeDecodeError as error:
        raise BadRecording("unreadable_csv", f"{path}: is not UTF-8 text ({error.reason}); export it again") from error
    except (OSError, EOFError, zlib.error, pd.errors.ParserError) as error:
        raise BadRecording("unreadable_csv", f"{path}: {error}; it may be damaged, copy it again") from error


def _layout(path: Path) -> _Layout:
    """Separator, decimal point and column names, from the first two lines that are neither blank nor, before the
    header, begin with #."""
    lines: list[str] = []
    blank, comment = 0, ""  # lines before the first, the last of them that begins with #
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        while len(lines) < 2 and (line := file.readline(1 << 16)):
            if kind := _PACKED.get(line[:4]):
                raise BadRecording("unreadable_csv", f"is a {kind} file: unpack it, or save it as CSV")
            text = line.decode("utf-8-sig" if not lines else "utf-8").strip()
            if text.startswith("#") and not lines:
                blank, comment = blank + 1, text.lstrip("# ")
            elif text:
                lines.append(text)
            elif not lines:
                blank += 1
    if not lines:
        raise BadRecording("empty_csv", "is empty; export or copy it again")
    separator = max((";", "\t", ","), key=lines[0].count)
    separator = separator if separator in lines[0] else " "
    fields = _fields(lines[0], separator)
    numbers = [field for field in fields if _NUMBER.fullmatch(field)]
    header = len(numbers) < len(fields) and sum(map(bool, numbers)) < 3  # dates and labels may stand beside numbers
    if len(lines) <= header:
        raise BadRecording("empty_csv", "holds a header line and no rows; export or copy it again")
    names = fields if header else [str(number) for number in range(1, len(fields) + 1)]
    skipped = blank + header
    if not header and len(above := _fields(comment, separator)) == len(fields):  # a header behind a #
        names, header = above, True
    last = _fields(lines[-1], separator)
    decimal = "," if separator != "," and any(_DECIMAL_COMMA.fullmatch(field) for field in last) else "."
    return _Layout(names, header, skipped, separator, decimal)


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip().strip('"') for field in line.split(None if separator == " " else separator)]


def _pieces(path: Path, layout: _Layout, columns: Columns) -> Iterator[pd.DataFrame]:
    """The columns in pieces of ``ROWS`` rows: channels as numbers, the time as numbers or, if it is none, as text."""
    places = {name: layout.names.index(name) for name in [*columns.times, *columns.channels]}
    types = {place: np.float64 for name, place in places.items() if name in columns.channels}
    types |= {places[name]: str for name in columns.times}
    if len(columns.times) == 1 and _NUMBER.fullmatch(_first_stamp(path, layout, columns.time)):
        types[places[columns.time]] = np.float64
    done = 0
    with _table(path, layout, sorted(places.values()), types) as table:
        while True:
            try:
                piece = next(table)
            except StopIteration:
                return
            except pd.errors.ParserError:
                raise
            except ValueError as error:
                where = _text_cell(path, layout, places, columns, done) or f"rows {done + 1} to {done + ROWS}: {error}"
                message = f"{where}; want numbers, a missing value may be empty or one of {', '.join(MISSING[1:])}"
                raise BadRecording("text_cell", message) from error
            done += len(piece)
            yield piece.rename(columns={place: name for name, place in places.items()})


def _text_cell(path: Path, layout: _Layout, places: dict[str, int], columns: Columns, done: int) -> str:
    """Which cell of the piece after ``done`` rows is no number; empty if that cannot be told."""
    names = [name for name in places if name in columns.channels or len(columns.times) == 1]
    with _table(path, layout, sorted(places[name] for name in names), {}) as table:
        piece = next(islice(table, done // ROWS, None))
    piece = piece.rename(columns={place: name for name, place in places.items()}).reset_index(drop=True)
    dated = [name for name in columns.times if name in piece and not _NUMBER.fullmatch(str(piece[name].iloc[0]))]
    cell = first_text_cell(piece.drop(columns=dated), layout.decimal)
    return "" if cell is None else f"row {done + cell[0] + 1} below the header, column {cell[1]} holds {cell[2]!r}"


def _table(path: Path, layout: _Layout, places: list[int], types: dict[int, type], nrows: int | None = None):
    return pd.read_csv(
        path,
        header=None,
        names=range(len(layout.names)),
        skiprows=layout.skipped,
        usecols=places,
        dtype=types or str,
        na_values=MISSING,
        keep_default_na=False,
        skipinitialspace=True,
        sep=r"\s+" if layout.separator == " " else layout.separator,
        decimal=layout.decimal,
        index_col=False,
        chunksize=ROWS,
        nrows=nrows,
        encoding="utf-8-sig",
    )


def _first_stamp(path: Path, layout: _Layout, name: str) -> str:
    with _table(path, layout, [layout.names.index(name)], {}, nrows=1) as peek:
        return str(next(peek).iloc[0, 0])


def _stamp_column(piece: pd.DataFrame, columns: Columns) -> np.ndarray:
    """(n,) numbers or text; a date before its time of day."""
    column = piece[columns.time]
    if columns.date is not None:
        column = piece[columns.date] + " " + column
    if column.dtype == np.float64:
        return column.to_numpy(np.float64, copy=True)
    stamps = column.fillna("").to_numpy(object)
    if piece[columns.channels].iloc[-1].isna().all():
        stamps[-1] = ""  # a last row that was cut off within its time
    return stamps


def _stamps(first: pd.DataFrame, columns: Columns, settings: PlainSettings) -> Stamps | None:
    if columns.time is None:
        return None
    return Stamps(_stamp_column(first, columns), settings.time_unit, settings.time_zone, settings.start)


def _time_format(stamps: Stamps) -> str:
    if stamps.unit == "date":
        return stamps.layout + ("" if stamps.clock.kind == "absolute" else " without a zone")
    if stamps.unit == DAYS:
        return "days of a spreadsheet"
    return f"{stamps.unit} since {'1970' if stamps.clock.kind == 'absolute' else 'a start'}"


def _check_times(time_s: np.ndarray) -> None:
    """Refuse what no later step can mend: time that runs backwards, and too few samples a second."""
    steps = np.diff(time_s[np.isfinite(time_s)])
    moving = steps[steps != 0]
    if len(moving) and (steps == 0).mean() > MOST_REPEATED:
        each = (len(steps) + 1) / (len(moving) + 1)
        message = f"about {each:.0f} rows share a stamp, as if it was rounded: give --sample_rate, in rows a second"
        raise BadRecording("repeated_time", message)
    if len(moving) == 0:
        raise BadRecording("missing_time", "all rows have the same time, or none; give --sample_rate if they are even")
    if (moving < 0).mean() > MOST_BACKWARDS:
        message = f"its times run backwards ({100 * (moving < 0).mean():.0f} % of the steps): sort its rows by time"
        raise BadRecording("reversed_time", message)
    period_s = np.median(moving[moving > 0])
    if period_s > 1 / MIN_RATE_HZ + 1e-6:
        message = (
            f"a sample comes every {period_s:.3g} s ({1 / period_s:.3g} Hz), want at least {MIN_RATE_HZ:g} Hz; if "
            "several rows share a stamp give --sample_rate, if the unit of the time is another --time_unit"
        )
        raise BadRecording("low_rate", message)
