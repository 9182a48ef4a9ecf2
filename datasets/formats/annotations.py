"""Labels that stand in a table of their own: one row for a stretch of a recording, or for a whole recording."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import TIME_UNITS
from configs.table import AnnotationsConfig, same_value
from datasets.formats.common import fill
from datasets.formats.delimited import read_numbers
from datasets.recording import BadRecording, Segment


def rows_of(path: Path, how: AnnotationsConfig, parts: dict[str, str]) -> pd.DataFrame:
    """The rows that are about one recording.

    Args:
        parts: what the recording's path says.

    Raises:
        BadRecording: as ``read_numbers``.
    """
    numbers = [] if how.start is None else [how.start, how.end]
    table, _ = read_numbers(path, numbers, how.columns, [how.label, *how.match], how.separator)
    wanted = np.ones(len(table), dtype=bool)
    for column, pattern in how.match.items():
        wanted &= table[column].map(same_value) == same_value(fill(pattern, parts))
    return table[wanted]


def one_label(path: Path, rows: pd.DataFrame, how: AnnotationsConfig) -> str:
    """The label of a whole recording; empty if no row is about it.

    Raises:
        BadRecording: ``several_labels``.
    """
    names = [name for name in rows[how.label].unique() if name]
    if len(names) > 1:
        message = f"{path}: has {len(names)} labels for one recording ({', '.join(names[:3])}); give start and end"
        raise BadRecording("several_labels", message)
    return names[0] if names else ""


def stretches(
    path: Path,
    rows: pd.DataFrame,
    how: AnnotationsConfig,
    time_s: np.ndarray,
    first_stamp_s: float,
    called: Callable[[str], str],
) -> tuple[tuple[Segment, ...], int]:
    """Labelled stretches on the recording's clock, cut at its ends.

    Args:
        time_s: (N,) float64 seconds of the recording's rows, NaN where unknown.
        first_stamp_s: what the time column says where ``time_s`` is 0, seconds.
        called: name of a label's value; empty: no label.

    Returns:
        The stretches in order, and how many rows lie outside the recording.

    Raises:
        BadRecording: ``bad_interval`` if one has no start or ends before it, or two overlap.
    """
    timed = np.flatnonzero(np.isfinite(time_s))
    if len(timed) < 2 or rows.empty:
        return (), 0
    ends = time_s[timed[-1]] + np.median(np.diff(time_s[timed]))
    start, end = (rows[name].to_numpy(np.float64) for name in (how.start, how.end))
    if (wrong := ~(end + how.end_included > start)).any():
        row = rows[wrong].iloc[0]
        raise BadRecording(
            "bad_interval", f"{path}: {row[how.label]!r} goes from {row[how.start]:g} to {row[how.end]:g}; mend the row"
        )
    if how.unit == "samples":
        edges, times = np.append(timed, len(time_s)), np.append(time_s[timed], ends)
        start = np.interp(start - how.first_sample, edges, times)
        end = np.interp(end - how.first_sample + how.end_included, edges, times)
    else:
        zero = first_stamp_s if how.zero == "time" else -time_s[timed[0]]
        start, end = (np.clip(v * TIME_UNITS[how.unit] - zero, time_s[timed[0]], ends) for v in (start, end))
    found = sorted(
        (Segment(float(a), float(b), called(name)) for a, b, name in zip(start, end, rows[how.label], strict=True)),
        key=lambda segment: segment.start_s,
    )
    inside = [segment for segment in found if segment.end_s > segment.start_s]
    for one, other in zip(inside, inside[1:], strict=False):
        if other.start_s < one.end_s - 1e-6:
            raise BadRecording(
                "bad_interval",
                f"{path}: {other.label!r} begins at {other.start_s:.2f} s, before {one.label!r} ends at "
                f"{one.end_s:.2f} s; a sample has one label",
            )
    return tuple(segment for segment in inside if segment.label), len(found) - len(inside)
