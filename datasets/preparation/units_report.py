"""Units of a whole dataset: recordings that fail the check alone, and recordings of a person that never rest.

Of one recording without rest, gravity is not known: in a gesture of 3 s the acceleration has a length of 7 to 19 m/s²
throughout. The quietest of many are close to rest.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.constants import STANDARD_GRAVITY
from datasets.preparation.units_check import LEAST_RATIO, MOST_RATIO, SLOPE_FACTOR, acc_cause, quietest

LEAST_TOGETHER = 3  # recordings of a person; fewer are judged with those of other people
_MOST_NAMED = 5


def units_problems(
    ids: Sequence[str], subjects: Sequence[str], notes: Sequence[dict[str, Any]]
) -> list[tuple[str, str]]:
    """What has wrong units, and the problem: recordings by their names, then people.

    Args:
        ids, subjects, notes: of each recording; notes as ``check_units`` gave them.
    """
    found = [
        (name, str(note["units_problem"])) for name, note in zip(ids, notes, strict=True) if "units_problem" in note
    ]
    restless: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for subject, note in zip(subjects, notes, strict=True):
        if note.get("rest_s") == 0:
            restless[subject].append(note)
    few = [subject for subject, own in restless.items() if len(own) < LEAST_TOGETHER]
    others = [note for subject in few for note in restless.pop(subject)]
    groups = [(f"{len(own)} recordings of {subject or 'unknown people'}", own) for subject, own in restless.items()]
    groups += [(f"{len(others)} recordings of {len(few)} people", others)] if others else []
    return found + [(f"{name}, which never rest", problem) for name, own in groups if (problem := _group_problem(own))]


def _group_problem(notes: Sequence[dict[str, Any]]) -> str:
    """Empty if the quietest of these recordings read about gravity."""
    gravity, unrest = (np.array([note[key] for note in notes]) for key in ("gravity_m_s2", "unrest"))
    read = float(np.median(gravity[quietest(unrest)]))
    if LEAST_RATIO < read / STANDARD_GRAVITY < MOST_RATIO:
        return ""
    return f"in the quietest seconds the accelerometer reads {read:.4g} m/s², want about 9.8: {acc_cause(read)}"


def report_units(ids: Sequence[str], subjects: Sequence[str], notes: Sequence[dict[str, Any]]) -> list[str]:
    """Lines on a whole dataset: gravity and scale of the gyroscope, then ``units_problems``, whose arguments it has."""
    measured = [note for note in notes if "gravity_m_s2" in note]
    if not measured:
        return []
    resting = [note for note in measured if note.get("rest_s")]
    gravity = np.median([note["gravity_m_s2"] for note in resting or measured])
    where = "at rest" if resting else "in the quietest seconds"
    told = _gyroscope(notes)
    of = f"{len(resting or measured)} of {len(ids)} recordings"
    lines = [f"units: {gravity:.2f} m/s² {where} (median of {of}, want 9.8){told}"]
    wrong = units_problems(ids, subjects, notes)
    lines += [f"WARNING, units of {name}: {problem}" for name, problem in wrong[:_MOST_NAMED]]
    if len(wrong) > _MOST_NAMED:
        lines.append(f"WARNING, units of {len(wrong) - _MOST_NAMED} more, see notes in recordings.csv")
    return lines


def _gyroscope(notes: Sequence[dict[str, Any]]) -> str:
    """What the turning of gravity says of the gyroscope's unit."""
    scales = [note["gyro_scale"] for note in notes if "gyro_scale" in note]
    if not scales:
        absent = all("missing_gyro" in note for note in notes)
        return "" if absent else "; gravity turns too little in all of them to tell the gyroscope's unit"
    scale = float(np.median(scales))
    verdict = "fine" if 1 / SLOPE_FACTOR <= scale <= SLOPE_FACTOR else "WRONG"
    return (
        f"; gyroscope {scale:.2f} rad/s for each rad/s at which gravity turns (median of {len(scales)} recordings): "
        f"{verdict}, want {1 / SLOPE_FACTOR:g} to {SLOPE_FACTOR:g}, since steps bias it"
    )
