"""GPMF telemetry: made-up payloads for every rule, real camera files for the whole."""

import shutil
import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from datasets.formats import gopro, gpmf
from datasets.preparation.signals import process
from datasets.recording import BadRecording
from tests.videos import write_video


def record(key, kind, item_bytes, count, data):
    return struct.pack(">4scBH", key, kind, item_bytes, count) + data + b"\xee" * (-len(data) % 4)


def nest(key, *inner):
    data = b"".join(inner)
    return record(key, b"\0", 1, len(data), data)


def text(key, words):
    data = words.encode("latin-1")
    return record(key, b"c", 1, len(data), data)


def stamped(seconds):
    """When the first sample of a stream was taken."""
    return record(b"STMP", b"J", 8, 1, struct.pack(">Q", round(seconds * 1e6)))


def frame_stream(key, seconds):
    """A stream with one value for each frame: the camera's orientation, the exposure."""
    return nest(b"STRM", stamped(seconds), record(key, b"f", 4, 25, bytes(100)))


def stream(key, values, scale=(100,), unit=None, orin=None, name=None, turn=None, stamp_s=None):
    raw = np.asarray(values, dtype=">i2").tobytes()
    return nest(
        b"STRM",
        stamped(stamp_s) if stamp_s is not None else b"",
        record(b"TSMP", b"L", 4, 1, struct.pack(">I", 7)),
        text(b"STNM", name) if name else b"",
        text(b"ORIN", orin) if orin else b"",
        record(b"MTRX", b"f", 36, 1, struct.pack(">9f", *turn[0])) + text(b"ORIO", turn[1]) if turn else b"",
        text(b"SIUN", unit) if unit else b"",
        record(b"SCAL", b"s", 2, len(scale), struct.pack(f">{len(scale)}h", *scale)),
        record(key, b"s", 6, len(values), raw),
    )


def payload(*streams, camera="Test"):
    return nest(b"DEVC", record(b"DVID", b"L", 4, 1, b"\0\0\0\1"), text(b"DVNM", camera), *streams)


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
    "name, camera, order",
    [
        ("Gyroscope (z,x,y)", "Camera", "ZXY"),  # Hero5
        ("Accelerometer (up/down, right/left, forward/back)", "Hero6 Black", "ZXY"),  # the stream's own word goes first
        ("Accelerometer", "Hero6 Black", "YxZ"),
        ("Accelerometer", "HERO7 Black", "YxZ"),
        ("Accelerometer", "Fusion", "yXZ"),
        ("", "GoPro Fusion", "yXZ"),
        ("Accelerometer", "Hero99 Black", None),
        ("Accelerometer (up/down, right/left)", "Hero6 Black", None),
        ("", "", None),
    ],
)
def test_old_cameras_name_the_axes_in_words_or_not_at_all(name, camera, order):
    assert gpmf.axis_order(name, camera) == order


def test_axes_by_the_name_of_the_camera():
    got = gpmf.read_payload(payload(stream(b"GYRO", VALUES, name="Gyroscope"), camera="Fusion"), "f")["GYRO"]
    np.testing.assert_allclose(got, np.array(VALUES)[:, [1, 0, 2]] * [1, -1, 1] / 100)  # stored -Y, X, Z


def test_orin_goes_before_the_name_and_must_make_sense():
    got = gpmf.read_payload(payload(stream(b"ACCL", VALUES, orin="XYZ", name="Accelerometer (z,x,y)")), "f")["ACCL"]
    np.testing.assert_allclose(got, np.array(VALUES) / 100)
    with pytest.raises(BadRecording, match="unknown_axes"):
        gpmf.read_payload(payload(stream(b"ACCL", VALUES, orin="XXY", name="Accelerometer (z,x,y)")), "f")


def turned(orin, orio):
    """MTRX that takes values stored as ``orin`` to the axes ``orio``, entry by entry."""
    return [(a.upper() == b.upper()) * (1 if a.isupper() == b.isupper() else -1) for b in orio for a in orin]


@pytest.mark.parametrize("orin", ["XYZ", "XzY", "YxZ", "zXy"])
@pytest.mark.parametrize("orio", ["ZXY", "XYZ", "yzx"])
def test_a_matrix_says_the_same_as_orin(orin, orio):
    turn = (turned(orin, orio), orio)
    want = gpmf.read_payload(payload(stream(b"ACCL", VALUES, orin=orin)), "f")["ACCL"]
    for stated in ({"turn": turn}, {"turn": turn, "orin": orin}):
        np.testing.assert_allclose(gpmf.read_payload(payload(stream(b"ACCL", VALUES, **stated)), "f")["ACCL"], want)


def test_the_matrix_of_a_max():
    assert turned("XzY", "ZXY") == [0, -1, 0, 1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "stated, reason",
    [
        ({"turn": (turned("XYZ", "ZXY"), "ZXY"), "orin": "XzY"}, "unknown_axes"),  # they contradict
        ({"turn": ([1, 0, 0, 1, 0, 0, 0, 0, 1], "XYZ")}, "damaged_telemetry"),  # Y is lost
        ({"turn": (turned("XYZ", "XYZ"), "XX")}, "damaged_telemetry"),
    ],
)
def test_a_matrix_that_cannot_be_is_refused(stated, reason):
    with pytest.raises(BadRecording, match=reason):
        gpmf.read_payload(payload(stream(b"ACCL", VALUES, **stated)), "f")


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
    for time_s in (recording.acc_time_s, recording.gyro_time_s):
        assert time_s[0] == pytest.approx(-0.005031, abs=1e-6)  # 80577 us, where the first frame began at 85608 us
        assert time_s[-105] == pytest.approx(10.092993 - 0.085608, abs=3e-6)
        np.testing.assert_allclose(np.diff(time_s), 1 / 197.457, rtol=5e-5)  # an even clock: the stamps are right
    done = process(recording, start_s=0.0)
    assert done.acc.rate_hz == pytest.approx(197.457, abs=0.01)
    assert len(done.parts) == 1 and len(done.parts[0].imu) // 250 == 2 and done.parts[0].start_s == 0
    assert np.median(np.linalg.norm(done.parts[0].imu[:, :3], axis=1)) == pytest.approx(9.8, abs=0.3)
    assert done.parts[0].imu[:, 2].mean() == pytest.approx(9.7, abs=0.1)  # Z is up
    stored = raw_integers(path.read_bytes(), b"ACCL")  # first payload, stored as X, -Z, Y
    np.testing.assert_allclose(recording.acc[: len(stored)], stored[:, [0, 2, 1]] * [1, 1, -1] / 417)


# ------------------------------------------------------------- chapters


@pytest.mark.parametrize(
    "stem, shot, number",
    [
        ("GX010123", "GX0123", 1), ("GX020123", "GX0123", 2), ("gh110007", "GH0007", 11), ("GS010042", "GS0042", 1),
        ("GOPR0123", "GP0123", 0), ("GP010123", "GP0123", 1), ("GP020123", "GP0123", 2),
        ("GPFR0009", "GF0009", 0), ("GF010009", "GF0009", 1), ("GPBK0009", "GB0009", 0),
        ("holiday", "holiday", 0), ("GX01012", "GX01012", 0), ("GOPR01234", "GOPR01234", 0),
        ("GX010123_cut", "GX010123_cut", 0),
    ],
)  # fmt: skip
def test_names_of_chapters(stem, shot, number):
    assert gopro.chapter_of(stem) == (shot, number)


def box(kind, *content):
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full_box(kind, form, *values):
    return box(kind, bytes(4), struct.pack(">" + form, *values))


def add_telemetry(path, payloads, payload_s=1.0, edits=()):
    """Give an mp4 file a third track, as cameras write it: one sample per payload.

    Args:
        edits: (milliseconds, first millisecond of the track or -1 for nothing) of its edit list.
    """
    data = path.read_bytes()
    at = data.rindex(b"moov") - 4
    size = struct.unpack_from(">I", data, at)[0]
    assert at + size == len(data), "the header must be the last box: its growing would move the video"
    sizes = [len(p) for p in payloads]

    def track(offset):
        table = box(
            b"stbl",
            full_box(b"stsd", "II4s6xH", 1, 16, b"gpmd", 1),
            full_box(b"stts", "III", 1, len(sizes), round(1000 * payload_s)),
            full_box(b"stsc", "IIII", 1, 1, len(sizes), 1),
            full_box(b"stsz", f"II{len(sizes)}I", 0, len(sizes), *sizes),
            full_box(b"stco", "II", 1, offset),
        )
        media = box(
            b"mdia",
            full_box(b"mdhd", "IIIIHH", 0, 0, 1000, round(1000 * payload_s * len(sizes)), 0, 0),
            full_box(b"hdlr", "4s4s12xx", b"mhlr", b"meta"),
            box(b"minf", box(b"gmhd"), table),
        )
        head = struct.pack(">IIIII8xHHHH9iII", 0, 0, 9, 0, 0, 0, 0, 0, 0, 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30, 0, 0)
        entries = b"".join(struct.pack(">IiI", length, first, 1 << 16) for length, first in edits)
        edit_list = box(b"edts", box(b"elst", struct.pack(">II", 0, len(edits)), entries)) if edits else b""
        return box(b"trak", box(b"tkhd", b"\0\0\0\7", head), edit_list, media)

    grown = size + len(track(0))
    moov = struct.pack(">I", grown) + data[at + 4 :] + track(at + grown + 8)
    path.write_bytes(data[:at] + moov + box(b"mdat", *payloads))


CHAPTER_S, RATE_HZ = 6, 200


def motion(time_s):
    """(N, 3) of something that goes on through all chapters."""
    return np.stack([np.sin(time_s), 2 * np.cos(1.7 * time_s), 9.8 + 0 * time_s], axis=1)


def write_chapter(path, number):
    """Chapter ``number`` from 0: 6 s of video, telemetry of the shot's seconds 6 x number and on."""
    write_video(path, 25 * CHAPTER_S)
    payloads = []
    for second in range(CHAPTER_S):
        time_s = CHAPTER_S * number + second + np.arange(RATE_HZ) / RATE_HZ
        raw = np.round(motion(time_s) * 3000)
        payloads.append(payload(*(stream(key, raw, (3000,), orin="XYZ") for key in (b"ACCL", b"GYRO"))))
    add_telemetry(path, payloads)
    return path


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    """Three chapters of one shot, and another shot, as files with a telemetry track."""
    folder = tmp_path_factory.mktemp("card")
    for number in range(3):
        write_chapter(folder / f"GX0{number + 1}0123.MP4", number)
    write_chapter(folder / "GX010124.MP4", 7)
    return folder


def test_a_written_track_is_read_by_its_payloads(shot):
    telemetry = gopro.read_telemetry(shot / "GX020123.MP4")
    assert telemetry.duration_s == pytest.approx(CHAPTER_S)
    time_s = np.arange(CHAPTER_S * RATE_HZ) / RATE_HZ
    for key in ("ACCL", "GYRO"):
        np.testing.assert_allclose(telemetry.times_s[key], time_s, atol=1e-9)
        np.testing.assert_allclose(telemetry.values[key], motion(CHAPTER_S + time_s), atol=2e-4)


def test_chapters_of_a_shot_are_one_session_joined_in_time(shot):
    sources = gopro.find(shot).sources
    recordings = {source.id: source.parse() for source in sources}
    assert {i: r.session for i, r in recordings.items()} == {
        "GX010123": "GX0123", "GX020123": "GX0123", "GX030123": "GX0123", "GX010124": "GX0124"
    }  # fmt: skip
    assert [len(source.files) for source in sources] == [2, 1, 3, 2]
    for number, recording in enumerate(recordings[f"GX0{n}0123"] for n in (1, 2, 3)):
        begin, end = (0 if number == 0 else -1), CHAPTER_S + (0 if number == 2 else 1)
        want = begin + np.arange((end - begin) * RATE_HZ) / RATE_HZ
        for time_s, values in ((recording.acc_time_s, recording.acc), (recording.gyro_time_s, recording.gyro)):
            np.testing.assert_allclose(time_s, want, atol=1e-9)
            np.testing.assert_allclose(values, motion(CHAPTER_S * number + want), atol=2e-4)
        assert recording.video.stem == f"GX0{number + 1}0123"
    alone = recordings["GX010124"]
    assert alone.acc_time_s[0] == pytest.approx(0, abs=1e-9) and len(alone.acc) == CHAPTER_S * RATE_HZ


def test_a_joined_chapter_is_as_exact_at_the_cut_as_within(shot):
    source = next(s for s in gopro.find(shot).sources if s.id == "GX020123")
    done = process(source.parse(), 0.0, CHAPTER_S - 0.02)
    (part,) = done.parts
    time_s = part.start_s + np.arange(len(part.imu)) / 50
    error = np.abs(part.imu[:, :3] - motion(CHAPTER_S + time_s)).max(1)
    # the median filter's own end (it works after the cut to the video) is the first and last sample or two
    assert part.start_s == 0 and error[2:-2].max() < 0.01
    assert error[2:10].max() < 2 * error[100:200].max() + 1e-3


def test_a_damaged_neighbour_costs_only_the_joining(shot, tmp_path):
    for name in ("GX010123.MP4", "GX020123.MP4", "GX030123.MP4"):
        shutil.copyfile(shot / name, tmp_path / name)
    (tmp_path / "GX010123.MP4").write_bytes(b"")
    write_video(tmp_path / "GX030123.MP4", 25)
    first, second, third = gopro.find(tmp_path).sources
    recording = second.parse()
    assert recording.notes == {"chapter_before": "empty_video", "chapter_after": "no_telemetry"}
    assert recording.acc_time_s[0] == pytest.approx(0, abs=1e-9) and len(recording.acc) == CHAPTER_S * RATE_HZ
    for source in (first, third):
        with pytest.raises(BadRecording, match="empty_video|no_telemetry"):
            source.parse()


def test_neighbours_that_overlap_are_cut(shot):
    """A sensor that ran on for half a second after the first frame of the next chapter."""
    own = gopro.read_telemetry(shot / "GX010123.MP4")
    long = replace(own, duration_s=CHAPTER_S - 0.5)
    joined = gopro.join(own, long, own)
    assert (np.diff(joined.times_s["ACCL"]) > 0).all()
    np.testing.assert_allclose(joined.times_s["ACCL"][[0, -1]], [-1, CHAPTER_S + 1 - 1 / RATE_HZ], atol=1e-9)


def test_find_names_recordings_after_their_paths(tmp_path):
    for name in ("a.MP4", "trip one/GX010001.mp4", "notes.txt", "trip one/GX010001.THM"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert [source.id for source in gopro.find(tmp_path).sources] == ["a", "trip_one-GX010001"]


def test_no_file_hides_another_of_its_chapter(tmp_path):
    for name in ("GX010001.MP4", "gx010001.mp4", "GX020001.MP4", "GX020001.mp4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    sources = gopro.find(tmp_path).sources
    assert sorted(source.files[0].name for source in sources) == [
        "GX010001.MP4", "GX020001.MP4", "GX020001.mp4", "gone.mp4", "gx010001.mp4"
    ]  # fmt: skip
    assert len({source.parse.args[4] for source in sources if source.id != "gone"}) == 1  # one shot


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
    assert recording.acc_time_s[0] == recording.gyro_time_s[0] == pytest.approx(-0.255031, abs=1e-6)


def test_payloads_are_the_files_own(real_data):
    path = real_data / "gopro" / "max-heromode.mp4"
    payloads, data = gopro.read_payloads(path), path.read_bytes()
    np.testing.assert_allclose([start for start, _, _ in payloads], np.arange(11) * 1.001, atol=1e-9)
    np.testing.assert_allclose([length for _, length, _ in payloads], [1.001] * 10 + [0.533], atol=1e-9)
    at = [data.index(b"DEVC")]  # oracle: each begins with its letters, and says its length
    for _ in range(10):
        at.append(data.index(b"DEVC", at[-1] + 4))
    whole = [data[a : a + 8 + struct.unpack_from(">H", data, a + 6)[0] * data[a + 5]] for a in at]
    assert [payload for _, _, payload in payloads] == whole


def read_bytes_so_far():
    with open("/proc/self/io") as counts:
        return int(next(line.split()[1] for line in counts if line.startswith("rchar")))


def test_the_video_is_not_read_for_its_telemetry(real_data):
    path, before = real_data / "gopro" / "max-heromode.mp4", read_bytes_so_far()
    gopro.read_payloads(path)
    assert read_bytes_so_far() - before < path.stat().st_size / 3


@pytest.mark.parametrize("edits, shift_s", [([(500, -1), (6000, 0)], 0.5), ([(5865, 135)], -0.135)])
def test_an_edit_list_moves_the_telemetry(tmp_path, edits, shift_s):
    path = write_video(tmp_path / "v.mp4", 150)
    add_telemetry(path, [payload(stream(b"ACCL", VALUES, orin="XYZ"))] * 6, edits=edits)
    starts = [start for start, _, _ in gopro.read_payloads(path)]
    np.testing.assert_allclose(starts, np.arange(6) + shift_s, atol=1e-9)


def test_a_file_that_is_cut_off_is_refused(shot, tmp_path):
    whole = (shot / "GX010124.MP4").read_bytes()  # its telemetry lies behind its header
    for lost in (3000, 100):
        (tmp_path / "v.mp4").write_bytes(whole[:-lost])
        with pytest.raises(BadRecording, match=r"damaged_telemetry: .*v\.mp4.*cut off"):
            gopro.parse("v", tmp_path / "v.mp4")


def test_damaged_files_never_break_out(tmp_path, shot):
    data, rng = (shot / "GX010124.MP4").read_bytes(), np.random.default_rng(2)
    header = data.index(b"moov")
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(header, len(data), 4):
            damaged[place] = int(rng.integers(256))
        (tmp_path / "v.mp4").write_bytes(damaged)
        with suppress(BadRecording):
            gopro.read_telemetry(tmp_path / "v.mp4")
