"""Stored video: one raw Motion-JPEG stream per recording and the byte offset of each frame.

Any player opens ``<id>.mjpeg``; ``<id>.idx.npy`` says where frame k begins, so that a window decodes exactly the
frames it uses. Reading keeps no file open and no state, which makes it safe across threads and forks.
"""

import os
from pathlib import Path
from types import TracebackType

import numpy as np
import simplejpeg

_OFFSET_BYTES = 8  # int64


class FrameError(ValueError):
    """Stored frames that cannot be read; the message names the file and the frame."""


class FrameWriter:
    """Writes the two files of a recording; they appear under their names only when ``close`` succeeds.

    Args:
        mjpeg: path of the stream; the offsets go beside it as ``<stem>.idx.npy``.
        quality: JPEG quality, 1 to 100.
    """

    def __init__(self, mjpeg: Path, quality: int):
        self.mjpeg, self.quality = mjpeg, quality
        self._stream = open(_temporary(mjpeg), "wb")  # noqa: SIM115 - closed by close() or abort()
        self._offsets = [0]

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8."""
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=self.quality, colorsubsampling="420")
        self._stream.write(data)
        self._offsets.append(self._offsets[-1] + len(data))

    def close(self) -> None:
        """Flush to disk, then rename both files into place."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        index = index_path(self.mjpeg)
        with open(_temporary(index), "wb") as file:
            np.save(file, np.array(self._offsets, dtype=np.int64), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        _temporary(index).replace(index)
        _temporary(self.mjpeg).replace(self.mjpeg)

    def abort(self) -> None:
        """Drop what was written."""
        self._stream.close()
        _temporary(self.mjpeg).unlink(missing_ok=True)
        _temporary(index_path(self.mjpeg)).unlink(missing_ok=True)

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class FrameStream:
    """The stored frames of one recording.

    Args:
        mjpeg: path of the stream.
        frames: number of frames, as the dataset's table says.
        size: side of the square frames, pixels.
    """

    def __init__(self, mjpeg: Path, frames: int, size: int):
        self.mjpeg, self.frames, self.size = mjpeg, frames, size

    def __len__(self) -> int:
        return self.frames

    def read_into(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Decode frames into a buffer.

        Args:
            indices: (F,) frame numbers, any order.
            out: (F, size, size, 3) uint8, C-contiguous; overwritten.

        Raises:
            FrameError: if a file is missing, shorter than the table says, or a frame is no JPEG of that size.
        """
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= self.frames:
            raise FrameError(f"{self.mjpeg}: frames {low}..{high} asked for, has {self.frames}")
        try:
            offsets = self._offsets(low, high + 2)
            file = os.open(self.mjpeg, os.O_RDONLY)
            try:
                encoded = [
                    os.pread(file, offsets[k - low + 1] - offsets[k - low], offsets[k - low]) for k in indices.tolist()
                ]
            finally:
                os.close(file)
        except OSError as error:
            raise FrameError(f"{self.mjpeg}: cannot be read ({error.strerror}); prepare it again") from error
        for position, data in enumerate(encoded):
            try:
                frame = simplejpeg.decode_jpeg(data, "RGB", buffer=out[position])
            except ValueError as error:
                raise FrameError(
                    f"{self.mjpeg}: frame {indices[position]} is damaged ({error}); prepare it again"
                ) from error
            if frame.shape != (self.size, self.size, 3):
                raise FrameError(
                    f"{self.mjpeg}: frame {indices[position]} has shape {frame.shape}, want side {self.size}"
                )

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Decode frames into a new (F, size, size, 3) uint8 array; see ``read_into``."""
        out = np.empty((len(indices), self.size, self.size, 3), dtype=np.uint8)
        self.read_into(np.asarray(indices), out)
        return out

    def _offsets(self, first: int, end: int) -> list[int]:
        """Byte offsets ``first`` to ``end - 1``: they are the last bytes of the npy file, whatever its header."""
        file = os.open(index_path(self.mjpeg), os.O_RDONLY)
        try:
            start = os.fstat(file).st_size - (self.frames + 1 - first) * _OFFSET_BYTES
            data = os.pread(file, (end - first) * _OFFSET_BYTES, max(start, 0))
        finally:
            os.close(file)
        if start < 0 or len(data) != (end - first) * _OFFSET_BYTES:
            raise FrameError(f"{index_path(self.mjpeg)}: too short for {self.frames} frames; prepare it again")
        return np.frombuffer(data, dtype=np.int64).tolist()


def index_path(mjpeg: Path) -> Path:
    """Where the offsets of a stream lie."""
    return mjpeg.with_name(mjpeg.name.removesuffix(".mjpeg") + ".idx.npy")


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


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
