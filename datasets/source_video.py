"""Frames of a source video by their time, read once from beginning to end.

Frames are taken by the container's timestamps, never by number: 29.97 fps read as 30 is 1.2 s off after 20 minutes.
PyAV decodes frame by frame without ever seeking, which is exact whatever the edit list, the frame rate or the GOPs.
A few frames are held at a time, whatever the length. Only those that are taken are scaled, and as they come out of the
decoder, in YUV; what remains of them becomes RGB. This costs less than decord, whose scaler makes RGB on the way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from datasets.recording import BadRecording

_TIE_S = 1e-6  # 25 fps read at 10 fps meets a tie at every other frame; rounding must not decide it
Frame = TypeVar("Frame")


@dataclass(frozen=True)
class VideoInfo:
    """What the container promises; a damaged file may hold less.

    Attributes:
        start_s: presentation time of the first frame on the container's clock.
        duration_s: from the first frame to the end of the last.
    """

    width: int
    height: int
    start_s: float
    duration_s: float


def probe(path: Path) -> VideoInfo:
    """Read the container's header.

    Raises:
        BadRecording: ``missing_video``, ``empty_video`` or ``unreadable_video``.
    """
    with open_container(path) as container:
        return _info(path, container)


@contextmanager
def open_container(path: Path, options: dict[str, str] | None = None) -> Iterator[Any]:
    """The container of a file that exists, holds something and can be opened.

    Args:
        options: of FFmpeg's demuxer.

    Raises:
        BadRecording: ``missing_video``, ``empty_video`` or ``unreadable_video``.
    """
    import av  # only where source video is read

    if not path.is_file():
        raise BadRecording("missing_video", f"{path}: does not exist")
    if path.stat().st_size == 0:
        raise BadRecording("empty_video", f"{path}: holds no bytes; copy it again")
    try:
        container = av.open(str(path), options=options)
    except av.FFmpegError as error:
        raise BadRecording(
            "unreadable_video", f"{path}: cannot be opened ({error.strerror}); it may be cut off, copy it again"
        ) from error
    except UnicodeDecodeError as error:  # of PyAV before 19
        raise BadRecording("unreadable_video", f"{path}: its metadata are not UTF-8; update PyAV") from error
    with container:
        yield container


def _info(path: Path, container: Any) -> VideoInfo:
    if not container.streams.video:
        raise BadRecording("unreadable_video", f"{path}: holds no video track")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise BadRecording("unreadable_video", f"{path}: nothing here decodes its kind of video; re-encode it as H.264")
    base = stream.time_base
    if stream.duration is not None and base is not None:
        duration = float(stream.duration * base)
    elif container.duration is not None:
        duration = container.duration / 1e6
    else:
        raise BadRecording("unreadable_video", f"{path}: states no duration; remux it, as with ffmpeg -c copy")
    start = float((stream.start_time or 0) * base) if base is not None else 0.0
    return VideoInfo(stream.width, stream.height, start, duration)


def frames_at(path: Path, times_s: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the frame nearest to each time, scaled and cropped to a square.

    The short side is scaled to ``size``, then the middle is cut out. Fewer frames than times come out where the
    video ends, or cannot be decoded any further, before the last time.

    Args:
        times_s: (F,) increasing, seconds after the first frame.
        size: side of the frames, pixels.

    Yields:
        (size, size, 3) uint8 RGB.

    Raises:
        BadRecording: ``missing_video``, ``empty_video`` or ``unreadable_video`` before the first frame.
    """
    from av.video.reformatter import VideoReformatter  # only where source video is read

    # kept from frame to frame: their tables take longer to make than a frame to scale
    scaler, to_rgb = VideoReformatter(), VideoReformatter()
    shown, image = None, None
    with open_container(path) as container:
        info = _info(path, container)
        width, height = scaled_size(info.width, info.height, size)
        for frame in choose_nearest(_decode(path, container), times_s):
            if frame is not shown:
                small = scaler.reformat(frame, width, height, "yuv420p", interpolation="BILINEAR")
                pixels = to_rgb.reformat(small, format="rgb24").to_ndarray()
                image = centre_crop(np.rot90(pixels, round(frame.rotation / 90)), size)
                shown = frame
            yield image


def choose_nearest(frames: Iterator[tuple[float, Frame]], times_s: np.ndarray) -> Iterator[Frame]:
    """For each time the nearest of a stream of frames, in one pass; of two equally near the earlier.

    The last frame lasts as long as the one before it; later times get nothing.

    Args:
        frames: (time in seconds, frame), times increasing.
        times_s: (F,) increasing.
    """
    targets = iter(times_s.tolist())
    target = next(targets, None)
    earlier: tuple[float, Frame] | None = None
    period = 0.0
    for time, frame in frames:
        while target is not None and target <= time:
            tie_or_nearer = earlier is not None and target - earlier[0] <= time - target + _TIE_S
            yield earlier[1] if tie_or_nearer else frame
            target = next(targets, None)
        if target is None:
            return
        period = time - earlier[0] if earlier is not None else period
        earlier = (time, frame)
    while earlier is not None and target is not None and target < earlier[0] + period - _TIE_S:
        yield earlier[1]
        target = next(targets, None)


def _decode(path: Path, container: Any) -> Iterator[tuple[float, Any]]:
    """(seconds after the first frame, av.VideoFrame) until the end, or the first packet that cannot be decoded."""
    import av

    first_s, last_s = None, -np.inf
    stream = container.streams.video[0]
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1  # recordings are what runs in parallel
    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            return
        except av.FFmpegError as error:
            if first_s is None:
                raise BadRecording(
                    "unreadable_video", f"{path}: the first frame cannot be decoded ({error.strerror})"
                ) from error
            return
        for frame in frames:
            if frame.time is None or frame.time <= last_s:
                continue  # no place in time: it cannot be the nearest to anything
            last_s = frame.time
            first_s = last_s if first_s is None else first_s
            yield last_s - first_s, frame


def scaled_size(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height with the short side at ``size``."""
    short = min(width, height)
    return max(size, round(width * size / short)), max(size, round(height * size / short))


def centre_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The middle (size, size, 3) of (H, W, 3)."""
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]
