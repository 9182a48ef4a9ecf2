"""Gains over handcrafted features by cohort: paired tests over people, a figure, and what is won on average."""

from pathlib import Path

import numpy as np
import pandas as pd

from scripts.reporting.cohorts_rows import ACROSS, HANDCRAFTED, INVARIANT, OWN_LAYERS, RECOMMENDED, WITHIN
from scripts.reporting.document import Block, Heading, Linked, Picture, Table, Text, plural
from scripts.reporting.order import p_value, points, power_note
from scripts.reporting.runs import Run
from utils import tables
from utils.comparison import compare_runs
from utils.plots import gains_by_group
from utils.statistics import FEW_GROUPS, holm

LABELS = 10  # per class, at which rows are compared
# The points that the recommended encoder is to gain, and over which representation; None: the best without pretraining
GOALS: dict[str, tuple[int, str | None]] = {WITHIN: (5, None), ACROSS: (10, INVARIANT)}
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
    gained = gains(rows[rows["shots"] == LABELS], found)
    if gained.empty:
        return []
    caption = f"{title}: gain over {HANDCRAFTED} features with {plural(LABELS, 'label')} per class, points"
    frame = tables.pivot(gained, ["representation", "head"], ["cohort"], cell=written)
    weak = [
        f"{cohort}: {note}"
        for cohort, of in gained.dropna(subset="p").groupby("cohort", sort=False)
        for note in power_note(of["test"].tolist())
    ]
    png = out / "figures" / f"cohorts_{question}_gain.png"
    gains_by_group(gained[~gained["calibrated"]], png, caption)
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
    """``+5.3 (+1.2 to +9.4), p 0.030``, linked to the run."""
    if row.reason:
        return Linked(f"{points(row.value)} ({row.reason})", row.folder)
    return Linked(f"{points(row.value)} ({points(row.low)} to {points(row.high)}), p {p_value(row.p)}", row.folder)


def goals_table(rows: pd.DataFrame) -> list[Block]:
    """What the recommended encoder gains on average over cohorts, beside the goal; nothing without such rows.

    Of every representation the head with the best average counts. Averages are over the cohorts that all rows of a
    question have; rows that use people's unlabelled windows are left out.
    """
    lines = []
    rows = rows[(rows["shots"] == LABELS) & ~rows["calibrated"]]
    for question, (goal, against) in GOALS.items():
        own = rows[rows["question"] == question]
        values = own.pivot_table("value", ["representation", "head"], "cohort", sort=False)
        means = values.dropna().mean(axis=1)
        approach = own.drop_duplicates("representation").set_index("representation")["approach"]
        names = means.index.get_level_values("representation")
        ours, bare = (means[names.map(approach) == kind] for kind in (RECOMMENDED, ""))
        others = bare if against is None else means[names == against]
        if ours.empty or others.empty:
            continue
        other = others.idxmax()
        for _, of in ours.groupby("representation", sort=False):
            row, difference = of.idxmax(), of.max() - others.max()
            cells = [question, ", ".join(row), tables.percent(of.max()), ", ".join(other), tables.percent(others.max())]
            lines.append([*cells, points(difference), f"+{goal}", f"{values.shape[1]}"])
    if not lines:
        return []
    header = ("question", "row", "average, %", "compared with", "its average, %", "gain, points", "goal", "cohorts")
    caption = f"Averages over cohorts with {plural(LABELS, 'label')} per class: what the recommended encoder gains"
    note = "Of every representation the head with the best average; heads are chosen on these averages, on both sides."
    frame = pd.DataFrame(lines, columns=header, dtype=object)
    return [Heading("What pretraining gains"), Table(frame, "cohorts_goals", caption, (note,))]
