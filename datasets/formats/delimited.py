"""Numeric tables of delimited text or Parquet, read strictly: what is neither a number nor missing is an error.

pandas alone would fill a row that was cut off with NaN, and read a column with one word in it as text. Only Parquet
files need pyarrow.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.recording import BadRecording

MISSING = ["", "NULL", "null", "NaN", "nan", "NA", "None"]
MAX_BYTES = 1 << 30  # unpacked: 13 h at 200 Hz; reading it takes some 5 times as much memory
_BOM = b"\xef\xbb\xbf"


def read_numbers(
    path: Path,
    columns: Sequence[str],
    names: Sequence[str] | int | None = None,
    text_columns: Sequence[str] = (),
    separator: str = ",",
    decimal: str = ".",
    line_end: str | None = None,
) -> tuple[pd.DataFrame, int]:
    """Read columns of a delimited text file, gzipped or not.

    Every row must have as many fields as the first line. Only the last one may be cut off, as when the battery went
    empty; it is left out.

    Args:
        columns: the numeric columns, all of them required.
        names: column names of a file without a header line; or how many there are, which are then called 1, 2, 3.
        text_columns: columns to read as text, required too; a missing value is "".
        separator: one character between fields; a space stands for any run of spaces and tabs.
        decimal: decimal point of numbers.
        line_end: one character that may stand after the last field of a line.

    Returns:
        The columns as float64 (missing values NaN) or text, and the number of cut-off rows left out (0 or 1).

    Raises:
        BadRecording: ``missing_csv``, ``unreadable_csv``, ``too_large``, ``empty_csv``, ``missing_column``,
            ``short_row``, ``long_row`` or ``text_cell``, naming the file, the line and what stands there.
    """
    data = _read(path)
    if line_end is not None:
        data = re.sub(rb"%b[ \t\r]*(?=\n|\Z)" % re.escape(line_end.encode()), b"", data)
    if separator == " ":
        data = b"\n".join(b" ".join(line.split()) for line in data.split(b"\n"))
    starts, fields = _lines(data, separator)
    header = names is None
    if len(starts) <= header:
        raise BadRecording("empty_csv", f"{path}: holds no rows; export or copy it again")
    there = _header(data, separator) if names is None else _names(names)
    if absent := [name for name in (*columns, *text_columns) if there.count(name) != 1]:
        raise BadRecording(
            "missing_column",
            f"{path}: has not exactly one column {', '.join(absent)}; its columns are {', '.join(there)}",
        )
    end, cut = _check_rows(path, data, starts, fields, len(there))
    data = data[:end]  # itself, if nothing is cut off
    first = int(starts[1]) if header else 0
    numbers, texts = dict.fromkeys(columns, np.float64), dict.fromkeys(text_columns, str)
    try:
        table = _parse(data, first, there, numbers | texts, separator, decimal)
    except pd.errors.ParserError as error:  # a quotation mark that is never closed
        raise BadRecording("unreadable_csv", f"{path}: {error}") from error
    except ValueError as error:
        cell = first_text_cell(_parse(data, first, there, dict.fromkeys(columns, str), separator, decimal), decimal)
        if cell is None:
            raise BadRecording("unreadable_csv", f"{path}: {error}") from error
        row, column, content = cell
        raise BadRecording(
            "text_cell",
            f"{path}: line {_line_number(data, starts[header + row])}, column {column} holds {content!r}, "
            f"want a number; a missing value may be empty or one of {', '.join(MISSING[1:])}",
        ) from error
    for name in text_columns:
        table[name] = table[name].fillna("")
    return table, cut


def _read(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise _too_large(path, f"{size / 2**30:.1f} GiB")
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _too_large(path, f"more than {MAX_BYTES / 2**30:g} GiB once unpacked")
        data = data.removeprefix(_BOM)
        data.decode("utf-8")
    except FileNotFoundError as error:
        raise BadRecording("missing_csv", f"{path}: does not exist") from error
    except UnicodeDecodeError as error:
        raise BadRecording("unreadable_csv", f"{path}: is not UTF-8 text ({error.reason}); export it again") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadRecording("unreadable_csv", f"{path}: {error}; it may be cut off, copy it again") from error
    return data


def _too_large(path: Path, size: str) -> BadRecording:
    return BadRecording("too_large", f"{path}: {size}, at most {MAX_BYTES / 2**30:g} GiB is read; split it into files")


def _lines(data: bytes, separator: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the lines that are not blank: (first byte of each, number of fields)."""
    characters = np.frombuffer(data, dtype=np.uint8)
    ends = np.append(np.flatnonzero(characters == ord("\n")), len(characters))
    starts = np.concatenate([[0], ends[:-1] + 1])
    between = np.flatnonzero(characters == ord(separator))
    fields = np.searchsorted(between, ends) - np.searchsorted(between, starts) + 1
    filled = np.ones(len(starts), dtype=bool)
    for line in np.flatnonzero(ends - starts <= 1):  # nothing, or a carriage return
        filled[line] = bool(data[starts[line] : ends[line]].strip())
    return starts[filled], fields[filled]


def _header(data: bytes, separator: str) -> list[str]:
    line = data.lstrip().split(b"\n", 1)[0].decode("utf-8")
    return [name.strip() for name in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _names(names: Sequence[str] | int) -> list[str]:
    return [str(number) for number in range(1, names + 1)] if isinstance(names, int) else list(names)


def _check_rows(path: Path, data: bytes, starts: np.ndarray, fields: np.ndarray, want: int) -> tuple[int, int]:
    """End of the usable data, and how many cut-off rows come after it; any other odd row is refused."""
    odd = np.flatnonzero(fields != want)
    if len(odd) == 0:
        return len(data), 0
    row = int(odd[0])
    if row == len(starts) - 1 and fields[row] < want:
        return int(starts[row]), 1
    raise BadRecording(
        "short_row" if fields[row] < want else "long_row",
        f"{path}: line {_line_number(data, starts[row])} has {fields[row]} fields, want {want}; "
        "mend or remove the line",
    )


def _parse(
    data: bytes, first: int, names: list[str], types: dict[str, type], separator: str, decimal: str
) -> pd.DataFrame:
    """The rows from byte ``first`` on."""
    rows = io.BytesIO(data)  # shares the bytes, of which a long recording has a few hundred MB
    rows.seek(first)
    places = {name: names.index(name) for name in types}  # by place: other columns may share a name
    table = pd.read_csv(
        rows,
        header=None,
        names=range(len(names)),
        usecols=sorted(places.values()),
        dtype={places[name]: kind for name, kind in types.items()},
        na_values=MISSING,
        keep_default_na=False,
        skipinitialspace=True,
        sep=separator,
        decimal=decimal,
    )
    return table[list(places.values())].set_axis(list(places), axis=1)


def first_text_cell(table: pd.DataFrame, decimal: str) -> tuple[int, str, str] | None:
    """(row, column, content) of the first cell that is neither a number nor missing."""
    for name in table:
        numbers = pd.to_numeric(table[name].str.replace(decimal, ".", regex=False), errors="coerce")
        rows = np.flatnonzero(table[name].notna() & numbers.isna())
        if len(rows):
            return int(rows[0]), name, table[name].iloc[int(rows[0])]
    return None


def _line_number(data: bytes, start: int) -> int:
    return data.count(b"\n", 0, int(start)) + 1


def read_parquet(path: Path, columns: Sequence[str], text_columns: Sequence[str]) -> pd.DataFrame:
    """Read columns as float64 (missing values NaN), others as text (missing values "", dates in ISO 8601).

    Raises:
        BadRecording: ``unreadable_parquet``, ``missing_column``, ``empty_parquet`` or ``text_cell``.
    """
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            there = file.schema_arrow.names
            if absent := [name for name in (*columns, *text_columns) if there.count(name) != 1]:
                message = f"{path}: has not exactly one column {', '.join(absent)}; its columns are {', '.join(there)}"
                raise BadRecording("missing_column", message)
            table = file.read(list(dict.fromkeys([*columns, *text_columns])))
    except (arrow.ArrowException, OSError) as error:
        raise BadRecording("unreadable_parquet", f"{path}: {error}; it may be cut off, copy it again") from error
    if table.num_rows == 0:
        raise BadRecording("empty_parquet", f"{path}: holds no rows")
    found = {}
    for name in columns:
        try:
            found[name] = table[name].cast(arrow.float64(), safe=False).to_pandas().to_numpy(np.float64)
        except arrow.ArrowException as error:
            message = f"{path}: column {name} is {table[name].type}, want numbers ({error})"
            raise BadRecording("text_cell", message) from error
    for name in text_columns:
        found[name] = table[name].cast(arrow.string()).to_pandas().fillna("").astype(str)
    return pd.DataFrame(found)
