"""Which files of a folder are recordings, and of which format."""

import numpy as np
import pandas as pd
import pytest

from configs.load import ConfigError, build
from configs.predict import PredictConfig
from datasets.recording import BadRecording
from datasets.recordings.find import find
from datasets.recordings.plain_csv import PlainSettings
from scripts.predicting import ENDINGS
from tests.datasets.formats.test_daphnet import write_raw
from tests.predicting import NAMES, samples, write_csv

SP_SW_HAR = ("timestamp", "x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")


def names(folder, format_name=None):
    listed, remarks = find([folder], format_name, {}, PlainSettings())
    return [of.name for of in listed], remarks


@pytest.mark.parametrize("format_name", [None, "csv"])
def test_what_predict_wrote_is_no_recording(tmp_path, format_name):
    """``walk`` stands in the folder that gets its tables; ``b-daily`` is a recording of that name."""
    for name in ("walk/walk.csv", "b-daily.csv", *(f"walk/walk{ending}" for ending in ENDINGS), "summaries.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path, format_name)[0] == ["b-daily", "walk"]
    (tmp_path / "walk" / f"walk{ENDINGS[0]}").unlink()
    assert len(names(tmp_path, format_name)[0]) == 7


def opened(folder):
    """Formats, or reasons of what cannot be read, by the first file's name; and the remarks."""
    listed, remarks = find([folder], None, {}, PlainSettings())
    found = {}
    for of in listed:
        try:
            found[of.files[0].name] = of.open().facts["format"]
        except BadRecording as error:
            found[of.files[0].name] = error.reason
    return found, remarks


GLASSES = [f"10_MetaWear_2019-09-14T16.16.00.093_F1_{of}_100.000Hz_1.4.5.csv" for of in ("Accelerometer", "Gyroscope")]


@pytest.mark.parametrize("plain, fog", [(3, 1), (1, 3)])
def test_each_file_has_the_format_of_its_name(tmp_path, plain, fog):
    """A table that is no recording is one more failure, but a list where all other names tell one format."""
    wanted = {f"day{k}.csv": "csv" for k in range(plain)}
    wanted |= {f"pt1_visit_1_walk_trial_{k}.csv": "stanford_fog" for k in range(fog)}
    for name in wanted:
        chest = [f"imu_chest_{kind}{axis}" for kind in "ag" for axis in "xyz"] + ["freeze_label"]
        data = np.column_stack([samples(1), np.zeros(100)])
        write_csv(tmp_path / name, data, names=("time", *chest) if "trial" in name else NAMES)
    (tmp_path / "people.csv").write_text("id,age\n1,80\n2,81\n")
    (tmp_path / "packed.zip").write_bytes(b"PK")
    found, remarks = opened(tmp_path)
    assert found == wanted
    assert sum("people.csv" in remark for remark in remarks) == sum("packed.zip" in remark for remark in remarks) == 1
    (tmp_path / "s03").mkdir()
    labelled = pd.DataFrame(samples(1), columns=SP_SW_HAR).assign(label="WALKING")
    labelled.to_csv(tmp_path / "s03" / "s03_02_sp.csv", index=False)
    for name in (*GLASSES, "s04_02_sp.csv"):
        write_csv(tmp_path / name, samples(1))
    found, remarks = opened(tmp_path)
    wanted |= {"s03_02_sp.csv": "sp_sw_har", "people.csv": "missing_column"}
    wanted |= dict.fromkeys(GLASSES, "unexpected_place")
    assert {name: found[name] for name in wanted} == wanted
    assert not any("people.csv" in remark for remark in remarks) and any("s04_02_sp.csv" in of for of in remarks)


def test_a_table_out_of_its_layout_is_plain(tmp_path):
    tmp_path = tmp_path / "a" / "b" / "c"  # folders above are looked at too
    file = write_csv(tmp_path / "s03_02_sp.csv", samples(1), names=SP_SW_HAR)
    for path in (file, tmp_path):
        found, (remark,) = opened(path)
        assert found == {file.name: "csv"} and "sp_sw_har" in remark and file.name in remark
    (tmp_path / GLASSES[0]).touch()
    assert opened(tmp_path / GLASSES[0])[0] == {GLASSES[0]: "no_recording"}


@pytest.mark.parametrize("sensor", [None, ["thigh", "shank"]])
def test_formats_without_a_gyroscope(tmp_path, sensor):
    write_raw(tmp_path / "raw", seconds=12)
    for missing_gyro in ("refuse", "zeros"):
        settings = PlainSettings(missing_gyro=missing_gyro)
        listed, _ = find([tmp_path / "raw"], "daphnet", {"sensor": sensor}, settings)
        assert len(listed) == len(sensor or [0])
        for recording in listed:
            if missing_gyro == "zeros":
                reading = recording.open()
                assert not reading.has_gyro and not any(part.gyro.any() for part in reading.samples)
            else:
                with pytest.raises(BadRecording, match="missing_gyro"):
                    recording.open()


TABLE = """files: "{session}/{session}_{trial}.csv"
acc: [a, b, c]
acc_unit: g
gyro: [p, q, r]
gyro_unit: deg/s
time: when
time_unit: ms
annotations: {files: labels.csv, label: what}
video: "{stem}.mp4"
subject: who
labels: {W: walking}
"""


@pytest.mark.parametrize("place", ["new", "new/s1"])
@pytest.mark.parametrize("whole", [True, False])
def test_new_tables_need_times_and_channels_alone(tmp_path, place, whole):
    """No label, no person, no video, another name and place than the description says."""
    table, data = tmp_path / "mine.yaml", samples(1)
    table.write_text(TABLE if place == "new/s1" else TABLE.replace("{session}_", "{session}_x_"))
    names = ("when", "a", "b", "c", "p", "q", "r")
    file = write_csv(tmp_path / place / "s1_eve.csv", data * [1000, 1, 1, 1, 1, 1, 1], start_s=0, names=names)
    path = tmp_path / "new" if whole else file
    (listed,), remarks = find([path], "table", {"table": table, "sensor": None}, PlainSettings())
    (part,) = listed.open().samples
    assert listed.files == (file,) and not remarks
    np.testing.assert_allclose(part.acc, data[:, 1:4] * 9.80665, atol=1e-3)
    np.testing.assert_allclose(part.gyro, np.radians(data[:, 4:]), atol=1e-3)
    np.testing.assert_allclose(part.acc_time_s, data[:, 0], atol=1e-6)


def test_tables_that_a_description_leaves_aside_are_counted(tmp_path):
    (tmp_path / "mine.yaml").write_text(TABLE.replace("{session}/{session}_{trial}", "day_*"))
    for name in ("day_1", "day_2", "other"):
        write_csv(tmp_path / "new" / f"{name}.csv", samples(1))
    options = {"table": tmp_path / "mine.yaml", "sensor": None}
    listed, (remark,) = find([tmp_path / "new"], "table", options, PlainSettings())
    assert [of.name for of in listed] == ["day_1", "day_2"] and ": 1 tables" in remark


def test_a_gyroscope_of_its_own_file_lies_beside(tmp_path):
    table, data = tmp_path / "mine.yaml", samples(1)
    table.write_text(TABLE + 'gyro_files: "{session}/{stem}_gyro.csv"\n')
    accs = write_csv(tmp_path / "new" / "eve.csv", data[:, :4], start_s=0, names=("when", "a", "b", "c"))
    gyros = write_csv(tmp_path / "new" / "eve_gyro.csv", data[:, [0, 4, 5, 6]], 0, names=("when", "p", "q", "r"))
    (listed,), _ = find([tmp_path / "new"], "table", {"table": table, "sensor": None}, PlainSettings())
    assert listed.files == (accs, gyros)
    np.testing.assert_allclose(next(listed.open().samples).gyro, np.radians(data[:, 4:]), atol=1e-3)


def test_zeros_leave_formats_with_a_gyroscope_alone(tmp_path):
    file = write_csv(tmp_path / "pt1_visit_1_walk_trial_1.csv", samples(1))
    (listed,), _ = find([file], "stanford_fog", {}, PlainSettings(missing_gyro="zeros"))
    assert listed.files == (file,)


@pytest.mark.parametrize("name, fits", [("daphnet", True), ("csv", True), ("gopro", False), ("ego4d", False)])
def test_missing_gyro_where_it_serves(name, fits):
    values = {"files": ["a"], "format": name, "missing_gyro": "zeros"}
    if fits:
        assert build(PredictConfig, values, "test").missing_gyro == "zeros"
    else:
        with pytest.raises(ConfigError, match="missing_gyro"):
            build(PredictConfig, values, "test")
