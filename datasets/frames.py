"""Stored video: one raw Motion-JPEG stream per recording and the byte offset of each frame.

Any player opens ``<id>.mjpeg``; ``<id>.idx.npy`` says where frame k begins, so that a window decodes exactly the
frames it uses. Reading keeps no file open and no state, which makes it safe across threads and forks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg

from utils.atomic_io import replacing, write_array

JPEG_QUALITY = 90
_OFFSET_BYTES = 8  # int64


class FrameError(ValueError):
    """Stored frames that cannot be read.

    Args:
        path: the file.
        problem: what is wrong with it, which frame, and what would mend it.
    """

    def __init__(self, path: Path, problem: str):
        super().__init__(path, problem)  # both, so that the error survives pickling between processes
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class FrameWriter:
    """Appends frames to an open stream; ``offsets`` says where each begins, and where the last one ends."""

    def __init__(self, stream: BinaryIO):
        self._stream, self.offsets = stream, [0]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8."""
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=JPEG_QUALITY, colorsubsampling="420")
        self._stream.write(data)
        self.offsets.append(self.offsets[-1] + len(data))


@contextmanager
def frame_writer(path: Path) -> Iterator[FrameWriter]:
    """Write the stream of a recording and its offsets. They get their names only if no error comes, the stream last."""
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        writer = FrameWriter(stream)
        yield writer
        write_array(index_path(path), np.array(writer.offsets, dtype=np.int64))


class FrameStream:
    """The stored JPEG frames of one recording.

    Args:
        path: of the stream.
        frames: number of frames, as the dataset's table says.
        size: side of the square frames, pixels.
    """

    def __init__(self, path: Path, frames: int, size: int):
        self.path, self.frames, self.size = path, frames, size

    def __len__(self) -> int:
        return self.frames

    def read_into(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Decode frames into a buffer. The interpreter lock is free while it decodes.

        Args:
            indices: (F,) frame numbers, any order.
            out: (F, size, size, 3) uint8, C-contiguous; overwritten.

        Raises:
            FrameError: if a file is missing, shorter than the table says, or a frame is no JPEG of that size.
        """
        numbers = indices.tolist()
        if min(numbers) < 0 or max(numbers) >= self.frames:
            raise FrameError(self.path, f"frames {min(numbers)}..{max(numbers)} requested, has {self.frames}")
        for position, data in enumerate(self._encoded(numbers)):
            try:
                frame = simplejpeg.decode_jpeg(data, "RGB", buffer=out[position])
            except ValueError as error:
                raise FrameError(
                    self.path, f"frame {numbers[position]} is damaged ({error}); prepare it again"
                ) from error
            if frame.shape != (self.size, self.size, 3):
                raise FrameError(self.path, f"frame {numbers[position]} has shape {frame.shape}, want side {self.size}")

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Decode frames into a new (F, size, size, 3) uint8 array; see ``read_into``."""
        out = np.empty((len(indices), self.size, self.size, 3), dtype=np.uint8)
        self.read_into(np.asarray(indices), out)
        return out

    def _encoded(self, numbers: list[int]) -> list[bytes]:
        first = min(numbers)
        offsets = self._offsets(first, max(numbers) + 2)
        encoded = []
        with _opened(self.path) as file:
            size = os.fstat(file).st_size
            for k in numbers:
                begin, end = offsets[k - first], offsets[k - first + 1]
                if not 0 <= begin < end <= size:
                    raise FrameError(self.path, f"frame {k} is damaged (not within the file); prepare it again")
                encoded.append(os.pread(file, end - begin, begin))
        return encoded

    def _offsets(self, first: int, end: int) -> list[int]:
        """Byte offsets ``first`` to ``end - 1``: they are the last bytes of the npy file, whatever its header."""
        index = index_path(self.path)
        with _opened(index) as file:
            start = os.fstat(file).st_size - (self.frames + 1 - first) * _OFFSET_BYTES
            data = os.pread(file, (end - first) * _OFFSET_BYTES, max(start, 0))
        if start < 0 or len(data) != (end - first) * _OFFSET_BYTES:
            raise FrameError(index, f"too short for {self.frames} frames; prepare it again")
        return np.frombuffer(data, dtype=np.int64).tolist()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Descriptor of a file, for ``os.pread``, which is safe across threads."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            yield file
        finally:
            os.close(file)
    except OSError as error:
        raise FrameError(path, f"cannot be read ({error.strerror}); prepare it again") from error


def index_path(mjpeg: Path) -> Path:
    """Where the offsets of a stream lie."""
    return mjpeg.with_name(mjpeg.name.removesuffix(".mjpeg") + ".idx.npy")


def draw_frames(count: int, clip_len: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Choose ``clip_len`` of ``count`` frames: one from each of ``clip_len`` equal chunks (paper, section 3.2).

    Args:
        count: frames in the window.
        clip_len: chunks, at most ``count``.
        rng: draws at random within each chunk; without it, the middle frame of each is taken.

    Returns:
        (clip_len,) increasing frame numbers.
    """
    if not 1 <= clip_len <= count:
        raise ValueError(f"clip_len {clip_len} must lie between 1 and the window's {count} frames")
    edges = np.arange(clip_len + 1) * count // clip_len
    if rng is None:
        return (edges[:-1] + edges[1:] - 1) // 2
    return rng.integers(edges[:-1], edges[1:])
