"""Two methods on the same windows: is one better for people at large, or only for these?

The units are people (sessions where they are unknown). Draws are not: they share windows and people, so a test over
them finds differences that are not there.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.statistics import Comparison, compare


class ComparisonError(ValueError):
    """Two runs that cannot be compared; the message names both and what differs."""


@dataclass(frozen=True)
class RunComparison:
    """Balanced accuracy of run a minus that of run b at a number of shots.

    Attributes:
        shots: None for zero-shot.
        difference: over the predictions of all draws.
        low, high: 95 % bootstrap interval over groups; None where ``note`` says why.
        groups: how many people (or sessions) were measured.
        p_value: paired permutation test over groups, two-sided.
        smallest_p: the least that so many groups can give: above 0.05, no difference could be shown.
        note: to print beside it, empty where there is nothing to say.
    """

    shots: int | None
    difference: float
    low: float | None
    high: float | None
    groups: int
    p_value: float
    smallest_p: float
    note: str


def compare_runs(a: Path, b: Path, shots: int | None = None, seed: int = 0) -> RunComparison:
    """Compare two finished runs of downstream.py or scripts.handcrafted (or two of zeroshot.py).

    Args:
        a, b: run folders, with results.json and predictions.csv.
        shots: number of shots that both have; None for zero-shot.

    Raises:
        ComparisonError: if they did not predict the same windows (and learn from the same), or a file is missing.
    """
    measured = {folder: _results(folder) for folder in (a, b)}
    if shots and len({_row(folder, results, shots)["windows_sha256"] for folder, results in measured.items()}) > 1:
        raise ComparisonError(
            f"{a.name} and {b.name} have not the same windows at {shots} shots: compare runs of the same dataset, "
            "classes, split, seed, draws and held-out windows"
        )
    first, second = (_predictions(folder, shots) for folder in (a, b))
    if first.keys() != second.keys() or any(first[key][:2] != second[key][:2] for key in first):
        raise ComparisonError(f"{a.name} and {b.name} did not predict the same windows, so they cannot be compared")
    if nameless := sum(not group for _, group, _ in first.values()):
        raise ComparisonError(f"{a.name}: {nameless} predictions without subject and session, so there are no groups")
    number = {name: k for k, name in enumerate(measured[a]["classes"])}
    truth, groups, _ = zip(*first.values(), strict=True)
    predicted = [[number[predictions[key][2]] for key in first] for predictions in (first, second)]
    result = compare(
        np.array([number[name] for name in truth]), *map(np.array, predicted), np.array(groups), len(number), seed
    )
    return _summary(shots, result)


def _summary(shots: int | None, result: Comparison) -> RunComparison:
    interval, test = result.interval, result.test
    return RunComparison(
        shots=shots,
        difference=result.difference,
        low=interval.low,
        high=interval.high,
        groups=interval.groups,
        p_value=test.p_value,
        smallest_p=test.smallest_p,
        note=interval.note,
    )


def _results(folder: Path) -> dict:
    try:
        return json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ComparisonError(
            f"{folder}: has no results.json, so the run is not finished ({error.strerror})"
        ) from error


def _row(folder: Path, results: dict, shots: int) -> dict:
    if str(shots) not in results["shots"]:
        raise ComparisonError(f"{folder}: has no {shots} shots, it has {', '.join(results['shots'])}")
    return results["shots"][str(shots)]


def _predictions(folder: Path, shots: int | None) -> dict[tuple[str, str], tuple[str, str, str]]:
    """For each draw and window: true class, group, prediction."""
    try:
        with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if shots is None or int(row["shots"]) == shots]
    except OSError as error:
        raise ComparisonError(f"{folder}: its predictions.csv cannot be read ({error.strerror})") from error
    return {
        (row.get("draw", ""), row["window"]): (row["truth"], _group(row["subject"], row["session"]), row["predicted"])
        for row in rows
    }


def _group(subject: str, session: str) -> str:
    if subject:
        return f"subject {subject}"
    return f"session {session}" if session else ""
