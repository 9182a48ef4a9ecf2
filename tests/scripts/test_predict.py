"""scripts.predict: a recording in, a folder of tables and a page out; bad input costs itself alone."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from configs.predict import SHIPPED
from datasets.preparation.signals import process
from datasets.recording import Recording
from models import load_classifier
from models.classifier import SHIPPED as SHIPPED_FOLDER
from models.classifier import save_classifier
from models.novelty import calibrated_novelty
from models.smoothing import smooth
from scripts import collate, predict
from scripts.live import Live
from scripts.predicting import ENDINGS, tables, timeline
from tests.datasets.formats.test_daphnet import write_raw
from tests.predicting import CLASSES, NAMES, samples, write_classifier, write_csv

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture
def run(model, tmp_path):
    """Runs the command; returns its exit status and the summaries by name."""

    def run(*words, model=model):
        status = predict.main([*map(str, words), "--model", str(model), "--out", str(tmp_path / "out")])
        files = sorted((tmp_path / "out").glob("*/*-summary.json"))
        return status, {file.parent.name: json.loads(file.read_text()) for file in files}

    return run


def table(tmp_path, name, ending):
    return pd.read_csv(tmp_path / "out" / name / f"{name}-{ending}")


def test_a_recording_gets_its_folder(run, tmp_path):
    status, summaries = run(write_csv(tmp_path / "walk.csv", samples(60)))
    assert status == 0 and list(summaries) == ["walk"]
    folder = tmp_path / "out" / "walk"
    assert {file.name for file in folder.iterdir()} == {f"walk{ending}" for ending in ENDINGS}
    for ending in ("windows.csv.gz", "bouts.csv", "hourly.csv", "daily.csv"):
        assert set(table(tmp_path, "walk", ending)["filename"]) == {"walk.csv"}
    summary = summaries["walk"]
    assert summary["read_ok"] and summary["start"] == "2024-05-01T10:00:00.000+00:00"
    assert summary["sample_rate_hz"]["acc"] == pytest.approx(100, rel=1e-3)
    assert "stdin" not in summary["settings"] and summary["settings"]["hop_s"] == 1.0
    assert summary["reading"]["acc_unit"] == "m/s2" and summary["reading"]["gyro_unit"] == "rad/s"
    minutes = sum(of["minutes"] for of in summary["activities"].values())
    assert minutes == pytest.approx(1.0, abs=0.03 / 60 + 1e-3)
    daily = table(tmp_path, "walk", "daily.csv")
    parts = [*(f"minutes/{name}" for name in (*CLASSES, "unknown")), "nonwear_min", "missing_min"]
    assert daily[parts].sum().sum() == pytest.approx(1440)


def test_windows_are_those_of_the_prepared_signal(run, tmp_path, model):
    """The oracle reads the whole recording at once, by the signal path of scripts.prepare."""
    data = samples(30).round(5)
    run(write_csv(tmp_path / "walk.csv", data), "--hop_s", "0.5")
    windows = table(tmp_path, "walk", "windows.csv.gz")
    (part,) = process(Recording("walk", data[:, 0], data[:, 1:4], data[:, 0], data[:, 4:])).parts
    starts = np.arange(0, len(part.imu) - 100 + 1, 25)
    cut = np.stack([part.imu[a : a + 100].T for a in starts])
    classifier = load_classifier(model)
    own = classifier.probabilities(cut)
    assert len(windows) == len(starts)
    assert np.allclose(windows["confidence"], own.max(1), atol=2e-3)  # rates that are known after 10 s
    smoothed = smooth(own, 0.5, classifier.facts)
    assert np.allclose(windows[[f"probability/{name}" for name in CLASSES]], smoothed, atol=4e-3)
    assert windows["activity"].tolist() == [CLASSES[k] for k in smoothed.argmax(1)]
    assert windows["start"][3] == "2024-05-01T10:00:01.500+00:00"


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """The classifier with what windows of four people are like."""
    folder = write_classifier(tmp_path_factory.mktemp("knowing"))
    classifier = load_classifier(folder)
    cut = []
    for seed in range(4):
        data = samples(120, seed=seed)
        (part,) = process(Recording("walk", data[:, 0], data[:, 1:4], data[:, 0], data[:, 4:])).parts
        cut += [
            part.imu[a : a + 100].T for a in range(0, 5800, 25)
        ]  # what repeats, at the phases that a hop of 1 s meets
    with torch.no_grad():
        embeddings = classifier.encoder(classifier.normalized(torch.from_numpy(np.stack(cut))))
    people, labels = np.repeat(list("abcd"), len(cut) // 4), torch.arange(len(cut)) % 3
    classifier.novelty, facts = calibrated_novelty(embeddings, labels, people, 3, own_encoder=True)
    classifier.facts = replace(classifier.facts, novelty=facts)
    save_classifier(folder, classifier, "# A test\n")
    return folder


def test_recordings_unlike_those_learnt_from_are_warned_of(run, tmp_path, knowing, capsys):
    own = write_csv(tmp_path / "own.csv", samples(120, seed=9))
    turned = write_csv(
        tmp_path / "turned.csv", samples(120, seed=9)[:, [0, 3, 1, 2, 6, 4, 5]]
    )  # the axes, worn otherwise
    _, summaries = run(own, turned, model=knowing)
    same, other = (summaries[name]["unlike"] for name in ("own", "turned"))
    assert not same["too_many"] and same["problem"] is None and same["share"] <= same["limit"]
    assert other["too_many"] and other["share"] > other["limit"]
    for name, of in (("own", same), ("turned", other)):
        unlike = table(tmp_path, name, "windows.csv.gz")["unlike"]
        assert of["share"] == pytest.approx((unlike > 1).mean(), abs=1e-6)
        assert ("unlike what this classifier" in (tmp_path / "out" / name / f"{name}.html").read_text()) == of[
            "too_many"
        ]
    lines = [line for line in capsys.readouterr().out.splitlines() if "are unlike" in line]
    assert len(lines) == 1 and "WARNING" in lines[0] and other["problem"] in lines[0]


def test_an_older_classifier_warns_of_nothing(run, tmp_path):
    _, summaries = run(write_csv(tmp_path / "walk.csv", samples(30)))
    assert summaries["walk"]["unlike"] == {"share": None, "limit": None, "too_many": False, "problem": None}
    assert table(tmp_path, "walk", "windows.csv.gz")["unlike"].isna().all()


def test_a_stream_says_unlike_as_a_file_does(run, tmp_path, knowing):
    rows = samples(30).round(5)
    run(write_csv(tmp_path / "walk.csv", rows, start_s=0), "--no_calibrate", "--time_unit", "s", model=knowing)
    live = Live(load_classifier(knowing))
    answers = live.push(rows[:, 0], rows[:, 1:4], rows[:, 0], rows[:, 4:]) + live.finish()
    unlike = table(tmp_path, "walk", "windows.csv.gz")["unlike"]
    assert len(unlike) == 29 and unlike.tolist() == pytest.approx([a.unlike for a in answers], abs=1e-5)


def test_the_table_of_windows_is_written_in_pieces(run, tmp_path, monkeypatch):
    file = write_csv(tmp_path / "walk.csv", samples(30))
    run(file)
    whole = table(tmp_path, "walk", "windows.csv.gz")
    monkeypatch.setattr(tables, "_ROWS", 7)
    run(file)
    assert len(whole) == 29 and table(tmp_path, "walk", "windows.csv.gz").equals(whole)


def test_below_the_threshold_it_is_unknown(run, tmp_path):
    run(write_csv(tmp_path / "walk.csv", samples(30)), "--threshold", "0.5", "--no_smooth")
    windows = table(tmp_path, "walk", "windows.csv.gz")
    unknown = windows["activity"] == "unknown"
    assert unknown.tolist() == (windows["confidence"] < 0.5).tolist()
    assert 0 < unknown.sum() < len(windows) or windows["confidence"].min() >= 0.5


def test_what_was_not_worn_is_not_classified(run, tmp_path):
    data = samples(1200, rate_hz=50, quiet=(300, 960))
    _, summaries = run(write_csv(tmp_path / "a.csv", data), "--nonwear_min", "10")
    windows = table(tmp_path, "a", "windows.csv.gz")
    middle = np.arange(len(windows)) + 1.0
    off = (windows["activity"] == "nonwear").to_numpy()
    assert off.tolist() == ((middle >= 300) & (middle < 960)).tolist()
    assert windows.loc[off, "confidence"].isna().all() and (windows.loc[off, "quality"] == "nonwear").all()
    assert summaries["a"]["wear"]["nonwear_min"] == pytest.approx(11, abs=0.02)
    run(tmp_path / "a.csv", "--nonwear_min", "12")  # as long as that nobody sits still
    windows = table(tmp_path, "a", "windows.csv.gz")
    assert set(windows["quality"]) == {"good", "still"} and windows["confidence"].notna().all()


def test_units_of_any_kind_give_the_same(run, tmp_path):
    data = samples(60)
    scaled = data * [1, *[1 / 9.80665] * 3, *[180 / np.pi] * 3]
    write_csv(tmp_path / "si.csv", data)
    write_csv(tmp_path / "g.csv", scaled)
    write_csv(tmp_path / "stated.csv", scaled, names=("t", "X (g)", "Y (g)", "Z (g)", "gyr x", "gyr y", "gyr z"))
    status, summaries = run(tmp_path / "si.csv", tmp_path / "g.csv")
    assert status == 0
    assert [summaries["g"]["reading"][key] for key in ("acc_unit", "gyro_unit")] == ["g", "deg/s"]
    columns = [f"probability/{name}" for name in CLASSES]
    one, other = (table(tmp_path, name, "windows.csv.gz")[columns] for name in ("si", "g"))
    assert np.allclose(one, other, atol=1e-3)


def test_z_score_by_the_recording(run, tmp_path):
    folder = write_classifier(tmp_path / "by_recording", normalize="recording")
    status, _ = run(write_csv(tmp_path / "walk.csv", samples(30)), "--no_smooth", model=folder)
    data = samples(30).round(5)
    (part,) = process(Recording("walk", data[:, 0], data[:, 1:4], data[:, 0], data[:, 4:])).parts
    cut = np.stack([part.imu[a : a + 100].T for a in range(0, len(part.imu) - 99, 50)])
    own = load_classifier(folder).probabilities(cut, part.imu.mean(0), part.imu.std(0))
    windows = table(tmp_path, "walk", "windows.csv.gz")
    assert status == 0 and np.allclose(windows["confidence"], own.max(1), atol=2e-3)


def bad(tmp_path) -> dict[str, Path]:
    """A file for each kind of bad input, by the error that it gives."""
    data, folder = samples(30), tmp_path / "bad"
    folder.mkdir()
    (folder / "empty_csv.csv").touch()
    write_csv(folder / "missing_axis.csv", data, names=("time", "ax"))
    write_csv(folder / "missing_gyro.csv", data, names=NAMES[:4])
    write_csv(folder / "low_rate.csv", samples(60, rate_hz=12))
    write_csv(folder / "wrong_units.csv", data * [1, *[16384 / 9.80665] * 3, 1, 1, 1])
    write_csv(folder / "reversed_time.csv", data[::-1])
    (folder / "text_cell.csv").write_text("time,ax,ay,az,gx,gy,gz\n" + "1,2,3,x,5,6,7\n" * 300)
    (folder / "unreadable_csv.csv.gz").write_bytes(gzip.compress(b"time,ax,ay,az,gx,gy,gz\n" * 999)[:60])
    (folder / "time_format.csv").write_text("time,ax,ay,az,gx,gy,gz\n" + "ten past nine,2,3,4,5,6,7\n" * 300)
    return {path.name.split(".")[0]: path for path in folder.iterdir()}


def test_bad_input_costs_itself_alone(run, tmp_path, capsys):
    files = bad(tmp_path)
    good = write_csv(tmp_path / "good.csv", samples(30))
    empty = tmp_path / "nothing"
    empty.mkdir()
    status, summaries = run(*files.values(), empty, tmp_path / "absent.csv", good)
    assert status == 1
    said = capsys.readouterr().err
    for error, path in files.items():
        summary = summaries[error]
        assert (summary["read_ok"], summary["error"]) == (False, error) and path.name in summary["error_message"]
        assert f"NOT READ {error}: {error}:" in said
        assert [file.name for file in (tmp_path / "out" / error).iterdir()] == [f"{error}-summary.json"]
    assert summaries["nothing"]["error"] == "no_recording" and summaries["absent"]["error"] == "missing_file"
    assert summaries["good"]["read_ok"]
    rows = pd.read_csv(collate.main([str(tmp_path / "out")])).set_index("name")
    assert len(rows) == len(files) + 3 and rows["read_ok"].sum() == 1
    assert rows.loc["good", "activities.walking.minutes"] >= 0
    assert rows.loc["low_rate", "error"] == "low_rate"


def test_collating_loads_no_models():
    """A second, not six."""
    code = "import sys, scripts.collate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_missing_gyro_only_where_it_was_learnt(run, tmp_path):
    """The zeros stand after the z-score, as in training."""
    file = write_csv(tmp_path / "acc.csv", samples(30), names=("time", "x", "y", "z"))
    assert run(file, "--missing_gyro", "zeros")[1]["acc"]["error"] == "missing_gyro"
    learnt = write_classifier(tmp_path / "learnt", augment_drop_sensor=0.3)
    status, summaries = run(file, "--missing_gyro", "zeros", model=learnt)
    assert status == 0 and summaries["acc"]["reading"]["missing_gyro"]
    windows = table(tmp_path, "acc", "windows.csv.gz")
    assert windows["quality"].eq("good").all()
    raw = write_raw(tmp_path / "raw", connected_s=0)
    status, summaries = run(raw, "--format", "daphnet", "--missing_gyro", "zeros", model=learnt)
    reading = summaries["S03R02"]["reading"]
    assert status == 0 and reading["missing_gyro"] and reading["gyro_unit"] is None


@pytest.mark.parametrize("columns, value", [((4, 5, 6), 0), ((5,), 0.017), ((1, 2, 3), 9.8), ((2,), 0), ((6,), "x")])
def test_sensors_that_do_not_measure(run, tmp_path, columns, value):
    """An axis that never changes, or is the copy of another: refused like a sensor that is missing."""
    data = samples(30)
    data[:, columns] = data[:, 4:5] if value == "x" else value
    sensor = "acc" if columns[0] < 4 else "gyro"
    file = write_csv(tmp_path / "a.csv", data)
    status, summaries = run(file)
    assert status == 1 and summaries["a"]["error"] == f"missing_{sensor}"
    message = summaries["a"]["error_message"]
    assert (
        "a.csv" in message and ("x and z" if value == "x" else f"{'xyz'[(columns[0] - 1) % 3]} = {value:g}") in message
    )
    if sensor == "gyro":
        learnt = write_classifier(tmp_path / "learnt", augment_drop_sensor=0.3)
        status, summaries = run(file, "--missing_gyro", "zeros", model=learnt)
        assert status == 0 and summaries["a"]["reading"]["missing_gyro"]
        assert summaries["a"]["reading"]["gyro_unit"] is None and summaries["a"]["reading"]["flat_problem"] is None
        assert run(file, "--missing_gyro", "zeros")[1]["a"]["error"] == "missing_gyro"


def test_flat_windows_are_unknown_and_said(run, tmp_path, capsys):
    """An axis that stands still for a part of the time, as preparation masks it."""
    data = samples(100)
    data[2000:4000, 5] = 0.017
    _, summaries = run(write_csv(tmp_path / "a.csv", data))
    windows = table(tmp_path, "a", "windows.csv.gz")
    flat = (windows["quality"] == "flat").to_numpy()
    middle = np.arange(len(windows)) + 1.0
    assert flat[(middle > 22) & (middle < 38)].all() and not flat[(middle < 20) | (middle > 40)].any()
    assert (windows.loc[flat, "activity"] == "unknown").all() and windows.loc[flat, "confidence"].isna().all()
    assert windows.loc[~flat, "confidence"].notna().all()
    problem = summaries["a"]["reading"]["flat_problem"]
    assert f"WARNING, {problem}" in capsys.readouterr().out
    assert problem in (tmp_path / "out" / "a" / "a.html").read_text()


@pytest.mark.parametrize("window_s, still_s, flat", [(5, 2.5, False), (5, 2.54, True), (2, 1.9, False), (2, 2, True)])
def test_how_long_a_flat_axis_is(window_s, still_s, flat):
    windows = np.random.default_rng(0).normal(size=(3, 6, window_s * 50)).astype(np.float32)
    windows[1, 4, 0 : round(still_s * 50)] = 0.5
    found = timeline._quality(windows, 0.1, True) == timeline.QUALITIES.index("flat")
    assert found.tolist() == [False, flat, False]
    assert not (timeline._quality(windows, 0.1, False) == timeline.QUALITIES.index("flat")).any()


def test_months_of_gap(run, tmp_path):
    data = samples(60)
    data[3000:, 0] += 100 * 86400
    status, summaries = run(write_csv(tmp_path / "gap.csv", data))
    assert status == 0
    assert summaries["gap"]["interruptions"]["count"] == 1
    assert summaries["gap"]["interruptions"]["longest_min"] == pytest.approx(100 * 1440, rel=1e-4)
    assert table(tmp_path, "gap", "daily.csv")["date"].tolist() == ["2024-05-01", "2024-08-09"]
    assert len(table(tmp_path, "gap", "hourly.csv")) == 48
    assert "99 days without a recording" in (tmp_path / "out" / "gap" / "gap.html").read_text()


def test_a_clock_that_begins_again(run, tmp_path, capsys):
    """Of seconds since a start what follows goes on; of dates that come twice it is refused."""
    data = samples(120, rate_hz=50)
    data[4000:, 0] -= 80
    write_csv(tmp_path / "start.csv", data, start_s=0)
    write_csv(tmp_path / "since.csv", data)
    status, summaries = run(tmp_path / "start.csv", tmp_path / "since.csv")
    assert status == 1 and summaries["since"]["error"] == "clock_back"
    assert "2024-05-01T10:01:20.000+00:00 to 2024-05-01T10:00:00.000+00:00" in summaries["since"]["error_message"]
    problem = summaries["start"]["reading"]["clock_problem"]
    assert "from 80.00 s to 0.00 s (1 in all)" in problem and f"WARNING, {problem}" in capsys.readouterr().out
    assert problem in (tmp_path / "out" / "start" / "start.html").read_text()
    assert summaries["start"]["skipped"]["samples"] == {} and summaries["start"]["interruptions"]["count"] == 1
    assert sum(of["minutes"] for of in summaries["start"]["activities"].values()) == pytest.approx(2, abs=1e-3)


def test_local_dates_over_the_end_of_summer_time(run, tmp_path):
    """An hour that comes twice is refused, until the zone is known; then nothing is lost of it."""
    instants = pd.date_range("2024-10-27T00:30Z", periods=6000 * 20, freq="50ms")
    frame = pd.DataFrame(samples(6000, rate_hz=20).round(3), columns=NAMES)
    frame["time"] = instants.tz_convert("Europe/Berlin").tz_localize(None).strftime("%Y-%m-%dT%H:%M:%S.%f")
    frame.to_csv(tmp_path / "local.csv", index=False)
    _, summaries = run(tmp_path / "local.csv")
    assert summaries["local"]["error"] == "clock_back" and "--time_zone" in summaries["local"]["error_message"]
    status, summaries = run(tmp_path / "local.csv", "--time_zone", "Europe/Berlin")
    assert status == 0 and summaries["local"]["wear"]["wear_min"] == pytest.approx(100, abs=0.01)
    assert summaries["local"]["start"].endswith("02:30:00.000+02:00")
    assert summaries["local"]["end"].startswith("2024-10-27T03:09:59") and not summaries["local"]["skipped"]["samples"]


def test_dates_with_slashes(run, tmp_path, capsys):
    """Their order is told and said, or refused until it is given."""
    frame = pd.DataFrame(samples(60).round(4), columns=NAMES)
    at = pd.Timestamp("2026-11-22T14:59:30") + pd.to_timedelta(frame["time"], unit="s")
    for name, day in (("told", "11/22/2026"), ("either", "03/04/2026")):
        frame["time"] = [f"{day} {stamp:%I:%M:%S.%f}"[:-3] + " PM" for stamp in at]
        frame.to_csv(tmp_path / f"{name}.csv.gz", index=False)
    status, summaries = run(tmp_path / "told.csv.gz", tmp_path / "either.csv.gz")
    said = capsys.readouterr()
    assert status == 1 and summaries["told"]["start"] == "2026-11-22T14:59:30.000"
    assert "time month/day/year AM/PM without a zone" in said.out
    assert summaries["either"]["error"] == "time_format"
    for words in ("either.csv.gz", "03/04/2026 02:59:30.000 PM", "--time_unit dmy", "--time_unit mdy"):
        assert words in said.err and words in summaries["either"]["error_message"]
    status, summaries = run(tmp_path / "either.csv.gz", "--time_unit", "dmy", "--time_zone", "Europe/Berlin")
    assert status == 0 and summaries["either"]["start"] == "2026-04-03T14:59:30.000+02:00"
    assert not summaries["either"]["reading"]["time_format_guessed"]


@pytest.mark.parametrize("backwards, warned", [(0, False), (200, True)])
def test_many_dropped_samples_are_a_warning(run, tmp_path, capsys, backwards, warned):
    data = samples(60)
    data[3000 : 3000 + backwards, 0] -= 20.0  # the clock goes back and comes again
    _, summaries = run(write_csv(tmp_path / "a.csv", data))
    problem = summaries["a"]["reading"]["samples_problem"]
    assert (problem is not None) == warned
    assert ("WARNING, 3.3 %" in capsys.readouterr().out) == warned
    page = (tmp_path / "out" / "a" / "a.html").read_text()
    assert ("acc_backwards 200, gyro_backwards 200" in page) == warned and (not warned or problem in page)


def test_same_names_have_folders_of_their_own(run, tmp_path):
    first = write_csv(tmp_path / "anna" / "day.csv", samples(30))
    second = write_csv(tmp_path / "ben" / "day.csv.gz", samples(40))
    _, summaries = run(first, second, first)
    assert sorted(summaries) == ["anna-day", "anna-day-2", "ben-day"]
    assert summaries["ben-day"]["filename"] == "day.csv.gz"


@pytest.mark.parametrize("day, hours", [("2024-03-31", 23), ("2024-10-27", 25)])
def test_days_on_which_clocks_change(run, tmp_path, day, hours):
    start = pd.Timestamp(f"{day}T01:30", tz="Europe/Berlin").timestamp()
    data = samples(2 * 3600, rate_hz=20)
    run(write_csv(tmp_path / "dst.csv", data, start_s=start), "--time_zone", "Europe/Berlin")
    hourly = table(tmp_path, "dst", "hourly.csv")
    assert len(hourly) == hours and (hourly["date"] == day).all()
    daily = table(tmp_path, "dst", "daily.csv")
    assert daily["duration_min"].tolist() == [hours * 60] and daily["wear_min"][0] == pytest.approx(120, abs=0.1)
    offsets = set(hourly["start"].str[-6:])
    assert offsets == {"+01:00", "+02:00"}
    assert hourly["hour"].tolist() == pd.DatetimeIndex(hourly["start"].str[:19]).hour.tolist()


def test_shorter_than_any_window_says_its_length(run, tmp_path):
    _, summaries = run(write_csv(tmp_path / "short.csv", samples(0.6)))
    assert summaries["short"]["error"] == "no_samples" and "0.59 s long" in summaries["short"]["error_message"]


def test_too_short_is_read_and_not_classified(run, tmp_path):
    status, summaries = run(write_csv(tmp_path / "short.csv", samples(1)))
    assert status == 0
    assert summaries["short"]["windows"] == 0 and summaries["short"]["skipped"]["too_short_s"] == pytest.approx(
        1, abs=0.03
    )
    assert len(table(tmp_path, "short", "windows.csv.gz")) == 0
    assert (tmp_path / "out" / "short" / "short.html").is_file()


def test_a_second_call_overwrites(run, tmp_path):
    file = write_csv(tmp_path / "a.csv", samples(60))
    run(file)
    folder = tmp_path / "out" / "a"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run(file)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    file.write_text("")
    run(file)
    assert [path.name for path in folder.iterdir()] == ["a-summary.json"]


def test_a_killed_call_leaves_no_part_of_a_table(tmp_path, model):
    """Killed while it reads and writes: files are whole, no summary stands beside what is old or missing."""
    file = write_csv(tmp_path / "a.csv", samples(600))
    words = [sys.executable, "-m", "scripts.predict", str(file), "--model", str(model), "--out", str(tmp_path / "out")]
    folder = tmp_path / "out" / "a"
    predict.main(words[3:])
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    while (folder / "a-summary.json").exists() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "a-summary.json" not in left or left == whole
    for name, content in left.items():
        assert whole.get(name) == content, f"{name} is no whole file"
    assert predict.main(words[3:]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


@pytest.mark.parametrize(
    "folder, options, least",
    [
        ("sp_sw_har/s11", ["--sensor", "phone", "watch"], 20),
        ("stanford_fog", [], 8),
        ("classyglass/Dataset_1A/User1", [], 5),
    ],
)
def test_real_recordings(run, real_data, folder, options, least):
    status, summaries = run(real_data / folder, *options)
    assert status == 0 and len(summaries) >= least
    for summary in summaries.values():
        assert summary["windows"] > 0
        if summary["gravity"]["still_epochs"]:
            assert 0.9 < summary["gravity"]["at_rest_before_g"] < 1.1


def test_the_classifier_that_ships_knows_its_activities(run, real_data, tmp_path):
    """On people whom it has learnt from: the path from a file is that of its training. It weighs under 5 MB."""
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.rglob("*")) < 5e6
    words = ["--sensor", "phone", "watch", "--threshold", "0"]
    status, summaries = run(real_data / "sp_sw_har" / "s11", *words, model=SHIPPED)
    right = []
    for name, summary in summaries.items():
        truth = pd.read_csv(real_data / "sp_sw_har" / "s11" / summary["filename"])
        windows = table(tmp_path, name, "windows.csv.gz")
        middle_ms = pd.to_datetime(windows["start"]).dt.as_unit("ms").astype("int64") + 1000
        row = np.searchsorted(truth["timestamp"], middle_ms)
        right += (truth["label"].str.lower().to_numpy()[row] == windows["activity"]).tolist()
    assert status == 0 and len(right) > 150 and np.mean(right) > 0.9


def test_a_pipe_gets_the_windows_of_the_file(run, tmp_path, model):
    file = write_csv(tmp_path / "walk.csv", samples(30))
    run(file, "--no_smooth", "--no_calibrate")
    command = [sys.executable, "-m", "scripts.predict", "--stdin", "--no_smooth", "--model", str(model)]
    with open(file, "rb") as lines:
        done = subprocess.run(
            [*command, "--csv_columns", ",".join(NAMES)],
            stdin=lines,
            capture_output=True,
            cwd=ROOT,
            text=True,
            check=True,
        )
    piped = pd.read_csv(io.StringIO(done.stdout))
    written = table(tmp_path, "walk", "windows.csv.gz")
    assert len(piped) == len(written) and list(piped["activity"]) == list(written["activity"])
    for name in CLASSES:
        np.testing.assert_allclose(piped[name], written[f"probability/{name}"], atol=2e-4)


def test_a_reader_that_has_seen_enough_ends_a_pipe(tmp_path, model):
    file = write_csv(tmp_path / "walk.csv", samples(60))
    command = [sys.executable, "-m", "scripts.predict", "--stdin", "--model", str(model)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, cwd=ROOT) as pipe:
        pipe.stdout.close()
        errors = pipe.communicate(file.read_bytes())[1]
    assert errors == b"" and pipe.returncode == -signal.SIGPIPE


def test_stdin_and_files_are_not_given_together(run, tmp_path):
    for words in (["--stdin", str(tmp_path)], []):
        with pytest.raises(SystemExit):
            run(*words)
