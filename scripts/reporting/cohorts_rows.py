"""The runs of a study of cohorts as one table: a row for each representation, head, cohort and number of labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from configs.study import Evaluation, PlannedRun, Study
from scripts.reporting.document import Table
from scripts.reporting.runs import Run, linked
from scripts.reporting.study_results import APPROACHES, measured_of
from utils import tables
from utils.long_table import GUESSES, SHORT_FEATURES

WITHIN, ACROSS = "within", "across"
HANDCRAFTED, INVARIANT = "handcrafted", "invariant"
RECOMMENDED = "recommended"
CALIBRATED = "°"  # behind the name of a row that uses people's unlabelled windows
LABELS = 10  # per class, at which rows are compared
OWN_LAYERS = ("from scratch", "probe")  # heads of downstream.py


def cohort_rows(study: Study, members: Sequence[PlannedRun], found: dict[str, Run]) -> pd.DataFrame:
    """All values over draws, in the study's order of representations, then of cohorts.

    Args:
        members: planned few-shot runs that have results.

    Columns:
        run: name of the planned run.
        question: ``within`` a cohort, or labels of one and answers ``across``, on another.
        cohort: role of the dataset, for a transfer of both.
        recorded_as: raw recordings whose people are predicted, see ``Study.recorded_as``.
        representation, head: the row of a table.
        approach: of the pretraining of the encoder among the features; empty if none was pretrained.
        calibrated: whether people's unlabelled windows are used.
        shots, metric, value, std, low, high, chance, method, folder: of the long table, balanced accuracy.
    """
    members = sorted(members, key=lambda p: p.approach != "read")
    rows = measured_rows(study, members, found, ["balanced_accuracy"])
    cohorts = list(dict.fromkeys(map(_cohort, study.evaluations.values())))
    kinds = rows[["representation", "head"]].apply(tuple, axis=1)
    order = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    rows = rows.assign(kind=kinds.map(order), place=rows["cohort"].map(cohorts.index))
    return rows.sort_values(["kind", "place"], kind="stable").drop(columns=["kind", "place"]).reset_index(drop=True)


def measured_rows(
    study: Study, members: Sequence[PlannedRun], found: dict[str, Run], metrics: Sequence[str]
) -> pd.DataFrame:
    """The same columns for any metrics, in the order of ``members``."""
    facts = pd.DataFrame([_facts(study, wanted) for wanted in members])
    values = measured_of({wanted.name: found[wanted.name] for wanted in members}, metrics)
    return facts.merge(values.drop(columns=["command", "dataset", "draw"]), on="run")


def values_table(rows: pd.DataFrame, column: str, name: str, caption: str, footnotes: tuple[str, ...]) -> Table:
    """A row for each representation and head, chance below; a column for each value of ``column``."""
    both = tables.with_guesses(rows.assign(majority=np.nan))  # chance alone is shown
    both.loc[both["method"].isin(GUESSES), ["representation", "head"]] = "chance", ""
    frame = tables.pivot(both, ["representation", "head"], [column], cell=_cell)
    return Table(frame, name, caption, footnotes)


def _cell(row) -> str:
    ends = f" ({tables.interval(row)})" if pd.notna(row.low) else ""
    return linked(tables.percent(row.value, row.std) + ends, row)


def _facts(study: Study, wanted: PlannedRun) -> dict:
    """The first columns of a run, up to ``calibrated``."""
    evaluation = study.evaluations[wanted.evaluation]
    representation, approach = _representation(study, wanted)
    calibrated = wanted.settings["calibrate"] == "person"
    return {
        "run": wanted.name,
        "question": ACROSS if evaluation.transfers else WITHIN,
        "cohort": _cohort(evaluation),
        "recorded_as": study.recorded_as(evaluation.test_dataset or evaluation.dataset),
        "representation": representation + (f" {CALIBRATED}" if calibrated else ""),
        "head": wanted.settings.get("head") or OWN_LAYERS[wanted.settings["mode"] == "lp"],
        "approach": approach,
        "calibrated": calibrated,
    }


def _cohort(evaluation: Evaluation) -> str:
    other = evaluation.test_dataset
    return evaluation.dataset + (f" → {other}" if other else "")


def _representation(study: Study, wanted: PlannedRun) -> tuple[str, str]:
    """What is read, in words, and the approach of the pretraining of the encoder among it."""
    approach = study.pretraining[wanted.needs[0]].approach if wanted.pretrained_on else ""
    if wanted.command == "downstream":
        return APPROACHES[wanted.approach], approach
    words = SHORT_FEATURES | {"encoder": APPROACHES[approach or "random"]}
    return " + ".join(words[name] for name in wanted.settings["features"]), approach
