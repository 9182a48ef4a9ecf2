"""Quality of a recording, 5 s at a time: what is measured, by which rules a stretch is masked, and the mask itself.

What is measured does not depend on any limit, so that limits can be changed without reading a raw file again. Signals
are measured before they are filtered and resampled, because filters hide a clipped peak and a dead channel alike.

    clipped_share         samples of an axis at its largest or smallest value of the recording, three or more in a row
    flat_s                longest time for which an axis keeps one value to the last digit; even a person who sits
                          still moves more than a sensor resolves
    copied_share          samples in which two axes of a sensor are equal
    bridged_share         time that was interpolated because samples were missing
    rate_drift            rate of the sensor here against its mean in the recording
    frozen_share          stored frames that repeat the one before them, pixel for pixel
    contrast              standard deviation of the grey levels (0 to 255) within the median frame
    duration_mismatch_s   difference in length between IMU and video, where the table has no times of its own

Letters: W stretches, N samples of a sensor, M = 8 measures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ, WINDOW_FRAMES, WINDOW_S, WINDOW_SAMPLES

IMU_MEASURES = ("clipped_share", "flat_s", "copied_share", "bridged_share", "rate_drift")
VIDEO_MEASURES = ("frozen_share", "contrast")
MEASURES = (*IMU_MEASURES, *VIDEO_MEASURES, "duration_mismatch_s")
MASK_COLUMNS = ["id", "start_s", "end_s", "reason", "value", "threshold"]
VIDEO_OFFSET = "video_offset"  # from the synchrony check, of whole recordings
LISTED = "listed"  # in a list of bad windows, see ``datasets.preparation.listed_windows``
_LEAST_SAMPLES = 50  # 1 s: a shorter rest at the end is not measured


@dataclass(frozen=True)
class Rule:
    """Mask a stretch for this reason where the measure lies beyond the limit.

    Attributes:
        of_video: the IMU of the stretch is as good as any, so it is left out only where video is wanted.
    """

    reason: str
    measure: str
    limit: str
    of_video: bool = False

    def broken(self, values: np.ndarray, limit: float) -> np.ndarray:
        """Which of the values (W,) lie beyond the limit; what was not measured does not."""
        return values < limit if self.limit.startswith("min_") else values > limit


RULES = (
    Rule("clipped", "clipped_share", "max_clipped_share"),
    Rule("flat_channel", "flat_s", "max_flat_s"),
    Rule("copied_axes", "copied_share", "max_copied_share"),
    Rule("gaps", "bridged_share", "max_bridged_share"),
    Rule("rate_drift", "rate_drift", "max_rate_drift"),
    Rule("frozen_frames", "frozen_share", "max_frozen_share", of_video=True),
    Rule("blank_frames", "contrast", "min_contrast", of_video=True),
    Rule("duration_mismatch", "duration_mismatch_s", "max_duration_mismatch_s", of_video=True),
)
VIDEO_REASONS = frozenset(rule.reason for rule in RULES if rule.of_video) | {VIDEO_OFFSET}


def stretch_starts(samples: int) -> np.ndarray:
    """(W,) first samples of the stretches that a recording of so many samples is measured in: its windows, and what
    is left behind the last one if that is a second or more."""
    return np.arange(0, max(samples - _LEAST_SAMPLES, 0) + 1, WINDOW_SAMPLES)


def mask_rows(recording_id: str, measures: np.ndarray, samples: int, limits: Mapping[str, float]) -> list[dict]:
    """Rows of ``masked.csv`` of one recording: a row for each stretch and each rule that it breaks.

    Args:
        measures: (W, M), columns as ``MEASURES``.
        samples: of the recording, at 50 Hz.
        limits: by name, as ``configs.data.QualityLimitsConfig`` has them.

    Raises:
        ValueError: if there are not as many measures as the recording has stretches.
    """
    starts = stretch_starts(samples)
    if measures.shape != (len(starts), len(MEASURES)):
        raise ValueError(
            f"{recording_id}: quality measures have shape {measures.shape}, want ({len(starts)}, {len(MEASURES)})"
        )
    rows = []
    for rule in RULES:
        values, limit = measures[:, MEASURES.index(rule.measure)], limits[rule.limit]
        for row in np.flatnonzero(rule.broken(values, limit)):
            start_s = starts[row] / IMU_RATE_HZ
            end_s = min(start_s + WINDOW_S, samples / IMU_RATE_HZ)
            rows.append(mask_row(recording_id, start_s, end_s, rule.reason, float(values[row]), limit))
    return rows


def mask_row(recording_id: str, start_s: float, end_s: float, reason: str, value: float, threshold: float) -> dict:
    """A row of ``masked.csv``, seconds on the recording's clock."""
    row = (recording_id, round(start_s, 3), round(end_s, 3), reason, round(value, 4), threshold)
    return dict(zip(MASK_COLUMNS, row, strict=True))


def mask_table(rows: Iterable[dict]) -> pd.DataFrame:
    """``masked.csv`` in the order of recordings and time."""
    table = pd.DataFrame(list(rows), columns=MASK_COLUMNS)
    return table.sort_values(["id", "start_s", "reason"], ignore_index=True)


assert WINDOW_FRAMES / FRAME_RATE_HZ == WINDOW_S  # frames and samples are measured in the same stretches
