"""Time offset between the video and the IMU of a recording, from the rotation that both have seen.

Sign: a positive offset means that the video shows an event later than the IMU does, so video time = IMU time + offset.

Letters: F frames, T samples at 50 Hz, L lags.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ
from datasets.frames import FrameStream
from datasets.synchrony.image_motion import image_motion
from datasets.synchrony.lag_evidence import MIN_PAIRS, STEP, Evidence, stretch_evidence, turned_between_frames

VERSION = 2  # of the method: what another one found is not gone on from
MISLEADING = 0.009  # prior probability that a stretch points confidently at a wrong lag: twice that seen of strangers
WANDER_S = 0.02  # standard deviation of the true offset between stretches of one recording


@dataclass(frozen=True)
class SyncSettings:
    """How offsets are looked for and judged.

    Attributes:
        max_lag_s: offsets are looked for from minus to plus this many seconds.
        max_offset_s: a larger offset has the verdict ``offset``.
        tolerance_s: the confidence is the probability that the offset is right within this many seconds.
        min_confidence: below it the verdict is ``cannot tell``.
        stretch_s: longer recordings are looked at in stretches of at most this many seconds.
        max_minutes: video looked at per recording, in stretches spread over its whole length.
    """

    max_lag_s: float = 3.0
    max_offset_s: float = 0.2
    tolerance_s: float = 0.1
    min_confidence: float = 0.99
    stretch_s: float = 30.0
    max_minutes: float = 4.0

    def facts(self) -> dict[str, Any]:
        """What an estimate follows from, beside the recording: settings and method."""
        return {"version": VERSION} | asdict(self)


@dataclass(frozen=True)
class OffsetEstimate:
    """What the frames and the gyroscope of a recording say about their offset.

    Attributes:
        offset_s: positive where the video is late; NaN where the verdict is ``cannot tell``.
        confidence: probability that the offset is right within the tolerance.
        verdict: ``ok``, ``offset`` or ``cannot tell``.
        correlation: root of the fraction of the whitened picture motion that the gyroscope explains at the offset; the
            median of the stretches that agree, NaN where the verdict is ``cannot tell``.
        used_s: seconds of video whose frames could be matched.
        stretches: number of stretches looked at.
        agreeing: number of them that show the offset by themselves.
        spread_s: range of their own offsets: drifting clocks, or a jump.
    """

    offset_s: float
    confidence: float
    verdict: str
    correlation: float
    used_s: float
    stretches: int
    agreeing: int
    spread_s: float


VERDICTS = ("ok", "offset", "cannot tell")
NO_ESTIMATE = OffsetEstimate(np.nan, 0.0, "cannot tell", np.nan, 0.0, 0, 0, np.nan)


def estimate_offset(frames: np.ndarray, gyro: np.ndarray, settings: SyncSettings) -> OffsetEstimate:
    """Offset of a recording that lies in memory.

    Args:
        frames: (F, S, S, 3) uint8 at 10 fps.
        gyro: (T, 3) rad/s at 50 Hz, its first sample at the time of the first frame.
    """
    return _estimate(lambda first, end: frames[first:end], len(frames), gyro, settings)


def estimate_stored_offset(frames: FrameStream, gyro: np.ndarray, settings: SyncSettings) -> OffsetEstimate:
    """Offset of a prepared recording of any length; only one stretch of its frames is in memory at a time.

    Args:
        gyro: (T, 3) rad/s at 50 Hz, its first sample at the time of the first frame.
    """
    return _estimate(lambda first, end: frames.read(np.arange(first, end)), len(frames), gyro, settings)


def _estimate(
    read: Callable[[int, int], np.ndarray], count: int, gyro: np.ndarray, settings: SyncSettings
) -> OffsetEstimate:
    gyro = np.asarray(gyro, dtype=np.float64)
    found = [
        stretch_evidence(image_motion(read(first, end)), gyro, STEP * first, settings.max_lag_s)
        for first, end in stretches(count, settings)
    ]
    return combine(found, settings)


def stretches(count: int, settings: SyncSettings) -> list[tuple[int, int]]:
    """(first, end) frames of equally long stretches, spread evenly over ``count`` frames.

    They touch each other as long as ``max_minutes`` is enough for the whole recording.
    """
    length = round(settings.stretch_s * FRAME_RATE_HZ)
    number = -(-count // length)
    most = max(1, int(settings.max_minutes * 60 / settings.stretch_s))
    if number <= most:
        edges = np.linspace(0, count, number + 1).round().astype(int)
        return [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a > MIN_PAIRS]
    return [(int(a), int(a) + length) for a in np.linspace(0, count - length, most).round()]


def combine(found: Sequence[Evidence], settings: SyncSettings) -> OffsetEstimate:
    """One estimate from all stretches.

    Each stretch contributes its posterior with the probability that it can tell and is not misled, else nothing: a
    single one is never believed beyond 1 - MISLEADING, and stretches that disagree take confidence from each other.
    """
    if not found:
        return NO_ESTIMATE
    used_s = sum(evidence.used_s for evidence in found)
    lag_s = found[0].lag_s
    kernel = np.exp(-0.5 * ((lag_s[:, None] - lag_s) / WANDER_S) ** 2)
    kernel /= kernel.sum(0)
    posteriors = np.stack([evidence.posterior() for evidence in found])  # (stretches, L)
    says = (1 - MISLEADING) * posteriors @ kernel.T
    nothing = 1 - says.sum(1, keepdims=True)
    log_joint = np.log(says + nothing / len(lag_s)).sum(0)
    joint = np.exp(log_joint - log_joint.max())
    joint /= joint.sum()
    near = np.abs(lag_s - lag_s[joint.argmax()]) <= settings.tolerance_s + 1e-9
    confidence = float(joint[near].sum())
    agree = [e for e, p in zip(found, posteriors, strict=True) if p[near].sum() > 0.5]
    if confidence < settings.min_confidence or not agree:
        return OffsetEstimate(np.nan, confidence, "cannot tell", np.nan, used_s, len(found), len(agree), np.nan)
    peaks = np.array([evidence.peak_s for evidence in agree])
    offset_s = float(np.median(peaks))
    verdict = "ok" if abs(offset_s) <= settings.max_offset_s else "offset"
    correlation = float(np.median([evidence.correlation[evidence.best] for evidence in agree]))
    spread = float(np.ptp(peaks))
    return OffsetEstimate(offset_s, confidence, verdict, correlation, used_s, len(found), len(agree), spread)


@dataclass(frozen=True)
class Curves:
    """Motion along the direction in which the picture of a stretch moved most, for the eye.

    Attributes:
        picture_s: (K,) video time; picture: (K,) rad per frame.
        gyro_s: (N,) IMU time; gyro: (N,) rad per frame, as it shows in the picture.
    """

    picture_s: np.ndarray
    picture: np.ndarray
    gyro_s: np.ndarray
    gyro: np.ndarray


def clearest_curves(frames: FrameStream, gyro: np.ndarray, offset_s: float, settings: SyncSettings) -> Curves:
    """Curves of the stretch that speaks most clearly for an offset.

    Without an offset (NaN) the two cannot be mapped onto each other: the stretch in which the picture moves most, and
    the gyroscope along its own main axis.

    Args:
        gyro: (T, 3) rad/s at 50 Hz.

    Raises:
        ValueError: if the recording is shorter than one stretch can be.
    """
    gyro = np.asarray(gyro, dtype=np.float64)
    turned = turned_between_frames(gyro)
    clearest, best = None, -np.inf
    for first, end in stretches(len(frames), settings):
        motion = image_motion(frames.read(np.arange(first, end)))
        if np.isfinite(offset_s):
            evidence = stretch_evidence(motion, gyro, STEP * first, settings.max_lag_s)
            clear = evidence.log_bayes[np.abs(evidence.lag_s - offset_s).argmin()]
        else:
            clear = float((motion.weight[:, None] * motion.turn**2).sum())
        if clear > best:
            clearest, best = (first, motion), clear
    if clearest is None:
        raise ValueError(f"{len(frames)} frames hold no stretch to draw: need more than {MIN_PAIRS}")
    first, motion = clearest
    picture = motion.turn - np.average(motion.turn, axis=0, weights=motion.weight)
    main = np.linalg.svd(picture * motion.weight[:, None], full_matrices=False)[2][0]  # (3,)
    moving = turned - turned.mean(0)
    if np.isfinite(offset_s):
        sample = STEP * first + STEP * np.arange(len(picture)) - round(offset_s * IMU_RATE_HZ)
        inside = (sample >= 0) & (sample < len(turned)) & (motion.weight > 0)
        to_picture = np.linalg.lstsq(moving[sample[inside]], picture[inside], rcond=None)[0] @ main
    else:
        to_picture = np.linalg.svd(moving, full_matrices=False)[2][0]
    half_frame_s = 0.5 / FRAME_RATE_HZ
    picture_s = (first + np.arange(len(picture))) / FRAME_RATE_HZ + half_frame_s
    return Curves(picture_s, picture @ main, np.arange(len(turned)) / IMU_RATE_HZ + half_frame_s, moving @ to_picture)
