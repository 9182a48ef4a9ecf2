"""Patients' tables: columns, units and clocks by setting."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from datasets.formats.pd import find
from datasets.recording import BadRecording

CHANNELS = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]


def write_table(path, times, date="2023-03-01", columns=CHANNELS, values="1,2,3,4,5,6"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"time,date,{','.join(columns)}\n" + "".join(f"{t},{date},{values}\n" for t in times))


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
    source = find(raw, ["ax", "ay", "az", "wx", "wy", "wz"], "t", acc_unit="g", gyro_unit="deg/s").sources[0]
    recording = source.parse()
    np.testing.assert_allclose(recording.acc[0], [9.80665, 0, 0])
    np.testing.assert_allclose(recording.gyro[0], [np.pi, 0, 0])


def test_a_wrong_column_name_says_which_setting_mends_it(raw):
    write_table(raw / "P01/walking/w 1.csv", ["0"], columns=["ax", *CHANNELS[1:]])
    with pytest.raises(
        BadRecording, match=r"missing_column: .*acc_x.*ax, acc_y.*--time_column, --date_column and --imu_columns"
    ):
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


def stamps(raw, times, date="2023-03-01", **settings):
    write_table(raw / "P01/walking/w 1.csv", times, date)
    return find(raw, **settings).sources[0].parse().acc_time_s


@pytest.mark.parametrize(
    "times, seconds",
    [
        (["2021/03/05 23:59:59.5", "2021/03/06 00:00:00", "2021/3/6 0:00:00.25"], [0, 0.5, 0.75]),
        (["2021/03/05 11:59:59.98 AM", "2021/03/05 12:00:00 PM", "2021/03/05 12:00:00.02 pm"], [0, 0.02, 0.04]),
        (["2021-03-05 11:59:59.5 PM", "2021-03-06 12:00:00.25 AM", ""], [0, 0.75, np.nan]),
    ],
)
def test_stamps_with_their_date(raw, times, seconds):
    np.testing.assert_allclose(stamps(raw, times, date="no date"), seconds, atol=1e-9)


def test_every_minute_of_a_day_in_both_notations(raw):
    """AM and PM against the 24 h clock of Python."""
    minutes = [datetime(2021, 3, 5) + timedelta(minutes=k, seconds=0.5) for k in range(1440)]
    times = [f"{t:%Y/%m/%d} {t.hour % 12 or 12}:{t:%M:%S.%f} {'PM' if t.hour >= 12 else 'AM'}" for t in minutes]
    np.testing.assert_array_equal(stamps(raw, times), np.arange(1440) * 60.0)


@pytest.mark.parametrize("time", ["2021/03/05 13:00:00.5 PM", "2021/13/05 10:00:00", "05/03/2021 10:00:00"])
def test_a_stamp_that_is_none_is_named(raw, time):
    with pytest.raises(BadRecording, match=rf"text_cell: .*row 2 .*'{time}'"):
        stamps(raw, ["2021/03/05 10:00:00.5", time])


def test_a_text_cell_among_seconds_is_named(raw):
    with pytest.raises(BadRecording, match=r"text_cell: .*row 2 .*'later'"):
        stamps(raw, ["0.5", "later"])


def test_a_time_of_day_without_a_date_asks_for_it(raw):
    write_table(raw / "P01/walking/w 1.csv", ["10:00:00.5"], columns=CHANNELS)
    path = raw / "P01/walking/w 1.csv"
    path.write_text(path.read_text().replace("date", "day", 1))
    with pytest.raises(BadRecording, match="missing_column: .*--date_column"):
        find(raw).sources[0].parse()
    np.testing.assert_array_equal(find(raw, date_column="day").sources[0].parse().acc_time_s, [0])


@pytest.mark.parametrize("time", ["{}", "{}.000", "2021/03/05 10:11:0{}", "2021/03/05 10:11:0{} PM", "7"])
def test_whole_seconds_ask_for_a_rate(raw, time):
    times = [time.format(1 + k // 4) for k in range(12)]
    with pytest.raises(BadRecording, match=r"whole_seconds: .*12 rows.*--rate_hz 50"):
        stamps(raw, times)
    np.testing.assert_allclose(stamps(raw, times, rate_hz=50), np.arange(12) / 50)


def test_stamps_that_repeat_now_and_then_are_no_whole_seconds(raw):
    np.testing.assert_array_equal(stamps(raw, ["1", "2", "2", "3", "4"]), [0, 1, 1, 2, 3])


def test_with_a_rate_no_column_of_time_is_needed(raw):
    path = raw / "P01/walking/w 1.csv"
    path.write_text(f"{','.join(CHANNELS)}\n" + "1,2,3,4,5,6\n" * 3)
    recording = find(raw, rate_hz=100).sources[0].parse()
    np.testing.assert_allclose(recording.acc_time_s, [0, 0.01, 0.02])
    assert recording.counted_time


def test_tables_in_other_places_are_rejected(raw):
    write_table(raw / "P01/notes.csv", ["0"])
    (rejection,) = find(raw).rejected
    assert (rejection.id, rejection.reason) == ("P01-notes", "unexpected_place")


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="<patient>/<class>"):
        find(tmp_path)
