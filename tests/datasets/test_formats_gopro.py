"""GPMF telemetry: made-up payloads for every rule, real camera files for the whole."""

import shutil
import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from datasets.formats import gopro, gpmf
from datasets.recording import BadRecording
from datasets.signals import process
from tests.videos import write_video


def record(key, kind, item_bytes, count, data):
    return struct.pack(">4scBH", key, kind, item_bytes, count) + data + b"\xee" * (-len(data) % 4)


def nest(key, *inner):
    data = b"".join(inner)
    return record(key, b"\0", 1, len(data), data)


def text(key, words):
    data = words.encode("latin-1")
    return record(key, b"c", 1, len(data), data)


def stream(key, values, scale=(100,), unit=None, orin=None, name=None):
    raw = np.asarray(values, dtype=">i2").tobytes()
    return nest(
        b"STRM",
        record(b"TSMP", b"L", 4, 1, struct.pack(">I", 7)),
        text(b"STNM", name) if name else b"",
        text(b"ORIN", orin) if orin else b"",
        text(b"SIUN", unit) if unit else b"",
        record(b"SCAL", b"s", 2, len(scale), struct.pack(f">{len(scale)}h", *scale)),
        record(key, b"s", 6, len(values), raw),
    )


def payload(*streams):
    return nest(b"DEVC", record(b"DVID", b"L", 4, 1, b"\0\0\0\1"), text(b"DVNM", "Test"), *streams)


VALUES = [[100, 200, 300], [-400, 500, -600], [7, 8, 9]]


@pytest.mark.parametrize(
    "orin, columns, signs",
    [("XYZ", [0, 1, 2], [1, 1, 1]), ("ZXY", [1, 2, 0], [1, 1, 1]), ("XzY", [0, 2, 1], [1, 1, -1]),
     ("yXz", [1, 0, 2], [1, -1, -1])],
)  # fmt: skip
def test_axes_come_out_in_one_order(orin, columns, signs):
    got = gpmf.read_payload(payload(stream(b"ACCL", VALUES, orin=orin)), "f")["ACCL"]
    np.testing.assert_allclose(got, np.array(VALUES)[:, columns] * signs / 100)


@pytest.mark.parametrize(
    "name, order",
    [
        ("Gyroscope (z,x,y)", "ZXY"),
        ("Accelerometer (up/down, right/left, forward/back)", "ZXY"),
        ("Accelerometer", None),
        ("Accelerometer (up/down, right/left)", None),
        ("", None),
    ],
)
def test_old_cameras_name_the_axes_in_words(name, order):
    assert gpmf.axis_order("", name) == order


def test_orin_goes_before_the_name_and_must_make_sense():
    assert gpmf.axis_order("XzY", "Gyroscope (z,x,y)") == "XzY"
    assert gpmf.axis_order("XXY", "Gyroscope (z,x,y)") is None


def test_each_axis_may_have_its_own_scale():
    got = gpmf.read_payload(payload(stream(b"GYRO", VALUES, scale=(1, 10, 100), orin="XYZ")), "f")["GYRO"]
    np.testing.assert_allclose(got, np.array(VALUES) / [1, 10, 100])


def test_other_streams_and_padding_are_passed_over():
    gps = nest(b"STRM", text(b"STNM", "GPS"), record(b"GPS5", b"l", 20, 1, bytes(20)))
    data = payload(gps, stream(b"ACCL", VALUES, orin="XYZ"), stream(b"GYRO", VALUES[:2], orin="XYZ")) + bytes(16)
    got = gpmf.read_payload(data, "f")
    assert {key: len(values) for key, values in got.items()} == {"ACCL": 3, "GYRO": 2}


@pytest.mark.parametrize(
    "data, reason",
    [
        (payload(stream(b"ACCL", VALUES)), "unknown_axes"),
        (payload(stream(b"ACCL", VALUES, orin="XYZ", unit="g")), "unknown_unit"),
        (payload(stream(b"GYRO", VALUES, orin="XYZ", unit="deg/s")), "unknown_unit"),
        (payload(stream(b"ACCL", VALUES, orin="XYZ", scale=(0,))), "damaged_telemetry"),
        (payload(stream(b"ACCL", VALUES, orin="XYZ", scale=(1, 2))), "damaged_telemetry"),
        (payload(stream(b"ACCL", VALUES, orin="XYZ"))[:-10], "damaged_telemetry"),
        (payload(nest(b"STRM", text(b"ORIN", "XYZ"), record(b"ACCL", b"s", 4, 2, bytes(8)))), "damaged_telemetry"),
        (payload(nest(b"STRM", text(b"ORIN", "XYZ"), record(b"ACCL", b"?", 6, 1, bytes(6)))), "damaged_telemetry"),
    ],
)
def test_what_cannot_be_read_is_named(data, reason):
    with pytest.raises(BadRecording) as caught:
        gpmf.read_payload(data, "clip.mp4, payload 3")
    assert caught.value.reason == reason and "clip.mp4, payload 3" in caught.value.message


def test_random_bytes_never_break_out():
    rng = np.random.default_rng(0)
    whole = payload(stream(b"ACCL", VALUES, orin="XYZ", unit="m/s²"))
    for _ in range(500):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            damaged[place] = int(rng.integers(256))
        with suppress(BadRecording):
            gpmf.read_payload(bytes(damaged), "f")


# ------------------------------------------------------------- real cameras


def raw_integers(data, key):
    """Oracle: find the key by its letters, take the integers after its header."""
    at = data.index(key)
    count = struct.unpack_from(">H", data, at + 6)[0]
    return np.frombuffer(data, ">i2", 3 * count, at + 8).reshape(-1, 3)


@pytest.mark.parametrize(
    "name, acc_scale, gyro_scale, gyro_count", [("hero5", 418, 3755, 399), ("hero6", 418, 1878, 204)]
)
def test_bare_telemetry_of_old_cameras(real_data, name, acc_scale, gyro_scale, gyro_count):
    data = (real_data / "gopro" / f"{name}.raw").read_bytes()
    got = gpmf.read_payload(data, name)
    np.testing.assert_allclose(got["ACCL"], raw_integers(data, b"ACCL")[:, [1, 2, 0]] / acc_scale)  # stored Z, X, Y
    np.testing.assert_allclose(got["GYRO"], raw_integers(data, b"GYRO")[:, [1, 2, 0]] / gyro_scale)
    assert len(got["GYRO"]) == gyro_count
    assert got["ACCL"][:, 2].mean() == pytest.approx(9.8, abs=0.3)  # held upright
    assert np.median(np.linalg.norm(got["ACCL"], axis=1)) == pytest.approx(9.8, abs=1.5)


def test_a_walk_with_a_camera(real_data):
    path = real_data / "gopro" / "max-heromode.mp4"
    recording = gopro.parse("walk", path)
    assert recording.video == path
    assert (len(recording.acc), len(recording.gyro)) == (2082, 2082)  # the file's own count of samples
    # ten payloads of 1.001 s, and a last one of 0.533 s with 105 samples
    assert recording.acc_time_s[0] == 0
    assert recording.acc_time_s[-105] == pytest.approx(10.010, abs=1e-9)
    assert recording.acc_time_s[-1] == pytest.approx(10.010 + 0.533 * 104 / 105, abs=1e-9)
    assert np.diff(recording.acc_time_s).min() > 0.0049 and np.diff(recording.acc_time_s).max() < 0.0052
    done = process(recording)
    assert done.acc_rate_hz == pytest.approx(197.5, abs=0.2)
    assert len(done.parts) == 1 and len(done.parts[0].imu) // 250 == 2
    assert np.median(np.linalg.norm(done.parts[0].imu[:, :3], axis=1)) == pytest.approx(9.8, abs=0.3)
    assert done.parts[0].imu[:, 2].mean() == pytest.approx(9.7, abs=0.1)  # Z is up
    stored = raw_integers(path.read_bytes(), b"ACCL")  # first payload, stored as X, -Z, Y
    np.testing.assert_allclose(recording.acc[: len(stored)], stored[:, [0, 2, 1]] * [1, 1, -1] / 417)


def test_find_names_recordings_after_their_paths(tmp_path):
    for name in ("a.MP4", "trip one/GX010001.mp4", "notes.txt", "trip one/GX010001.THM"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert [source.id for source in gopro.find(tmp_path).sources] == ["a", "trip_one-GX010001"]


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.*--raw"):
        gopro.find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no \.mp4"):
        gopro.find(tmp_path)


def test_a_video_without_telemetry_is_refused(tmp_path):
    path = write_video(tmp_path / "v.mp4", 30)
    with pytest.raises(BadRecording, match=r"no_telemetry: .*v\.mp4"):
        gopro.parse("v", path)


def test_telemetry_without_a_gyroscope_is_refused(real_data, tmp_path):
    path = tmp_path / "v.mp4"
    shutil.copyfile(real_data / "gopro" / "max-heromode.mp4", path)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"GYRO", b"GYR?"))
    with pytest.raises(BadRecording, match="missing_gyro"):
        gopro.parse("v", path)


def test_the_clock_begins_with_the_first_frame(real_data, monkeypatch):
    path = real_data / "gopro" / "max-heromode.mp4"
    late = replace(gopro.probe(path), start_s=0.25)
    monkeypatch.setattr(gopro, "probe", lambda _: late)
    recording = gopro.parse("walk", path)
    assert recording.acc_time_s[0] == recording.gyro_time_s[0] == -0.25
