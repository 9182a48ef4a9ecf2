"""The dataset page shows what the dataset holds, no more and nothing else."""

import os
import re
import time
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from datasets.frames import draw_frames
from datasets.recording import Rejection, Segment
from datasets.store import Store, frames_path, imu_path
from datasets.windows import list_windows
from scripts.describe import main
from scripts.reporting.dataset_figures import read_window
from scripts.reporting.dataset_page import one_per_class
from scripts.reporting.writers import as_html
from tests.prepared import write_dataset
from utils.atomic_io import write_text

SECTIONS = {  # by the first word of the heading
    **{name: name for name in ("windows", "quality", "spectra", "settings", "sizes")},
    **{"sample": "samples", "offset": "offsets"},
}
HOSTILE = '<script>alert("1")</script>'


class Reader(HTMLParser):
    """Text, tiles, tables and bars of a page, per section."""

    def __init__(self, source: str):
        super().__init__()
        self.section, self.sections = "top", {"top": ""}
        self.tiles: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict]] = []
        self._stack: list[str] = []
        self._tile = ""
        self.feed(source)

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in ("meta", "img"):
            self._stack.append(name)
        if name == "section":
            self.section = SECTIONS[dict(attributes)["id"].split("-")[0]]
            self.sections[self.section] = ""
        elif name == "tr":
            self.rows.setdefault(self.section, []).append([])
        elif name in ("th", "td"):
            self.rows[self.section][-1].append("")

    def handle_endtag(self, name):
        assert self._stack.pop() == name

    def handle_data(self, data):
        if not self._stack or "style" in self._stack:
            return
        self.sections[self.section] += data + "\n"
        if "th" in self._stack or "td" in self._stack:
            self.rows[self.section][-1][-1] += data
        if self._stack[-1] == "dt":
            self._tile = data
        elif self._stack[-1] == "dd":
            self.tiles[self._tile] = data

    def bars(self) -> dict[str, int]:
        rows = [row for row in self.rows["windows"] if len(row) < 6]  # the events have six columns
        return {row[0]: int(row[2].replace(",", "")) for row in rows}


def inspect(store: Store, *more: str) -> Reader:
    main([str(store.root), *more])
    return Reader((store.root / "describe.html").read_text(encoding="utf-8"))


def check_totals(reader: Reader, store: Store) -> None:
    """The tiles against the tables and windows of the dataset."""
    windows, tiles = list_windows(store), reader.tiles
    assert tiles["recordings"] == f"{len(store.recordings):,}"
    assert tiles["windows of 5 s"] == f"{len(windows):,}"
    assert tiles["classes"] == (str(len(store.classes)) if store.classes else "none")
    assert tiles["stored frames"] == f"{store.recordings['frames'].sum():,}"
    assert tiles["rejected"] == f"{len(pd.read_csv(store.root / 'rejected.csv')):,}"


def test_the_page_in_a_browser_shows_what_the_dataset_holds(tmp_path, browser):
    labels = ["walk", "sit", "walk", HOSTILE, "walk", "sit"]
    store = write_dataset(tmp_path / "d", labels, frame_size=48)
    write_text(store.root / "sync.csv", "id,offset_s,confidence,verdict\nrec001,-0.52,0.9,too far\n")
    main([str(store.root)])
    visit = browser.open((store.root / "describe.html").read_text(encoding="utf-8"))
    assert visit.requests == []
    assert not re.search(r"https?://", visit.dom)
    reader = Reader(visit.dom)
    assert "script" not in {name for name, _ in reader.elements}
    check_totals(reader, store)
    windows = list_windows(store, labelled=True)
    expected = {name: int((windows.label == k).sum()) for k, name in enumerate(store.classes)}
    expected |= {subject: int((windows.subject == subject).sum()) for subject in ("s0", "s1", "s2")}
    assert reader.bars() == expected == {"walk": 9, "sit": 6, HOSTILE: 3, "s0": 6, "s1": 6, "s2": 6}
    pictures = [attributes["src"] for name, attributes in reader.elements if name == "img"]
    assert [src.split(";")[0] for src in pictures] == ["data:image/jpeg"] * 3 + ["data:image/svg+xml"] * 2
    assert sum(name == "figure" for name, _ in reader.elements) == 3 + 2  # a window of each class, two spectra
    assert ["lost", "empty_csv", "a test row", "", ""] in reader.rows["quality"]
    assert ["rec001", "-0.52", "0.90", "too far"] in reader.rows["offsets"]
    for section in ("top", "windows", "samples", "quality", "spectra", "offsets", "settings"):
        assert "simulated" in reader.sections[section].lower()
    picture = matplotlib.image.imread(visit.screenshot)
    assert picture.shape[:2] == (2400, 1280)
    blank = matplotlib.image.imread(browser.open(as_html("", None, [], store.root)).screenshot)
    assert np.mean(np.any(picture[..., :3] != blank[..., :3], axis=-1)) > 0.05


def test_frames_of_a_sample_are_its_middle_frames(tmp_path):
    store = write_dataset(tmp_path / "d", ["a"], seconds=5, frame_size=230)  # frame k has brightness 5k
    windows = list_windows(store)
    frames = read_window(windows, 0, "").frames
    assert frames.shape == (10, 115, 115, 3)
    for thumbnail, frame in zip(frames, draw_frames(50, 10), strict=True):
        assert np.abs(thumbnail.astype(int) - 5 * frame).max() <= 2  # through JPEG


def test_a_sample_has_its_class_and_video_where_there_is_any(tmp_path):
    store = write_dataset(tmp_path / "d", ["a", "b"] * 3, frame_size=16)
    store.recordings.loc[[0, 2], "frames"] = 0  # of class a, one recording keeps its video
    store.recordings.loc[[1, 3, 5], "frames"] = 60  # of class b, each keeps its first window's
    windows = list_windows(store, labelled=True)
    (_, first), (_, second) = one_per_class(windows)
    assert windows.label[[first, second]].tolist() == [0, 1]
    assert windows.recording[first] == 4
    assert windows.start[second] == 0 and windows.recording[second] % 2 == 1


def test_a_dataset_that_has_nothing_but_signals(tmp_path):
    store = write_dataset(tmp_path / "d", ["", ""], seconds=30, video=False, subjects=0, simulated=False)
    reader = inspect(store)
    check_totals(reader, store)
    assert reader.tiles["subjects"] == "unknown"
    assert reader.bars() == {"day0": 6, "day1": 6}
    assert "no labels" in reader.sections["windows"]
    assert "8 windows, drawn at random" in reader.sections["samples"]
    assert "Not checked" in reader.sections["offsets"]
    assert "simulated" not in " ".join(reader.sections.values()).lower().replace("simulated\nfalse", "")


def test_no_window_no_recording(tmp_path):
    store = write_dataset(tmp_path / "short", ["a"], seconds=4, video=False)
    assert "No recording is as long" in inspect(store).sections["windows"]
    for name in ("recordings", "segments"):
        table = pd.read_csv(store.root / f"{name}.csv")
        write_text(store.root / f"{name}.csv", table.head(0).to_csv(index=False))
    assert inspect(Store(store.root)).tiles["recordings"] == "0"


def test_one_recording_with_segments(tmp_path):
    segments = (Segment(0, 11, "walk"), Segment(12, 20, "sit"))
    reader = inspect(write_dataset(tmp_path / "d", ["x"], 20, frame_size=16, segments=segments))
    assert {name: reader.bars()[name] for name in ("walk", "sit")} == {"walk": 2, "sit": 1}
    assert (reader.tiles["windows of 5 s"], reader.tiles["with a label"]) == ("4", "3")


def test_nothing_of_the_raw_data_or_the_disk_is_named(tmp_path):
    home = tmp_path / "jane_doe"
    store = write_dataset(home / "d", ["a"], frame_size=16)
    rows = pd.DataFrame([vars(Rejection("lost", "empty_csv", "/home/jane_doe/raw/x.csv: holds no rows"))])
    write_text(store.root / "rejected.csv", rows.to_csv(index=False))
    table = pd.read_csv(store.root / "recordings.csv")
    table["notes"] = '{"file": "/home/jane_doe/x.mp4", "scale": "8192 LSB/g"}'
    write_text(store.root / "recordings.csv", table.to_csv(index=False))
    reader = inspect(Store(store.root))
    assert "jane_doe" not in (store.root / "describe.html").read_text(encoding="utf-8")
    assert ["lost", "empty_csv", "[file]: holds no rows", "", ""] in reader.rows["quality"]
    assert "8192 LSB/g" in reader.sections["quality"]


def test_five_thousand_recordings_stay_readable(tmp_path):
    store = write_dataset(tmp_path / "d", ["a", "b"], video=False, subjects=0)
    table = pd.concat([store.recordings] * 2500, ignore_index=True)
    table["id"] = [f"rec{n:05d}" for n in range(len(table))]
    table["label"] = [f"class {n % 100}" for n in range(len(table))]
    table["session"] = table["id"]
    table["dropped_samples"] = table.index % 4999  # most: 4998
    table["notes"] = [f'{{"start_s": {n}, "name": "n{n}"}}' for n in table.index]
    for recording_id in table["id"]:
        os.link(imu_path(store.root, "rec000"), imu_path(store.root, recording_id))
    write_text(store.root / "recordings.csv", table.to_csv(index=False))
    info = (store.root / "dataset.json").read_text(encoding="utf-8")
    names = ", ".join(f'"class {n}"' for n in range(100))
    write_text(store.root / "dataset.json", re.sub(r'"classes": \[[^]]*\]', f'"classes": [{names}]', info))
    lost = [vars(Rejection(f"lost{n}", f"reason{n % 50}", "why", 0.0, 2.0)) for n in range(3000)]
    write_text(store.root / "rejected.csv", pd.DataFrame(lost).to_csv(index=False))
    sync = "".join(f"{i},{n / 1000 - 2},1,found\n" for n, i in enumerate(table["id"]))
    write_text(store.root / "sync.csv", "id,offset_s,confidence,verdict\n" + sync)

    start = time.process_time()  # not wall time: the machine may be busy
    reader = inspect(Store(store.root))
    assert time.process_time() - start < 30
    check_totals(reader, Store(store.root))
    assert reader.tiles["windows of 5 s"] == "15,000"
    text = {name: content.replace("\n", " ") for name, content in reader.sections.items()}
    assert "and 60 classes more with 9,000 windows" in text["windows"]
    assert "and 4,960 sessions more with 14,880 windows" in text["windows"]
    assert "and 60 classes more" in text["samples"]
    assert "2,000 of 15,000 windows, drawn at random" in text["spectra"]
    for rest in ("20 reasons", "2,970 rows", "4,988 recordings"):
        assert f"and {rest} more" in text["quality"]
    assert ["reason0", "0", "60", "120.0", "lost0"] in reader.rows["quality"]
    worst = next(row for row in reader.rows["quality"] if row[0].startswith("rec0"))
    assert (worst[0], worst[7]) == ("rec04998", "4,998")
    assert "and 4,970 recordings more" in text["offsets"]
    bins = [row for row in reader.rows["offsets"] if row[-1] == "± 0.25 s"]
    assert {row[0]: int(row[2]) for row in bins} == {"-2.0 s": 250} | {f"{k / 2:+.1f} s": 500 for k in range(-3, 6)} | {
        "+3.0 s": 250
    }
    assert all(len(rows) < 120 for rows in reader.rows.values())
    assert (store.root / "describe.html").stat().st_size < 3e6


def test_table_1_of_several_datasets(tmp_path, capsys):
    one = write_dataset(tmp_path / "one", ["a", "b"] * 3, frame_size=16)
    two = write_dataset(tmp_path / "two", [""] * 2, seconds=3600, video=False, simulated=False)
    main([str(one.root), str(two.root)])
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]
    expected = [
        ["one (simulated)", "video / IMU", "simulated", "0.025", "2", "18", "9"],
        ["two", "IMU", "–", "2.00", "–", "1,440", "–"],
    ]
    assert [row for row in rows if row in expected] == expected
    for store in (one, two):
        reader = Reader((store.root / "describe.html").read_text(encoding="utf-8"))
        assert reader.rows["sizes"][1:] == expected


@pytest.mark.parametrize(
    "argv, words",
    [
        ("NOWHERE", ["NOWHERE is not a prepared dataset", "scripts.prepare"]),
        ("D --out MISSING/page.html", []),
        ("D D --out page.html", ["out is one file"]),
        ("", ["data is missing: give DATA"]),
    ],
)
def test_mistakes_end_with_a_message(tmp_path, capsys, argv, words):
    store = write_dataset(tmp_path / "D", ["a"], video=False)
    argv = argv.replace("NOWHERE", str(tmp_path / "NOWHERE")).replace("MISSING", str(tmp_path / "MISSING"))
    argv = re.sub(r"\bD\b", str(store.root), argv)
    if not words:
        main(argv.split())  # folders of --out are made
        assert (tmp_path / "MISSING" / "page.html").is_file()
        return
    with pytest.raises(SystemExit) as stop:
        main(argv.split())
    message = str(stop.value) + capsys.readouterr().err
    for word in words:
        assert word in message


@pytest.mark.parametrize("path_of", [imu_path, frames_path])
def test_a_damaged_file_is_named(tmp_path, path_of):
    store = write_dataset(tmp_path / "d", ["a"], seconds=5, frame_size=16)
    path = path_of(store.root, "rec000")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SystemExit) as stop:
        main([str(store.root)])
    assert path.name in str(stop.value) and "prepare" in str(stop.value)
