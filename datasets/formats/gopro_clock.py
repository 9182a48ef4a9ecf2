"""When the samples of GoPro's telemetry were taken, on the clock of its video.

The container says only which second of the video a payload belongs to. That is when the camera had gathered it: the
sensor has a clock of its own, and its samples begin before or after the first frame. GoPro's ``GetGPMFSampleRate``
(https://github.com/gopro/gpmf-parser, ``GPMF_utils.c``) therefore reckons the time of the first sample, in one of two
ways, which are followed here.

**Time stamps** (``STMP``; Fusion, Hero8 and later, Max): when the first sample of a stream in a payload was taken, in
microseconds of the camera's clock. ``CORI`` and ``SHUT`` have one value for each frame, and their first stamp is the
beginning of that frame, which the container puts at the payload's beginning (threads 80 and 189 there).
In the Max clip of the tests the frames' stamps are 1.001000 s apart, as the container says, and the sensor's first
sample was taken 5.03 ms before the first frame. Spreading samples over their payloads put them 3.1 ms late on the
average, and up to 5.0 ms.

**No time stamps** (Hero5 to Hero7): a line through the payloads, of the number of samples gathered against the time at
which they were gathered. Where it is at no sample is when the first was taken: GoPro's code gets 0.135 s before the
video for its Hero5 clip (which is not at hand here). The first payload's beginning and the last one's end say nothing
of the sensor and are left out: the one is the first frame whenever the sensor began, and the other the end of the
video. Without its stamps, the Max clip would begin 2.0 ms before the video: 3 ms, or 0.6 samples, off. The line goes
through 31 payloads around the one in question, not through all, because clocks drift as a camera warms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_SHIFT_S = 0.5  # of a payload's samples against its place in the container; who says more is not believed
_AROUND = 15  # payloads on either side that a line goes through
_LEAST = 3  # payloads to draw a line through
_ODD_SHARE = 0.25  # by which a payload's samples are too many or too few: some were lost
_UNEVEN_SHARE = 0.2  # by which the time to the next payload is odd for its samples


@dataclass(frozen=True)
class Batch:
    """Samples of one sensor in one payload.

    Attributes:
        start_s, duration_s: of the payload, on the video's clock.
        count: samples, at least one.
        stamp_s: when the first was taken, on the camera's clock; NaN if that is not said.
        frame_stamp_s: when the payload's first frame began, on the camera's clock; NaN if that is not said.
    """

    start_s: float
    duration_s: float
    count: int
    stamp_s: float = np.nan
    frame_stamp_s: float = np.nan


def sample_times(batches: Sequence[Batch]) -> np.ndarray:
    """(N,) seconds on the video's clock, of all samples of a sensor; before the first frame they are negative.

    Args:
        batches: in order, at least one.
    """
    start_s, stamp_s, frame_s = (
        np.array([getattr(batch, name) for batch in batches]) for name in ("start_s", "stamp_s", "frame_stamp_s")
    )
    count = np.array([batch.count for batch in batches])
    first_s = start_s
    stated = np.isfinite(frame_s)
    by_stamp = stamp_s + np.median((start_s - frame_s)[stated]) if stated.any() else np.full(len(batches), np.nan)
    for proposed in (by_stamp, by_line(start_s, count)):
        if (np.abs(proposed - start_s) < MAX_SHIFT_S).all():  # not so with NaN
            first_s = proposed
            break
    if len(batches) == 1:
        return first_s[0] + np.arange(count[0]) / count[0] * batches[0].duration_s
    period_s = np.diff(first_s) / count[:-1]
    usual_s = float(np.median(period_s))
    period_s[np.abs(period_s / usual_s - 1) > _UNEVEN_SHARE] = usual_s  # samples were lost before the next payload
    period_s = np.append(period_s, usual_s)
    return np.concatenate([a + np.arange(n) * p for a, n, p in zip(first_s, count, period_s, strict=True)])


def by_line(start_s: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(K,) times of each payload's first sample, by lines through payloads around it; a new line where some are lost.

    Args:
        start_s: (K,) of the payloads.
        count: (K,) samples in them.
    """
    first_s = start_s.copy()
    number = np.concatenate([[0], np.cumsum(count)[:-1]])  # of each payload's first sample
    share = count[:-1] / np.diff(start_s)
    lost = np.abs(share / np.median(share) - 1) > _ODD_SHARE if len(share) else np.zeros(0, dtype=bool)
    lost[:1] = False  # the first payload may well hold what was gathered before the first frame
    for run in np.split(np.arange(len(start_s)), np.flatnonzero(lost) + 1):
        known = run[run > 0]
        if len(known) < _LEAST:
            continue
        for k in run:
            near = known[np.abs(known - k) <= _AROUND]
            first_s[k] = np.polyfit(number[near] - number[k], start_s[near], 1)[1]
    return first_s
