"""The sections of a dataset's page: totals, windows, samples, quality, spectra, offsets, settings.

Long lists are cut; a note says how much is left out.
"""

import numpy as np
import pandas as pd

from configs.constants import ACC, GYRO, IMU_RATE_HZ
from datasets.windows import Windows
from scripts.reporting.dataset_figures import has_video, paired_windows, picture_bytes, read_window, spectrum
from scripts.reporting.dataset_quality import offsets, quality, text_of
from scripts.reporting.dataset_summary import (
    ACC_UNIT,
    GYRO_UNIT,
    Summary,
    hours_text,
    mean_spectrum,
    read_windows,
)
from scripts.reporting.document import Bars, Block, Facts, Heading, Picture, Row, Table, Text, plural

SEED = 0  # of the windows that are shown and of those whose spectra are averaged
MOST_BARS = 40
MOST_SAMPLES = 40
UNLABELLED_SAMPLES = 8
SPECTRUM_WINDOWS = 2000


def dataset_blocks(summary: Summary, after_totals: list[Block]) -> list[Block]:
    """The sections of one dataset."""
    blocks: list[Block] = [_totals(summary), *after_totals]
    for title, content in (
        ("Windows per class and subject", _windows(summary)),
        ("Sample windows", samples(summary)),
        ("Quality and rejections", quality(summary)),
        ("Spectra", spectra(summary)),
        ("Offset between video and IMU", offsets(summary)),
        ("Settings and versions", _settings(summary)),
    ):
        blocks += [Heading(title, mark="simulated" if summary.store.simulated else ""), *content]
    return blocks


def _totals(summary: Summary) -> Facts:
    rows = summary.store.recordings
    people = {name: rows[name].nunique() - int("" in set(rows[name])) for name in ("subject", "session")}
    counts = {
        "recordings": len(rows),
        "hours": hours_text(summary.hours),
        f"windows of {summary.window_s:g} s": _number(summary.windows),
        "with video": _number(summary.with_video),
        "with a label": _number(summary.labelled),
        "classes": len(summary.store.classes) or "none",
        **{f"{name}s": number or "unknown" for name, number in people.items()},
        "stored frames": int(rows["frames"].sum()),
        "rejected": len(summary.rejected),
        "stretches masked": len(summary.store.masked),
    }
    counts |= {"gyroscope": "none: accelerometer only"} if summary.store.accelerometer_only else {}
    return Facts({name: value if isinstance(value, str) else f"{value:,}" for name, value in counts.items()})


def _windows(summary: Summary) -> list[Block]:
    if summary.windows is None:
        return [Text(f"No recording is as long as a window of {summary.window_s:g} s.")]
    unit = "subject" if any(summary.store.recordings["subject"]) else "session"
    by_class: Block = Text("The recordings have no labels.", muted=True)
    if summary.store.classes:
        by_class = _bars(summary.per_class, "class", "subject" if unit == "subject" else "recording")
    title = f"Per {unit}" + (" (subjects are unknown)" if unit == "session" else "")
    by_unit = _bars(summary.per(unit), unit, "recording")
    blocks: list[Block] = [Row([[Heading("Per class", 3), by_class], [Heading(title, 3), by_unit]])]
    if len(summary.store.segments):
        blocks += [Heading("Events", 3), Table(summary.events_table())]
    return blocks


def _bars(counts: pd.DataFrame, noun: str, remark: str) -> Bars:
    """Bars in the table's order; if there are too many, the largest."""
    shown = counts if len(counts) <= MOST_BARS else counts.nlargest(MOST_BARS, "windows")
    rows = shown.to_dict("index").items()
    values = [(str(name) or "(unknown)", row["windows"], plural(row[f"{remark}s"], remark)) for name, row in rows]
    rest = counts.drop(shown.index)
    windows = plural(int(rest["windows"].sum()), "window")
    return Bars(values, f"and {plural(len(rest), noun)} more with {windows}" if len(rest) else "")


def samples(summary: Summary) -> list[Block]:
    """A window of each class or, without labels, a few windows."""
    if summary.windows is None:
        return [Text("There is no window to show.")]
    if summary.labelled is not None:
        chosen = one_per_class(summary.labelled)
        text = f"One window of each class, drawn at random (seed {SEED})"
    else:
        source = summary.windows if summary.with_video is None else summary.with_video
        rng = np.random.default_rng(SEED)
        drawn = rng.choice(len(source), min(UNLABELLED_SAMPLES, len(source)), replace=False)
        chosen = [(source, int(index)) for index in np.sort(drawn)]
        text = f"{plural(len(chosen), 'window')}, drawn at random (seed {SEED})"
    text += ": the middle frame of each tenth, if there is video, above acceleration and angular rate as stored."
    cards = [[_card(windows, index, summary.store.simulated)] for windows, index in chosen[:MOST_SAMPLES]]
    blocks: list[Block] = [Text(text), Row(cards, cards=True)]
    if (left_out := len(chosen) - MOST_SAMPLES) > 0:
        blocks.append(Text(f"and {plural(left_out, 'class')} more", muted=True))
    return blocks


def one_per_class(windows: Windows) -> list[tuple[Windows, int]]:
    """A window of each class, with video if any window of the class has video."""
    film = has_video(windows)
    chosen = []
    for label in range(len(windows.classes)):
        of_class = np.flatnonzero(windows.label == label)
        pool = of_class[film[of_class]] if film[of_class].any() else of_class
        if len(pool):
            chosen.append((windows, int(np.random.default_rng([SEED, label]).choice(pool))))
    return chosen


def _card(windows: Windows, index: int, simulated: bool) -> Picture:
    label = windows.classes[windows.label[index]] if windows.label[index] >= 0 else ""
    origin = [windows.ids(np.array([index]))[0]]
    origin += [f"subject {windows.subject[index]}"] if windows.subject[index] else []
    origin += ["simulated"] if simulated else []
    window = read_window(windows, index, "")
    image = picture_bytes(paired_windows([window], IMU_RATE_HZ), "svg" if window.frames is None else "jpeg")
    return Picture(image, ", ".join(origin), title=label)


def spectra(summary: Summary) -> list[Block]:
    """Mean power spectra of the six channels."""
    windows = summary.windows
    if windows is None:
        return [Text("There is no window to compute a spectrum of.")]
    drawn, which = np.arange(len(windows)), plural(len(windows), "window")
    if len(windows) > SPECTRUM_WINDOWS:
        drawn = np.sort(np.random.default_rng(SEED).choice(len(windows), SPECTRUM_WINDOWS, replace=False))
        which = f"{len(drawn):,} of {which}, drawn at random (seed {SEED})"
    frequency, density = mean_spectrum(read_windows(windows, drawn))
    text = (
        f"Power spectral density of each channel (Welch; Hann window of {summary.window_s:g} s): the mean of {which}."
    )
    cards = []
    for name, unit, lines in (
        ("acceleration", ACC_UNIT, density[: len(ACC)]),
        ("angular rate", GYRO_UNIT, density[len(GYRO) :]),
    ):
        title = name + (", simulated" if summary.store.simulated else "")
        # each window is centred: nothing is left at 0 Hz
        figure = spectrum(frequency[1:], lines[:, 1:], title, f"({unit})²/Hz")
        cards.append([Picture(picture_bytes(figure), f"spectrum of {title}")])
    return [Text(text), Row(cards, cards=True)]


def _settings(summary: Summary) -> list[Block]:
    info = summary.store.info
    known = {"classes", "subjects", "recordings", "hours", "rejected", "settings", "versions", "quality", "tables"}
    parts = {
        "Dataset": {key: value for key, value in info.items() if key not in known},
        "Preparation": info["settings"] | info.get("quality", {}),
        "Versions": info["versions"],
    }
    listings = [
        [Heading(title, 3), Table(pd.DataFrame({"name": values.keys(), "value": map(text_of, values.values())}))]
        for title, values in parts.items()
    ]
    return [Row(listings)]


def _number(windows: Windows | None) -> int:
    return 0 if windows is None else len(windows)
