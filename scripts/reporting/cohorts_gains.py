"""Gains over handcrafted features by cohort: paired tests over people, and a figure."""

from pathlib import Path

import numpy as np
import pandas as pd

from scripts.reporting.cohorts_rows import HANDCRAFTED, LABELS, OWN_LAYERS
from scripts.reporting.document import Block, Linked, Picture, Table, Text, plural
from scripts.reporting.order import p_value, points, power_note
from scripts.reporting.runs import Run
from utils import tables
from utils.comparison import compare_runs
from utils.plots import gains_by_group
from utils.statistics import FEW_GROUPS, holm

TESTED = (
    f"Gain over {HANDCRAFTED} features that the same head reads (of what has a layer of its own: the linear one), in "
    "points of balanced accuracy on the same windows: difference, 95 % interval over people, and p of a paired "
    "permutation test over people, corrected by Holm's method for all rows of a cohort."
)


def gain_blocks(rows: pd.DataFrame, found: dict[str, Run], question: str, title: str, out: Path) -> list[Block]:
    """Tests of all rows at ``LABELS`` labels as a table and as a figure; nothing where no row can be compared.

    Args:
        rows: of ``cohort_rows``, of one question.
    """
    tested = gains(rows[rows["shots"] == LABELS], found)
    if tested.empty:
        return []
    caption = f"{title}: gain over {HANDCRAFTED} features with {plural(LABELS, 'label')} per class, points"
    frame = tables.pivot(tested, ["representation", "head"], ["cohort"], cell=written)
    weak = [
        f"{cohort}: {note}"
        for cohort, of in tested.dropna(subset="p").groupby("cohort", sort=False)
        for note in power_note(of["test"].tolist())
    ]
    png = out / "figures" / f"cohorts_{question}_gain.png"
    gains_by_group(tested[~tested["calibrated"]], png, caption)
    picture = Picture(png, f"{caption}; bars: 95 % interval over people", png.with_suffix(".pdf"))
    return [Text(TESTED), Table(frame, f"cohorts_{question}_gain", caption, tuple(weak)), picture]


def gains(rows: pd.DataFrame, found: dict[str, Run]) -> pd.DataFrame:
    """Each row against handcrafted features with the same head in the same cohort.

    Args:
        rows: of ``cohort_rows``, of one question and number of labels.

    Returns:
        A row for each that can be compared: representation, head, cohort, calibrated, folder; ``value``, ``low`` and
        ``high``, the difference as a fraction and its interval (NaN with few people); ``test``, the Comparison, and
        ``p``, corrected for all rows of the cohort (NaN with few people); ``reason`` why there is none.
    """
    base = rows[rows["representation"] == HANDCRAFTED].set_index(["cohort", "head"])["run"]
    compared = []
    for row in rows[rows["representation"] != HANDCRAFTED].itertuples():
        head = "linear" if row.head in OWN_LAYERS else row.head
        if (row.cohort, head) not in base.index:
            continue
        other = base[row.cohort, head]
        keys = {name: getattr(row, name) for name in ("representation", "head", "cohort", "calibrated", "folder")}
        compared.append(keys | _test(found[row.run], found[other], int(row.shots)))
    table = pd.DataFrame(compared)
    if table.empty:
        return table
    table["p"] = np.nan
    for _, of in table[table["reason"] == ""].groupby("cohort"):
        table.loc[of.index, "p"] = holm(np.array([test.test.p_value for test in of["test"]]))
    return table


def _test(run: Run, other: Run, shots: int) -> dict:
    """Difference of two runs, and its test over people, or the reason that there is none."""
    values = [r.results["shots"][str(shots)]["balanced_accuracy"]["mean"] for r in (run, other)]
    nothing = {"value": values[0] - values[1], "low": np.nan, "high": np.nan, "test": None}
    try:
        test = compare_runs(run.folder, other.folder, run.results["classes"], shots)
    except (OSError, ValueError) as error:
        return nothing | {"reason": f"no test: {error}"}
    if test.interval.groups < FEW_GROUPS:
        return nothing | {"reason": f"{test.interval.groups} people"}
    return {"value": test.difference, "low": test.interval.low, "high": test.interval.high, "test": test, "reason": ""}


def written(row) -> str:
    """What ``gained`` says, linked to the run."""
    return Linked(gained(row), row.folder)


def gained(row) -> str:
    """``+5.3 (+1.2 to +9.4), p 0.030``, or the reason that there is no test."""
    if row.reason:
        return f"{points(row.value)} ({row.reason})"
    return f"{points(row.value)} ({points(row.low)} to {points(row.high)}), p {p_value(row.p)}"
