"""Columns of a Parquet file. pyarrow reads it, which only those need who have such files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.recording import BadRecording


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
