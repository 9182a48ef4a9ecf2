"""Plain tables: what their columns are, and that pieces are the whole."""

import gzip
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from datasets.recording import BadRecording
from datasets.recordings import plain_csv
from datasets.recordings.columns import guess_columns, stated_unit
from datasets.recordings.plain_csv import PlainSettings, open_plain
from tests.predicting import MAY_DAY_S, NAMES, samples, write_csv


@pytest.mark.parametrize(
    "header, time, acc, gyro",
    [
        ("time,ax,ay,az,gx,gy,gz", "time", "ax ay az", "gx gy gz"),
        ("gz,gy,gx,az,ay,ax,t", "t", "ax ay az", "gx gy gz"),
        ("epoch,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label", "epoch", "acc_x acc_y acc_z", "gyro_x gyro_y gyro_z"),
        ("x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp", "timestamp", "x_acc y_acc z_acc", "x_gyro y_gyro z_gyro"),
        ("Timestamp (ms),AccX,AccY,AccZ,GyrX,GyrY,GyrZ,accuracy", "Timestamp (ms)", "AccX AccY AccZ", "GyrX GyrY GyrZ"),
        ("time,l_ax,l_ay,l_az,l_gx,l_gy,l_gz", "time", "l_ax l_ay l_az", "l_gx l_gy l_gz"),
        ("time,x,y,z", "time", "x y z", ""),
        ("date,rotationRate.x,rotationRate.y,rotationRate.z,accel.x,accel.y,accel.z", "date",
         "accel.x accel.y accel.z", "rotationRate.x rotationRate.y rotationRate.z"),
        ("time,X angular velocity,Y angular velocity,Z angular velocity,X acc,Y acc,Z acc", "time",
         "X acc;Y acc;Z acc", "X angular velocity;Y angular velocity;Z angular velocity"),
        ("t_ax,t_ay,t_az,elapsed_s", "elapsed_s", "t_ax t_ay t_az", ""),
        ("t,acc_x [g],acc_y [g],acc_z [g],rot_x [deg/s],rot_y [deg/s],rot_z [deg/s]", "t",
         "acc_x [g];acc_y [g];acc_z [g]", "rot_x [deg/s];rot_y [deg/s];rot_z [deg/s]"),
        ("t,ax,ay,az,wx (rad/s),wy (rad/s),wz (rad/s)", "t", "ax ay az", "wx (rad/s);wy (rad/s);wz (rad/s)"),
        ("t,ax,ay,az,rotX,rotY,rotZ", "t", "ax ay az", "rotX rotY rotZ"),
        ("t,ax,ay,az,x_rot,y_rot,z_rot", "t", "ax ay az", "x_rot y_rot z_rot"),
        ("t,ax,ay,az,rotation_rate_x,rotation_rate_y,rotation_rate_z", "t", "ax ay az",
         "rotation_rate_x rotation_rate_y rotation_rate_z"),
        ("t,ax,ay,az,gx,gy,gz,rotor_x,rotor_y,rotor_z", "t", "ax ay az", "gx gy gz"),
        ("t,ax,ay,az,rot_x,rot_y,rot_z,rot_w", "t", "ax ay az", ""),
        ("t,ax,ay,az,gyr_x,gyr_y,gyr_z,rot_x,rot_y,rot_z", "t", "ax ay az", "gyr_x gyr_y gyr_z"),
    ],
)  # fmt: skip
def test_columns_by_their_names(header, time, acc, gyro):
    found = guess_columns(header.split(","), timed=True)
    acc, gyro = (tuple(names.split(";" if ";" in names else None)) for names in (acc, gyro))
    assert (found.time, found.acc, found.gyro) == (time, acc, gyro or None)


@pytest.mark.parametrize(
    "header",
    "time_s time_ms time_us timestamp_ms epoch_ms t_s seconds_elapsed unix_time_ns elapsed_time date,time time,date "
    "sensor_timestamp_us time_stamp datetime".split(),
)
def test_time_by_its_name(header):
    found = guess_columns([*header.split(","), "t_ax", "t_ay", "t_az"], timed=True)
    assert found.time == next(name for name in header.split(",") if name != "date")


@pytest.mark.parametrize("name, per_s", [("time_s", 1), ("time_ms", 1e3), ("epoch_us", 1e6), ("t_ns", 1e9)])
def test_units_of_the_time_are_those_of_its_name(tmp_path, name, per_s):
    data = samples(5).round(4)
    frame = pd.DataFrame(data * [per_s, *[1] * 6], columns=[name, *NAMES[1:]])
    frame.to_csv(tmp_path / "a.csv", index=False)
    reading = open_plain(tmp_path / "a.csv", PlainSettings())
    assert reading.facts["time_format"] == f"{name.split('_')[1]} since a start"
    assert np.allclose(whole(reading), data)


@pytest.mark.parametrize(
    "header, error",
    [
        ("a,b,c", "missing_column"),
        ("time,ax,ay", "missing_axis"),
        ("time,chest_ax,chest_ay,chest_az,head_ax,head_ay,head_az", "several_sensors"),
        ("ax,ay,az,gx,gy,gz", "missing_column"),
    ],
)
def test_columns_that_names_do_not_tell(header, error):
    with pytest.raises(BadRecording) as refused:
        guess_columns(header.split(","), timed=True)
    assert refused.value.reason == error and "--csv_columns" in refused.value.message


def test_angular_rates_that_names_do_not_tell(tmp_path):
    file = write_csv(tmp_path / "a.csv", samples(1), names=("time", "ax", "ay", "az", "spin_1", "spin_2", "spin_3"))
    with pytest.raises(BadRecording, match="recognised.*ax, ay, az, spin_1.*--csv_columns.*--table") as refused:
        open_plain(file, PlainSettings())
    assert refused.value.reason == "missing_gyro"


def test_units_in_brackets():
    assert stated_unit(["rot_x [deg/sec]"]) == "deg/s" and stated_unit(["wx (rad/sec)"]) == "rad/s"
    assert stated_unit(["x (m/s^2)", "y (m/s^2)", "z (m/s^2)"]) == "m/s2"
    assert stated_unit(["gx [dps]", "gy [dps]"]) == "deg/s"
    assert stated_unit(["x (g)", "y (mg)"]) is None and stated_unit(["x", "y"]) is None


def whole(reading):
    parts = list(reading.samples)
    return np.column_stack(
        [np.concatenate([getattr(p, name) for p in parts]) for name in ("acc_time_s", "acc", "gyro")]
    )


@pytest.mark.parametrize("rows", [50, 333, 5000])
def test_pieces_are_the_whole(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(plain_csv, "ROWS", rows)
    data = samples(10).round(5)
    reading = open_plain(write_csv(tmp_path / "a.csv.gz", data), PlainSettings())
    assert np.allclose(whole(reading) - [MAY_DAY_S, *[0] * 6], data, atol=1e-6)
    assert reading.facts["rows"] == len(data) and reading.facts["time_format"] == "s since 1970"


@pytest.mark.parametrize(
    "separator, decimal, header",
    [(",", ".", True), (";", ",", True), ("\t", ".", True), (" ", ".", False), (";", ".", False)],
)
def test_ways_to_write_a_table(tmp_path, separator, decimal, header):
    data = samples(5).round(4)
    frame = pd.DataFrame(data, columns=NAMES)
    frame.to_csv(tmp_path / "a.csv", sep=separator, decimal=decimal, header=header, index=False)
    columns = None if header else [str(number) for number in range(1, 8)]
    assert np.allclose(whole(open_plain(tmp_path / "a.csv", PlainSettings(columns))), data)


@pytest.mark.parametrize("before", ["", "\n\n", "\ufeff\r\n  \r\n"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("dates", [True, False])
def test_blank_lines_dates_and_no_header(tmp_path, before, header, dates):
    data = samples(5).round(4)
    frame = pd.DataFrame(data, columns=NAMES)
    if dates:
        frame["time"] = [
            f"{np.datetime64('2024-05-01T10:00') + np.timedelta64(round(1e3 * t), 'ms')}Z" for t in data[:, 0]
        ]
    (tmp_path / "a.csv").write_text(before + frame.to_csv(header=header, index=False), newline="")
    columns = None if header else [str(number) for number in range(1, 8)]
    found = whole(open_plain(tmp_path / "a.csv", PlainSettings(columns)))
    assert np.allclose(found - [MAY_DAY_S * dates, *[0] * 6], data)


@pytest.mark.parametrize(
    "day, separator, chosen",
    [("%Y-%m-%d", ",", None), ("%Y/%m/%d", "\t", None), ("%d.%m.%Y", ";", None), ("%Y-%m-%d", ";", "1+2"),
     ("%Y%m%d", ",", None)],
)  # fmt: skip
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_date_and_time_of_day_in_columns(tmp_path, monkeypatch, day, separator, chosen, zone):
    """Over midnight, in pieces, a time missing; with semicolons also a decimal comma."""
    monkeypatch.setattr(plain_csv, "ROWS", 150)
    data = samples(5).round(4)
    at = pd.Timestamp("2024-05-01T23:59:58") + pd.to_timedelta(data[:, 0], unit="s")
    frame = pd.DataFrame(data[:, 1:], columns=NAMES[1:])
    frame.insert(0, "Date", at.strftime(day))
    frame.insert(1, "Time", at.strftime("%H:%M:%S.%f"))
    frame.loc[7, "Time"] = ""
    decimal = "," if separator == ";" else "."
    frame.to_csv(tmp_path / "a.csv", index=False, sep=separator, header=chosen is None, decimal=decimal)
    columns = None if chosen is None else [chosen, *"345678"]
    reading = open_plain(tmp_path / "a.csv", PlainSettings(columns, time_zone=zone))
    found = whole(reading)
    start_s = pd.Timestamp("2024-05-01T23:59:58", tz=zone or "UTC").timestamp()
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [7]
    assert np.allclose(np.delete(found, 7, 0) - [start_s, *[0] * 6], np.delete(data, 7, 0), atol=1e-6)
    assert reading.clock.kind == ("absolute" if zone else "local")
    assert reading.facts["columns"].startswith(chosen or "Date+Time")


@pytest.mark.parametrize("layout", ["%m/%d/%Y %I:%M:%S.%f %p", "%d/%m/%Y, %H:%M:%S.%f"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_dates_with_slashes_and_halves_of_a_day(tmp_path, monkeypatch, layout, separator):
    """Over midnight, in pieces, compressed, by the clock of a zone."""
    monkeypatch.setattr(plain_csv, "ROWS", 150)
    data = samples(5).round(4)
    at = pd.Timestamp("2026-11-22T23:59:58") + pd.to_timedelta(data[:, 0], unit="s")
    frame = pd.DataFrame(data, columns=NAMES)
    frame["time"] = at.strftime(layout)
    decimal = "," if separator == ";" else "."
    frame.to_csv(tmp_path / "a.csv.gz", index=False, sep=separator, decimal=decimal)
    reading = open_plain(tmp_path / "a.csv.gz", PlainSettings(time_zone="America/New_York"))
    start_s = pd.Timestamp("2026-11-22T23:59:58", tz="America/New_York").timestamp()
    assert np.allclose(whole(reading) - [start_s, *[0] * 6], data, atol=1e-6)
    wanted = "month/day/year AM/PM" if "%p" in layout else "day/month/year"
    assert (reading.facts["time_format"], reading.facts["time_format_guessed"]) == (wanted, True)


@pytest.mark.parametrize("day", ["%Y-%m-%d", "%m/%d/%Y", "%Y%m%d"])
@pytest.mark.parametrize("chosen", [None, "Date+Time"])
def test_halves_of_a_day_beside_a_date(tmp_path, day, chosen):
    """Hours of one digit, as spreadsheets write them."""
    data = samples(5).round(4)
    at = pd.Timestamp("2026-11-22T15:04:05") + pd.to_timedelta(data[:, 0], unit="s")
    frame = pd.DataFrame(data[:, 1:], columns=NAMES[1:])
    frame.insert(0, "Date", at.strftime(day))
    frame.insert(1, "Time", at.strftime("%I:%M:%S.%f %p").str.lstrip("0"))
    frame.to_csv(tmp_path / "a.csv", index=False)
    columns = chosen and [chosen, *NAMES[1:]]
    reading = open_plain(tmp_path / "a.csv", PlainSettings(columns))
    start_s = pd.Timestamp("2026-11-22T15:04:05Z").timestamp()
    assert np.allclose(whole(reading) - [start_s, *[0] * 6], data, atol=1e-6)
    assert "AM/PM without a zone" in reading.facts["time_format"]


def test_a_month_over_12_far_down_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_csv, "ROWS", 100)
    rows = [f"11/22/2026 10:00:0{k // 100}.{k % 100:02d},1,2,3,4,5,6" for k in range(500)]
    rows[450] = rows[450].replace("11/22", "22/11")
    (tmp_path / "a.csv").write_text("\n".join(["time,ax,ay,az,gx,gy,gz", *rows]))
    reading = open_plain(tmp_path / "a.csv", PlainSettings())
    with pytest.raises(BadRecording) as error:
        whole(reading)
    assert error.value.reason == "time_format"
    assert "a.csv" in error.value.message and "22/11/2026 10:00:04.50" in error.value.message


@pytest.mark.parametrize("stamp", ["11/22/2026 10:00:04.50 AM", "2026-11-22T10:00:04.50"])
@pytest.mark.parametrize("kept", [4, 9, 17, -1])
def test_a_last_row_cut_off_within_its_date(tmp_path, stamp, kept):
    rows = [f"{stamp.replace('04.50', f'0{k // 100}.{k % 100:02d}')},1,2,3,4,5,6" for k in range(300)]
    (tmp_path / "a.csv").write_text("\n".join(["time,ax,ay,az,gx,gy,gz", *rows, stamp[:kept]]))
    found = whole(open_plain(tmp_path / "a.csv", PlainSettings()))
    assert np.flatnonzero(np.isnan(found).any(1)).tolist() == [300] and np.isnan(found[300, 0])


def test_a_whole_stamp_needs_no_date_beside_it(tmp_path):
    data = samples(5).round(4)
    frame = pd.DataFrame(data, columns=NAMES).assign(date="yesterday")
    frame.to_csv(tmp_path / "a.csv", index=False)
    reading = open_plain(tmp_path / "a.csv", PlainSettings())
    assert np.allclose(whole(reading), data) and reading.facts["columns"].startswith("time,")


def test_rows_that_are_evenly_spaced(tmp_path):
    data = samples(5).round(4)
    pd.DataFrame(data[:, 1:], columns=NAMES[1:]).to_csv(tmp_path / "a.csv", index=False)
    reading = open_plain(tmp_path / "a.csv", PlainSettings(sample_rate=100, start="2024-05-01T10:00:00Z"))
    assert np.allclose(whole(reading)[:, 0], MAY_DAY_S + data[:, 0])


def test_missing_values_are_kept_for_later(tmp_path):
    rows = [f"{k / 100},1,2,3,4,5,6" for k in range(100)]
    rows[7], rows[9], rows[99] = "0.07,,2,3,4,5,6", ",1,2,3,4,5,6", "0.99,1,2"
    (tmp_path / "a.csv").write_text("\n".join(["\ufefftime,ax,ay,az,gx,gy,gz", *rows]))
    found = whole(open_plain(tmp_path / "a.csv", PlainSettings()))
    assert np.flatnonzero(np.isnan(found).any(1)).tolist() == [7, 9, 99]


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    """Four times as long takes less than 0.3 MB more; all of it would be 5 MB."""
    monkeypatch.setattr(plain_csv, "ROWS", 2000)
    peaks = []
    for name, times in (("short", 1), ("long", 4)):
        data = np.concatenate([samples(300, rate_hz=100)] * times)
        data[:, 0] = np.arange(len(data)) / 100
        reading = open_plain(write_csv(tmp_path / f"{name}.csv", data), PlainSettings())
        tracemalloc.start()
        rows = sum(len(piece.acc) for piece in reading.samples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert rows == 30_000 * times
    assert peaks[1] - peaks[0] < 3e5


def test_text_far_down_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_csv, "ROWS", 100)
    rows = [f"{k / 100},1,2,3,4,5,6" for k in range(500)]
    rows[250] = "2.5,1,2,oops,4,5,6"
    (tmp_path / "a.csv").write_text("\n".join(["time,ax,ay,az,gx,gy,gz", *rows]))
    reading = open_plain(tmp_path / "a.csv", PlainSettings())
    with pytest.raises(BadRecording) as error:
        whole(reading)
    assert error.value.reason == "text_cell" and "row 251 below the header" in error.value.message


def test_a_file_that_was_cut_off(tmp_path):
    write_csv(tmp_path / "a.csv", samples(30))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes())[:-2000])
    with pytest.raises(BadRecording) as error:
        whole(open_plain(tmp_path / "a.csv.gz", PlainSettings()))
    assert error.value.reason == "unreadable_csv"


@pytest.mark.parametrize("above", ["# Device: Foo\n# Rate: 100 Hz\n\n#\n", "# a,b\n# time,ax,ay,az,gx,gy,gz\n"])
def test_lines_behind_a_hash_before_the_header(tmp_path, above):
    data = samples(5).round(4)
    content = pd.DataFrame(data, columns=NAMES).to_csv(index=False, header="time" not in above)
    (tmp_path / "a.csv").write_text(above + content)
    assert np.allclose(whole(open_plain(tmp_path / "a.csv", PlainSettings())), data)


@pytest.mark.parametrize("row, column", [(3, "ax"), (700, "gz"), (801, "time")])
def test_a_cell_of_text_is_named(tmp_path, monkeypatch, row, column):
    monkeypatch.setattr(plain_csv, "ROWS", 300)
    frame = pd.DataFrame(samples(10).round(4), columns=NAMES).astype(object)
    frame.loc[row - 1, column] = "ERR"
    frame.loc[0, "ay"] = "NaN"
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(BadRecording, match=f"text_cell.*a.csv: row {row} below the header, column {column} .*'ERR'"):
        whole(open_plain(tmp_path / "a.csv", PlainSettings()))


@pytest.mark.parametrize("begin, kind", [(b"PK\x03\x04\x14", "zip"), (b"\xd0\xcf\x11\xe0\xa1", "Excel")])
def test_packed_files_say_so(tmp_path, begin, kind):
    (tmp_path / "a.csv").write_bytes(begin + bytes(range(256)))
    with pytest.raises(BadRecording, match=f"unreadable_csv.*a.csv: is a .*{kind}.*CSV"):
        open_plain(tmp_path / "a.csv", PlainSettings())


@pytest.mark.parametrize("dates", [False, True])
def test_rounded_stamps_ask_for_a_rate(tmp_path, dates):
    frame = pd.DataFrame(samples(10).round(4), columns=NAMES)
    frame["time"] = np.floor(frame["time"])
    if dates:
        frame["time"] = pd.to_datetime(frame["time"], unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S")
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(BadRecording, match="repeated_time: .*100 rows.*--sample_rate"):
        open_plain(tmp_path / "a.csv", PlainSettings())


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_days_of_a_spreadsheet(tmp_path, zone):
    data = samples(10).round(4)
    frame = pd.DataFrame(data, columns=NAMES)
    frame["time"] = (45000.5 + frame["time"] / 86400).round(10)
    frame.to_csv(tmp_path / "a.csv", index=False)
    reading = open_plain(tmp_path / "a.csv", PlainSettings(time_zone=zone))
    start_s = pd.Timestamp("2023-03-15T12:00", tz=zone or "UTC").timestamp()
    assert np.allclose(whole(reading) - [start_s, *[0] * 6], data, atol=1e-4)
    assert reading.clock.kind == ("absolute" if zone else "local") and "spreadsheet" in reading.facts["time_format"]
