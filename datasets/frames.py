"""Stored video: one raw Motion-JPEG stream per recording and the byte offset of each frame.

Any player opens ``<id>.mjpeg``; ``<id>.idx.npy`` says where frame k begins, so that a window decodes exactly the
frames it uses. Reading keeps no file open and no state, which makes it safe across threads and forks.
"""

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import simplejpeg

from utils.atomic_io import temporary

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
    """Writes the two files of a recording's frames, for ``with``. They get their names only when ``close`` succeeds.

    Args:
        path: of the stream; the offsets go beside it as ``<stem>.idx.npy``.
        quality: JPEG quality, 1 to 100.
    """

    def __init__(self, path: Path, quality: int):
        self.path, self.quality = path, quality
        self._offsets = [0]
        self._stream = open(temporary(path), "wb")  # noqa: SIM115 - closed by close() or abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8."""
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=self.quality, colorsubsampling="420")
        self._stream.write(data)
        self._offsets.append(self._offsets[-1] + len(data))

    def close(self) -> None:
        """Flush to disk, then rename both files into place, the stream last."""
        index = index_path(self.path)
        content = io.BytesIO()  # into a file NumPy writes by itself, and does not say whether the disk was full
        np.save(content, np.array(self._offsets, dtype=np.int64), allow_pickle=False)
        with open(temporary(index), "wb") as file:
            file.write(content.getvalue())
            file.flush()
            os.fsync(file.fileno())
        temporary(index).replace(index)
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        temporary(self.path).replace(self.path)

    def abort(self) -> None:
        """Drop what was written."""
        self._stream.close()
        temporary(self.path).unlink(missing_ok=True)
        temporary(index_path(self.path)).unlink(missing_ok=True)


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
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                size = os.fstat(file).st_size
                encoded = []
                for k in numbers:
                    begin, end = offsets[k - first], offsets[k - first + 1]
                    if not 0 <= begin < end <= size:
                        raise FrameError(self.path, f"frame {k} is damaged (not within the file); prepare it again")
                    encoded.append(os.pread(file, end - begin, begin))
                return encoded
            finally:
                os.close(file)
        except OSError as error:
            raise FrameError(self.path, f"cannot be read ({error.strerror}); prepare it again") from error

    def _offsets(self, first: int, end: int) -> list[int]:
        """Byte offsets ``first`` to ``end - 1``: they are the last bytes of the npy file, whatever its header."""
        index = index_path(self.path)
        try:
            file = os.open(index, os.O_RDONLY)
            try:
                start = os.fstat(file).st_size - (self.frames + 1 - first) * _OFFSET_BYTES
                data = os.pread(file, (end - first) * _OFFSET_BYTES, max(start, 0))
            finally:
                os.close(file)
        except OSError as error:
            raise FrameError(index, f"cannot be read ({error.strerror}); prepare it again") from error
        if start < 0 or len(data) != (end - first) * _OFFSET_BYTES:
            raise FrameError(index, f"too short for {self.frames} frames; prepare it again")
        return np.frombuffer(data, dtype=np.int64).tolist()


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
