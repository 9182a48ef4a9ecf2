"""Tables of a dataset's quality: what was left out, masked or interpolated, the channels' scales, the offsets."""

import json
from typing import Any

import numpy as np
import pandas as pd

from configs.constants import ACC, CHANNELS
from datasets.masking import VIDEO_REASONS
from datasets.preparation.units_report import report_units
from scripts.reporting.dataset_summary import ACC_UNIT, GYRO_UNIT, Summary, without_paths
from scripts.reporting.document import Bars, Block, Facts, Heading, Row, Table, Text, plural

MOST_ROWS = 30
MOST_RECORDINGS = 12


def quality(summary: Summary) -> list[Block]:
    """Tables of what was left out and interpolated, of channels and of recordings."""
    rows = summary.store.recordings
    blocks = _left_out(summary)
    if rows.empty:
        return blocks
    dropped, filled = int(rows["dropped_samples"].sum()), int(rows["interpolated_samples"].sum())
    head = Facts(
        {
            "samples of the source dropped": f"{dropped:,}",
            "stored samples interpolated": f"{filled:,} ({100 * filled / int(rows['samples'].sum()):.2g} %)",
            "source rate, Hz": _range(rows["source_rate_hz"]),
            "recording length, s": _range(rows["duration_s"]),
        }
    )
    if units := units_lines(rows):
        units = [Heading("Units", 3), *(Text(without_paths(line)) for line in units)]
    return [head, *blocks, *_masked(summary), *_channels(rows), *units, *_worst(rows)]


def rejected_by_reason(rejected: pd.DataFrame) -> pd.DataFrame:
    """Table of text: recordings and stretches that were left out, most frequent reason first."""
    seconds = pd.to_numeric(rejected["end_s"]) - pd.to_numeric(rejected["start_s"])
    found = seconds.groupby(rejected["reason"]).agg(["size", "count", "sum"]).sort_values("size", ascending=False)
    columns = {
        "recordings": (found["size"] - found["count"]).map("{:,}".format),
        "stretches": found["count"].map("{:,}".format),
        "seconds of stretches": found["sum"].map("{:,.1f}".format).where(found["count"] > 0, ""),
        "such as": rejected.groupby("reason")["id"].first(),
    }
    return pd.DataFrame(columns, index=found.index, dtype=object).reset_index()


def masked_by_reason(masked: pd.DataFrame) -> pd.DataFrame:
    """Table of text: stretches that are prepared but not used, the reason with most seconds first."""
    video = np.where(masked["reason"].isin(VIDEO_REASONS), " (where video is used)", "")
    grouped = masked.assign(seconds=masked["end_s"] - masked["start_s"]).groupby(masked["reason"] + video)
    columns = {
        "recordings": grouped["id"].nunique().map("{:,}".format),
        "stretches": grouped.size().map("{:,}".format),
        "seconds": grouped["seconds"].sum().map("{:,.1f}".format),
        "values": grouped["value"].agg(lambda values: _range(values, 3)),
        "limit": grouped["threshold"].first().map("{:g}".format),
    }
    order = grouped["seconds"].sum().sort_values(ascending=False).index
    return pd.DataFrame(columns, dtype=object).loc[order].reset_index(names="reason")


def _listing(header: tuple[str, ...], rows: list[tuple[str, ...]], most: int = MOST_ROWS, noun: str = "row") -> Table:
    return Table(pd.DataFrame(rows, columns=header, dtype=object), most=most, noun=noun)


def _left_out(summary: Summary) -> list[Block]:
    rejected = summary.rejected
    if rejected.empty:
        return [Heading("Left out", 3), Text("Nothing was left out.")]
    each = [(row.id, row.reason, without_paths(row.detail), row.start_s, row.end_s) for row in rejected.itertuples()]
    return [
        Heading("Left out, by reason", 3),
        Table(rejected_by_reason(rejected), most=MOST_ROWS, noun="reason"),
        Heading("Left out, the first of them", 3),
        _listing(("id", "reason", "detail", "from s", "to s"), each),
    ]


def _masked(summary: Summary) -> list[Block]:
    """Stretches that are prepared but not used, by reason."""
    masked = summary.store.masked
    if masked.empty:
        return [Heading("Masked", 3), Text("No stretch is masked.")]
    return [
        Heading("Masked, by reason", 3),
        Text("Windows that touch such a stretch are prepared, but neither trained on nor evaluated.", muted=True),
        Table(masked_by_reason(masked), most=MOST_ROWS, noun="reason"),
    ]


def units_lines(rows: pd.DataFrame) -> list[str]:
    """Result of the check of units by gravity."""
    return report_units(*units_columns(rows))


def units_columns(rows: pd.DataFrame) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Names, people and notes of recordings, as ``datasets.preparation.units_report`` takes them."""
    return rows["id"].tolist(), rows["subject"].tolist(), [json.loads(text or "{}") for text in rows["notes"]]


def _channels(rows: pd.DataFrame) -> list[Block]:
    """Means and standard deviations, which reveal wrong units and dead channels."""
    weight = rows["samples"] / rows["samples"].sum()
    body = []
    for channel in CHANNELS:
        mean, std = rows[f"mean_{channel}"], rows[f"std_{channel}"]
        overall = float((weight * mean).sum())
        spread = float(np.sqrt(max((weight * (std**2 + mean**2)).sum() - overall**2, 0)))
        unit = ACC_UNIT if channel in ACC else GYRO_UNIT
        body.append((channel, unit, *(f"{value:.3f}" for value in (overall, spread, std.min(), std.max()))))
    header = ("channel", "unit", "mean", "std", "smallest std of a recording", "largest")
    norm = np.linalg.norm(rows[[f"mean_{c}" for c in ACC]], axis=1)
    text = (
        f"Length of a recording's mean acceleration: median {np.median(norm):.2f}, from {norm.min():.2f} to "
        f"{norm.max():.2f} {ACC_UNIT}. Gravity alone gives 9.81; turning during the recording makes it shorter."
    )
    return [Heading("Channels", 3), _listing(header, body), Text(text, muted=True)]


def _worst(rows: pd.DataFrame) -> list[Block]:
    order = (-(rows["dropped_samples"] + rows["interpolated_samples"])).argsort(kind="stable")
    body = [
        (*(row.id, row.subject, row.session, row.label, f"{row.duration_s:.1f}", f"{row.source_rate_hz:.4g}"),)
        + tuple(f"{number:,}" for number in (row.frames, row.dropped_samples, row.interpolated_samples))
        + (text_of(json.loads(row.notes or "{}")),)
        for row in rows.iloc[order].itertuples()
    ]
    header = ("id", "subject", "session", "label", "seconds", "source Hz", "frames", "dropped", "interpolated", "notes")
    title = "Recordings, those with the most dropped and interpolated samples first"
    return [Heading(title, 3), _listing(header, body, MOST_RECORDINGS, "recording")]


def offsets(summary: Summary) -> list[Block]:
    """Results of the synchrony check, if it was run."""
    checked = summary.offsets
    if checked is None:
        text = f"Not checked: python -m scripts.check_sync data/{summary.name} estimates it."
        return [Text(text, muted=True)]
    found = checked.dropna(subset="offset_s")
    verdicts = [(name, f"{n:,}") for name, n in checked["verdict"].value_counts().items()]
    by_size = found.iloc[(-found["offset_s"].abs()).argsort(kind="stable")]
    largest = [(row.id, f"{row.offset_s:+.2f}", f"{row.confidence:.2f}", row.verdict) for row in by_size.itertuples()]
    by_verdict = _listing(("verdict", "recordings"), verdicts, noun="verdict")
    by_offset = _offset_bars(found["offset_s"].to_numpy())
    blocks: list[Block] = [
        Text(f"Of {plural(len(checked), 'recording')} checked, {len(found):,} have an estimate."),
        Row([[Heading("Recordings by offset", 3), by_offset], [Heading("Recordings by verdict", 3), by_verdict]]),
    ]
    if largest:
        header = ("id", "offset, s", "confidence", "verdict")
        blocks += [Heading("Largest offsets", 3), _listing(header, largest, noun="recording")]
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


def _range(values: Any, digits: int = 4) -> str:
    low, high = min(values), max(values)
    return f"{low:.{digits}g}" if low == high else f"{low:.{digits}g} to {high:.{digits}g}"


def text_of(value: Any) -> str:
    """A value of a JSON file in words, without paths."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {text_of(content)}" for name, content in value.items())
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    return without_paths("–" if value is None else str(value))
