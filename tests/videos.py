"""Small source videos whose frames say which one they are."""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIDE = 64  # pixels; 8 x 8 blocks of 8 pixels
_BITS = 16


def numbered_frame(number: int) -> np.ndarray:
    """(64, 64, 3) uint8: the number's 16 bits in the two top rows of blocks, one bright corner block at the bottom."""
    blocks = np.full((8, 8), 40, dtype=np.uint8)
    bits = [(number >> bit) & 1 for bit in range(_BITS)]
    blocks[:2] = np.where(np.array(bits).reshape(2, 8), 220, 40)
    blocks[7, 7] = 220  # tells how the picture was turned
    return np.repeat(np.repeat(blocks, 8, 0), 8, 1)[:, :, None].repeat(3, 2)


def number_of(frame: np.ndarray) -> int:
    """The number that a decoded frame shows.

    Raises:
        AssertionError: if it is not upright.
    """
    blocks = frame.reshape(8, 8, 8, 8, 3).mean((1, 3, 4)) > 128
    assert blocks[7, 7] and not blocks[2:7].any() and not blocks[7, :7].any()
    return int(sum(1 << bit for bit, shown in enumerate(blocks[:2].ravel()) if shown))


@contextmanager
def _same_priority() -> Iterator[None]:
    """As root SVT-AV1 makes its caller a real-time process; a browser that it starts later would starve all others."""
    if not hasattr(os, "sched_setscheduler"):  # Linux only
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def write_video(
    path: Path,
    frames: int,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    magnify: int = 1,
    front: bool = False,
) -> Path:
    """Write numbered frames.

    Args:
        ticks: presentation time of each frame in milliseconds, for a variable rate; default: even.
        magnify: side of the picture, in units of 64 pixels.
        front: put the header before the frames, as for streaming.
        options: of the encoder; a key frame every 12 frames and two B-frames if not given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"preset": "ultrafast", "g": "12", "bf": "2", "crf": "18"} if codec == "libx264" else {"g": "12"}
    with _same_priority(), av.open(str(path), "w", options={"movflags": "faststart"} if front else {}) as container:
        stream = container.add_stream(codec, rate=rate, options=given | (options or {}))
        stream.width = stream.height = SIDE * magnify
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if ticks is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number in range(frames):
            picture = numbered_frame(number).repeat(magnify, 0).repeat(magnify, 1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patch_box(path: Path, box: bytes, change) -> None:
    """Rewrite the content of the first box of this name in an mp4 file; its length stays."""
    data = bytearray(path.read_bytes())
    start = data.index(box) + 4
    size = struct.unpack_from(">I", data, start - 8)[0] - 8
    content = change(bytes(data[start : start + size]))
    assert len(content) == size
    data[start : start + size] = content
    path.write_bytes(data)


def cut_beginning(path: Path, ticks: int) -> None:
    """Let the edit list begin later in the media."""

    def later(content: bytes) -> bytes:
        duration, media_time, rate = struct.unpack_from(">Iii", content, 8)
        return content[:8] + struct.pack(">Iii", duration, media_time + ticks, rate)

    patch_box(path, b"elst", later)


def turn(path: Path, degrees: int) -> None:
    """Say that the picture must be turned clockwise for display."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    patch_box(path, b"tkhd", lambda content: content[:40] + matrix + content[76:])
