"""Quality, units and synchrony through the command: what is masked, said, and not done twice."""

import json

import numpy as np
import pandas as pd
import pytest

from configs.data import QualityLimitsConfig
from datasets.frames import FrameStream
from datasets.masking import MEASURES, RULES
from datasets.store import Store, frames_path, imu_path, quality_path
from datasets.synchrony import check as checking
from datasets.windows import list_windows
from scripts import describe, prepare
from scripts.reporting.preparation_summary import sync_lines
from tests.datasets.preparation.test_quality_measures import worn
from tests.prepared import write_dataset
from tests.videos import write_video
from utils.atomic_io import write_text

CHANNELS = "acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"


def write_pd(path, seconds=21, seed=0, change=None):
    """Somebody who sits still; ``change`` does something to (N, 6)."""
    time_s, acc, gyro = worn(seconds, 50, seed)
    imu = np.concatenate([acc, gyro], axis=1)
    imu = imu if change is None else change(time_s, imu)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{t:.3f},2023-03-01," + ",".join(f"{v:.5f}" for v in row) for t, row in zip(time_s, imu, strict=True)]
    path.write_text("\n".join([f"time,date,{CHANNELS}", *rows]) + "\n")


def dead_gyro(time_s, imu):
    imu[(time_s > 6) & (time_s < 9.5), 4] = 0.0
    return imu


def copied(time_s, imu):
    imu[time_s >= 15, 2] = imu[time_s >= 15, 0]
    return imu


@pytest.fixture
def raw(tmp_path):
    write_pd(tmp_path / "raw/P01/sitting/good.csv")
    write_pd(tmp_path / "raw/P01/sitting/dead.csv", seed=1, change=dead_gyro)
    write_pd(tmp_path / "raw/P02/sitting/copied.csv", seed=2, change=copied)
    return tmp_path / "raw"


def run(raw, out, *more, format="pd"):
    prepare.main(["--format", format, "--raw", str(raw), "--out", str(out), "--num_workers", "1", *more])
    return Store(out)


def test_bad_stretches_are_masked_counted_and_shown(raw, tmp_path, capsys):
    store = run(raw, tmp_path / "d")
    assert store.masked[["id", "start_s", "end_s", "reason"]].values.tolist() == [
        ["P01-sitting-dead", 5, 10, "flat_channel"],
        ["P02-sitting-copied", 15, 20, "copied_axes"],
        ["P02-sitting-copied", 20, 21, "copied_axes"],
    ]
    assert store.masked["value"].tolist() == pytest.approx([3.48, 1, 1], abs=0.05)
    assert store.masked["threshold"].tolist() == [2.5, 0.95, 0.95]
    windows = list_windows(store, labelled=True)
    assert len(windows) == 12 - 2 and not {"P01-sitting-dead@5", "P02-sitting-copied@15"} & set(windows.ids())
    shown = capsys.readouterr().out
    assert "0.018 h" in shown and "masked because of" in shown
    (line,) = (line for line in shown.splitlines() if "copied_axes" in line)
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["1", "2", "6.0"]  # recordings, stretches, seconds
    assert "units: 9.8" in shown and "WARNING" not in shown
    describe.main([str(store.root)])
    page = (store.root / "describe.html").read_text()
    assert "copied_axes" in page and "flat_channel" in page and "stretches masked" in page and "max_flat_s" in page
    assert "at rest (median of 3 of 3 recordings" in page
    assert np.load(quality_path(store.root, "P01-sitting-good")).shape == (5, len(MEASURES))


def test_a_dataset_of_which_nothing_is_left_says_why(tmp_path, capsys):
    write_pd(tmp_path / "raw/P01/sitting/dead.csv", change=lambda _, imu: imu * [1, 1, 1, 1, 0, 1])
    store = run(tmp_path / "raw", tmp_path / "d")
    shown = capsys.readouterr().out
    assert "no usable 5 s window" in shown and "masked.csv" in shown and "| flat_channel" in shown
    assert set(store.masked["reason"]) == {"flat_channel"} and store.masked["value"].max() == pytest.approx(5)


def test_other_limits_change_the_masks_only(raw, tmp_path, capsys):
    store = run(raw, tmp_path / "d")
    before = {path: path.stat().st_mtime_ns for path in (store.root / "imu").iterdir()}
    capsys.readouterr()
    (tmp_path / "limits.yaml").write_text("max_flat_s: 4\nmax_copied_share: 1\n")
    store = run(raw, tmp_path / "d", "--quality_limits", str(tmp_path / "limits.yaml"))
    assert "0 prepared, 3 kept from before" in capsys.readouterr().out
    assert store.masked.empty and len(list_windows(store)) == 12
    assert {path: path.stat().st_mtime_ns for path in (store.root / "imu").iterdir()} == before
    given = {"max_flat_s": 4, "max_copied_share": 1}
    assert store.info["quality"] == QualityLimitsConfig().model_dump() | given


@pytest.mark.parametrize("line", ["max_flat: 4", "max_clipped_share: 1.5", "min_contrast: dark", "max_flat_s: 0"])
def test_limits_that_are_none_are_refused_first(raw, tmp_path, line):
    (tmp_path / "limits.yaml").write_text(line)
    with pytest.raises(SystemExit, match=rf"limits\.yaml: .*{line.split(':')[0]}"):
        run(raw, tmp_path / "d", "--quality_limits", str(tmp_path / "limits.yaml"))
    assert not (tmp_path / "d").exists()


def test_every_rule_has_its_limit_and_every_limit_a_rule():
    assert list(QualityLimitsConfig.model_fields) == [rule.limit for rule in RULES]


def test_a_file_cut_short_is_prepared_again(raw, tmp_path, capsys):
    store = run(raw, tmp_path / "d")
    path = imu_path(store.root, "P01-sitting-good")
    path.write_bytes(path.read_bytes()[:-8])
    capsys.readouterr()
    run(raw, tmp_path / "d")
    assert "1 prepared, 2 kept from before" in capsys.readouterr().out


# ------------------------------------------------------------- units


def test_units_that_gravity_contradicts_warn_or_fail_if_strict(tmp_path, capsys):
    def in_g(_, imu):
        return np.concatenate([imu[:, :3] / 9.80665, imu[:, 3:]], axis=1)

    for k in range(2):
        write_pd(tmp_path / f"raw/P0{k}/sitting/a.csv", seed=k, change=in_g)
    store = run(tmp_path / "raw", tmp_path / "d")
    shown = capsys.readouterr().out
    assert "WARNING, units of P00-sitting-a: at rest the accelerometer reads" in shown and "g taken for m/s²" in shown
    assert json.loads(store.recordings["notes"][0])["gravity_m_s2"] == pytest.approx(1, abs=0.02)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "raw", tmp_path / "d", "--strict")
    for words in ("units of P00-sitting-a: ", "reads ", "g taken for m/s²", "and 1 more", "--acc_unit"):
        assert words in str(stop.value)
    run(tmp_path / "raw", tmp_path / "d", "--strict", "--acc_unit", "g")


# ------------------------------------------------------------- video


def write_mmea(raw, stem, rows, frames):
    """A recording whose video is given as (n, 64, 64, 3); the IMU is somebody's who sits still."""
    _, acc, gyro = worn(rows / 25, 25)
    counts = np.round(np.concatenate([acc / 9.80665 * 16384, np.degrees(gyro) * 16.4], axis=1)).astype(int)
    (raw / "sensor/1_upstairs").mkdir(parents=True, exist_ok=True)
    text = "".join(",".join(map(str, row)) + "\n" for row in counts)
    (raw / f"sensor/1_upstairs/{stem}.csv").write_text(text)
    path = raw / f"video/1_upstairs/{stem}.mp4"
    if isinstance(frames, int):
        write_video(path, frames, 25)
        return
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "g": "500"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_frozen_and_black_video_and_lengths_that_do_not_match(tmp_path):
    rng = np.random.default_rng(0)
    pictures = np.repeat(np.repeat(rng.integers(0, 256, (300, 8, 8, 3), dtype=np.uint8), 8, 1), 8, 2)
    frozen, black = pictures.copy(), pictures.copy()
    frozen[130:] = frozen[130]
    black[:140] = 3
    names = {name: f"1_upstairs_2021_01_13_15_02_0{k}" for k, name in enumerate(("fine", "frozen", "black", "long"))}
    write_mmea(tmp_path / "raw", names["fine"], 300, pictures)
    write_mmea(tmp_path / "raw", names["frozen"], 300, frozen)
    write_mmea(tmp_path / "raw", names["black"], 300, black)
    write_mmea(tmp_path / "raw", names["long"], 300, 360)
    store = run(tmp_path / "raw", tmp_path / "d", "--frame_size", "64", format="mmea")
    found = store.masked[["id", "start_s", "reason"]].values.tolist()
    assert found == [
        [names["frozen"], 5, "frozen_frames"], [names["frozen"], 10, "frozen_frames"],
        [names["black"], 0, "blank_frames"], [names["black"], 0, "frozen_frames"],
        *([names["long"], start, "duration_mismatch"] for start in (0, 5, 10)),
    ]  # fmt: skip
    assert len(list_windows(store)) == 8 and len(list_windows(store, needs_video=True)) == 4
    assert store.masked["value"].iloc[-1] == pytest.approx(2.4, abs=0.01)  # 360 frames, 300 rows, 25 Hz
    stream = FrameStream(frames_path(store.root, names["black"]), 120, 64)
    assert stream.read(np.array([0, 40])).max() < 12


# ------------------------------------------------------------- synchrony


@pytest.fixture
def filmed(tmp_path):
    for k in range(3):
        write_mmea(tmp_path / "raw", f"1_upstairs_2021_01_13_15_02_0{k}", 150, 150)
    return tmp_path / "raw"


def offset_row(number, one, offset_s):
    """What ``check_recording`` returns."""
    facts = {"confidence": 0.999, "correlation": 0.9, "used_s": 5, "stretches": 1, "agreeing": 1, "spread_s": 0}
    return number, {"id": one.recordings["id"].iloc[0], "offset_s": offset_s, **facts, "detail": ""}


@pytest.fixture
def checked(monkeypatch):
    """Numbers of the recordings that were checked; one is off, and one cannot be told."""
    found, offsets = [], [0.1, -0.52, np.nan]

    def check(number, one):
        found.append(number)
        return offset_row(number, one, offsets[number])

    monkeypatch.setattr(checking, "check_recording", check)
    return found


FLAGS = ("--frame_size", "64")


def test_recordings_that_are_off_are_masked_unknown_ones_kept(filmed, tmp_path, capsys, checked):
    flags = (*FLAGS, "--max_offset_s", "0.2")
    store = run(filmed, tmp_path / "d", *flags, format="mmea")
    assert sorted(checked) == [0, 1, 2]
    shown = capsys.readouterr().out
    assert "synchrony: 1 recordings within 0.2 s, 1 masked beyond it, 1 cannot tell and are kept" in shown
    (row,) = store.masked.to_dict("records")
    assert (row["id"], row["reason"], row["value"]) == (store.recordings["id"][1], "video_offset", -0.52)
    assert (row["start_s"], row["end_s"]) == (0, store.recordings["duration_s"][1])
    assert len(list_windows(store)) == 3 and len(list_windows(store, needs_video=True)) == 2
    assert store.info["quality"]["max_offset_s"] == 0.2
    assert run(filmed, tmp_path / "d", *FLAGS, format="mmea").masked.empty
    # another limit checks nothing again, a recording that was prepared anew is
    assert run(filmed, tmp_path / "d", *FLAGS, "--max_offset_s", "0.6", format="mmea").masked.empty
    assert len(checked) == 3
    frames_path(store.root, store.recordings["id"][0]).unlink()
    run(filmed, tmp_path / "d", *flags, format="mmea")
    assert checked[3:] == [0]


@pytest.mark.parametrize("open_before", [False, True])
def test_a_dataset_does_not_open_during_the_check(filmed, tmp_path, monkeypatch, open_before):
    def killed(number, one):
        with pytest.raises(FileNotFoundError, match="has not ended: give the same scripts.prepare command again"):
            Store(tmp_path / "d")
        if number == 1:
            raise KeyboardInterrupt
        return offset_row(number, one, 0.0)

    if open_before:  # prepared without the mask, which another command now asks for
        run(filmed, tmp_path / "d", *FLAGS, format="mmea")
    monkeypatch.setattr(checking, "check_recording", killed)
    flags = (*FLAGS, "--max_offset_s", "0.3")
    with pytest.raises(KeyboardInterrupt):
        run(filmed, tmp_path / "d", *flags, format="mmea")
    with pytest.raises(FileNotFoundError, match="has not ended"):
        Store(tmp_path / "d")
    monkeypatch.setattr(checking, "check_recording", lambda number, one: offset_row(number, one, 1.0))
    store = run(filmed, tmp_path / "d", *flags, format="mmea")
    assert store.masked["id"].tolist() == store.recordings["id"][1:].tolist()  # the first had been checked


def test_recordings_without_video_or_vanished_are_not_counted(tmp_path):
    store = write_dataset(tmp_path / "d", ["walk"] * 4, seconds=6)
    rows = [(i, o, 0.9, "") for i, o in zip(store.recordings["id"], [0.1, np.nan, np.nan, 0.0], strict=True)]
    table = pd.DataFrame([*rows, ("gone", 0.1, 0.9, "")], columns="id offset_s confidence verdict".split())
    table.to_csv(store.root / "sync.csv", index=False)
    rewritten = store.recordings.copy()
    rewritten.loc[2, "frames"] = 0
    rewritten.to_csv(store.root / "recordings.csv", index=False)
    info = json.loads((store.root / "dataset.json").read_text()) | {"quality": {"max_offset_s": 0.2}}
    write_text(store.root / "dataset.json", json.dumps(info))
    (line,) = sync_lines(Store(store.root))
    assert line == "synchrony: 2 recordings within 0.2 s, 0 masked beyond it, 1 cannot tell and are kept"


def test_offsets_need_video(raw, tmp_path):
    with pytest.raises(SystemExit, match="no recording has video .*: leave --max_offset_s out"):
        run(raw, tmp_path / "d", "--max_offset_s", "0.2")
