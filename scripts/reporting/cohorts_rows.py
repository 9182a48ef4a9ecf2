"""The runs of a study of cohorts as one table: a row for each representation, head, cohort and number of labels."""

from collections.abc import Sequence

import pandas as pd

from configs.study import Evaluation, PlannedRun, Study
from scripts.reporting.runs import Run, measured
from scripts.reporting.study_results import APPROACHES

WITHIN, ACROSS = "within", "across"
HANDCRAFTED, INVARIANT = "handcrafted", "invariant"
RECOMMENDED = "recommended"
CALIBRATED = "°"  # behind the name of a row that uses people's unlabelled windows
_NAMES = {"minirocket": "MiniRocket"}
OWN_LAYERS = ("from scratch", "probe")  # heads of downstream.py


def cohort_rows(study: Study, members: Sequence[PlannedRun], found: dict[str, Run]) -> pd.DataFrame:
    """All values over draws, in the study's order of representations, then of cohorts.

    Args:
        members: planned few-shot runs that have results.

    Columns:
        run: name of the planned run.
        question: ``within`` a cohort, or labels of one and answers ``across``, on another.
        cohort: role of the dataset, for a transfer of both.
        representation, head: the row of a table.
        approach: of the pretraining of the encoder among the features; empty if none was pretrained.
        calibrated: whether people's unlabelled windows are used.
        shots, value, std, low, high, chance, method, folder: balanced accuracy, of the long table.
    """
    facts = pd.DataFrame([row_facts(study, wanted) for wanted in sorted(members, key=lambda p: p.approach != "read")])
    values = measured([found[name] for name in facts["run"]], ["balanced_accuracy"])
    values["run"] = values["run"].map({found[name].name: name for name in facts["run"]})
    rows = facts.merge(values.drop(columns=["command", "dataset", "draw", "metric"]), on="run")
    cohorts = list(dict.fromkeys(map(_cohort, study.evaluations.values())))
    kinds = rows[["representation", "head"]].apply(tuple, axis=1)
    order = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    rows = rows.assign(kind=kinds.map(order), place=rows["cohort"].map(cohorts.index))
    return rows.sort_values(["kind", "place"], kind="stable").drop(columns=["kind", "place"]).reset_index(drop=True)


def row_facts(study: Study, wanted: PlannedRun) -> dict:
    """The first columns of a run, up to ``calibrated``."""
    evaluation = study.evaluations[wanted.evaluation]
    representation, approach = _representation(study, wanted)
    calibrated = wanted.settings["calibrate"] == "person"
    return {
        "run": wanted.name,
        "question": ACROSS if evaluation.transfers else WITHIN,
        "cohort": _cohort(evaluation),
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
    encoder = APPROACHES[approach or "random"]
    words = (encoder if name == "encoder" else _NAMES.get(name, name) for name in wanted.settings["features"])
    return " + ".join(words), approach
