"""Two methods on the same windows: is one better for people at large, or only for these?

The units are people (sessions where they are unknown). Draws are not: they share windows and people, so a test over
them finds differences that are not there.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from utils.statistics import Comparison, class_counts, compare


def compare_runs(a: Path, b: Path, classes: list[str], shots: int | None = None, seed: int = 0) -> Comparison:
    """Balanced accuracy of run a minus that of run b: difference, interval and paired test over groups.

    Args:
        a, b: folders with predictions.csv of downstream.py or scripts.features (or two of zeroshot.py).
        classes: names, in the order of results.json.
        shots: number of shots that both have; None for zero-shot.

    Raises:
        ValueError: if they did not predict the same windows, or subject and session of some are unknown.
    """
    first, second = (_predictions(folder, shots) for folder in (a, b))
    if not first[_of_windows(first)].equals(second[_of_windows(second)]):
        raise ValueError(f"{a.name} and {b.name} did not predict the same windows, so they cannot be compared")
    groups = _groups(first, a)
    columns = (first["truth"], first["predicted"], second["predicted"])
    numbers = [pd.Categorical(names, categories=classes).codes.astype(np.int64) for names in columns]
    if "stretch" in first:  # a detection: a recording is an event, the second class, if one of its windows is
        units = pd.DataFrame({"group": groups, "truth": numbers[0], "a": numbers[1], "b": numbers[2]})
        units = units.groupby([first["draw"], first["stretch"]]).max()
        numbers, groups = [units[name].to_numpy() for name in ("truth", "a", "b")], units["group"].to_numpy(str)
    return compare(*numbers, groups, len(classes), seed)


def counts_by_group(folder: Path, classes: list[str]) -> dict[int, tuple[list[str], np.ndarray]]:
    """For each number of shots the groups, ``subject X`` or ``session Y``, and their ``class_counts``, (G, K, 3).

    Args:
        folder: with predictions.csv of downstream.py or scripts.features.
        classes: names, in the order of results.json.

    Raises:
        ValueError: if subject and session of some predictions are unknown.
    """
    table = _predictions(folder, None)
    table["group"] = _groups(table, folder)
    counted = {}
    for shots, of in table.groupby("shots"):
        truth, predicted = (pd.Categorical(of[name], categories=classes).codes for name in ("truth", "predicted"))
        groups = of["group"].to_numpy(str)
        counted[int(shots)] = np.unique(groups).tolist(), class_counts(truth, predicted, groups, len(classes))
    return counted


def _groups(table: pd.DataFrame, folder: Path) -> np.ndarray:
    groups = np.where(table["subject"] != "", "subject " + table["subject"], "session " + table["session"])
    if nameless := int((groups == "session ").sum()):
        raise ValueError(f"{folder.name}: {nameless} predictions without subject and session, so there are no groups")
    return groups


def _predictions(folder: Path, shots: int | None) -> pd.DataFrame:
    table = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    return table if shots is None else table[table["shots"] == str(shots)].reset_index(drop=True)


def _of_windows(table: pd.DataFrame) -> list[str]:
    """Columns that say what was predicted, not what the prediction is."""
    return [name for name in table if name not in ("predicted", "score") and not name.startswith("probability/")]
