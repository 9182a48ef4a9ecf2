"""The sections of a dataset's page: totals, windows, samples, quality, spectra, offsets, settings.

Every list is cut at a length that a reader can take in, and says how much it leaves out.
"""

from collections.abc import Callable

import pandas as pd

from datasets.windows import Windows
from scripts.reporting.dataset_figures import samples, spectra
from scripts.reporting.dataset_quality import offsets, quality, text_of
from scripts.reporting.dataset_summary import Summary
from scripts.reporting.html import Html, bars, count, facts, join, more, plural, section, table, tag

MOST_BARS = 40


def dataset_sections(summary: Summary, seed: int, after_totals: Html | None = None) -> Html:
    """Everything that the page says of one dataset, with links to its parts."""
    mark = tag("span", "simulated", class_="mark") if summary.store.simulated else None
    parts: list[tuple[str, str, Callable[[], Html]]] = [
        ("windows", "Windows per class and subject", lambda: _windows(summary)),
        ("samples", "Sample windows", lambda: samples(summary, seed)),
        ("quality", "Quality and rejections", lambda: quality(summary)),
        ("spectra", "Spectra", lambda: spectra(summary, seed)),
        ("offsets", "Offset between video and IMU", lambda: offsets(summary)),
        ("settings", "Settings and versions", lambda: _settings(summary)),
    ]
    links = tag("nav", [tag("a", title, href=f"#{anchor}") for anchor, title, _ in parts])
    return join(
        links,
        _totals(summary),
        after_totals,
        [section(join(title, " ", mark), make(), anchor=anchor) for anchor, title, make in parts],
    )


def _totals(summary: Summary) -> Html:
    rows, windows = summary.store.recordings, summary.windows
    subjects = rows["subject"].nunique() - int("" in set(rows["subject"]))
    sessions = rows["session"].nunique() - int("" in set(rows["session"]))
    return facts(
        {
            "recordings": count(len(rows)),
            "hours": hours_text(summary.hours),
            "windows of 5 s": count(_number(windows)),
            "with video": count(_number(summary.with_video)),
            "with a label": count(_number(summary.labelled)),
            "classes": count(len(summary.store.classes)) if summary.store.classes else "none",
            "subjects": count(subjects) if subjects else "unknown",
            "sessions": count(sessions) if sessions else "unknown",
            "stored frames": count(int(rows["frames"].sum())),
            "on disk": _size(summary.bytes),
            "rejected": count(len(summary.rejected)),
            "stretches masked": count(len(summary.store.masked)),
        }
    )


def _windows(summary: Summary) -> Html:
    if summary.windows is None:
        return tag("p", "No recording is as long as a window of 5 s.")
    known_subjects = any(summary.store.recordings["subject"])
    by_class = _bars(
        summary.per_class,
        lambda row: plural(row.subjects, "subject") if known_subjects else plural(row.recordings, "recording"),
        "class",
    )
    unit = "subject" if known_subjects else "session"
    by_unit = _bars(summary.per(unit), lambda row: plural(row.recordings, "recording"), unit)
    no_label = tag("p", "The recordings have no labels.", class_="muted")
    return tag(
        "div",
        tag("div", tag("h3", "Per class"), by_class if summary.store.classes else no_label),
        tag("div", tag("h3", f"Per {unit}" + ("" if known_subjects else " (subjects are unknown)")), by_unit),
        class_="columns",
    )


def _bars(counts: pd.DataFrame, remark: Callable[..., str], noun: str) -> Html:
    """Bars in the table's order; where they are too many, the largest."""
    shown = counts if len(counts) <= MOST_BARS else counts.nlargest(MOST_BARS, "windows")
    values = [(str(row.Index) or "(unknown)", int(row.windows), remark(row)) for row in shown.itertuples()]
    left_out = counts.drop(shown.index)
    return join(bars(values), more(len(left_out), noun, f" with {plural(int(left_out['windows'].sum()), 'window')}"))


def _settings(summary: Summary) -> Html:
    info = summary.store.info
    known = {"classes", "subjects", "recordings", "hours", "rejected", "settings", "versions", "quality", "tables"}
    own = {key: value for key, value in info.items() if key not in known}
    return tag(
        "div",
        tag("div", tag("h3", "Dataset"), _pairs(own)),
        tag("div", tag("h3", "Preparation"), _pairs(info["settings"] | info.get("quality", {}))),
        tag("div", tag("h3", "Versions"), _pairs(info["versions"])),
        class_="columns",
    )


def _pairs(values: dict) -> Html:
    if not values:
        return tag("p", "Nothing is recorded.", class_="muted")
    return table(("name", "value"), [(name, text_of(value)) for name, value in values.items()])


def _number(windows: Windows | None) -> int:
    return 0 if windows is None else len(windows)


def hours_text(hours: float) -> str:
    """815.3, 30.4, 4.02, 0.35, 0.0014: hours with the digits that matter."""
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2f}" if hours >= 1 else f"{hours:.2g}"


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} TiB"
