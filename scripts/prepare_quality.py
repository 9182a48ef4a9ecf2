"""Quality at the end of a preparation: which stretches are masked, and what the units of recordings look like."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasets.masking import VIDEO_OFFSET, QualityLimits, mask_row, mask_rows
from datasets.preparation.finalize import invalidate
from datasets.store import Recordings, Store, frame_files, frame_store, quality_path
from datasets.synchrony.offset import SyncSettings
from scripts.check_sync import SETTINGS, check_and_write
from scripts.reporting.dataset_summary import read_offsets

_UNITS_ARE_SET = {
    "pd": "--acc_unit, --gyro_unit (or --acc_counts_per_g, --gyro_counts_per_deg_s) and --imu_columns say what the "
    "columns hold",
    "table": "acc, gyro, acc_unit, gyro_unit and the counts per unit in the YAML file say what the columns hold",
}
_UNITS_ARE_FIXED = "this format has fixed units, so these may not be the files that were published"


def quality_rows(root: Path, recordings: Iterable[dict[str, Any]], limits: QualityLimits) -> list[dict]:
    """Rows of ``masked.csv`` that follow from the stored measures; no raw file is read for them.

    Args:
        recordings: rows of ``recordings.csv``.
    """
    rows = []
    for recording in recordings:
        measures = np.load(quality_path(root, recording["id"]), allow_pickle=False)
        rows += mask_rows(recording["id"], measures, recording["samples"], limits)
    return rows


def offset_rows(store: Recordings, max_offset_s: float, num_workers: int) -> list[dict]:
    """Rows of ``masked.csv`` of recordings whose video is further off than this; who cannot tell is kept.

    A ``sync.csv`` of ``scripts.check_sync`` is used if it is of these recordings, younger than their frames, and
    made with the settings that would be used here. Else the check is made, and the dataset closed until its outcome
    is among its tables.

    Raises:
        ValueError: if no recording has video.
    """
    settings = SyncSettings(max_offset_s=max_offset_s)
    if not (store.recordings["frames"] > 0).any():
        raise ValueError(f"{store.root}: no recording has video to compare with the IMU: leave --max_offset_s out")
    if not (_is_fresh(store) and _has_settings(store, settings)):
        invalidate(store.root)  # it takes long, and a dataset without the mask that was asked for must not open
        check_and_write(store, settings, num_workers)
    offsets = read_offsets(store)
    duration_s = store.recordings.set_index("id")["duration_s"]
    far = offsets[offsets["offset_s"].abs() > max_offset_s]
    return [
        mask_row(row.id, 0.0, duration_s[row.id], VIDEO_OFFSET, row.offset_s, max_offset_s) for row in far.itertuples()
    ]


def _is_fresh(store: Recordings) -> bool:
    path = store.root / "sync.csv"
    if not path.is_file():
        return False
    checked, written = pd.read_csv(path, dtype={"id": str}), path.stat().st_mtime_ns
    filmed = store.recordings.loc[store.recordings["frames"] > 0, "id"]
    kind = frame_store(store.info)
    files = [file for recording_id in filmed for file in frame_files(store.root, recording_id, kind)]
    return set(filmed) <= set(checked["id"]) and all(file.stat().st_mtime_ns < written for file in files)


def _has_settings(store: Recordings, settings: SyncSettings) -> bool:
    """Whether ``sync.csv`` was made with these; ``max_offset_s`` changes verdicts only, not the offsets."""
    path = store.root / SETTINGS
    try:
        used = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return used | {"max_offset_s": settings.max_offset_s} == settings.facts()


def check_strict(store: Store) -> None:
    """End with an error if gravity says that units are wrong."""
    notes = [json.loads(text) for text in store.recordings["notes"]]
    wrong = [
        (name, n["units_problem"])
        for name, n in zip(store.recordings["id"], notes, strict=True)
        if "units_problem" in n
    ]
    if wrong:
        name, problem = wrong[0]
        more = f" (and {len(wrong) - 1} recordings more)" if len(wrong) > 1 else ""
        remedy = _UNITS_ARE_SET.get(store.info["settings"]["format"], _UNITS_ARE_FIXED)
        sys.exit(f"prepare: units of {name}: {problem}{more}. {remedy}; without --strict this is a warning")
