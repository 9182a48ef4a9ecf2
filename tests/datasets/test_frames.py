"""Stored frames: what is written is read, damage is named, frames are drawn as the paper says."""

import errno
import pickle
import resource

import numpy as np
import pytest

from datasets.frames import FrameError, FrameStream, draw_frames, frame_writer, index_path

SIZE = 48


def picture(k: int) -> np.ndarray:
    """A gradient whose brightness tells frame k."""
    ramp = np.linspace(0, 40, SIZE)
    return np.clip(ramp[:, None, None] + ramp[None, :, None] + 3 * k + np.zeros(3), 0, 255).astype(np.uint8)


def write_jpeg(folder):
    with frame_writer(folder / "a.mjpeg") as writer:
        for k in range(50):
            writer.write(picture(k))
    return FrameStream(folder / "a.mjpeg", 50, SIZE)


@pytest.fixture
def stream(tmp_path):
    return write_jpeg(tmp_path)


def test_any_frames_in_any_order_come_back(stream):
    indices = np.array([49, 0, 7, 7, 31])
    exact = np.stack([picture(k) for k in indices])
    frames = stream.read(indices)
    assert np.abs(frames.astype(int) - exact).max() <= 4  # JPEG at quality 90; neighbours differ by 3
    assert np.abs(frames.mean((1, 2, 3)) - exact.mean((1, 2, 3))).max() < 0.5


def test_a_disk_that_fills_at_the_offsets_says_so(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError) as error, frame_writer(tmp_path / "a.mjpeg") as writer:
            writer.offsets = list(range(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG and not list(tmp_path.iterdir())


def test_no_half_written_file_is_ever_seen(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), frame_writer(tmp_path / "b") as frames:
        frames.write(picture(0))
        assert not (tmp_path / "b").exists()
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_damaged_frames_are_named(stream):
    with pytest.raises(FrameError, match=r"a\.mjpeg: frames -1\.\.3 .* has 50"):
        stream.read(np.array([3, -1]))
    with pytest.raises(FrameError, match=r"a\.mjpeg: frames 3\.\.50 .* has 50"):
        stream.read(np.array([3, 50]))
    content = bytearray(stream.path.read_bytes())
    offsets = np.load(index_path(stream.path))
    content[offsets[5] : offsets[5] + 40] = bytes(40)
    stream.path.write_bytes(content)
    stream.read(np.array([4, 6]))
    with pytest.raises(FrameError, match=r"a\.mjpeg: frame 5 is damaged"):
        stream.read(np.array([4, 5]))
    stream.path.write_bytes(content[: offsets[20]])
    with pytest.raises(FrameError, match=r"a\.mjpeg: frame 30 is damaged \(not within the file\)"):
        stream.read(np.array([30]))
    stream.path.unlink()
    with pytest.raises(FrameError, match=r"a\.mjpeg: cannot be read \(No such file"):
        stream.read(np.array([30]))


def test_damaged_offsets_are_named(stream):
    offsets = np.load(index_path(stream.path))
    offsets[30] = 2**60  # would be read as a frame of exabytes
    np.save(index_path(stream.path), offsets)
    with pytest.raises(FrameError, match=r"a\.mjpeg: frame 29 is damaged \(not within the file\)"):
        stream.read(np.array([29]))
    index_path(stream.path).write_bytes(b"")
    with pytest.raises(FrameError, match=r"a\.idx\.npy: too short"):
        stream.read(np.array([30]))
    index_path(stream.path).unlink()
    with pytest.raises(FrameError, match=r"a\.idx\.npy: cannot be read"):
        stream.read(np.array([30]))


def test_a_picture_of_another_size_is_refused(stream):
    with pytest.raises(FrameError, match="has shape"):
        FrameStream(stream.path, 50, SIZE * 2).read(np.array([0]))


def test_a_frame_error_survives_pickling(stream):
    error = pickle.loads(pickle.dumps(FrameError(stream.path, "is damaged")))
    assert (error.path, str(error)) == (stream.path, f"{stream.path}: is damaged")


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
