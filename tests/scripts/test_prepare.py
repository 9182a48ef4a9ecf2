"""scripts.prepare as a person uses it: raw folders in, a dataset or a plain message out."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.data import PrepareConfig
from configs.load import build
from datasets.store import Store
from datasets.windows import list_windows
from scripts import prepare
from tests.videos import write_video

CHANNELS = "acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"


def write_pd(path, seconds=12.0, rows=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{k / 50:.3f},2023-03-01,0.1,9.8,0.2,0.01,0.02,0.03" for k in range(round(seconds * 50))]
    path.write_text(f"time,date,{CHANNELS}\n" + "\n".join(lines if rows is None else rows(lines)) + "\n")


@pytest.fixture
def raw(tmp_path):
    for patient in ("P01", "P02"):
        for label in ("walking", "sitting"):
            write_pd(tmp_path / "raw" / patient / label / "a.csv", 12 if label == "walking" else 16)
    return tmp_path / "raw"


STEADY = "max_flat_s: 999\nmax_copied_share: 1\n"  # the made-up sensors here stand still to the last digit


def run(raw, out, *more, format="pd"):
    limits = raw.with_name("limits.yaml")
    limits.write_text(STEADY)
    words = ["--format", format, "--raw", str(raw), "--out", str(out), "--num_workers", "1"]
    prepare.main([*words, "--quality_limits", str(limits), *more])


def test_worker_processes_warn_of_nothing(raw, tmp_path):
    words = ["--format", "pd", "--raw", raw, "--out", tmp_path / "out", "--num_workers", "1"]
    command = [sys.executable, "-m", "scripts.prepare", *map(str, words)]
    done = subprocess.run(command, cwd=Path(prepare.__file__).parents[1], capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr and "4 prepared" in done.stdout


def test_a_dataset_and_its_summary(raw, tmp_path, capsys):
    run(raw, tmp_path / "out")
    store = Store(tmp_path / "out")
    assert store.classes == ["walking", "sitting"] and store.info["subjects"] == ["P01", "P02"]
    assert store.info["settings"] == {
        "format": "pd", "frame_size": 224, "jpeg_quality": 90, "window_s": 5.0,
        "imu_columns": None, "time_column": None, "date_column": None, "rate_hz": None, "acc_unit": None,
        "gyro_unit": None, "acc_counts_per_g": None, "gyro_counts_per_deg_s": None, "pad_last": None,
    }  # fmt: skip
    assert not store.simulated and str(tmp_path) not in (tmp_path / "out" / "dataset.json").read_text()
    assert len(list_windows(store, labelled=True)) == 10
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        ".journal", "dataset.json", "files.csv", "imu", "masked.csv", "quality", "recordings.csv", "rejected.csv",
        "segments.csv",
    ]  # fmt: skip
    shown = capsys.readouterr().out
    assert "4 prepared, 0 kept from before, 0 left out" in shown
    assert re.search(r"\| sitting +\| +6 \| +2 \| +2 \|", shown)
    assert re.search(r"\| P01 +\| +5 \| +2 \|", shown)


def test_a_described_table_is_prepared_and_no_path_is_recorded(raw, tmp_path):
    description = tmp_path / "mine.yaml"
    description.write_text(
        "files: '{subject}/{label}/*.csv'\nacc: [acc_x, acc_y, acc_z]\ngyro: [gyro_x, gyro_y, gyro_z]\n"
        "acc_unit: m/s2\ngyro_unit: rad/s\ntime: time\ntime_unit: s\n"
    )
    run(raw, tmp_path / "out", "--table", str(description), format="table")
    store = Store(tmp_path / "out")
    assert sorted(store.classes) == ["sitting", "walking"] and store.info["subjects"] == ["P01", "P02"]
    assert store.info["settings"]["table"] == "mine.yaml"
    assert str(tmp_path) not in (tmp_path / "out" / "dataset.json").read_text()


@pytest.mark.parametrize(
    "unit, time_of, labels",
    [
        ("s", "sample", "label: what"),
        ("date", "arrival", "label: what"),
        ("s", "arrival", "annotations: {files: l.csv, label: what, start: from, end: to, unit: s}"),
    ],
)
def test_a_clock_that_begins_again_costs_its_recording(tmp_path, capsys, unit, time_of, labels):
    """A sensor was restarted after 12 s: another movement must not come between its samples."""
    raw = tmp_path / "raw"
    raw.mkdir()
    start = pd.Timestamp("2023-03-01T10:00Z")
    for name, restarted in (("fine.csv", False), ("again.csv", True)):
        rows = []
        for k in range(1000):
            t = (k - 600 if restarted and k >= 600 else k) / 50
            stamp = (start + pd.Timedelta(t, "s")).isoformat() if unit == "date" else f"{t:.3f}"
            rows.append(f"{stamp},{k / 1000:.3f},9.8,0.2,0.01,0.02,0.03,{'walking' if k < 600 else 'sitting'}")
        (raw / name).write_text(f"time,{CHANNELS},what\n" + "\n".join(rows) + "\n")
    (raw / "l.csv").write_text("what,from,to\nwalking,0,7.9\nsitting,7.9,20\n")
    (tmp_path / "mine.yaml").write_text(
        "files: '{subject:fine|again}.csv'\nacc: [acc_x, acc_y, acc_z]\ngyro: [gyro_x, gyro_y, gyro_z]\n"
        f"acc_unit: m/s2\ngyro_unit: rad/s\ntime: time\ntime_unit: {unit}\ntime_of: {time_of}\n{labels}\n"
    )
    run(raw, tmp_path / "out", "--table", str(tmp_path / "mine.yaml"), format="table")
    assert Store(tmp_path / "out").recordings["id"].tolist() == ["fine"]
    (row,) = pd.read_csv(tmp_path / "out" / "rejected.csv").itertuples()
    assert (row.id, row.reason) == ("again", "clock_back") and str(tmp_path) not in row.detail
    assert "again.csv" in row.detail and "row 601" in row.detail and "11.98 s to 0.00 s" in row.detail
    assert "clock_back" in capsys.readouterr().out


def test_a_second_call_does_only_what_is_missing_or_changed(raw, tmp_path, capsys):
    run(raw, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "imu").iterdir()}
    write_pd(raw / "P01/walking/a.csv", 13)
    write_pd(raw / "P03/turning/a.csv")
    (raw / "P02/sitting/a.csv").unlink()
    capsys.readouterr()
    run(raw, tmp_path / "out")
    assert "2 prepared, 2 kept from before, 0 left out" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "imu").iterdir()}
    changed = {path.stem for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed == {"P01-walking-a", "P03-turning-a", "P02-sitting-a"}
    store = Store(tmp_path / "out")
    assert store.recordings["id"].tolist() == ["P01-sitting-a", "P01-walking-a", "P02-walking-a", "P03-turning-a"]
    assert store.recordings["samples"].tolist() == [800, 650, 600, 600]


def test_two_processes_give_what_one_gives(raw, tmp_path):
    run(raw, tmp_path / "one")
    run(raw, tmp_path / "two", "--num_workers", "2")
    for name in ("recordings.csv", "rejected.csv", "segments.csv", "imu/P01-walking-a.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "rows, reason",
    [
        (lambda lines: [], "empty_csv"),
        (lambda lines: [*lines[:9], "1,2", *lines[9:]], "short_row"),
        (lambda lines: [*lines[:9], lines[9].replace(",9.8,", ",broken,"), *lines[10:]], "text_cell"),
        (lambda lines: [line.replace(",9.8,", ",NaN,") for line in lines], "missing_acc"),
        (lambda lines: [line.replace(",0.02,", ",,") for line in lines], "missing_gyro"),
        (lambda lines: lines[:200], "too_short"),
        (lambda lines: lines[::6], "low_rate"),
    ],
)
def test_one_bad_file_is_counted_and_the_rest_goes_on(raw, tmp_path, capsys, rows, reason):
    write_pd(raw / "P02/sitting/bad.csv", rows=rows)
    run(raw, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert table[["id", "reason"]].values.tolist() == [["P02-sitting-bad", reason]]
    assert len(Store(tmp_path / "out").recordings) == 4
    assert re.search(rf"\| {reason} +\| .* \| +P02-sitting-bad \|", capsys.readouterr().out)
    assert str(tmp_path) not in table["detail"][0]


@pytest.mark.parametrize(
    "rows, parts, dropped",
    [
        (lambda lines: [*lines[:50], *reversed(lines[50:60]), *lines[60:]], [600], 0),  # non-monotonic
        (lambda lines: [*lines[:50], lines[49], *lines[50:]], [600], 2),  # a repeated stamp; in both sensors
        (
            lambda lines: [*lines[:280], *[x.replace(",9.8,", ",NaN,") for x in lines[280:300]], *lines[300:]],
            [280, 300],
            20,
        ),
        (lambda lines: [*lines[:290], *lines[310:]], [290, 290], 0),  # rows that are missing
    ],
)
def test_dirt_that_can_be_mended_is_counted(raw, tmp_path, rows, parts, dropped):
    write_pd(raw / "P02/sitting/dirty.csv", rows=rows)
    run(raw, tmp_path / "out")
    table = Store(tmp_path / "out").recordings
    table = table[table["source"] == "P02-sitting-dirty"]
    assert table["samples"].tolist() == parts and table["dropped_samples"].sum() == dropped
    for row in table.itertuples():
        assert np.isfinite(np.load(tmp_path / "out" / "imu" / f"{row.id}.npy")).all()


def test_too_many_rejections_fail_but_leave_the_dataset(raw, tmp_path):
    for number in range(5):
        write_pd(raw / f"P09/walking/{number}.csv", seconds=3)
    with pytest.raises(SystemExit, match=r"5 of 9 recordings were left out whole.*--max_rejected_share 0.5"):
        run(raw, tmp_path / "out")
    assert len(Store(tmp_path / "out").recordings) == 4
    run(raw, tmp_path / "out", "--max_rejected_share", "0.6")


def test_nothing_prepared_is_an_error_that_says_why(tmp_path):
    write_pd(tmp_path / "raw/P01/walking/a.csv", seconds=2)
    with pytest.raises(SystemExit, match=r"nothing could be prepared .*too_short 1"):
        run(tmp_path / "raw", tmp_path / "out")
    assert "too_short" in (tmp_path / "out" / "rejected.csv").read_text()
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("format", ["ego4d", "mmea", "pd", "gopro", "classyglass"])
def test_a_missing_raw_folder_is_named(tmp_path, format):
    with pytest.raises(SystemExit, match="prepare: .*nowhere"):
        run(tmp_path / "nowhere", tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(raw, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SystemExit, match=r"prepare: .*file/out.*: see to it that .*file/out can be written and give"):
        run(raw, tmp_path / "file" / "out")


def test_another_folder_is_never_taken_for_a_dataset(raw, tmp_path):
    (tmp_path / "out" / "imu").mkdir(parents=True)
    (tmp_path / "out" / "imu" / "mine.npy").write_text("precious")
    with pytest.raises(SystemExit, match="no prepared dataset"):
        run(raw, tmp_path / "out")
    assert (tmp_path / "out" / "imu" / "mine.npy").exists()


def test_another_format_is_not_mixed_in(raw, tmp_path):
    run(raw, tmp_path / "out")
    with pytest.raises(SystemExit, match="holds a dataset of format pd, not gopro"):
        run(raw, tmp_path / "out", format="gopro")


def test_a_damaged_dataset_json_says_what_to_do(raw, tmp_path):
    (tmp_path / "out" / ".journal").mkdir(parents=True)
    (tmp_path / "out" / "dataset.json").write_text('{"settings": {"for')
    with pytest.raises(SystemExit, match=r"out/dataset.json: damaged.*remove dataset.json and give the same"):
        run(raw, tmp_path / "out")


@pytest.mark.parametrize(
    "given, says",
    [
        ({"format": "pd", "subset": ["Dataset_1A"]}, "subset only serves with format classyglass, not pd"),
        ({"format": "gopro", "acc_unit": "g"}, "acc_unit only serves with format pd"),
        ({"format": "pd", "out": "x/raw/data"}, "must not lie in one another"),
        ({"format": "pd", "out": "x"}, "must not lie in one another"),
        ({"format": "pd", "imu_columns": ["a", "b"]}, "imu_columns"),
        ({"format": "mmea", "rate_hz": 50}, "rate_hz only serves with format pd"),
        ({"format": "mmea", "pad_last": False}, "pad_last only serves with format pd"),
        ({"format": "pd", "skip_windows": "a.json"}, "skip_windows only serves with format ego4d"),
        ({"format": "pd", "acc_unit": "g", "acc_counts_per_g": 4096}, "acc_counts_per_g stands in place of acc_unit"),
        ({"format": "pd", "gyro_unit": "deg/s", "gyro_counts_per_deg_s": 1}, "in place of gyro_unit"),
        ({"format": "pd", "time_column": "t", "date_column": "d", "rate_hz": 50}, "of time_column, date_column"),
        ({"format": "pd", "acc_counts_per_g": 0}, "acc_counts_per_g"),
    ],
)
def test_contradictory_settings_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        build(PrepareConfig, {"raw": "x/raw", "out": "y"} | given, "flags")


# ------------------------------------------------------------- real layouts with video, real recordings


def test_video_without_table_and_the_reverse(tmp_path):
    raw = tmp_path / "raw"
    for number, name in ((1, "upstairs"), (2, "downstairs")):
        for second in range(3):
            stem = f"{number}_{name}/{number}_{name}_2021_01_13_15_02_{second:02d}"
            (raw / "sensor" / stem).parent.mkdir(parents=True, exist_ok=True)
            (raw / "sensor" / f"{stem}.csv").write_text("0,16384,0,0,0,164\n" * 180)
            write_video(raw / "video" / f"{stem}.mp4", 180, 25)
    (raw / "sensor/1_upstairs/1_upstairs_2021_01_13_15_02_00.csv").unlink()
    (raw / "video/1_upstairs/1_upstairs_2021_01_13_15_02_01.mp4").unlink()
    (raw / "video/2_downstairs/2_downstairs_2021_01_13_15_02_00.mp4").write_bytes(b"")
    (raw / "SIMULATED.txt").write_text("")
    run(raw, tmp_path / "out", "--frame_size", "64", format="mmea")
    store = Store(tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert dict(zip(table["id"], table["reason"], strict=True)) == {
        "1_upstairs_2021_01_13_15_02_00": "missing_csv",
        "1_upstairs_2021_01_13_15_02_01": "missing_video",
        "2_downstairs_2021_01_13_15_02_00": "empty_video",
    }
    assert store.simulated and store.info["notes"]["acc_lsb_per_g"] == 16384
    assert store.recordings["frames"].tolist() == [72, 72, 72] and store.recordings["samples"].tolist() == [359] * 3
    assert store.frames(0).read(np.array([0, 71])).shape == (2, 64, 64, 3)


def test_what_is_only_listed_is_named_but_is_no_failure(tmp_path):
    raw, stem = tmp_path / "raw", "1_upstairs_2021_01_13_15_02_00"
    (raw / "sensor/1_upstairs").mkdir(parents=True)
    (raw / f"sensor/1_upstairs/{stem}.csv").write_text("0,16384,0,0,0,164\n" * 180)
    write_video(raw / f"video/1_upstairs/{stem}.mp4", 180, 25)
    (raw / "val.txt").write_text("".join(f"a/1_upstairs_2022_01_13_15_02_{k:02d} 180 180 0\n" for k in range(9)))
    run(raw, tmp_path / "out", "--frame_size", "64", format="mmea")
    assert pd.read_csv(tmp_path / "out" / "rejected.csv")["reason"].tolist() == ["not_on_disk"] * 9


def test_the_real_walk_gives_two_windows(real_data, tmp_path, capsys):
    run(real_data / "gopro", tmp_path / "walk", format="gopro")
    store = Store(tmp_path / "walk")
    windows = list_windows(store, needs_video=True)
    assert len(windows) == 2
    assert store.recordings["source_rate_hz"][0] == pytest.approx(197.5, abs=0.2)
    gravity = np.linalg.norm(windows.imu(np.arange(2), "none")[:, :3], axis=1)
    assert np.median(gravity) == pytest.approx(9.8, abs=0.3)
    assert store.frames(0).read(np.array([0, 99])).std() > 20  # a picture, not a grey square
    assert json.loads(store.recordings["notes"][0])["gyro_rate_hz"] == pytest.approx(197.5, abs=0.2)


def test_real_glasses(real_data, tmp_path, monkeypatch):
    find = prepare.FORMATS["classyglass"].find
    few = lambda raw, **options: replace((found := find(raw, **options)), sources=found.sources[::6])  # noqa: E731
    monkeypatch.setattr(prepare.FORMATS["classyglass"], "find", few)
    run(real_data / "classyglass", tmp_path / "glasses", "--subset", "Dataset_2", format="classyglass")
    store = Store(tmp_path / "glasses")
    assert len(store.info["subjects"]) == 12 and len(store.recordings) == 12
    assert store.info["subjects"][0] == "Dataset_2-User1"
    assert (store.recordings["source_rate_hz"] - 100).abs().max() < 0.5
