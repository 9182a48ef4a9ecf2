"""Pictures of a prepared dataset: windows with their frames as in the paper's Figure 2, and spectra.

Letters: F frames, C = 6 channels, T samples, H, B height and breadth, K frequencies.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from configs.constants import ACC, FRAME_RATE_HZ, IMU_RATE_HZ
from datasets.frames import draw_frames
from datasets.windows import Windows
from scripts.reporting.dataset_summary import ACC_UNIT, GYRO_UNIT, read_windows
from utils.plots import COLOURS

FRAMES = 10  # of a window, as the paper's clips
_THUMBNAIL = 112  # pixels
_AXES = ("x", "y", "z")
_DECADES = 8  # a spectrum is shown to at most so many below its largest value
_LEAST_SPAN = {ACC_UNIT: 2.0, GYRO_UNIT: 0.5}  # of the vertical axes, so that noise does not fill them


@dataclass(frozen=True)
class PairedWindow:
    """An IMU window and the frames of the same seconds.

    Attributes:
        name: of the activity, or what else stands above it.
        frames: (F, H, B, 3) uint8; None where there is no video.
        imu: (C, T) acceleration in m/s², then angular rate in rad/s.
    """

    name: str
    frames: np.ndarray | None
    imu: np.ndarray


def read_window(windows: Windows, index: int, name: str) -> PairedWindow:
    """A window of a dataset as far as it is recorded, with the middle frame of each tenth if it has video."""
    imu = read_windows(windows, np.array([index]))[0]
    frames = imu.shape[1] * FRAME_RATE_HZ // IMU_RATE_HZ
    return PairedWindow(name, _thumbnails(windows, index, frames) if has_video(windows)[index] else None, imu)


def has_video(windows: Windows) -> np.ndarray:
    """(W,) bool: whether all frames of a window are stored, or of a recording shorter than it, as far as that goes."""
    samples, frames = windows.store.recordings[["samples", "frames"]].to_numpy()[windows.recording].T
    end = np.minimum(windows.start + windows.samples, samples)
    return end * FRAME_RATE_HZ // IMU_RATE_HZ <= frames


def _thumbnails(windows: Windows, index: int, of: int) -> np.ndarray:
    """(F, H, B, 3) uint8: frames of so many from the window's first on, whose pixels are means over blocks."""
    size = int(windows.store.info["frame_size"])
    frames = np.empty((FRAMES, size, size, 3), dtype=np.uint8)
    windows.read_frames(index, draw_frames(of, FRAMES), frames)
    step = max(1, size // _THUMBNAIL)
    side = size // step
    blocks = frames[:, : side * step, : side * step].reshape(FRAMES, side, step, side, step, 3)
    return blocks.mean((2, 4)).round().astype(np.uint8)


def paired_windows(windows: Sequence[PairedWindow], rate_hz: float) -> Figure:
    """Windows side by side: frames in their order, above acceleration and angular rate (form of Figure 2)."""
    film = any(window.frames is not None for window in windows)
    figure = Figure(figsize=(6.2 * len(windows), 4.6 if film else 3.8))
    figure.subplots_adjust(left=0.12 / len(windows), right=0.98, bottom=0.12, top=0.9, hspace=0.12)
    grid = figure.subplots(2 + film, len(windows), squeeze=False, height_ratios=[1, 2, 2] if film else [1, 1])
    for column, window in enumerate(windows):
        grid[0, column].set_title(window.name, fontsize=10)
        if window.frames is not None:
            grid[0, column].imshow(np.concatenate(list(window.frames), axis=1))
        if film:
            grid[0, column].set_axis_off()
        acceleration, rate = grid[film:, column]
        _signal(acceleration, window.imu[: len(ACC)], rate_hz, "acceleration", ACC_UNIT)
        _signal(rate, window.imu[len(ACC) :], rate_hz, "angular rate", GYRO_UNIT)
        acceleration.tick_params(labelbottom=False)
        rate.set_xlabel("time, s")
    grid[int(film), 0].legend(loc="upper right", fontsize=8, ncols=3)
    return figure


def _signal(axes, signal: np.ndarray, rate_hz: float, name: str, unit: str) -> None:
    time = np.arange(signal.shape[1]) / rate_hz
    for line, colour, values in zip(_AXES, COLOURS, signal, strict=False):
        axes.plot(time, values, label=line, color=colour, linewidth=1)
    axes.set(ylabel=f"{name}, {unit}", xlim=(0, len(time) / rate_hz))
    low, high = axes.get_ylim()
    if high - low < _LEAST_SPAN[unit]:
        middle = (low + high) / 2
        axes.set_ylim(middle - _LEAST_SPAN[unit] / 2, middle + _LEAST_SPAN[unit] / 2)
    axes.grid(alpha=0.3)


def spectrum(frequency: np.ndarray, density: np.ndarray, title: str, unit: str) -> Figure:
    """Power spectral density of three axes on a logarithmic scale.

    Args:
        frequency: (K,) Hz.
        density: (3, K) in ``unit``.
    """
    figure = Figure(figsize=(6.2, 3.2))
    figure.subplots_adjust(left=0.12, right=0.98, bottom=0.15, top=0.9)
    axes = figure.subplots()
    positive = density[density > 0]
    for line, colour, values in zip(_AXES, COLOURS, density, strict=False):
        axes.plot(frequency, values, label=line, color=colour, linewidth=1)
    if positive.size:
        axes.set_yscale("log")
        axes.set_ylim(bottom=max(positive.min(), positive.max() / 10**_DECADES) * 0.8)
    axes.set(xlabel="frequency, Hz", ylabel=unit)
    axes.set_title(title, fontsize=10)
    axes.legend(loc="upper right", fontsize=8, ncols=3)
    axes.grid(alpha=0.3)
    return figure


def picture_bytes(figure: Figure, media: str = "svg") -> bytes:
    """A figure as an SVG file, or as JPEG, which is smaller where it shows video; the same for the same figure."""
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "figure"}):
        figure.savefig(buffer, format=media, dpi=90, metadata={"Date": None} if media == "svg" else None)
    content = buffer.getvalue()
    return re.sub(rb"(\d\.\d)\d+", rb"\1", content) if media == "svg" else content  # tenths of a point suffice
