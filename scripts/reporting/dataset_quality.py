"""Tables on a dataset's page: what was left out, dropped or interpolated, the channels' scales, the offsets.

Every list is cut at a length that a reader can take in, and says how much it leaves out.
"""

import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from configs.constants import ACC, CHANNELS
from datasets.masking import VIDEO_REASONS
from datasets.preparation.units_check import report_units
from scripts.reporting.dataset_summary import ACC_UNIT, GYRO_UNIT, Summary, without_paths
from scripts.reporting.document import Bars, Block, Facts, Heading, Listing, Row, Text, count, plural

MOST_ROWS = 30
MOST_RECORDINGS = 12
MOST_VALUES = 5


def quality(summary: Summary) -> list[Block]:
    """What was left out and interpolated, and what the channels and recordings look like as numbers."""
    rows = summary.store.recordings
    if rows.empty:
        return _rejected(summary.rejected)
    dropped, filled = int(rows["dropped_samples"].sum()), int(rows["interpolated_samples"].sum())
    head = Facts(
        {
            "samples of the source dropped": count(dropped),
            "stored samples interpolated": f"{count(filled)} ({100 * filled / int(rows['samples'].sum()):.2g} %)",
            "source rate, Hz": _range(rows["source_rate_hz"]),
            "recording length, s": _range(rows["duration_s"]),
        }
    )
    parts = (_masked(summary), _channels(rows), _units(rows), _worst(rows), _notes(summary))
    return [head, *_rejected(summary.rejected), *(block for part in parts for block in part)]


def _rejected(rejected: pd.DataFrame) -> list[Block]:
    if rejected.empty:
        return [Heading("Left out", 3), Text("Nothing was left out.")]
    seconds = pd.to_numeric(rejected["end_s"]) - pd.to_numeric(rejected["start_s"])
    reasons = pd.DataFrame({"reason": rejected["reason"], "stretch": seconds.notna(), "seconds": seconds.fillna(0)})
    grouped = reasons.groupby("reason").agg(n=("stretch", "size"), stretches=("stretch", "sum"), s=("seconds", "sum"))
    grouped = grouped.sort_values("n", ascending=False)
    by_reason = [
        (row.Index, count(row.n - row.stretches), count(row.stretches), f"{row.s:,.1f}" if row.stretches else "")
        for row in grouped.itertuples()
    ]
    header = ("reason", "recordings", "stretches", "seconds of stretches")
    each = [(row.id, row.reason, without_paths(row.detail), row.start_s, row.end_s) for row in rejected.itertuples()]
    return [
        Heading("Left out, by reason", 3),
        Listing(header, by_reason, header[1:], MOST_ROWS, "reason"),
        Heading("Left out, the first of them", 3),
        Listing(("id", "reason", "detail", "from s", "to s"), each, ("from s", "to s"), MOST_ROWS),
    ]


def _masked(summary: Summary) -> list[Block]:
    """Stretches that are prepared and not used, by reason, and the recordings that have most of them."""
    masked = summary.store.masked
    if masked.empty:
        return [Heading("Masked", 3), Text("No stretch is masked.")]
    seconds = masked.assign(seconds=masked["end_s"] - masked["start_s"])
    grouped = seconds.groupby("reason").agg(
        recordings=("id", "nunique"),
        n=("id", "size"),
        s=("seconds", "sum"),
        low=("value", "min"),
        high=("value", "max"),
        limit=("threshold", "first"),
    )
    by_reason = [
        (
            row.Index + (" (where video is used)" if row.Index in VIDEO_REASONS else ""),
            count(row.recordings),
            count(row.n),
            f"{row.s:,.1f}",
            f"{row.low:.3g}" if row.low == row.high else f"{row.low:.3g} to {row.high:.3g}",
            f"{row.limit:g}",
        )
        for row in grouped.sort_values("s", ascending=False).itertuples()
    ]
    header = ("reason", "recordings", "stretches", "seconds", "values", "limit")
    most = seconds.groupby("id")["seconds"].sum().sort_values(ascending=False, kind="stable")
    each = [(name, f"{total:,.1f}") for name, total in most.items()]
    return [
        Heading("Masked, by reason", 3),
        Text("Windows that touch such a stretch are prepared, but neither trained on nor evaluated.", muted=True),
        Listing(header, by_reason, header[1:], MOST_ROWS, "reason"),
        Heading("Masked, recordings with most of it", 3),
        Listing(("id", "seconds"), each, ("seconds",), MOST_RECORDINGS, "recording"),
    ]


def _units(rows: pd.DataFrame) -> list[Block]:
    """What the length of the mean acceleration says of the units, if preparation checked them."""
    notes = [json.loads(text or "{}") for text in rows["notes"]]
    lines = [Text(without_paths(line)) for line in report_units(rows["id"].tolist(), notes)]
    return [Heading("Units", 3), *lines] if lines else []


def _channels(rows: pd.DataFrame) -> list[Block]:
    """Means and standard deviations; a wrong unit or a dead channel is seen here first."""
    weight = rows["samples"] / rows["samples"].sum()
    body = []
    for channel in CHANNELS:
        mean, std = rows[f"mean_{channel}"], rows[f"std_{channel}"]
        overall = float((weight * mean).sum())
        spread = float(np.sqrt(max((weight * (std**2 + mean**2)).sum() - overall**2, 0)))
        unit = ACC_UNIT if channel in ACC else GYRO_UNIT
        body.append((channel, unit, f"{overall:.3f}", f"{spread:.3f}", f"{std.min():.3f}", f"{std.max():.3f}"))
    header = ("channel", "unit", "mean", "std", "smallest std of a recording", "largest")
    norm = np.linalg.norm(rows[[f"mean_{c}" for c in ACC]], axis=1)
    text = (
        f"Length of a recording's mean acceleration: median {np.median(norm):.2f}, from {norm.min():.2f} to "
        f"{norm.max():.2f} {ACC_UNIT}. Gravity alone gives 9.81; turning during the recording makes it shorter."
    )
    return [Heading("Channels", 3), Listing(header, body, header[2:]), Text(text, muted=True)]


def _worst(rows: pd.DataFrame) -> list[Block]:
    order = (-(rows["dropped_samples"] + rows["interpolated_samples"])).argsort(kind="stable")
    body = [
        (
            row.id,
            row.subject,
            row.session,
            row.label,
            f"{row.duration_s:.1f}",
            f"{row.source_rate_hz:.4g}",
            count(row.frames),
            count(row.dropped_samples),
            count(row.interpolated_samples),
            text_of(json.loads(row.notes or "{}")),
        )
        for row in rows.iloc[order].itertuples()
    ]
    numbers = ("seconds", "source Hz", "frames", "dropped", "interpolated")
    header = ("id", "subject", "session", "label", *numbers, "notes")
    title = "Recordings, those with the most dropped and interpolated samples first"
    return [Heading(title, 3), Listing(header, body, numbers, MOST_RECORDINGS, "recording")]


def _notes(summary: Summary) -> list[Block]:
    if not summary.notes:
        return []
    body = [(name, count(len(values)), _values(values)) for name, values in summary.notes.items()]
    header = ("note", "recordings", "values (recordings)")
    return [Heading("Notes on recordings", 3), Listing(header, body, ("recordings",), MOST_ROWS, "note")]


def _values(values: list[Any]) -> str:
    """The commonest values, or the range of numbers that nearly all differ."""
    common = Counter(text_of(value) for value in values)
    if len(common) > MOST_VALUES and all(isinstance(value, int | float) for value in values):
        return f"{min(values):.6g} to {max(values):.6g}, median {np.median(values):.6g}"
    shown = ", ".join(f"{value} ({count(n)})" for value, n in common.most_common(MOST_VALUES))
    rest = len(common) - MOST_VALUES
    return shown + (f" and {plural(rest, 'other value')}" if rest > 0 else "")


def offsets(summary: Summary) -> list[Block]:
    """What the synchrony check found, if it was made."""
    checked = summary.offsets
    if checked is None:
        text = f"Not checked: python -m scripts.check_sync data/{summary.name} estimates it."
        return [Text(text, muted=True)]
    found = checked[np.isfinite(checked["offset_s"])]
    verdicts = [(name or "(none)", count(n)) for name, n in checked["verdict"].value_counts().items()]
    order = (-found["offset_s"].abs()).argsort(kind="stable")
    largest = [
        (row.id, f"{row.offset_s:+.2f}", f"{row.confidence:.2f}", row.verdict) for row in found.iloc[order].itertuples()
    ]
    header = ("id", "offset, s", "confidence", "verdict")
    by_verdict = Listing(("verdict", "recordings"), verdicts, ("recordings",), MOST_ROWS, "verdict")
    by_offset = _offset_bars(found["offset_s"].to_numpy())
    blocks: list[Block] = [
        Text(f"Of {plural(len(checked), 'recording')} checked, {count(len(found))} have an estimate."),
        Row([[Heading("Recordings by offset", 3), by_offset], [Heading("Recordings by verdict", 3), by_verdict]]),
    ]
    if largest:
        blocks += [
            Heading("Largest offsets", 3),
            Listing(header, largest, header[1:3], MOST_ROWS, "recording"),
        ]
    return blocks


def _offset_bars(offsets: np.ndarray) -> Block:
    if not len(offsets):
        return Text("No offset was found.", muted=True)
    width = next(w for w in (0.1, 0.2, 0.5, 1.0, 5.0, 60.0, np.inf) if np.ptp(offsets) / w <= 20)
    if not np.isfinite(width):
        return Text("The offsets differ by more than 20 minutes.", muted=True)
    bins = np.floor(offsets / width + 0.5).astype(int)  # centred on multiples of the width
    numbers = range(bins.min(), bins.max() + 1)
    return Bars([(f"{k * width:+.1f} s", int((bins == k).sum()), f"± {width / 2:g} s") for k in numbers])


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def text_of(value: Any) -> str:
    """A value of a JSON file in words, without paths."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {text_of(content)}" for name, content in value.items())
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    return without_paths("–" if value is None else str(value))
