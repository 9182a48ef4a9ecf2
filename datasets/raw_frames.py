"""Stored video as pixels: one uint8 array per recording, for small datasets.

``<id>.npy`` holds (F, size, size, 3) and opens with ``numpy.load(path, mmap_mode="r")``. It takes about 13 times the
bytes of JPEG frames and is read without decoding, bit for bit. Frames are read straight into the caller's buffer, not
through a memory map, so that the memory in use does not grow with what was read.
"""

import os
from pathlib import Path

import numpy as np

from datasets.frames import FrameError, FrameFileWriter, checked_range


class RawFrameWriter(FrameFileWriter):
    """Writes the array of a recording.

    Args:
        path: of the array, ending in ``.npy``.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        self._frames = 0
        self._shape: tuple[int, ...] = (0, 0, 3)

    def __len__(self) -> int:
        return self._frames

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8, of the same size as those before it."""
        if self._frames == 0:
            self._shape = rgb.shape
            self._write_header()
        if rgb.shape != self._shape or rgb.dtype != np.uint8:
            raise ValueError(f"{self.path}: frame {self._frames} is {rgb.dtype} {rgb.shape}, want uint8 {self._shape}")
        self._stream.write(np.ascontiguousarray(rgb).data)
        self._frames += 1

    def close(self) -> None:
        """Write the number of frames into the header, then flush and rename into place."""
        self._stream.seek(0)
        self._write_header()
        super().close()

    def _write_header(self) -> None:
        # numpy leaves room for the first axis to grow, so the header has one length whatever the number of frames
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._frames, *self._shape)}
        np.lib.format.write_array_header_1_0(self._stream, header)


class RawFrameStream:
    """The stored pixels of one recording; reads as ``datasets.frames.FrameStream`` does.

    Args:
        path: of the array.
        frames: number of frames, as the dataset's table says.
        size: side of the square frames, pixels.
    """

    def __init__(self, path: Path, frames: int, size: int):
        self.path, self.frames, self.size = path, frames, size

    def __len__(self) -> int:
        return self.frames

    def read_into(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Copy frames from the file into a buffer. The interpreter lock is free while it reads.

        Args:
            indices: (F,) frame numbers, any order.
            out: (F, size, size, 3) uint8, C-contiguous; overwritten.

        Raises:
            FrameError: if the file is missing or does not hold that many frames of that size.
        """
        numbers = checked_range(self.path, indices, self.frames)
        frame_bytes = self.size * self.size * 3
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                header = os.fstat(file).st_size - self.frames * frame_bytes
                if not 0 < header <= 256:
                    raise FrameError(
                        self.path, f"does not hold {self.frames} frames of side {self.size}; prepare it again"
                    )
                for position, k in enumerate(numbers):
                    read = os.preadv(file, [out[position].data], header + k * frame_bytes)
                    if read != frame_bytes:
                        raise FrameError(self.path, f"frame {k} ends after {read} bytes; prepare it again")
            finally:
                os.close(file)
        except OSError as error:
            raise FrameError(self.path, f"cannot be read ({error.strerror}); prepare it again") from error

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Copy frames into a new (F, size, size, 3) uint8 array; see ``read_into``."""
        out = np.empty((len(indices), self.size, self.size, 3), dtype=np.uint8)
        self.read_into(np.asarray(indices), out)
        return out
