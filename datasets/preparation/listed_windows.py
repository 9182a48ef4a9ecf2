"""Bad stretches of videos from a list: ``[[uid, start_s, end_s], ...]``.

Times are seconds of the video, 0 at its first frame. A recording may begin later than its video, and its parts later
than the recording; ``masked.csv`` has times of the part.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, FiniteFloat, TypeAdapter, ValidationError

from configs.constants import IMU_RATE_HZ
from datasets.masking import LISTED, mask_row

_EPSILON = 1e-4  # samples; starts of parts are known to the microsecond


def _ordered(entry: tuple[str, float, float]) -> tuple[str, float, float]:
    if entry[1] > entry[2]:
        raise ValueError("start_s is after end_s")
    return entry


_LIST = TypeAdapter(list[Annotated[tuple[str, FiniteFloat, FiniteFloat], AfterValidator(_ordered)]])


def read_listed(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Stretches of each video in order of time; those that overlap or touch are merged.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a list; the message names the entry.
    """
    want = "want [[uid, start_s, end_s], ...] with start_s <= end_s"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: give a JSON list as --skip_windows, {want}")
    try:
        entries = _LIST.validate_json(path.read_text(encoding="utf-8-sig"), strict=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not JSON ({error}); {want}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = f"entry {first['loc'][0] + 1}: " if first["loc"] else ""
        raise ValueError(f"{path}: {where}{first['msg']}; {want}") from error
    found: dict[str, list[tuple[float, float]]] = {}
    for uid, *stretch in entries:
        found.setdefault(uid, []).append(tuple(stretch))
    return {uid: _merged(stretches) for uid, stretches in found.items()}


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
    """Rows of ``masked.csv``: the listed stretches of each part of a video; ``value`` is their length, s.

    A sample at t is in a stretch if start_s <= t < end_s, so that a part that begins milliseconds after its video does
    not lose the window before the stretch.

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
