"""Which files of a folder are recordings, and of which format."""

import pytest

from configs.load import ConfigError, build
from configs.predict import PredictConfig
from datasets.recording import BadRecording
from datasets.recordings.find import find
from datasets.recordings.plain_csv import PlainSettings
from scripts.predicting import ENDINGS
from tests.datasets.formats.test_daphnet import write_raw
from tests.predicting import samples, write_csv


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


@pytest.mark.parametrize("plain, fog, kind", [(3, 1, "csv"), (1, 3, "stanford_fog"), (1, 1, "stanford_fog")])
def test_most_files_decide_on_the_format(tmp_path, plain, fog, kind):
    for k in range(plain):
        write_csv(tmp_path / f"day{k}.csv", samples(1))
    for k in range(fog):
        write_csv(tmp_path / f"pt1_visit_1_walk_trial_{k}.csv", samples(1))
    found, (remark,) = names(tmp_path)
    assert len(found) == (plain + fog if kind == "csv" else fog)
    assert ("plain tables" in remark) == (kind == "csv") and "--format" in remark


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
