"""Stored frames: what is written is read, damage is named, and frames are drawn as the paper says."""

import numpy as np
import pytest

from datasets.frames import FrameError, FrameStream, FrameWriter, draw_frames, index_path

SIZE = 48


def picture(k: int) -> np.ndarray:
    """A gradient whose brightness tells frame k."""
    ramp = np.linspace(0, 40, SIZE)
    return np.clip(ramp[:, None, None] + ramp[None, :, None] + 3 * k + np.zeros(3), 0, 255).astype(np.uint8)


@pytest.fixture
def stream(tmp_path):
    with FrameWriter(tmp_path / "a.mjpeg", quality=95) as writer:
        for k in range(50):
            writer.write(picture(k))
    return FrameStream(tmp_path / "a.mjpeg", 50, SIZE)


def test_any_frames_in_any_order_come_back(stream):
    indices = np.array([49, 0, 7, 7, 31])
    frames = stream.read(indices)
    for frame, k in zip(frames, indices, strict=True):
        assert np.abs(frame.astype(int) - picture(k)).max() <= 4  # JPEG at quality 95; neighbours differ by 3
        assert abs(frame.mean() - picture(k).mean()) < 0.5


def test_no_half_written_file_is_ever_seen(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), FrameWriter(tmp_path / "b.mjpeg", 90) as writer:
        writer.write(picture(0))
        assert not (tmp_path / "b.mjpeg").exists()
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(stream):
    with pytest.raises(FrameError, match=r"a\.mjpeg: frames 3\.\.50 asked for, has 50"):
        stream.read(np.array([3, 50]))
    content = bytearray(stream.mjpeg.read_bytes())
    offsets = np.load(index_path(stream.mjpeg))
    content[offsets[5] : offsets[5] + 40] = bytes(40)
    stream.mjpeg.write_bytes(content)
    stream.read(np.array([4, 6]))
    with pytest.raises(FrameError, match=r"a\.mjpeg: frame 5 is damaged"):
        stream.read(np.array([4, 5]))
    stream.mjpeg.write_bytes(content[: offsets[20]])
    with pytest.raises(FrameError, match="frame 30"):
        stream.read(np.array([30]))
    index_path(stream.mjpeg).write_bytes(b"")
    with pytest.raises(FrameError, match=r"a\.idx\.npy: too short"):
        stream.read(np.array([30]))


def test_a_picture_of_another_size_is_refused(tmp_path, stream):
    wrong = FrameStream(stream.mjpeg, 50, SIZE * 2)
    with pytest.raises(FrameError, match="has shape"):
        wrong.read(np.array([0]))


@pytest.mark.parametrize("count, clip_len", [(50, 10), (50, 8), (50, 16), (7, 7), (50, 1)])
def test_one_frame_is_drawn_from_each_equal_chunk(count, clip_len):
    seen = [set() for _ in range(clip_len)]
    for seed in range(400):
        drawn = draw_frames(count, clip_len, np.random.default_rng(seed))
        for chunk, k in enumerate(drawn.tolist()):
            seen[chunk].add(k)
    chunks = [set(range(count * c // clip_len, count * (c + 1) // clip_len)) for c in range(clip_len)]
    assert seen == chunks  # every frame of its chunk is drawn at some time, and none of another
    assert sum(map(len, chunks)) == count


def test_evaluation_takes_the_middle_of_each_chunk():
    assert draw_frames(50, 10).tolist() == [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]


def test_more_chunks_than_frames_is_refused():
    with pytest.raises(ValueError, match="clip_len 11"):
        draw_frames(10, 11)
