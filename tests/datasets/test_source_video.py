"""Frames by time: the right frame from every kind of container, by both readers."""

import importlib.util
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from datasets import source_video
from datasets.mp4 import track_samples, video_track
from datasets.recording import BadRecording
from tests.videos import SIDE, cut_beginning, number_of, numbered_frame, turn, write_video

HAS_DECORD = importlib.util.find_spec("decord") is not None
NTSC = Fraction(30000, 1001)


def read(path, times_s, size=SIDE):
    return [number_of(frame) for frame in source_video.frames_at(path, np.asarray(times_s), size)]


def oracle(shown_s, times_s, period_s):
    """For each time the frame with the smallest distance, the earlier of two; nothing after the last frame's end."""
    result = []
    for time in times_s:
        if time >= shown_s[-1] + period_s:
            break
        distances = [round(abs(time - shown), 9) for shown in shown_s]
        result.append(distances.index(min(distances)))
    return result


@pytest.fixture(params=["decord", "pyav"])
def reader(request, monkeypatch):
    """Let only one of the two readers serve; the other one would raise."""
    if request.param == "decord" and not HAS_DECORD:
        pytest.skip("decord is not installed here")
    monkeypatch.setattr(source_video, "is_plain", lambda track: request.param == "decord")
    other = "_read_with_pyav" if request.param == "decord" else "_read_with_decord"
    monkeypatch.setattr(source_video, other, lambda *_: pytest.fail("the other reader was asked"))
    return request.param


@pytest.mark.parametrize("rate", [5, 10, 25, NTSC, 50])
def test_takes_the_nearest_frame_at_any_rate(tmp_path, reader, rate):
    path = write_video(tmp_path / "v.mp4", 8 * round(rate), rate)
    period = 1 / float(rate)
    times = np.arange(100) / 10 + 0.013
    assert read(path, times) == oracle([k * period for k in range(8 * round(rate))], times, period)


def test_a_tie_goes_to_the_earlier_frame(tmp_path, reader):
    path = write_video(tmp_path / "v.mp4", 50, 25)
    assert read(path, np.arange(20) / 10) == [(5 * k) // 2 for k in range(20)]  # 0.1 s lies between 0.08 and 0.12


def test_29_97_is_not_30(tmp_path, reader):
    path = write_video(tmp_path / "v.mp4", 1800, NTSC)
    assert read(path, [60.0]) == [1798]


@pytest.mark.parametrize("closed", [True, False])
def test_b_frames_and_open_gops(tmp_path, closed, monkeypatch):
    """decord jumps to key frames when it skips, and drops a frame where the GOP is open: PyAV must serve."""
    used = []
    for name in ("_read_with_decord", "_read_with_pyav"):
        real = getattr(source_video, name)
        monkeypatch.setattr(source_video, name, lambda *a, real=real, name=name: used.append(name) or real(*a))
    gop = f"open-gop={0 if closed else 1}:keyint=10:bframes=3:scenecut=0"
    options = {"preset": "veryfast", "x264-params": gop, "g": "10", "bf": "3"}
    path = write_video(tmp_path / "v.mp4", 200, 25, options=options)
    times = np.arange(0, 7.9, 0.7)
    assert video_track(path).open_gops is not closed
    assert read(path, times) == oracle(np.arange(200) / 25, times, 1 / 25)
    assert used == ["_read_with_decord" if closed and HAS_DECORD else "_read_with_pyav"]


@pytest.mark.parametrize("width", [16, 48, 62, 64, 66])
def test_narrow_frames_have_three_channels(tmp_path, width):
    path = write_video(tmp_path / "v.mp4", 20, 10)
    frames = np.stack(list(source_video.frames_at(path, np.arange(3) / 10, width)))
    assert frames.shape == (3, width, width, 3)
    assert frames[..., 0].mean() == pytest.approx(numbered_frame(0)[..., 0].mean(), abs=12)
    np.testing.assert_allclose(frames[..., 0], frames[..., 2], atol=40)  # grey all over: no shift between rows


def test_readers_agree_on_pixels(tmp_path):
    if not HAS_DECORD:
        pytest.skip("decord is not installed here")
    path = write_video(tmp_path / "v.mp4", 30, 25)
    info, track, times = source_video.probe(path), video_track(path), np.arange(10) / 10
    one = np.stack(list(source_video._read_with_decord(path, info, track.frame_s, times, 96)))
    two = np.stack(list(source_video._read_with_pyav(path, info, times, 96)))
    assert one.shape == two.shape == (10, 96, 96, 3) and one.dtype == np.uint8
    assert np.abs(one.astype(int) - two).mean() < 2  # two builds of the same scaler


def test_variable_rate_goes_by_timestamps(tmp_path):
    gaps = np.random.default_rng(0).choice([20, 33, 50, 400], 80)
    ticks = np.concatenate([[0], np.cumsum(gaps)])
    path = write_video(tmp_path / "v.mp4", 81, 25, ticks=ticks.tolist())
    assert not video_track(path).constant_rate
    times = np.arange(int(ticks[-1] / 100)) / 10
    assert read(path, times) == oracle(ticks / 1000, times, gaps[-1] / 1000)


def test_what_an_edit_list_cuts_away_is_not_read(tmp_path):
    path = write_video(tmp_path / "v.mp4", 100, 25, options={"bf": "0"})
    assert not video_track(path).edited
    frame = round(av.open(str(path)).streams.video[0].time_base.denominator / 25)
    cut_beginning(path, 30 * frame)
    assert video_track(path).edited
    assert read(path, [0.0, 0.4, 1.0]) == [30, 40, 55]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_video_comes_out_upright(tmp_path, degrees):
    """The stored picture is turned the other way, so that the player's turn makes it upright again."""
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(10):
            stored = np.ascontiguousarray(np.rot90(numbered_frame(number), degrees // 90))  # counter-clockwise
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode())
    assert not video_track(path).rotated
    turn(path, degrees)
    assert video_track(path).rotated
    assert read(path, [0.0, 0.2]) == [0, 5]


@pytest.mark.parametrize("suffix, codec", [(".mkv", "libx264"), (".mp4", "mpeg4"), (".avi", "mpeg4")])
def test_other_containers_and_codecs(tmp_path, suffix, codec):
    path = write_video(
        tmp_path / f"v{suffix}", 50, 25, codec=codec, options={"b": "2000000"} if codec == "mpeg4" else {}
    )
    assert read(path, [0.0, 0.4, 1.0, 1.9]) == [0, 10, 25, 47]


def test_plain_files_go_to_decord_and_others_do_not(tmp_path, monkeypatch):
    if not HAS_DECORD:
        pytest.skip("decord is not installed here")
    asked = []
    monkeypatch.setattr(source_video, "_read_with_decord", lambda *_: asked.append("decord") or iter(()))
    monkeypatch.setattr(source_video, "_read_with_pyav", lambda *_: asked.append("pyav") or iter(()))
    plain = write_video(tmp_path / "plain.mp4", 20)
    list(source_video.frames_at(plain, np.zeros(1), SIDE))
    turn(plain, 90)
    list(source_video.frames_at(plain, np.zeros(1), SIDE))
    list(source_video.frames_at(write_video(tmp_path / "m.mkv", 20), np.zeros(1), SIDE))
    assert asked == ["decord", "pyav", "pyav"]


def test_pyav_goes_on_where_decord_gives_up(tmp_path, monkeypatch):
    if not HAS_DECORD:
        pytest.skip("decord is not installed here")
    from decord import DECORDError

    real = source_video._read_with_decord

    def gives_up(*args):
        for number, frame in enumerate(real(*args)):
            if number == 3:
                raise DECORDError("cannot")
            yield frame

    monkeypatch.setattr(source_video, "_read_with_decord", gives_up)
    path = write_video(tmp_path / "v.mp4", 50, 10)
    assert read(path, np.arange(12) / 10) == list(range(12))


def test_runs_without_decord(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "decord" else find(name))
    monkeypatch.setattr(source_video, "_read_with_decord", lambda *_: pytest.fail("decord was asked"))
    assert read(write_video(tmp_path / "v.mp4", 20, 10), [0.5]) == [5]


def test_scales_the_short_side_and_cuts_the_middle():
    assert source_video.scaled_size(1920, 1080, 224) == (398, 224)
    assert source_video.scaled_size(480, 848, 224) == (224, 396)
    image = np.arange(6 * 10 * 3).reshape(6, 10, 3)
    np.testing.assert_array_equal(source_video.centre_crop(image, 6), image[:, 2:8])
    np.testing.assert_array_equal(source_video.centre_crop(image.transpose(1, 0, 2), 6), image.transpose(1, 0, 2)[2:8])


def test_choose_nearest_matches_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(100):
        shown = np.cumsum(rng.choice([0.02, 0.04, 0.1, 0.5], 30))
        times = np.sort(rng.uniform(-0.5, shown[-1] + 1, 40).round(2))
        got = list(source_video.choose_nearest(zip(shown.tolist(), range(30), strict=True), times))
        assert got == oracle(shown, times, shown[-1] - shown[-2])


def test_a_video_cut_in_the_middle_gives_what_there_is(tmp_path):
    """Header first, then half of the data, as a broken download leaves it."""
    path = write_video(tmp_path / "v.mp4", 250, 25, front=True)
    assert video_track(path).complete
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert not video_track(path).complete
    times = np.arange(100) / 10
    numbers = read(path, times)
    assert 30 < len(numbers) < 90
    assert numbers[:-3] == oracle(np.arange(250) / 25, times, 1 / 25)[: len(numbers) - 3]


@pytest.mark.parametrize(
    "content, reason",
    [(None, "missing_video"), (b"", "empty_video"), (b"no video at all", "unreadable_video")],
)
def test_unusable_files_are_named(tmp_path, content, reason):
    path = tmp_path / "v.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadRecording) as caught:
        read(path, [0.0])
    assert caught.value.reason == reason and "v.mp4" in str(caught.value)


def test_a_file_without_its_header_is_unreadable(tmp_path):
    path = write_video(tmp_path / "v.mp4", 100)
    path.write_bytes(path.read_bytes()[:-200])  # the header comes last
    with pytest.raises(BadRecording, match=r"unreadable_video: .*v\.mp4.*cut off"):
        read(path, [0.0])


def test_damaged_headers_do_not_break_the_look(tmp_path):
    path = write_video(tmp_path / "v.mp4", 30)
    data, rng = path.read_bytes(), np.random.default_rng(2)
    header = data.index(b"moov")
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.integers(header, len(data), 4):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        video_track(path)  # an answer or None
        try:
            track_samples(path, "avc1")
        except ValueError as error:
            assert "v.mp4" in str(error)


def test_track_samples_are_the_packets(tmp_path):
    path = write_video(tmp_path / "v.mp4", 60, 25)
    samples = track_samples(path, "avc1")
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert [sample.data for sample in samples] == packets
    np.testing.assert_allclose([sample.time_s for sample in samples], np.arange(60) / 25)
    assert track_samples(path, "gpmd") == []


def test_memory_does_not_grow_with_length(tmp_path):
    """500 more frames of 0.2 MB: whoever keeps them, in Python or below it, holds 110 MB."""
    paths = [str(write_video(tmp_path / f"{frames}.mp4", frames, 25, magnify=6)) for frames in (100, 600)]
    code = (
        "import resource, sys; import numpy as np; from pathlib import Path; from datasets import source_video as v\n"
        "for path in sys.argv[2:]:\n"
        "    info, track = v.probe(Path(path)), v.video_track(Path(path))\n"
        "    extra = (track.frame_s,) if sys.argv[1] == '_read_with_decord' else ()\n"
        "    times = np.arange(0, info.duration_s, 0.1)\n"
        "    assert sum(1 for _ in getattr(v, sys.argv[1])(Path(path), info, *extra, times, 64)) == len(times)\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    for reader in ["_read_with_pyav"] + ["_read_with_decord"] * HAS_DECORD:
        done = subprocess.run([sys.executable, "-c", code, reader, *paths], capture_output=True, text=True, check=True)
        short, long = map(int, done.stdout.split())  # KiB
        assert long - short < 30_000, reader
