"""The summary of a recording: what was read, how, and how long each activity took. Units are inside the keys."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.constants import IMU_RATE_HZ
from datasets.recordings.clock import Clock
from datasets.recordings.gravity import Calibration
from datasets.recordings.signal import Signal
from models.classifier import ClassifierFacts
from scripts.predicting.tables import MINUTE_S, minutes
from scripts.predicting.timeline import NONWEAR, QUALITIES, Timeline

_PROBLEMS = ("units_problem", "samples_problem", "clock_problem", "flat_problem")
DROPPED_SHARE = 0.01  # of a sensor's samples, of worn windows: more is worth a warning


def begun(
    name: str, files: Sequence[Path], settings: Mapping[str, Any], model: Mapping[str, Any], version: str
) -> dict:
    """What is known of any recording, also of one that cannot be read."""
    there = [file for file in files if file.is_file()]
    return {
        "name": name,
        "filename": files[0].name,
        "read_ok": False,
        "error": None,
        "error_message": None,
        "version": version,
        "settings": dict(settings),
        "model": dict(model),
        "files": [file.name for file in files],
        "file_size_bytes": sum(file.stat().st_size for file in there),
    }


def failed(summary: dict, reason: str, message: str) -> dict:
    """Of a recording that cannot be read."""
    return summary | {"error": reason, "error_message": message}


def read(
    facts: Mapping[str, Any], clock: Clock, units: Mapping[str, Any], signal: Signal, calibration: Calibration
) -> dict:
    """What reading gave; further keys follow from the timeline."""
    start, end = clock.iso(np.array([signal.first_s, signal.last_s]))
    breaks = np.array([b.start_s - a.end_s for a, b in zip(signal.runs, signal.runs[1:], strict=False)])
    return {
        "reading": dict(facts) | dict(units),
        "clock": clock.kind,
        "time_zone": clock.name,
        "start": start,
        "end": end,
        "duration_min": (signal.last_s - signal.first_s) / MINUTE_S,
        "sample_rate_hz": signal.rates_hz,
        "interruptions": {
            "count": len(breaks),
            "total_min": float(breaks.sum()) / MINUTE_S,
            "longest_min": float(breaks.max(initial=0.0)) / MINUTE_S,
        },
        "interpolated_s": signal.interpolated / IMU_RATE_HZ,
        "gravity": {
            "still_epochs": calibration.epochs,
            "at_rest_before_g": calibration.rest_before_g,
            "at_rest_after_g": calibration.rest_after_g,
            "error_before_mg": calibration.before_mg,
            "error_after_mg": calibration.after_mg,
            "calibrated": calibration.applied,
            "not_calibrated_because": calibration.why or None,
            "gain": calibration.gain.tolist(),
            "offset_g": calibration.offset.tolist(),
        },
    }


def samples_problem(counts: Mapping[str, int], seen: Mapping[str, int]) -> str:
    """What was dropped, in words, if it is over 1 % of a sensor's samples; empty if not.

    Args:
        counts: samples dropped, by sensor and reason, such as ``acc_backwards``.
        seen: all samples of ``acc`` and ``gyro``.
    """
    dropped = {sensor: sum(n for why, n in counts.items() if why.startswith(f"{sensor}_")) for sensor in seen}
    share = max((dropped[sensor] / n for sensor, n in seen.items() if n), default=0.0)
    if share <= DROPPED_SHARE:
        return ""
    reasons = ", ".join(f"{why} {n}" for why, n in counts.items())
    return f"{100 * share:.1f} % of the samples were dropped ({reasons}): see to the times and values of the file"


def flat_problem(timeline: Timeline) -> str:
    """How much was left unknown because a channel stood still, in words, if it is over 1 % of what was worn."""
    worn = timeline.activity != timeline.nonwear
    share = float((timeline.quality[worn] == QUALITIES.index("flat")).mean()) if worn.any() else 0.0
    if share <= DROPPED_SHARE:
        return ""
    return (
        f"in {100 * share:.1f} % of the windows an axis of a sensor keeps its value exactly: these are unknown, as "
        "preparation does not use them; see to the sensor"
    )


def duration(minutes: float) -> str:
    """A length of time in the unit that suits it: ``24 s``, ``3.5 min``, ``7.2 h``."""
    if minutes < 2:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def problems(summary: Mapping[str, Any]) -> list[str]:
    """What command and page warn of."""
    reading, unlike = summary["reading"], summary["unlike"]["problem"]
    return [reading[key] for key in _PROBLEMS if reading[key]] + [unlike] * bool(unlike)


def unlike(timeline: Timeline, facts: ClassifierFacts) -> dict[str, Any]:
    """How many of the windows that were worn are unlike those learnt from, and whether that is too many."""
    known = timeline.unlike[~np.isnan(timeline.unlike)]
    share = float((known > 1).mean()) if len(known) else None
    limit = None if facts.novelty is None else facts.novelty.limit
    problem = None
    if share is not None and share > limit:
        learnt = facts.trained_on.get("dataset", {}).get("name", "its data")
        problem = (
            f"{100 * share:.0f} % of the windows are unlike what this classifier learnt from ({learnt}), of the "
            f"people held out {100 * limit:.0f} % at most: other place on the body, other sensor, other units? Do not "
            "trust the activities"
        )
    return {"share": share, "limit": limit, "too_many": problem is not None, "problem": problem}


def predicted(
    timeline: Timeline, signal: Signal, nonwear: np.ndarray, found: pd.DataFrame, days: pd.DataFrame
) -> dict[str, Any]:
    """Wear, what was skipped, and minutes and bouts of each activity."""
    window = round(timeline.window_s * IMU_RATE_HZ)
    short = [run.samples / IMU_RATE_HZ for run in signal.runs if run.samples < window]
    spent = minutes(timeline, np.array([[signal.first_s - 1, signal.last_s + 1]]))[0]
    wear_min = float(spent[: timeline.nonwear].sum())
    lasting = found.groupby("activity").size()
    activities = {}
    for place, name in enumerate(timeline.names):
        if name == NONWEAR:
            continue
        imputed = days[f"imputed_minutes/{name}"].mean(skipna=False) if len(days) else math.nan
        activities[name] = {
            "minutes": float(spent[place]),
            "imputed_minutes_per_day": float(imputed),
            "bouts": int(lasting.get(place, 0)),
        }
    return {
        "windows": len(timeline.start_s),
        "wear": {
            "wear_min": wear_min,
            "nonwear_min": float(spent[timeline.nonwear]),
            "nonwear_episodes": len(nonwear),
            "unclassified_min": max((signal.last_s - signal.first_s) / MINUTE_S - float(spent.sum()), 0.0),
        },
        "skipped": {"too_short_s": float(sum(short)), "too_short_stretches": len(short), "samples": signal.counts},
        "activities": activities,
    }


def plain(value: Any) -> Any:
    """The same without NaN, which JSON has not, and with at most six decimals."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
