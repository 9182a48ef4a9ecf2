"""What two runs answered to the same held-out windows, from their ``answers.csv``."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from utils.statistics import Comparison, compare

_KEY = ["draw", "window"]
_COLUMNS = ["shots", *_KEY, "subject", "session", "truth", "predicted"]


@dataclass(frozen=True)
class PairedAnswers:
    """Two methods' answers to the same windows of the same draws, row by row.

    Attributes:
        truth, predicted_a, predicted_b: (A,) integer classes.
        groups: (A,) subjects, or sessions where some window has no subject.
        kind: ``subject`` or ``session``.
        num_classes: K.
    """

    truth: np.ndarray
    predicted_a: np.ndarray
    predicted_b: np.ndarray
    groups: np.ndarray
    kind: str
    num_classes: int

    def compare(self, seed: int) -> Comparison:
        """Difference of balanced accuracy, its interval and its test over groups, see ``utils.statistics.compare``."""
        return compare(self.truth, self.predicted_a, self.predicted_b, self.groups, self.num_classes, seed)


def paired_answers(file_a: Path, file_b: Path, shots: int) -> PairedAnswers | None:
    """Put two runs' answers side by side; None if some window has neither subject nor session.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file has other columns, or the two are not about the same windows of the same draws.
    """
    a, b = (_at(path, shots) for path in (file_a, file_b))
    both = a.merge(b, on=_KEY, suffixes=("_a", "_b"), validate="one_to_one")
    if not len(a) == len(b) == len(both) or (both["truth_a"] != both["truth_b"]).any():
        raise ValueError(f"{file_a} and {file_b} are not about the same windows at {shots} shots: compare other runs")
    kind = next((name for name in ("subject", "session") if (both[f"{name}_a"] != "").all()), None)
    if kind is None:
        return None
    names = sorted({*both["truth_a"], *both["predicted_a"], *both["predicted_b"]})
    number = {name: k for k, name in enumerate(names)}
    truth, predicted_a, predicted_b = (
        both[column].map(number).to_numpy() for column in ("truth_a", "predicted_a", "predicted_b")
    )
    return PairedAnswers(truth, predicted_a, predicted_b, both[f"{kind}_a"].to_numpy(), kind, len(names))


def _at(path: Path, shots: int) -> pd.DataFrame:
    table = _read(path)
    return table[table["shots"] == str(shots)]


@lru_cache(maxsize=64)
def _read(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := sorted(set(_COLUMNS) - set(table.columns)):
        raise ValueError(f"{path}: has no column {', '.join(missing)}: run the evaluation again")
    return table
