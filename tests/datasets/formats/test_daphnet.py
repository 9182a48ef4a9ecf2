"""Data without a gyroscope: refused unless it is declared, and then marked wherever it is named."""

import json

import numpy as np
import pytest

from configs.data import PrepareConfig
from configs.load import ConfigError, build
from datasets.formats import FORMATS
from datasets.store import Store
from datasets.windows import list_windows
from models.handcrafted import handcrafted_features
from models.invariant import invariant_features
from scripts import describe, prepare
from scripts.reporting.dataset_summary import summarize
from utils.long_table import dataset_name, encoder_origin

daphnet = FORMATS["daphnet"]
STEM = "S03R02"


def write_raw(folder, seconds=30, connected_s=8):
    """Rows at 64 Hz: nothing until the sensors are connected, then 1 g on each second axis and small waves."""
    folder.mkdir()
    rows = []
    for k in range(64 * seconds):
        on = k >= 64 * connected_s
        values = [[(10 * (k % 7 + 3 * axis) + 1000 * (axis == 1)) * on for axis in range(3)] for _ in range(3)]
        label = (k >= 64 * 10) + (k >= 64 * 20)
        rows.append(" ".join(map(str, [round(1000 * k / 64), *sum(values, []), label])))
    (folder / f"{STEM}.txt").write_text("\n".join(rows) + "\n")
    return folder


def prepared(raw, out, *more):
    words = f"--format daphnet --raw {raw} --out {out} --num_workers 1 --missing_gyro zeros".split()
    prepare.main([*words, *more])
    return Store(out)


def test_without_the_flag_nothing_is_made_up(tmp_path):
    write_raw(tmp_path / "raw")
    with pytest.raises(SystemExit, match="missing_gyro 1"):
        prepare.main(f"--format daphnet --raw {tmp_path}/raw --out {tmp_path}/out --num_workers 1".split())
    assert "--missing_gyro zeros" in (tmp_path / "out" / "rejected.csv").read_text()


def test_a_gyroscope_that_is_there_is_not_replaced(tmp_path, real_data):
    with pytest.raises(ValueError, match="missing_gyro zeros: .*stanford_fog.yaml names a gyroscope"):
        FORMATS["stanford_fog"].find(real_data / "stanford_fog", None, "zeros")
    with pytest.raises(ConfigError, match="missing_gyro only serves with format table"):
        build(PrepareConfig, {"format": "mmea", "raw": "a", "out": "b", "missing_gyro": "zeros"}, "test")


def test_declared_it_is_prepared_and_marked(tmp_path, capsys):
    store = prepared(write_raw(tmp_path / "raw"), tmp_path / "out")
    assert "accelerometer only" in capsys.readouterr().out
    info = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert info["settings"]["missing_gyro"] == "zeros" and store.accelerometer_only
    (row,) = store.recordings.to_dict("records")
    notes = json.loads(row["notes"])
    assert notes["missing_gyro"] == "zeros" and "gyro_rate_hz" not in notes and "gyro_scale" not in notes
    assert notes["gravity_m_s2"] == pytest.approx(10.4, abs=0.1) and "units_problem" not in notes
    assert (row["subject"], store.classes) == ("S03", ["no_freezing", "freezing"])
    # the gyroscope's zeros are no fault: what is masked is where the accelerometer was not connected
    assert set(store.masked["reason"]) == {"flat_channel", "copied_axes"} and store.masked["end_s"].max() == 10
    windows = list_windows(store)
    assert windows.start.tolist() == [500, 750, 1000, 1250]
    for normalize in ("none", "recording", "dataset", "window"):
        imu = windows.imu(np.arange(4), normalize)
        assert not imu[:, 3:].any() and np.isfinite(imu).all() and imu[:, :3].std() > 0.01
    raw = windows.imu(np.arange(4), "none")
    assert np.isfinite(handcrafted_features(raw)).all() and np.isfinite(invariant_features(raw)).all()
    assert summarize(store).modalities == "accelerometer"
    facts = {"dataset": store.fingerprint(), "checkpoint": {"dataset": store.fingerprint()}}
    assert dataset_name(facts | {"command": "downstream"}) == "out (accelerometer only)"
    assert encoder_origin(facts) == "pretrained on out (accelerometer only)"
    describe.main([str(tmp_path / "out"), "--out", str(tmp_path / "page.html")])
    assert "accelerometer only" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("sensor", ["trunk", "shank"])
def test_the_real_recording(real_data, tmp_path, sensor):
    store = prepared(real_data / "daphnet", tmp_path / "out", "--sensor", sensor)
    assert store.recordings["source"].tolist() == [STEM] and store.info["subjects"] == ["S03"]
    (row,) = store.recordings.to_dict("records")
    assert row["source_rate_hz"] == pytest.approx(64, abs=0.01) and row["duration_s"] == pytest.approx(605.8, abs=0.1)
    assert 8.5 < json.loads(row["notes"])["gravity_m_s2"] < 11
    seconds = (store.segments["end_s"] - store.segments["start_s"]).groupby(store.segments["label"]).sum()
    assert seconds["no_freezing"] == pytest.approx(14335 / 64, abs=1)  # rows of the file with annotation 1, and 2
    assert seconds["freezing"] == pytest.approx(2306 / 64, abs=1)
    windows = list_windows(store, labelled=True, window_s=2.0)
    assert {windows.classes[k] for k in windows.label} == {"no_freezing", "freezing"}
    imu = windows.imu(np.arange(len(windows)), "dataset")
    assert not imu[:, 3:].any() and np.isfinite(imu).all()
