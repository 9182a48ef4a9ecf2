"""Counts, spectra and offsets of a prepared dataset, against counting one by one."""

import cmath
import math
import re

import numpy as np
import pandas as pd
import pytest

from datasets.recording import Segment
from datasets.store import Store
from scripts.reporting import preparation_summary
from scripts.reporting.dataset_summary import mean_spectrum, read_windows, summarize, without_paths
from tests.prepared import write_dataset
from utils.atomic_io import write_text


def test_windows_are_counted_per_class_subject_and_session(tmp_path):
    labels = ["walk", "sit", "walk", "stand", "walk"]
    summary = summarize(write_dataset(tmp_path / "d", labels, seconds=17, frame_size=16, subjects=2))
    assert len(summary.windows) == len(summary.labelled) == len(summary.with_video) == 5 * 3
    classes = summary.per_class
    assert list(classes.index) == summary.store.classes
    for name in classes.index:
        of_class = [n for n, label in enumerate(labels) if label == name]
        assert classes.loc[name].to_dict() == {
            "windows": 3 * len(of_class),
            "subjects": len({n % 2 for n in of_class}),
            "recordings": len(of_class),
        }
    assert summary.per("subject")["windows"].to_dict() == {"s0": 9, "s1": 6}
    assert summary.per("session")["windows"].to_dict() == {f"day{n}": 3 for n in range(5)}
    assert summary.hours == pytest.approx(5 * 17 / 3600)
    assert summary.modalities == "video / IMU"


def test_a_class_without_windows_is_counted_as_none(tmp_path):
    store = write_dataset(tmp_path / "d", ["a", "b", "c"], video=False)
    store.recordings.loc[store.recordings["label"] == "b", "samples"] = 249
    assert summarize(store).per_class["windows"].to_dict() == {"a": 3, "b": 0, "c": 3}


def test_windows_of_segments_lie_within_them(tmp_path):
    segments = (Segment(2, 9, "walk"), Segment(9, 20, "sit"))
    summary = summarize(write_dataset(tmp_path / "d", ["a", "b"], 20, False, segments=segments))
    assert len(summary.windows) == 2 * 4  # cut from the beginning
    assert summary.per_class["windows"].to_dict() == {"sit": 4, "walk": 2}  # cut within each segment
    assert summary.with_video is None and summary.modalities == "IMU"


def test_events_are_counted_by_class(tmp_path):
    """Two recordings of 20 s; windows of 5 s inside an event, and those that an event covers by 3 s."""
    segments = (Segment(0, 2, "walk"), Segment(2, 9, "sit"), Segment(9, 13.2, "walk"), Segment(13.5, 18.5, "lie"))
    store = write_dataset(tmp_path / "d", ["a", "b"], 20, False, segments=segments)
    summary = summarize(store)
    events = {(s.start_s, s.end_s): s.label for s in segments}
    for name in summary.store.classes:
        lengths = [b - a for (a, b), label in events.items() if label == name]
        covered = [  # windows begin at 0, 5, 10, 15 s
            w for w in (0, 5, 10, 15) for (a, b), n in events.items() if n == name and min(b, w + 5) - max(a, w) >= 3
        ]
        assert summary.events.loc[name].to_dict() == {
            "events": 2 * len(lengths),
            "subjects": 2,
            "median_s": pytest.approx(np.median(lengths)),
            "shorter": 2 * sum(length < 5 for length in lengths),
            "inside": 2 * sum(int(length // 5) for length in lengths),
            "covered": 2 * len(covered),
        }
    shown = preparation_summary.summary(store, 5.0)
    assert re.search(r"\| walk +\| +4 \| +2 \| +3\.1 \| +4 \| +0 \| +2 \|", shown) and "no label" not in shown
    assert re.search(r"\| s0 +\| +4 \| +1 \|", shown)
    assert re.search(r"^walk: no event .*--label_share", shown, re.MULTILINE)
    shorter = summarize(store, 4.0)
    assert shorter.events["shorter"].to_dict() == {"lie": 0, "sit": 0, "walk": 2}
    assert shorter.events["inside"].to_dict() == {"lie": 2, "sit": 2, "walk": 2}
    assert "shorter than 4 s" in preparation_summary.summary(store, 4.0)


def test_a_dataset_without_labels_subjects_video_or_windows(tmp_path):
    summary = summarize(write_dataset(tmp_path / "short", [""], seconds=4, video=False, subjects=0))
    assert (summary.windows, summary.labelled, summary.with_video) == (None, None, None)
    assert summary.per_class.empty
    assert summary.per("subject")["windows"].to_dict() == {"": 0}


def test_other_mistakes_than_no_windows_are_not_hidden(tmp_path):
    store = write_dataset(tmp_path / "d", ["a"], 20, False, segments=(Segment(0, 10, "a"),))
    store.segments["end_s"] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        summarize(store)


@pytest.mark.parametrize("name, population", [("pd", "Parkinson's disease"), ("mmea", "general"), ("gopro", "")])
def test_population_follows_from_the_format(tmp_path, name, population):
    store = write_dataset(tmp_path / "d", ["a"], video=False, simulated=False)
    store.info["settings"]["format"] = name
    assert summarize(store).population == population
    store.info["simulated"] = True
    assert summarize(store).population == "simulated"


def test_few_windows_are_read_as_the_loader_reads_them(tmp_path):
    windows = summarize(write_dataset(tmp_path / "d", ["a", "b"], video=False)).windows
    chosen = np.array([5, 0, 3])
    assert np.array_equal(read_windows(windows, chosen), windows.imu(chosen, "none"))


def slow_spectrum(signal: np.ndarray, rate: float) -> list[list[float]]:
    """Welch's method as written: Hann-weighted periodograms of centred windows, one-sided, averaged."""
    n, channels, length = signal.shape
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * t / length) for t in range(length)]
    power = sum(w * w for w in hann)
    density = [[0.0] * (length // 2 + 1) for _ in range(channels)]
    for window in range(n):
        for channel in range(channels):
            x = signal[window, channel].tolist()
            mean = sum(x) / length
            for k in range(length // 2 + 1):
                total = sum(
                    w * (v - mean) * cmath.exp(-2j * math.pi * k * t / length)
                    for t, (v, w) in enumerate(zip(x, hann, strict=True))
                )
                sides = 1 if k in (0, length / 2) else 2
                density[channel][k] += sides * abs(total) ** 2 / (rate * power) / n
    return density


def test_spectrum_is_welchs():
    signal = np.random.default_rng(0).standard_normal((2, 2, 50)).cumsum(-1) + 9.81
    frequency, density = mean_spectrum(signal)
    assert frequency == pytest.approx([k * 50 / 50 for k in range(26)])
    # atol: at 0 Hz a centred window leaves rounding only
    np.testing.assert_allclose(density, slow_spectrum(signal, 50.0), rtol=1e-9, atol=1e-15)


def test_the_spectrum_of_a_sine_holds_its_power():
    time = np.arange(250) / 50
    frequency, density = mean_spectrum(np.tile(3 * np.sin(2 * np.pi * 4 * time), (3, 1, 1)))
    assert frequency[density[0].argmax()] == 4
    assert density[0].sum() * (frequency[1] - frequency[0]) == pytest.approx(3**2 / 2)


def test_offsets_of_other_recordings_are_left_out(tmp_path):
    store = write_dataset(tmp_path / "d", ["a", "b"], video=False)
    assert summarize(store).offsets is None
    text = "id,offset_s,confidence,verdict\nrec000,-0.52,0.9,found\nrec001,,0.1,cannot tell\ngone,1,1,found\n"
    write_text(store.root / "sync.csv", text)
    table = summarize(store).offsets
    assert table["id"].tolist() == ["rec000", "rec001"]
    assert table["offset_s"][0] == -0.52 and math.isnan(table["offset_s"][1])


@pytest.mark.parametrize(
    "text, shown",
    [
        ("/home/Jane Doe/raw/x.csv: holds no rows", "[file]: holds no rows"),
        ("raw/Jane Doe/x.csv: line 3", "[file]: line 3"),
        ("/data/jane/x.mp4, payload 3: damaged", "[file]: damaged"),
        ("[Errno 2] No such file: '/home/Jane Doe/x y.mp4'", "[Errno 2] No such file: '[file]'"),
        (r"see jane/x.csv, and C:\Users\jane\x.mp4.", "see [file], and [file]."),
        ('{"file": "~/jane/x.csv"}', '{"file": "[file]"}'),
        ("/home/jane", "[file]"),
        ("../jane/raw", "[file]"),
    ],
)
def test_paths_leave_the_text(text, shown):
    assert without_paths(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "want 'm/s2', not 'deg/s'",
        "n/a",
        "8192 LSB/g",
        "10 m/s/s; 3.5 s",
        "4_fall/4_fall_2021: there is a video",
        "a.b",
    ],
)
def test_other_text_stays(text):
    assert without_paths(text) == text


def test_an_empty_dataset_can_be_summarized(tmp_path):
    store = write_dataset(tmp_path / "d", ["a"], video=False)
    for name in ("recordings", "segments"):
        table = pd.read_csv(store.root / f"{name}.csv")
        write_text(store.root / f"{name}.csv", table.head(0).to_csv(index=False))
    summary = summarize(Store(store.root))
    assert summary.windows is None and summary.hours == 0
