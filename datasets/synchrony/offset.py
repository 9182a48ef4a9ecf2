"""Time offset between the video and the IMU of a recording, from the rotation that both have seen.

Sign: a positive offset means that the video shows an event later than the IMU does, so video time = IMU time + offset.

Letters: F frames, T samples at 50 Hz, L lags.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.frames import FrameStream
from datasets.synchrony.image_motion import image_motion
from datasets.synchrony.lag_evidence import MIN_PAIRS, STEP, Evidence, stretch_evidence

MAX_LAG_S = 3.0  # offsets are looked for from minus to plus this
TOLERANCE_S = 0.1  # the confidence is the probability that the offset is right within this
MIN_CONFIDENCE = 0.99  # below it there is no estimate
STRETCH_FRAMES = 300  # longer recordings are looked at in stretches of at most this many frames
MAX_STRETCHES = 8  # spread over the whole length of a recording
MISLEADING = 0.009  # prior probability that a stretch points confidently at a wrong lag: twice that seen of strangers
WANDER_S = 0.02  # standard deviation of the true offset between stretches of one recording


@dataclass(frozen=True)
class OffsetEstimate:
    """What the frames and the gyroscope of a recording say about their offset.

    Attributes:
        offset_s: positive where the video is late; NaN where nothing can be told.
        confidence: probability that the offset is right within TOLERANCE_S.
        correlation: root of the fraction of the whitened picture motion that the gyroscope explains at the offset; the
            median of the stretches that agree, NaN without an offset.
        used_s: seconds of video whose frames could be matched.
        stretches: number of stretches looked at.
        agreeing: number of them that show the offset by themselves.
        spread_s: range of their own offsets: drifting clocks, or a jump.
    """

    offset_s: float
    confidence: float
    correlation: float
    used_s: float
    stretches: int
    agreeing: int
    spread_s: float


NO_ESTIMATE = OffsetEstimate(np.nan, 0.0, np.nan, 0.0, 0, 0, np.nan)


def estimate_offset(frames: FrameStream, gyro: np.ndarray) -> OffsetEstimate:
    """Offset of a prepared recording of any length; only one stretch of its frames is in memory at a time.

    Args:
        gyro: (T, 3) rad/s at 50 Hz, its first sample at the time of the first frame.
    """
    gyro = np.asarray(gyro, dtype=np.float64)
    found = [
        stretch_evidence(image_motion(frames.read(np.arange(first, end))), gyro, STEP * first, MAX_LAG_S)
        for first, end in stretches(len(frames))
    ]
    return combine(found)


def stretches(count: int) -> list[tuple[int, int]]:
    """(first, end) frames of equally long stretches, spread evenly over ``count`` frames.

    They touch each other as long as MAX_STRETCHES are enough for the whole recording.
    """
    number = -(-count // STRETCH_FRAMES)
    if number <= MAX_STRETCHES:
        edges = np.linspace(0, count, number + 1).round().astype(int)
        return [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a > MIN_PAIRS]
    starts = np.linspace(0, count - STRETCH_FRAMES, MAX_STRETCHES).round()
    return [(int(a), int(a) + STRETCH_FRAMES) for a in starts]


def combine(found: Sequence[Evidence]) -> OffsetEstimate:
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
    near = np.abs(lag_s - lag_s[joint.argmax()]) <= TOLERANCE_S + 1e-9
    confidence = float(joint[near].sum())
    agree = [e for e, p in zip(found, posteriors, strict=True) if p[near].sum() > 0.5]
    if confidence < MIN_CONFIDENCE or not agree:
        return OffsetEstimate(np.nan, confidence, np.nan, used_s, len(found), len(agree), np.nan)
    peaks = np.array([evidence.peak_s for evidence in agree])
    offset_s = float(np.median(peaks))
    correlation = float(np.median([evidence.correlation[evidence.best] for evidence in agree]))
    spread = float(np.ptp(peaks))
    return OffsetEstimate(offset_s, confidence, correlation, used_s, len(found), len(agree), spread)
