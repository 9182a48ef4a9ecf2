"""The synchrony check of a whole dataset: table, what cannot be compared, and a real clip."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.frames import frame_writer
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.recording import Rejection
from datasets.store import Store, frames_path, imu_path
from datasets.synchrony import check as checking
from datasets.synchrony import offset
from scripts import check_sync, prepare
from tests.rotating_camera import record, still

ROOT = Path(__file__).resolve().parents[2]
OFFSETS = {"late": 0.8, "early": -1.3, "level": 0.04}


def write_recording(root: Path, name: str, frames: np.ndarray, gyro: np.ndarray) -> str:
    path = frames_path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(frames):
        with frame_writer(path) as writer:
            for frame in frames:
                writer.write(frame)
    imu = np.concatenate([np.full((len(gyro), 3), [0, 9.81, 0]), gyro], axis=1).astype(np.float32)
    recording = PreparedRecording(name, name, imu, "", "", "", 50.0, "0", frames=len(frames))
    write_source(root, name, "fingerprint", [recording])
    return name


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "walks"
    names = [write_recording(root, name, *record(k, offset)) for k, (name, offset) in enumerate(OFFSETS.items())]
    names.append(
        write_recording(root, "seated", still(120), 0.003 * np.random.default_rng(0).standard_normal((600, 3)))
    )
    names.append(write_recording(root, "blind", np.zeros((0, 48, 48, 3), np.uint8), np.zeros((600, 3))))
    info = {"name": root.name, "simulated": True, "frame_size": 48, "settings": {}, "versions": {}}
    finalize(root, names, [Rejection("lost", "empty_csv", "a test row")], [], info)
    return root


def check(root: Path, *flags: str) -> pd.DataFrame:
    check_sync.main([str(root), "--num_workers", "1", *flags])
    return pd.read_csv(root / "sync.csv", keep_default_na=False, na_values=[""]).set_index("id")


def test_the_table(dataset, capsys):
    table = check(dataset)
    assert table.index.tolist() == Store(dataset).recordings["id"].tolist()
    for name, offset_s in OFFSETS.items():
        assert table.loc[name, "offset_s"] == pytest.approx(offset_s, abs=0.01)
        assert table.loc[name, "confidence"] > 0.99 and table.loc[name, "used_s"] == pytest.approx(11.9)
    verdicts = {"late": "offset", "early": "offset", "level": "ok", "seated": "cannot tell", "blind": "cannot tell"}
    assert table["verdict"].to_dict() == verdicts
    assert table.loc[["seated", "blind"], "offset_s"].isna().all()
    assert table.loc["blind", "detail"] == "no video" and table.loc["blind", "used_s"] == 0
    printed = capsys.readouterr().out
    assert "5 recordings: 1 ok, 2 offset, 1 cannot tell, 1 without video" in printed and "simulated" in printed
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    assert [line.split()[1] for line in lines[1:4]] == ["early", "late", "level"]  # the largest first


def test_a_killed_check_resumes(dataset, monkeypatch):
    whole = check(dataset)
    for name in ("sync.csv", "sync.jsonl"):
        (dataset / name).unlink()
    checked, original = [], checking.check_recording

    def killed_at_the_third(number, one):
        checked.append(one.recordings["id"].iloc[0])
        if len(checked) == 3:
            raise KeyboardInterrupt
        return original(number, one)

    monkeypatch.setattr(checking, "check_recording", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        check(dataset)
    assert not (dataset / "sync.csv").exists()
    kept = dataset / "sync.jsonl"
    kept.write_bytes(kept.read_bytes() + b'\n\xff\n{"of": {"sett')  # damage; a kill in the middle of a line
    again = check(dataset)
    assert sorted(checked[:2] + checked[3:]) == sorted(whole.index)  # nothing is done twice
    pd.testing.assert_frame_equal(again, whole)


@pytest.mark.parametrize("change", ["nothing", "method", "signal"])
def test_only_rows_of_this_method_and_these_files_are_kept(dataset, change, monkeypatch):
    whole, checked = check(dataset), []
    original = checking.check_recording
    monkeypatch.setattr(
        checking, "check_recording", lambda number, one: checked.append(number) or original(number, one)
    )
    if change == "method":
        monkeypatch.setattr(checking, "VERSION", 99)
    elif change == "signal":
        os.utime(imu_path(dataset, "level"), ns=(0, 0))
    pd.testing.assert_frame_equal(check(dataset), whole)
    assert len(checked) == {"nothing": 0, "method": 5, "signal": 1}[change]


def test_two_processes_give_the_same_table(dataset):
    """Started as a script, whose functions workers cannot find."""
    command = [sys.executable, "-m", "scripts.check_sync", str(dataset), "--num_workers", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "5 recordings: " in done.stdout
    table = (dataset / "sync.csv").read_bytes()
    (dataset / "sync.jsonl").unlink()
    check(dataset)
    assert (dataset / "sync.csv").read_bytes() == table


def test_the_limit_decides_the_verdict_and_checks_nothing_again(dataset, monkeypatch):
    assert check(dataset)["verdict"].to_dict()["late"] == "offset"
    monkeypatch.setattr(checking, "check_recording", None)
    assert check(dataset, "--max_offset_s", "1")["verdict"].to_dict()["late"] == "ok"


def test_an_offset_beyond_the_range_is_not_told(dataset, monkeypatch):
    monkeypatch.setattr(offset, "MAX_LAG_S", 1.0)
    table = check(dataset)
    assert table.loc["early", "verdict"] == "cannot tell" and table.loc["late", "verdict"] == "offset"


def test_damage_is_named_and_not_fatal(dataset):
    path = frames_path(dataset, "late")
    path.write_bytes(path.read_bytes()[:1000])
    imu_path(dataset, "early").write_bytes(b"no array")
    table = check(dataset)
    assert table.loc["late", "verdict"] == table.loc["early", "verdict"] == "cannot tell"
    assert "late.mjpeg" in table.loc["late", "detail"] and "early.npy" in table.loc["early", "detail"]
    assert table.loc["level", "verdict"] == "ok"


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_ends_the_check_with_a_message(dataset, monkeypatch):
    monkeypatch.setattr(checking, "check_recording", _die)
    with pytest.raises(SystemExit, match="a process died during the synchrony check.*same command again"):
        check_sync.main([str(dataset), "--num_workers", "2"])
    assert not (dataset / "sync.csv").exists()


def test_a_long_table_is_cut_on_the_screen():
    rows = {"offset_s": 0.1, "confidence": 1.0, "verdict": "ok", "correlation": 0.9, "used_s": 5.0, "stretches": 1}
    table = pd.DataFrame([{"id": f"r{n}", **rows, "agreeing": 1, "spread_s": 0.0, "detail": ""} for n in range(50)])
    text = check_sync.report(table)
    assert text.count("| r") == check_sync.SHOWN and "and 20 more in sync.csv" in text
    assert "50 recordings: 50 ok, 0 offset, 0 cannot tell" in text


@pytest.mark.parametrize("missing", ["folder", "video"])
def test_nothing_to_check_is_said(dataset, missing):
    root = dataset
    if missing == "folder":
        root = dataset / "nowhere"
    else:
        table = pd.read_csv(root / "recordings.csv")
        table["frames"] = 0
        table.to_csv(root / "recordings.csv", index=False)
    with pytest.raises(SystemExit, match="not a prepared dataset" if missing == "folder" else "no recording has video"):
        check_sync.main([str(root)])
    assert not (dataset / "sync.csv").exists()


def test_the_real_clip(real_data, tmp_path):
    """A GoPro that steadies its picture: the steps that the gyroscope feels are not in the video: nobody can tell."""
    prepare.main(["--format", "gopro", "--raw", str(real_data / "gopro"), "--out", str(tmp_path / "gopro")])
    table = check(tmp_path / "gopro")
    row = table.loc["max-heromode"]
    assert row["verdict"] == "cannot tell" and row["used_s"] > 9 and row["stretches"] == 1
