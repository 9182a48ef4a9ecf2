"""Pictures on a dataset's page: sample windows as in the paper's Figure 2, and spectra."""

import numpy as np
import simplejpeg

from configs.constants import ACC, FRAME_RATE_HZ, GYRO, IMU_RATE_HZ, WINDOW_FRAMES, WINDOW_S, WINDOW_SAMPLES
from datasets.frames import draw_frames
from datasets.windows import Windows
from scripts.reporting.dataset_summary import ACC_UNIT, GYRO_UNIT, Summary, mean_spectrum, read_windows
from scripts.reporting.html import Html, count, data_uri, join, more, plural, tag
from scripts.reporting.svg import Box, drawing, panel, picture

MOST_SAMPLES = 40
UNLABELLED_SAMPLES = 8
SPECTRUM_WINDOWS = 2000
_FRAMES = 10  # per sample window, as the paper's clips
_THUMBNAIL = 112  # pixels
_AXES = ("x", "y", "z")


def samples(summary: Summary, seed: int) -> Html:
    """A window of each class or, without labels, a few of all."""
    if summary.windows is None:
        return tag("p", "There is no window to show.")
    if summary.labelled is not None:
        chosen = _one_per_class(summary.labelled, seed)
        text = f"One window of each class, drawn at random (seed {seed})"
    else:
        source = summary.windows if summary.with_video is None else summary.with_video
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(source), min(UNLABELLED_SAMPLES, len(source)), replace=False)
        chosen = [(source, int(index)) for index in np.sort(drawn)]
        text = f"{plural(len(chosen), 'window')}, drawn at random (seed {seed})"
    text += ": the middle frame of each tenth, if there is video, above acceleration and angular rate as stored."
    cards = [_card(windows, index, summary.store.simulated) for windows, index in chosen[:MOST_SAMPLES]]
    return join(tag("p", text), tag("div", cards, class_="cards"), more(len(chosen) - MOST_SAMPLES, "class"))


def _one_per_class(windows: Windows, seed: int) -> list[tuple[Windows, int]]:
    """A window of each class that has one, with video where any of the class has."""
    has_video = _has_video(windows)
    chosen = []
    for label in range(len(windows.classes)):
        of_class = np.flatnonzero(windows.label == label)
        pool = of_class[has_video[of_class]] if has_video[of_class].any() else of_class
        if len(pool):
            chosen.append((windows, int(np.random.default_rng([seed, label]).choice(pool))))
    return chosen


def _has_video(windows: Windows) -> np.ndarray:
    """(W,) bool: whether all frames of a window are stored."""
    frames = windows.store.recordings["frames"].to_numpy()[windows.recording]
    return windows.start + WINDOW_SAMPLES <= frames * IMU_RATE_HZ // FRAME_RATE_HZ


def _card(windows: Windows, index: int, simulated: bool) -> Html:
    """One window as in the paper's Figure 2: frames over the channels, on one time axis."""
    label = windows.classes[windows.label[index]] if windows.label[index] >= 0 else None
    origin = ", ".join(
        [windows.ids(np.array([index]))[0]]
        + ([f"subject {windows.subject[index]}"] if windows.subject[index] else [])
        + (["simulated"] if simulated else [])
    )
    left, width, top = 38.0, 592.0, 0.0
    content = []
    if _has_video(windows)[index]:
        top = width / _FRAMES
        content.append(picture(data_uri(_strip(windows, index)), Box(left, 0, width, top)))
        borders = [f"{left + k * top:g}" for k in range(1, _FRAMES)]
        content += [tag("line", class_="border", x1=x, x2=x, y1="0", y2=f"{top:g}") for x in borders]
    signal = read_windows(windows, np.array([index]))[0]
    time = np.arange(WINDOW_SAMPLES) / IMU_RATE_HZ
    acc = dict(zip(_AXES, signal[: len(ACC)], strict=True))
    gyro = dict(zip(_AXES, signal[len(ACC) :], strict=True))
    content.append(panel(Box(left, top + 24, width, 104), time, acc, f"acceleration, {ACC_UNIT}", least_span=2.0))
    gyro_box = Box(left, top + 158, width, 104)
    content.append(panel(gyro_box, time, gyro, f"angular rate, {GYRO_UNIT}", x_label="time, s", least_span=0.5))
    return tag(
        "figure",
        tag("figcaption", tag("strong", label) if label is not None else None, origin),
        drawing(left + width + 10, top + 298, f"window {origin}", *content),
    )


def _strip(windows: Windows, index: int) -> bytes:
    """The middle frames of a window side by side, as one JPEG."""
    size = int(windows.store.info["frame_size"])
    frames = np.empty((_FRAMES, size, size, 3), dtype=np.uint8)
    windows.read_frames(index, draw_frames(WINDOW_FRAMES, _FRAMES), frames)
    step = max(1, size // _THUMBNAIL)  # means over blocks of pixels
    side = size // step
    blocks = frames[:, : side * step, : side * step].reshape(_FRAMES, side, step, side, step, 3)
    small = blocks.mean((2, 4)).round().astype(np.uint8)
    return simplejpeg.encode_jpeg(np.ascontiguousarray(np.concatenate(small, axis=1)), quality=80)


def spectra(summary: Summary, seed: int) -> Html:
    """Mean power spectra of the six channels."""
    windows = summary.windows
    if windows is None:
        return tag("p", "There is no window to compute a spectrum of.")
    drawn, which = np.arange(len(windows)), plural(len(windows), "window")
    if len(windows) > SPECTRUM_WINDOWS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(windows), SPECTRUM_WINDOWS, replace=False))
        which = f"{count(len(drawn))} of {which}, drawn at random (seed {seed})"
    frequency, density = mean_spectrum(read_windows(windows, drawn))
    text = f"Power spectral density of each channel (Welch; Hann window of {WINDOW_S:g} s): the mean of {which}."
    suffix = ", simulated" if summary.store.simulated else ""
    figures = []
    for title, unit, lines in (
        ("acceleration", f"({ACC_UNIT})²/Hz", density[: len(ACC)]),
        ("angular rate", f"({GYRO_UNIT})²/Hz", density[len(GYRO) :]),
    ):
        series = dict(zip(_AXES, lines[:, 1:], strict=True))  # each window is centred: nothing is left at 0 Hz
        plot = panel(Box(44, 24, 586, 230), frequency[1:], series, f"{title}, {unit}{suffix}", "frequency, Hz", True)
        figures.append(tag("figure", drawing(640, 292, f"spectrum of {title}{suffix}", plot)))
    return join(tag("p", text), tag("div", figures, class_="cards"))
