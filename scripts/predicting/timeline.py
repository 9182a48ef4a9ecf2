"""What a classifier makes of a recording: an activity for each hop.

Letters: n windows, K classes, T samples of a piece at 50 Hz, C cells of the page.
"""

from dataclasses import dataclass

import numpy as np

from configs.constants import IMU_RATE_HZ, STANDARD_GRAVITY
from configs.data import QualityLimitsConfig
from datasets.recordings.signal import Signal
from datasets.recordings.stillness import within
from datasets.streaming import Piece, WindowCutter
from models.classifier import Classifier
from models.smoothing import smooth
from scripts.predicting.measure import Measured, moments

UNKNOWN, NONWEAR = "unknown", "nonwear"
QUALITIES = ("good", "still", "flat", "nonwear")
FLAT_S = QualityLimitsConfig().max_flat_s  # of a constant channel, by which preparation masks a stretch
CELL_S = 5.0  # of the picture of the signal
_WINDOWS = 2048  # classified at a time, at least; memory does not grow with the recording


@dataclass(frozen=True)
class Timeline:
    """The windows of a recording in order of time; each stands for the hop around its middle.

    Attributes:
        names: activities by number: the classes, then ``unknown`` and ``nonwear``.
        classes: K, of the classifier.
        window_s: length of a window.
        start_s: (n,) beginning of the window.
        begin_s, end_s: (n,) what it stands for; the first and last of an uninterrupted run reach to its ends.
        activity: (n,) numbers of ``names``.
        confidence: (n,) largest of its own probabilities, before smoothing; NaN in non-wear and flat windows.
        probabilities: (n, K) smoothed, if they were; NaN there too.
        quality: (n,) numbers of ``QUALITIES``.
        unlike: (n,) how unlike the windows learnt from it is, above 1 as few windows of people held out are; NaN where
            nobody wore the sensor, or the classifier cannot tell.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    window_s: float
    start_s: np.ndarray
    begin_s: np.ndarray
    end_s: np.ndarray
    activity: np.ndarray
    confidence: np.ndarray
    probabilities: np.ndarray
    quality: np.ndarray
    unlike: np.ndarray

    @property
    def nonwear(self) -> int:
        """The number of ``nonwear``."""
        return len(self.names) - 1


@dataclass(frozen=True)
class Cells:
    """Least and largest length of the acceleration, m/s², in every 5 s that have samples.

    Attributes:
        number: (C,) integers: time divided by 5 s.
    """

    number: np.ndarray
    low: np.ndarray
    high: np.ndarray


def names_of(classes: list[str]) -> tuple[str, ...]:
    """Activities by number; a class may be called unknown itself."""
    return (*dict.fromkeys([*classes, UNKNOWN]), NONWEAR)


def classify(
    signal: Signal,
    classifier: Classifier,
    measured: Measured,
    still_mg: float,
    hop_s: float,
    threshold: float,
    smoothed: bool,
) -> tuple[Timeline, Cells]:
    """Classify the windows of a recording that were worn; ``flat`` ones, which preparation leaves out, are unknown.

    Args:
        measured: units and non-wear; a window belongs to a stretch of it if its middle does.
        still_mg: the limit of stillness, for ``quality``.
        threshold: a window whose confidence is below it is ``unknown``.
    """
    facts, scaling = classifier.facts, measured.scaling
    of_recording = moments(signal, measured) if facts.normalize == "recording" else ()
    cutter, limit = WindowCutter(facts.window_s, hop_s), still_mg / 1000 * STANDARD_GRAVITY
    parts: list[tuple[np.ndarray, ...]] = []
    cells: list[np.ndarray] = []
    for piece in signal.pieces(round(_WINDOWS * hop_s * IMU_RATE_HZ)):
        imu = scaling(piece.imu)
        cells.append(_cells(piece.start_s, imu))
        start_s, windows = cutter.push([Piece(piece.start_s, imu, piece.new_run, 0)])
        worn = ~within(start_s + facts.window_s / 2, measured.nonwear)
        quality = np.where(worn, _quality(windows, limit, scaling.gyro_mean is None), QUALITIES.index("nonwear"))
        usable = (quality == QUALITIES.index("good")) | (quality == QUALITIES.index("still"))
        own = np.full((len(start_s), len(facts.classes)), np.nan)
        unlike = np.full(len(start_s), np.nan)
        if usable.any():
            own[usable] = classifier.probabilities(windows[usable], *of_recording)
            unlike[usable] = classifier.unlike(windows[usable], *of_recording)
        parts.append((start_s, own, quality, unlike))
    start_s, own, quality, unlike = (
        map(np.concatenate, zip(*parts, strict=True)) if parts else _nothing(len(facts.classes))
    )
    begin_s, end_s, run = _stands_for(start_s, signal, facts.window_s, hop_s)
    known = np.isfinite(own[:, 0])
    probabilities = own.copy()
    if smoothed:
        first = np.flatnonzero(np.diff(run, prepend=-1) | np.diff(known, prepend=True))
        for a, b in zip(first, np.append(first, len(run))[1:], strict=True):
            if known[a]:
                probabilities[a:b] = smooth(own[a:b], hop_s, facts)
    names = names_of(facts.classes)
    confidence = own.max(axis=1, initial=0) + 0 * own[:, 0]  # NaN stays
    activity = np.nan_to_num(probabilities).argmax(axis=1)
    activity[~known | (confidence < threshold)] = names.index(UNKNOWN)
    activity[quality == QUALITIES.index("nonwear")] = len(names) - 1
    timeline = Timeline(
        names,
        tuple(facts.classes),
        facts.window_s,
        start_s,
        begin_s,
        end_s,
        activity,
        confidence,
        probabilities,
        quality,
        unlike,
    )
    return timeline, _merged(cells)


def _nothing(classes: int) -> tuple[np.ndarray, ...]:
    return np.zeros(0), np.zeros((0, classes)), np.zeros(0, int), np.zeros(0)


def _quality(windows: np.ndarray, limit: float, has_gyro: bool) -> np.ndarray:
    """(n,) still: no axis of the acceleration moves; flat: an axis keeps its value exactly for over 2.5 s, or for all
    of a shorter window, as no sensor does."""
    channels = windows if has_gyro else windows[:, :3]
    least = min(channels.shape[2], int(FLAT_S * IMU_RATE_HZ) + 1)  # samples
    same = np.cumsum(np.diff(channels, axis=2, prepend=np.nan) == 0, axis=2, dtype=np.int16)
    flat = (same[:, :, least - 1 :] - same[:, :, : channels.shape[2] - least + 1] == least - 1).any((1, 2))
    still = (windows[:, :3].std(2) < limit).all(1)
    return np.where(flat, QUALITIES.index("flat"), np.where(still, QUALITIES.index("still"), 0))


def _stands_for(
    start_s: np.ndarray, signal: Signal, window_s: float, hop_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beginning and end of what each window stands for, and the number of its run."""
    begins = np.array([run.start_s for run in signal.runs])
    ends = np.array([run.end_s for run in signal.runs])
    run = np.searchsorted(begins, start_s + 1e-6, side="right") - 1
    begin_s = start_s + (window_s - hop_s) / 2
    first = np.diff(run, prepend=-1) != 0
    last = np.diff(run, append=len(begins)) != 0
    begin_s[first] = begins[run[first]]
    end_s = np.append(begin_s[1:], 0.0)
    end_s[last] = ends[run[last]]
    return begin_s, end_s, run


def _cells(start_s: float, imu: np.ndarray) -> np.ndarray:
    """(c, 3) number of the cell, least and largest length of the acceleration."""
    number = np.floor((start_s + np.arange(len(imu)) / IMU_RATE_HZ) / CELL_S + 1e-9)
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    length = np.linalg.norm(imu[:, :3], axis=1)
    return np.stack([number[first], np.minimum.reduceat(length, first), np.maximum.reduceat(length, first)], axis=1)


def _merged(rows: list[np.ndarray]) -> Cells:
    table = np.concatenate(rows) if rows else np.zeros((0, 3))
    number, first = np.unique(table[:, 0], return_index=True)
    if len(number) == 0:
        return Cells(np.zeros(0, int), np.zeros(0), np.zeros(0))
    low, high = np.minimum.reduceat(table[:, 1], first), np.maximum.reduceat(table[:, 2], first)
    return Cells(number.astype(np.int64), low, high)
