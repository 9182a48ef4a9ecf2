"""Simulated raw files: layouts, dirt and reproducibility as promised; rooms do not tell the activity."""

import csv
import hashlib
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest

from configs.data import SimulateConfig
from configs.load import parse
from datasets.simulation import raw_files, recording_plans
from scripts import simulate as script

GRAVITY = 9.81
SMALL = ["--ego4d_hours", "0.02", "--mmea_windows_per_class", "1", "--pd_windows_per_class", "3", "--frame_size", "32"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "raw"
    script.main(["--out", str(folder), "--num_workers", "2", *SMALL])
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def frames_of(path: Path) -> tuple[int, float]:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0)), float(container.streams.video[0].average_rate)


def test_same_seed_same_bytes_for_any_number_of_workers(raw, tmp_path):
    script.main(["--out", str(tmp_path / "again"), "--num_workers", "1", *SMALL])
    assert digests(tmp_path / "again") == digests(raw)
    other = ["--ego4d_hours", "0", "--mmea_windows_per_class", "0", "--pd_windows_per_class", "3"]
    script.main(["--out", str(tmp_path / "other"), "--num_workers", "1", "--seed", "1", *other])
    mine, theirs = digests(tmp_path / "other" / "pd"), digests(raw / "pd")
    tables = [name for name in set(mine) & set(theirs) if name.endswith(".csv")]
    assert tables and all(mine[name] != theirs[name] for name in tables)


def test_what_is_there_is_kept_and_something_else_is_refused(raw, capsys):
    before = digests(raw)
    script.main(["--out", str(raw), "--num_workers", "1", *SMALL])
    assert "already there" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="remove it or choose another --out"):
        script.main(["--out", str(raw), *SMALL, "--seed", "9"])
    assert digests(raw) == before
    assert not list(raw.glob("*.partial"))


def test_every_dataset_says_that_it_is_simulated(raw):
    assert sorted(path.parent.name for path in raw.glob("*/SIMULATED.txt")) == ["ego4d", "mmea", "pd"]


def test_ego4d_layout_and_dirt(raw):
    folder = raw / "ego4d"
    videos = json.loads((folder / "ego4d.json").read_text())["videos"]
    assert {video["has_imu"] for video in videos} == {True, False}
    faults = {"NULL": 0, "backwards": 0, "gaps": 0}
    for video in videos:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", video["video_uid"])
        meta = video["video_metadata"]
        frames, rate = frames_of(folder / "v2" / "full_scale" / f"{video['video_uid']}.mp4")
        assert (frames, rate) == (meta["num_frames"], meta["fps"])
        assert meta["video_duration_sec"] == pytest.approx(frames / rate)
        table = folder / "v2" / "imu" / f"{video['video_uid']}.csv"
        assert table.exists() == video["has_imu"]
        if not video["has_imu"]:
            continue
        rows = list(csv.DictReader(table.open()))
        assert list(rows[0]) == raw_files.EGO4D_HEADER.split(",")
        own = np.array([float(row["component_timestamp_ms"]) for row in rows])
        assert 197 < 1000 / np.median(np.diff(own)) < 202
        assert own[-1] - own[0] == pytest.approx(1000 * frames / rate, abs=150)
        faults["NULL"] += sum(row["canonical_timestamp_ms"] == "NULL" for row in rows)
        stamps = [float(r["canonical_timestamp_ms"]) for r in rows if r["canonical_timestamp_ms"] != "NULL"]
        assert 0 <= stamps[0] < 10
        faults["backwards"] += int(np.sum(np.diff(stamps) < 0))
        faults["gaps"] += int(np.sum(np.diff(own) > 50))
        acc = np.array([[float(row[f"accl_{axis}"]) for axis in "xyz"] for row in rows])
        assert np.linalg.norm(acc, axis=1).mean() == pytest.approx(GRAVITY, abs=1.0)
    assert all(faults.values()), faults


def test_mmea_layout(raw):
    folder = raw / "mmea"
    lines = b"".join((folder / f"{name}.txt").read_bytes() for name in ("train", "val", "test")).decode()
    assert lines.count("\r\n") == lines.count("\n") > 0
    seen = set()
    for line in lines.splitlines():
        path, frames, rows, label = line.split(" ")
        prefix, data, group, stem = path.split("/")
        number, name = group.split("_", 1)
        assert (prefix, data) == ("yourdataset_path", "data")
        assert re.fullmatch(re.escape(group) + r"_\d{4}(_\d\d){5}", stem)
        assert int(label) == int(number) - 1
        assert frames_of(folder / "video" / group / f"{stem}.mp4") == (int(frames), 25.0)
        assert 171 <= int(frames) <= 932
        table = np.loadtxt(folder / "sensor" / group / f"{stem}.csv", delimiter=",", dtype=int)
        assert table.shape == (int(rows), 6) and abs(int(rows) - int(frames)) <= 1
        if name in ("standing", "watch_TV", "reading"):
            assert np.linalg.norm(table[:, :3], axis=1).mean() / 8192 == pytest.approx(1.0, abs=0.05)
            assert np.abs(table[:, 3:]).mean() / 16.4 < 30  # deg/s
        seen.add(name)
    assert seen == set(recording_plans.MMEA_CLASSES.values()) and len(seen) >= 12
    assert seen >= {"standing", "walking", "sit_stand", "downstairs", "upstairs", "fall"}


def test_pd_layout(raw):
    tables = sorted((raw / "pd").glob("*/*/*.csv"))
    assert {path.parent.name for path in tables} == {"walking", "turning", "bending", "standing", "sitting"}
    assert not list((raw / "pd").rglob("*.mp4"))
    for path in tables:
        rows = list(csv.DictReader(path.open()))
        assert list(rows[0]) == raw_files.PD_HEADER.split(",")
        np.testing.assert_allclose(np.diff([float(row["time"]) for row in rows]), 0.02, atol=1e-9)
        acc = np.array([[float(row[f"acc_{axis}"]) for axis in "xyz"] for row in rows])
        assert np.linalg.norm(acc, axis=1).mean() == pytest.approx(GRAVITY, abs=1.0)


def test_plans_hold_what_was_asked_for():
    mmea, pd = recording_plans.plan_mmea(75, 0), recording_plans.plan_pd(75, 0)
    ego4d = recording_plans.plan_ego4d(2.0, 0)
    for plan, classes in ((mmea, recording_plans.MMEA_CLASSES.values()), (pd, recording_plans.PD_CLASSES)):
        for name in classes:
            assert sum(int(take.duration_s // 5) for take in plan if take.script[0][0] == name) >= 75
    assert len({take.stem for take in mmea}) == len(mmea)
    assert sum(take.duration_s for take in ego4d if "no_imu" not in take.dirt) == pytest.approx(7200)
    done = {activity for take in ego4d for activity, _ in take.script}
    assert done >= set(recording_plans.MMEA_CLASSES.values()) | set(recording_plans.PD_CLASSES)


def test_rooms_do_not_tell_the_activity():
    """Every class is recorded in many rooms, every room hosts many classes, and a room looks the same for all."""
    plan = recording_plans.plan_mmea(75, 0)
    rooms = {name: {t.room for t in plan if t.script[0][0] == name} for name in recording_plans.MMEA_CLASSES.values()}
    assert min(len(numbers) for numbers in rooms.values()) >= 12
    for number in range(recording_plans.MMEA_SESSIONS):
        assert sum(number in numbers for numbers in rooms.values()) >= 5
    first, again = (recording_plans.take_room.__wrapped__("mmea", 3, 0) for _ in range(2))
    np.testing.assert_array_equal(first.atlas, again.atlas)
    # guessing the class from the room alone, with all counts known, stays near guessing the commonest class
    best = sum(max(sum(t.room == r and t.script[0][0] == name for t in plan) for name in rooms) for r in range(24))
    assert best / len(plan) < 0.25


def test_settings_are_checked():
    assert parse(SimulateConfig, []).ego4d_hours == 2.0
    with pytest.raises(SystemExit):
        parse(SimulateConfig, ["--frame_size", "65"])  # H.264 wants even sides


def test_numbers_of_a_recording_stay_as_they_are():
    """What is drawn for a take is the same in every version: the demo's figures hang on it."""
    take = recording_plans.plan_pd(3, 0)[0]
    _, device, trajectory, noise = recording_plans.perform(take, 0)
    acc, gyro = device.sensor.measure(trajectory, np.array([0.5, 7.5]), noise)
    expected = [[-1.6943643, 9.6827792, 1.4119741], [-1.33163, 9.0400938, 2.63118]]
    np.testing.assert_allclose(acc, expected, atol=1e-6)
    expected = [[-0.0379254, 0.3375778, 0.0486067], [0.1333781, -0.162026, 0.0740589]]
    np.testing.assert_allclose(gyro, expected, atol=1e-6)
