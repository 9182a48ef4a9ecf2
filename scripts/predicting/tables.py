"""The tables of a recording: windows, bouts, minutes of each hour and day.

Letters: n windows, B bins of time, A activities.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from datasets.recordings.clock import Clock
from scripts.predicting.timeline import NONWEAR, QUALITIES, Timeline

HOUR_S = 3600.0
MINUTE_S = 60.0
_DIGITS = 6
_ROWS = 1 << 15  # of a piece of the table of windows


def windows_tables(timeline: Timeline, clock: Clock, filename: str) -> Iterator[pd.DataFrame]:
    """A row for each window, in pieces: as text a week of windows would take a few hundred MB."""
    named, qualities = np.array(timeline.names, dtype=object), np.array(QUALITIES, dtype=object)
    for begin in range(0, max(len(timeline.start_s), 1), _ROWS):
        rows = slice(begin, begin + _ROWS)
        columns = {
            "filename": filename,
            "start": clock.iso(timeline.start_s[rows]),
            "activity": named[timeline.activity[rows]],
            "confidence": timeline.confidence[rows].round(_DIGITS),
        }
        for place, name in enumerate(timeline.classes):
            columns[f"probability/{name}"] = timeline.probabilities[rows, place].round(_DIGITS)
        columns["quality"] = qualities[timeline.quality[rows]]
        columns["unlike"] = timeline.unlike[rows].round(_DIGITS)
        yield pd.DataFrame(columns)


def bouts(timeline: Timeline) -> pd.DataFrame:
    """Stretches of one activity: ``begin_s``, ``end_s``, ``activity`` (a number), ``mean_probability``.

    An interruption that is longer than a window ends a bout. The probability is that of the activity; of unknown
    stretches the confidence.
    """
    n = len(timeline.start_s)
    if n == 0:
        return pd.DataFrame({"begin_s": [], "end_s": [], "activity": np.zeros(0, int), "mean_probability": []})
    code = timeline.activity
    apart = timeline.begin_s[1:] - timeline.end_s[:-1] > timeline.window_s
    first = np.flatnonzero(np.concatenate([[True], (code[1:] != code[:-1]) | apart]))
    last = np.append(first[1:], n) - 1
    known = code < len(timeline.classes)
    probability = np.where(known, timeline.probabilities[np.arange(n), np.where(known, code, 0)], timeline.confidence)
    return pd.DataFrame(
        {
            "begin_s": timeline.begin_s[first],
            "end_s": timeline.end_s[last],
            "activity": code[first],
            "mean_probability": np.add.reduceat(probability, first) / (last - first + 1),
        }
    )


def bouts_table(found: pd.DataFrame, timeline: Timeline, clock: Clock, filename: str) -> pd.DataFrame:
    """The bouts as they are written."""
    begin_s, end_s = found["begin_s"].to_numpy(float), found["end_s"].to_numpy(float)
    return pd.DataFrame(
        {
            "filename": filename,
            "start": clock.iso(begin_s),
            "end": clock.iso(end_s),
            "duration_s": (end_s - begin_s).round(3),
            "activity": np.array(timeline.names, dtype=object)[found["activity"].to_numpy(int)],
            "mean_probability": found["mean_probability"].round(_DIGITS),
        }
    )


def minutes(timeline: Timeline, edges_s: np.ndarray) -> np.ndarray:
    """(B, A) minutes of each activity in each bin; the rest of a bin is missing.

    Args:
        edges_s: (B, 2) begin and end of each bin.
    """
    out = np.zeros((len(edges_s), len(timeline.names)))
    for place in range(len(timeline.names)):
        chosen = timeline.activity == place
        if chosen.any():
            begin, end = timeline.begin_s[chosen], timeline.end_s[chosen]
            times = np.stack([begin, end], axis=1).ravel()
            passed = np.stack([np.zeros(len(begin)), end - begin], axis=1).ravel().cumsum()
            out[:, place] = np.diff(np.interp(edges_s, times, passed), axis=1)[:, 0] / MINUTE_S
    return out


def days_of(timeline: Timeline, clock: Clock) -> list[date]:
    """Local days of which something was recorded."""
    days: set[date] = set()
    if len(timeline.begin_s):
        apart = np.flatnonzero(timeline.begin_s[1:] > timeline.end_s[:-1] + HOUR_S)
        begins, ends = timeline.begin_s[np.append(0, apart + 1)], timeline.end_s[np.append(apart, -1)]
        for begin, end in zip(clock.local(begins).date, clock.local(ends - 1e-3).date, strict=True):
            days |= {begin + timedelta(k) for k in range((end - begin).days + 1)}
    return sorted(days)


def hours(timeline: Timeline, clock: Clock) -> pd.DataFrame:
    """A row for each hour of these days: ``date``, ``begin_s``, ``end_s``, ``hour`` of the day, then minutes.

    A day begins at its local midnight; where clocks are changed it has 23 or 25 hours. Imputed minutes take the place
    of what is missing or was not worn: the share of each activity at that hour of the other days, or nothing if it was
    worn on none of them. Without a time of day there are none.
    """
    rows = []
    for day in days_of(timeline, clock):
        begin, end = clock.midnight(day), clock.midnight(day + timedelta(1))
        starts = np.arange(begin, end, HOUR_S)
        hour = clock.local(starts).hour
        rows += [(day, a, min(a + HOUR_S, end), h) for a, h in zip(starts, hour, strict=True)]
    table = pd.DataFrame(rows, columns=["date", "begin_s", "end_s", "hour"])
    spent = minutes(timeline, table[["begin_s", "end_s"]].to_numpy(float))
    known = [name for name in timeline.names if name != NONWEAR]
    length = ((table["end_s"] - table["begin_s"]) / MINUTE_S).to_numpy(float)
    wear = spent[:, : timeline.nonwear].sum(1)
    table["duration_min"], table["wear_min"], table["nonwear_min"] = length, wear, spent[:, timeline.nonwear]
    table["missing_min"] = np.maximum(length - spent.sum(1), 0)
    for place, name in enumerate(known):
        table[f"minutes/{name}"] = spent[:, place]
    sums = table.groupby("hour")[["wear_min", *(f"minutes/{name}" for name in known)]].transform("sum")
    not_worn = np.maximum(length - wear, 0)
    for name in known:
        share = sums[f"minutes/{name}"] / sums["wear_min"].where(sums["wear_min"] > 0)
        filled = table[f"minutes/{name}"] + not_worn * share
        table[f"imputed_minutes/{name}"] = filled if clock.kind != "relative" else np.nan
    return table


def hourly_table(table: pd.DataFrame, clock: Clock, filename: str) -> pd.DataFrame:
    """The hours as they are written."""
    written = table.drop(columns=["begin_s", "end_s"])
    written.insert(0, "filename", filename)
    written.insert(1, "start", clock.iso(table["begin_s"].to_numpy(float)))
    return written.round(3)


def daily_table(table: pd.DataFrame, filename: str) -> pd.DataFrame:
    """Sums of the hours of each day; what cannot be imputed in one of its hours is empty."""
    numbers = [name for name in table.columns if name not in ("date", "begin_s", "end_s", "hour")]
    written = table.groupby("date")[numbers].agg(lambda hours: hours.sum(skipna=False)).reset_index()
    written.insert(0, "filename", filename)
    return written.round(3)
