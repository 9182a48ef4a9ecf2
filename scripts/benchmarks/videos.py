"""Source videos for benchmarks, made on the spot: a head-mounted camera in a cluttered room.

What matters is that compression finds the work that it finds in real footage: detail at every scale, sharp edges,
motion of the whole picture that is no whole number of pixels, and noise of the sensor. Set against a GoPro walking
clip of 848x480: 0.20 bits a pixel here at 640x480, 0.21 there; 16 kB a frame as JPEG at 224 pixels, 15 kB there.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch

LENGTH_S = 10
_ROOM = 2048  # pixels across the picture of the room that the camera moves over
_VIEW = 0.4  # share of the room that is seen at once
_NOISE = 3.0  # standard deviation of the sensor's noise, of 255


class Size(NamedTuple):
    """Resolution and frame rate of a source video."""

    width: int
    height: int
    rate_hz: int


SIZES = {"640x480": Size(640, 480, 25), "1080p30": Size(1920, 1080, 30)}  # UESTC-MMEA-CL's, and a usual camera's


def write_video(path: Path, size: Size, duration_s: float = LENGTH_S) -> None:
    """Render and encode an H.264 video with a keyframe every second, as cameras do.

    Args:
        path: of the mp4 file.
    """
    import av  # only where source video is made or read
    import torch  # 500 MB, which do not belong to a process whose memory is measured

    rng = np.random.default_rng(0)
    luma, chroma = (torch.from_numpy(plane)[None] for plane in _room(rng))
    noise = torch.from_numpy(rng.normal(0, _NOISE, (2 * size.height, 2 * size.width)).astype(np.float32))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=size.rate_hz)
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(size.rate_hz), "threads": "1"}
        for k in range(round(duration_s * size.rate_hz)):
            where = _camera(k / size.rate_hz, size.height / size.width)
            top, left = (int(rng.integers(n)) for n in (size.height, size.width))
            y = _view(luma, where, size.height, size.width)[0]
            y = y + noise[top : top + size.height, left : left + size.width]
            uv = _view(chroma, where, size.height // 2, size.width // 2)
            planes = torch.cat([y.flatten(), uv.flatten()]).clamp(0, 255).to(torch.uint8)
            picture = planes.reshape(size.height * 3 // 2, size.width).numpy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())


def repeat_video(source: Path, path: Path, copies: int) -> None:
    """Write a video end to end several times, without decoding it: a long one costs no more than its bytes.

    Args:
        source: an mp4 file that begins with a key frame; its frames are of even length.
        path: of the new mp4 file.
    """
    import av  # only where source video is made or read

    with av.open(str(path), "w") as output:
        stream, length = None, 0
        for _ in range(copies):
            with av.open(str(source)) as container:
                if stream is None:
                    stream = output.add_stream_from_template(container.streams.video[0])
                shift, length = length, length + container.streams.video[0].duration
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        output.mux(packet)


def _room(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Luma (1, side, side) and chroma (2, side/2, side/2): texture with a falling spectrum, and furniture."""
    side = _ROOM
    y = 118 + 45 * _texture(rng, side, -1.2)
    uv = np.stack([128 + 14 * _texture(rng, side // 2, -1.6) for _ in range(2)])
    for _ in range(120):
        width, height = rng.integers(side // 120, side // 16, 2) * 2
        left, top = rng.integers(0, side // 2 - 1, 2) * 2
        piece = y[top : top + height, left : left + width]
        piece[:] = 0.35 * piece + rng.uniform(20, 150)
        half = uv[:, top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
        half[:] = 0.35 * half + rng.uniform(60, 110, (2, 1, 1))
    return y[None].astype(np.float32), uv.astype(np.float32)


def _texture(rng: np.random.Generator, side: int, slope: float) -> np.ndarray:
    """(side, side) of unit variance whose amplitude falls with spatial frequency, as in natural images."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    texture = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * frequency**slope, s=(side, side))
    return texture / texture.std()


def _camera(time_s: float, aspect: float) -> "torch.Tensor":
    """(1, 2, 3) where the camera looks: wandering about, with the bob and roll of steps at 1.8 Hz."""
    import torch

    step = 2 * np.pi * 1.8 * time_s
    roll = 0.08 * np.sin(step / 2)
    x, y = 0.45 * np.sin(0.35 * time_s) + 0.02 * np.sin(step / 2), 0.4 * np.sin(0.23 * time_s) + 0.02 * np.sin(step)
    cos, sin = _VIEW * np.cos(roll), _VIEW * np.sin(roll)
    return torch.tensor([[[cos, -sin * aspect, x], [sin, cos * aspect, y]]], dtype=torch.float32)


def _view(room: "torch.Tensor", where: "torch.Tensor", height: int, width: int) -> "torch.Tensor":
    """(C, height, width) of a (1, C, side, side) room."""
    import torch.nn.functional as F

    grid = F.affine_grid(where, [1, room.shape[1], height, width], align_corners=False)
    return F.grid_sample(room, grid, padding_mode="reflection", align_corners=False)[0]
