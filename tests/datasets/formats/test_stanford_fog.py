"""Freezing-of-gait trials: written ones for the rules, the eight real ones for the whole."""

import numpy as np
import pytest

from datasets.formats import FORMATS
from datasets.preparation.signals import process
from datasets.recording import BadRecording, Segment

stanford_fog = FORMATS["stanford_fog"]
AXES = [f"{kind}{axis}" for kind in "ag" for axis in "xyz"]
HEADER = ",".join(["subject_ID", "time", *(f"imu_{s}_{a}" for s in ("chest", "head") for a in AXES), "freeze_label"])
NAME = "pt7_visit_2.1_tbc_walklr_0_trial_1.csv"


def write_trial(folder, labels, chest="1,2,3,4,5,6", head=",,,,,", name=NAME):
    rows = [f"7,{100 + k / 128},{chest},{head},{label}" for k, label in enumerate(labels)]
    (folder / name).write_text("\n".join([HEADER, *rows]) + "\n")


def only(folder, sensor=None):
    (source,) = stanford_fog.find(folder, sensor and [sensor]).sources
    return source.parse()


def test_names_sensors_and_clock(tmp_path):
    write_trial(tmp_path, "0011100", head="7,8,9,10,11,12")
    recording = only(tmp_path)
    assert (recording.id, recording.subject, recording.session) == (NAME[:-4], "pt7", "pt7_visit_2.1")
    assert recording.label == "" and recording.notes["first_stamp_s"] == 100
    np.testing.assert_allclose(recording.acc_time_s, np.arange(7) / 128)
    np.testing.assert_array_equal(recording.acc[0], [1, 2, 3])
    np.testing.assert_array_equal(recording.gyro[0], [4, 5, 6])
    assert recording.segments == (
        Segment(0, 2 / 128, "no_freezing"),
        Segment(2 / 128, 5 / 128, "freezing"),
        Segment(5 / 128, 7 / 128, "no_freezing"),
    )
    head = only(tmp_path, "head")
    np.testing.assert_array_equal(head.acc[0], [7, 8, 9])
    np.testing.assert_array_equal(head.gyro[0], [10, 11, 12])


def test_samples_without_a_label_belong_to_no_stretch(tmp_path):
    write_trial(tmp_path, ["0", "", "", "1"])
    assert [s.label for s in only(tmp_path).segments] == ["no_freezing", "freezing"]
    assert only(tmp_path).segments[0].end_s == pytest.approx(1 / 128)


@pytest.mark.parametrize("chest, sensor", [("1,2,3,4,5,6", "head"), ("1,2,3,,,", "chest"), ("1,,3,4,5,6", "chest")])
def test_a_sensor_that_was_not_worn_is_refused(tmp_path, chest, sensor):
    write_trial(tmp_path, "00", chest=chest)
    with pytest.raises(BadRecording, match=rf"not_worn: .*{NAME}.*imu_{sensor}_.*--sensor"):
        only(tmp_path, sensor)


def test_a_label_that_nobody_knows_is_refused(tmp_path):
    write_trial(tmp_path, "0020")
    with pytest.raises(BadRecording, match="unknown_label: .*the label '2', .* has 0, 1"):
        only(tmp_path)


def test_other_names_are_none_and_empty_folders_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        stanford_fog.find(tmp_path / "nowhere", None)
    with pytest.raises(FileNotFoundError, match="--raw"):
        stanford_fog.find(tmp_path, None)
    write_trial(tmp_path, "0")
    (tmp_path / "readme.csv").write_text("a\n")
    found = stanford_fog.find(tmp_path, None)
    assert [s.id for s in found.sources] == [NAME[:-4]] and not found.rejected
    assert found.classes == ("no_freezing", "freezing")


def test_the_real_trials(real_data):
    found = stanford_fog.find(real_data / "stanford_fog", None)
    recordings = [source.parse() for source in found.sources]
    assert len(recordings) == 8 and not found.rejected
    assert sorted({(r.subject, r.session) for r in recordings}) == [
        ("pt3", "pt3_visit_12.1"), ("pt5", "pt5_visit_27.1"), ("pt5", "pt5_visit_6")
    ]  # fmt: skip
    assert sum(len(r.acc) for r in recordings) == 51542  # lines of the files, headers left out
    freezing = [s.end_s - s.start_s for r in recordings for s in r.segments if s.label == "freezing"]
    assert sum(freezing) == pytest.approx(15 + 12 + 6 + 14, abs=1e-4)
    for recording in recordings:
        assert recording.acc_time_s[0] == 0
        assert np.median(np.linalg.norm(recording.acc, axis=1)) == pytest.approx(9.55, abs=0.1)
        assert recording.acc[:, 0].mean() < -6.5  # x points down
        done = process(recording)
        assert len(done.parts) == 1 and done.acc.rate_hz == pytest.approx(128, abs=1e-3)
        covered = sum(s.end_s - s.start_s for s in recording.segments)
        assert covered == pytest.approx(len(recording.acc) / 128, abs=1e-4)  # every sample has a label


def test_one_real_trial_has_a_head_sensor(real_data):
    sources = stanford_fog.find(real_data / "stanford_fog", ["head"]).sources
    worn = []
    for source in sources:
        try:
            worn.append(source.parse())
        except BadRecording as error:
            assert error.reason == "not_worn"
    (recording,) = worn
    assert recording.id == "pt5_visit_27.1_tbc_walklr_1_trial_1"
    assert np.median(np.linalg.norm(recording.acc, axis=1)) == pytest.approx(9.77, abs=0.05)
