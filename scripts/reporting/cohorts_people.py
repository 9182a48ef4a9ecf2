"""What the runs of a study of cohorts predicted of each person: averages over cohorts, with and without some people."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scripts.reporting.runs import Run
from utils.cohorts_interval import cohorts_interval
from utils.comparison import counts_by_group
from utils.metrics import balanced_accuracy
from utils.statistics import Interval

SEED = 0
_SUBJECT = "subject "  # before the names of people in ``counts_by_group``

Person = tuple[str, str]  # raw recordings and name


@dataclass(frozen=True)
class Predicted:
    """What a run predicted at one number of labels.

    Attributes:
        people: G, as raw recordings and group (``counts_by_group``).
        counts: (G, K, 3), see ``class_counts``.
    """

    people: tuple[Person, ...]
    counts: np.ndarray

    @property
    def subjects(self) -> set[Person]:
        """Raw recordings and name of those whose names are known."""
        return {(of, name.removeprefix(_SUBJECT)) for of, name in self.people if name.startswith(_SUBJECT)}


def with_predictions(rows: pd.DataFrame, found: dict[str, Run]) -> pd.DataFrame:
    """The rows of ``cohort_rows`` with ``predicted``, a ``Predicted``; None where a run kept no such predictions."""
    counted = {}
    for run, recorded_as in rows[["run", "recorded_as"]].drop_duplicates().itertuples(index=False):
        try:
            of_shots = counts_by_group(found[run].folder, found[run].results["classes"])
        except (OSError, ValueError):
            continue
        for shots, (groups, counts) in of_shots.items():
            counted[run, shots] = Predicted(tuple((recorded_as, group) for group in groups), counts)
    predicted = [counted.get((row.run, int(row.shots))) for row in rows.itertuples()]
    return rows.assign(predicted=pd.Series(predicted, index=rows.index, dtype=object))


def without(rows: pd.DataFrame, left_out: Set[Person]) -> pd.DataFrame:
    """The rows of ``with_predictions`` with values of the other people; those of which nobody is left are dropped."""
    kept, values = [], []
    for row in rows.itertuples():
        staying = [
            place
            for place, (of, name) in enumerate(row.predicted.people if row.predicted else ())
            if (of, name.removeprefix(_SUBJECT)) not in left_out or not name.startswith(_SUBJECT)
        ]
        some = (
            Predicted(tuple(row.predicted.people[k] for k in staying), row.predicted.counts[staying])
            if staying
            else None
        )
        kept.append(some)
        values.append(balanced_accuracy(some.counts.sum(0)) if some else np.nan)
    rows = rows.assign(predicted=pd.Series(kept, index=rows.index, dtype=object), value=np.array(values, dtype=float))
    return rows.dropna(subset="value")


def mean_interval(rows: pd.DataFrame) -> Interval:
    """Interval of the mean over cohorts of one representation and head, one row for each cohort."""
    if rows["predicted"].isna().any():
        return Interval(None, None, 0, "no interval: some runs kept no predictions by person")
    return cohorts_interval(
        [p.counts for p in rows["predicted"]], [p.people for p in rows["predicted"]], balanced_accuracy, SEED
    )


def difference_interval(rows: pd.DataFrame, others: pd.DataFrame) -> Interval:
    """Interval of the mean of ``rows`` minus that of ``others``, of the same cohorts, both on the same people drawn."""
    both = rows.merge(others[["cohort", "predicted"]], on="cohort", suffixes=("", "_other"), validate="1:1")
    pairs = list(zip(both["predicted"], both["predicted_other"], strict=True))
    if not all(a and b and a.people == b.people and (a.counts[..., 1] == b.counts[..., 1]).all() for a, b in pairs):
        return Interval(None, None, 0, "no interval: not the same windows by person")
    return cohorts_interval(
        [np.stack([a.counts, b.counts], axis=1) for a, b in pairs],
        [a.people for a, _ in pairs],
        lambda sums: balanced_accuracy(sums[:, 0]) - balanced_accuracy(sums[:, 1]),
        SEED,
    )
