"""The first approach of a study with folds against every other row: paired tests over the people held out."""

import numpy as np
import pandas as pd

from scripts.reporting.cohorts_gains import gained
from scripts.reporting.document import Block, Table, Text
from scripts.reporting.order import power_note
from utils import tables
from utils.statistics import FEW_GROUPS, compare_pairs, holm


def fold_test_blocks(rows: pd.DataFrame, first: str, folds: int) -> list[Block]:
    """Differences of each person's balanced accuracy as a table; nothing where there is no other row.

    Args:
        rows: of ``fold_rows``, of one metric.
        first: label of the first approach.
        folds: how many people there are.
    """
    tested = fold_tests(rows, first)
    if tested.empty:
        return []

    def cell(row) -> str:
        return gained(row) + (f"; {row.people} of {folds}" if row.people < folds and not row.reason else "")

    text = (
        f"{first.capitalize()} against every other row, in points of balanced accuracy: mean difference over people, "
        "its 95 % bootstrap interval, and p of a paired sign-flip test over people, corrected by Holm's method "
        "for all rows of a column. The people are those whose encoders were pretrained without them in turn, so that "
        "trainings share most of their data."
    )
    weak = [
        f"{column}: {note}"
        for column, of in tested[tested["reason"] == ""].groupby("column", sort=False)
        for note in power_note(of["test"].tolist())
    ]
    frame = tables.pivot(tested, ["against"], ["column"], cell=cell)
    return [Text(text), Table(frame, "folds_tests", f"{first.capitalize()} minus each other row, points", tuple(weak))]


def fold_tests(rows: pd.DataFrame, first: str) -> pd.DataFrame:
    """The first approach against each other row in each column, on the people that both have.

    Returns:
        A row for each pair: against, column, people; ``value``, ``low`` and ``high``, the mean difference as a fraction
        and its interval; ``test``, the Comparison, and ``p``, corrected for all rows of the column; ``reason`` why
        there is none.
    """
    compared = []
    for column, of in rows.groupby("column", sort=False):
        values = of.pivot(index="fold", columns="label", values="value")
        for label in of["label"].unique() if first in values else ():
            differences = (values[first] - values[label]).dropna().to_numpy()
            if label == first or not len(differences):
                continue
            test = compare_pairs(differences, seed=0)
            few, people = len(differences) < FEW_GROUPS, "person" if len(differences) == 1 else "people"
            compared.append(
                {"against": label, "column": column, "people": len(differences), "value": test.difference, "test": test}
                | {"low": test.interval.low, "high": test.interval.high, "p": np.nan}
                | {"reason": f"{len(differences)} {people}" if few else ""}
            )
    table = pd.DataFrame(compared)
    if table.empty:
        return table
    for _, of in table[table["reason"] == ""].groupby("column"):
        table.loc[of.index, "p"] = holm(np.array([test.test.p_value for test in of["test"]]))
    return table
