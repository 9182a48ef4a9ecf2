"""Stretches of videos that a list names as bad: ``[[uid, start_s, end_s], ...]``.

Times are seconds of the video, 0 its first frame. A recording may begin later than its video, and each of its parts
later still; ``masked.csv`` holds times of the part.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from configs.constants import IMU_RATE_HZ
from datasets.masking import LISTED, mask_row

_ENDLESS_S = 1e9  # JSON knows NaN, Infinity, and integers of any length
_EPSILON = 1e-4  # samples; starts of parts are known to the microsecond


def read_listed(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Stretches of each video, in order of time; those that overlap or touch are one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a list, naming the entry.
    """
    want = "want [[uid, start_s, end_s], ...] with start_s <= end_s"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: give a JSON list as --skip_windows, {want}")
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: is no JSON ({error}); {want}") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path}: holds a {type(entries).__name__}; {want}")
    found: dict[str, list[tuple[float, float]]] = {}
    for number, entry in enumerate(entries, start=1):
        if not _is_stretch(entry):
            raise ValueError(f"{path}: entry {number} is {entry!r:.99}; {want}")
        found.setdefault(entry[0], []).append((float(entry[1]), float(entry[2])))
    return {uid: _merged(stretches) for uid, stretches in found.items()}


def _is_stretch(entry: Any) -> bool:
    if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str)):
        return False
    for time in entry[1:]:
        if isinstance(time, bool) or not isinstance(time, (int, float)) or not abs(time) < _ENDLESS_S:
            return False
    return entry[1] <= entry[2]


def _merged(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start_s, end_s in sorted(stretches):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end_s, merged[-1][1])
        else:
            merged.append((start_s, end_s))
    return merged


def listed_rows(
    recordings: Iterable[dict[str, Any]], listed: dict[str, list[tuple[float, float]]]
) -> list[dict[str, Any]]:
    """Rows of ``masked.csv``: of each part of a listed video, the samples in a stretch; ``value`` is their length, s.

    A sample at t is in a stretch if start_s <= t < end_s. So a part that begins milliseconds after its video does not
    lose the window before the stretch, too.

    Args:
        recordings: rows of ``recordings.csv``.
    """
    rows = []
    for recording in recordings:
        begin_s = json.loads(recording["notes"])["start_s"]
        for stretch in listed.get(recording["source"], ()):
            first, end = (math.ceil((time - begin_s) * IMU_RATE_HZ - _EPSILON) for time in stretch)
            first, end = max(first, 0), min(end, recording["samples"])
            if first < end:
                start_s, end_s = first / IMU_RATE_HZ, end / IMU_RATE_HZ
                rows.append(mask_row(recording["id"], start_s, end_s, LISTED, end_s - start_s, 0.0))
    return rows
