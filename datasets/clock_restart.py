"""Whether a sensor's clock has begun again in the middle of a recording.

A sensor that was restarted counts from 0 again; a clock that was set back shows hours a second time. Sorted by time,
two stretches of different movements would become one signal, sample by sample. What is only out of order - jitter,
packets that come late, halves of a file that are exchanged, a stray stamp - has no second of time twice, and is sorted.
"""

from pathlib import Path

import numpy as np

from configs.constants import MAX_GAP_S
from datasets.recording import BadRecording, Recording

BACK_S = 1.0  # a clock that goes back by more may have begun again
_SHOWN = 3  # jumps that an error names


def restarts(time_s: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
    """Samples at which the clock goes back by over a second, if times come twice because of that; else none.

    Stretches between such jumps are cut where samples are over 0.1 s apart. Times come twice where a run of one
    stretch and a run of another have more than a second in common.

    Args:
        time_s: (N,) float64 in the order of the file, NaN where unknown.
        values: (N, 3) float64; samples that lack a value do not count, and samples that stand in the file twice, with
            the same time and values, count once. None: each sample counts.

    Returns:
        (k,) int64 numbers of samples, increasing.
    """
    counted = np.isfinite(time_s) if values is None else np.isfinite(time_s) & np.isfinite(values).all(1)
    rows = np.flatnonzero(counted)
    found = _twice(time_s, rows)
    if len(found) and values is not None:
        samples = np.concatenate([time_s[rows, None], values[rows]], axis=1)
        rows = rows[np.sort(np.unique(samples, axis=0, return_index=True)[1])]
        found = _twice(time_s, rows)
    return found


def _twice(time_s: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``restarts`` of the samples ``rows`` (n,)."""
    time_s = time_s[rows]
    back = np.diff(time_s) < -BACK_S
    if not back.any():
        return rows[:0]
    stretch = np.concatenate([[0], np.cumsum(back)])
    ordered = time_s[np.lexsort((time_s, stretch))]  # within each stretch
    cuts = np.flatnonzero((np.diff(stretch) > 0) | (np.diff(ordered) > MAX_GAP_S)) + 1
    first_s, last_s = ordered[np.append(0, cuts)], ordered[np.append(cuts, len(ordered)) - 1]
    by_start = np.argsort(first_s, kind="stable")
    first_s, last_s = first_s[by_start], last_s[by_start]
    common_s = np.minimum(np.maximum.accumulate(last_s)[:-1], last_s[1:]) - first_s[1:]  # runs of a stretch have none
    return rows[1:][back] if (common_s > BACK_S).any() else rows[:0]


def refuse_restarts(recording: Recording, file: Path | str) -> None:
    """Refuse a recording whose samples cannot be put in order of time.

    Nothing tells how long the sensor paused, and to which of two stretches the labels and frames of a time belong.

    Args:
        file: named in the error.

    Raises:
        BadRecording: ``clock_back``, naming the rows at which the clock goes back.
    """
    for sensor, time_s, values in (
        ("acc", recording.acc_time_s, recording.acc),
        ("gyro", recording.gyro_time_s, recording.gyro),
    ):
        rows = restarts(time_s, values)
        if len(rows) == 0:
            continue
        before = time_s[: rows[-1]]
        jumps = []
        for row in rows[:_SHOWN]:
            last_s = before[:row][np.isfinite(before[:row])][-1]
            jumps.append(f"at row {row + 1} from {last_s:.2f} s to {time_s[row]:.2f} s")
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        raise BadRecording(
            "clock_back",
            f"{file}: the clock of {sensor} goes back {', '.join(jumps)}{more}, and times come twice: was the sensor "
            "restarted, or its clock set back? Cut the file there into recordings of their own, or mend its times",
        )
