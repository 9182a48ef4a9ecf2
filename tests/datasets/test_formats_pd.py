"""Patients' tables: columns, units and clocks by setting."""

import numpy as np
import pytest

from datasets.formats import pd as pd_format
from datasets.recording import BadRecording

CHANNELS = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]


def write_table(path, times, date="2023-03-01", columns=CHANNELS, values="1,2,3,4,5,6"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"time,date,{','.join(columns)}\n" + "".join(f"{t},{date},{values}\n" for t in times))


def find(raw, imu_columns=None, time_column=None, acc_unit=None, gyro_unit=None):
    return pd_format.find(raw, imu_columns, time_column, acc_unit, gyro_unit)


@pytest.fixture
def raw(tmp_path):
    write_table(tmp_path / "P01/walking/w 1.csv", [f"{k / 50:.3f}" for k in range(10)])
    return tmp_path


def test_patient_and_class_come_from_the_folders(raw):
    found = find(raw)
    recording = found.sources[0].parse()
    assert (recording.id, recording.subject, recording.label) == ("P01-walking-w_1", "P01", "walking")
    np.testing.assert_array_equal(recording.acc[0], [1, 2, 3])
    np.testing.assert_array_equal(recording.gyro[0], [4, 5, 6])
    np.testing.assert_allclose(recording.acc_time_s, np.arange(10) / 50)
    assert found.classes == ("walking", "turning", "bending", "standing", "sitting")


def test_units_and_columns_are_settings(raw):
    path = raw / "P01/walking/w 1.csv"
    path.write_text("t;ms,ax,ay,az,wx,wy,wz\n".replace(";ms", "") + "0,1,0,0,180,0,0\n1,1,0,0,180,0,0\n")
    source = find(raw, ["ax", "ay", "az", "wx", "wy", "wz"], "t", "g", "deg/s").sources[0]
    recording = source.parse()
    np.testing.assert_allclose(recording.acc[0], [9.80665, 0, 0])
    np.testing.assert_allclose(recording.gyro[0], [np.pi, 0, 0])


def test_a_wrong_column_name_says_which_setting_mends_it(raw):
    write_table(raw / "P01/walking/w 1.csv", ["0"], columns=["ax", *CHANNELS[1:]])
    with pytest.raises(BadRecording, match=r"missing_column: .*acc_x.*ax, acc_y.*--time_column and --imu_columns"):
        find(raw).sources[0].parse()


def test_the_time_of_day_counts_on_over_midnight(raw):
    path = raw / "P01/walking/w 1.csv"
    rows = ["23:59:59.98,2023-03-01", "23:59:59.99,2023-03-01", "00:00:00.01,2023-03-02", ",2023-03-02"]
    path.write_text(f"time,date,{','.join(CHANNELS)}\n" + "".join(f"{row},1,2,3,4,5,6\n" for row in rows))
    np.testing.assert_allclose(find(raw).sources[0].parse().acc_time_s, [0, 0.01, 0.03, np.nan], atol=1e-9)


def test_a_time_that_is_none_is_named(raw):
    write_table(raw / "P01/walking/w 1.csv", ["10:00:00.00", "later"])
    with pytest.raises(BadRecording, match=r"text_cell: .*row 2 .*'later'"):
        find(raw).sources[0].parse()


def test_tables_in_other_places_are_rejected(raw):
    write_table(raw / "P01/notes.csv", ["0"])
    (rejection,) = find(raw).rejected
    assert (rejection.id, rejection.reason) == ("P01-notes", "unexpected_place")


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="<patient>/<class>"):
        find(tmp_path)
