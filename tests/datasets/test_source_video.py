"""Frames by time: the right frame from every kind of container."""

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from datasets import source_video
from datasets.recording import BadRecording
from tests.videos import SIDE, cut_beginning, number_of, numbered_frame, turn, write_video

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


@pytest.mark.parametrize("rate", [5, 10, 25, NTSC, 50])
def test_takes_the_nearest_frame_at_any_rate(tmp_path, rate):
    path = write_video(tmp_path / "v.mp4", 8 * round(rate), rate)
    period = 1 / float(rate)
    times = np.arange(100) / 10 + 0.013
    assert read(path, times) == oracle([k * period for k in range(8 * round(rate))], times, period)


def test_a_tie_goes_to_the_earlier_frame(tmp_path):
    path = write_video(tmp_path / "v.mp4", 50, 25)
    assert read(path, np.arange(20) / 10) == [(5 * k) // 2 for k in range(20)]  # 0.1 s lies between 0.08 and 0.12


def test_29_97_is_not_30(tmp_path):
    path = write_video(tmp_path / "v.mp4", 1800, NTSC)
    assert read(path, [60.0]) == [1798]


@pytest.mark.parametrize("closed", [True, False])
def test_b_frames_and_open_gops(tmp_path, closed):
    gop = f"open-gop={0 if closed else 1}:keyint=10:bframes=3:scenecut=0"
    options = {"preset": "veryfast", "x264-params": gop, "g": "10", "bf": "3"}
    path = write_video(tmp_path / "v.mp4", 200, 25, options=options)
    times = np.arange(0, 7.9, 0.7)
    assert leading_frames(path) is not closed
    assert read(path, times) == oracle(np.arange(200) / 25, times, 1 / 25)


def leading_frames(path):
    """Whether frames are shown before the key frame that they are stored after: there, the GOP is open."""
    with av.open(str(path)) as container:
        packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(video=0) if packet.size]
    keys = [k for k, (_, is_key) in enumerate(packets) if is_key]
    return any(pts < packets[k][0] for k in keys for pts, _ in packets[k:])


@pytest.mark.parametrize("width", [16, 48, 62, 64, 66])
def test_narrow_frames_have_three_channels(tmp_path, width):
    path = write_video(tmp_path / "v.mp4", 20, 10)
    frames = np.stack(list(source_video.frames_at(path, np.arange(3) / 10, width)))
    assert frames.shape == (3, width, width, 3)
    assert frames[..., 0].mean() == pytest.approx(numbered_frame(0)[..., 0].mean(), abs=12)
    np.testing.assert_allclose(frames[..., 0], frames[..., 2], atol=40)  # grey all over: no shift between rows


@pytest.mark.parametrize("format, space", [("yuv420p", None), ("yuv420p", 1), ("yuvj420p", None), ("yuv444p", None)])
def test_pixels_are_those_of_scaling_in_one_step(tmp_path, format, space):
    """Limited and full range, BT.601 and BT.709: scaled as they are and then made RGB, or the other way round."""
    rng, path = np.random.default_rng(0), tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 480, 320, format
        if space is not None:
            stream.codec_context.colorspace = space
        for _ in range(6):
            coarse = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(80, 0).repeat(80, 1)
            frame = av.VideoFrame.from_ndarray(coarse, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=format, dst_colorspace=space)))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    assert space is None or decoded[0].colorspace == space
    expected = [f.reformat(144, 96, "rgb24", interpolation="BILINEAR").to_ndarray()[:, 24:120] for f in decoded]
    got = np.stack(list(source_video.frames_at(path, np.arange(6) / 10, 96)))
    assert got.shape == (6, 96, 96, 3) and got.dtype == np.uint8
    difference = np.abs(got.astype(int) - np.stack(expected))
    # colour has half the resolution, as in the source and in the JPEG that is made of it: it differs at edges
    assert difference.mean() < 6 and np.median(difference) <= 2
    assert np.abs(got.mean((1, 2)) - np.stack(expected).mean((1, 2))).max() < 2  # no shift of brightness or hue


def test_variable_rate_goes_by_timestamps(tmp_path):
    gaps = np.random.default_rng(0).choice([20, 33, 50, 400], 80)
    ticks = np.concatenate([[0], np.cumsum(gaps)])
    path = write_video(tmp_path / "v.mp4", 81, 25, ticks=ticks.tolist())
    times = np.arange(int(ticks[-1] / 100)) / 10
    assert read(path, times) == oracle(ticks / 1000, times, gaps[-1] / 1000)


def test_what_an_edit_list_cuts_away_is_not_read(tmp_path):
    path = write_video(tmp_path / "v.mp4", 100, 25, options={"bf": "0"})
    frame = round(av.open(str(path)).streams.video[0].time_base.denominator / 25)
    cut_beginning(path, 30 * frame)
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
    turn(path, degrees)
    assert read(path, [0.0, 0.2]) == [0, 5]


CODEC_OPTIONS = {
    "libx264": {},
    "mpeg4": {"b": "2000000"},
    "libx265": {"x265-params": "log-level=none", "crf": "18"},
    "libsvtav1": {"preset": "10", "crf": "20"},
}


@pytest.mark.parametrize(
    "suffix, codec",
    [
        (".mkv", "libx264"),
        (".mp4", "mpeg4"),
        (".avi", "mpeg4"),
        (".mp4", "libx265"),
        (".mp4", "libsvtav1"),
        (".webm", "libsvtav1"),
    ],
)
def test_other_containers_and_codecs(tmp_path, suffix, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV has no encoder {codec} here")
    path = write_video(tmp_path / f"v{suffix}", 50, 25, codec=codec, options=CODEC_OPTIONS[codec])
    assert read(path, [0.0, 0.4, 1.0, 1.9]) == [0, 10, 25, 47]


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
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
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


def test_memory_does_not_grow_with_length(tmp_path):
    """500 more frames of 0.2 MB: whoever keeps them, in Python or below it, holds 110 MB."""
    paths = [str(write_video(tmp_path / f"{frames}.mp4", frames, 25, magnify=6)) for frames in (100, 600)]
    code = (
        "import resource, sys; import numpy as np; from pathlib import Path\n"
        "from datasets import source_video as v\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    times = np.arange(0, v.probe(path).duration_s, 0.1)\n"
        "    assert sum(1 for _ in v.frames_at(path, times, 64)) == len(times)\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    short, long = map(int, done.stdout.split())  # KiB
    assert long - short < 30_000
