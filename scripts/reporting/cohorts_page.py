"""The part of a report on cohorts: a row for each representation and head, a column for each cohort, paired tests.

What heads read is compared on the same windows of the same people, each row with handcrafted features under the same
head. The averages over cohorts say whether pretraining is worth it.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from configs.study import PlannedRun, Study
from scripts.reporting.cohorts_averages import RESAMPLED, averages_tables, chosen_note, goals_table
from scripts.reporting.cohorts_falls import detection_blocks
from scripts.reporting.cohorts_gains import gain_blocks
from scripts.reporting.cohorts_people import with_predictions
from scripts.reporting.cohorts_rows import ACROSS, CALIBRATED, WITHIN, cohort_rows, values_table
from scripts.reporting.document import MISSING, Block, Heading, Table, Text, plural
from scripts.reporting.result_tables import seen_by
from scripts.reporting.runs import Run, notes
from utils import tables

QUESTIONS = {
    WITHIN: (
        "Few labels of a cohort that pretraining never saw",
        "Labels and predicted windows are of different people of the same cohort.",
    ),
    ACROSS: (
        "Labels of one cohort, answers on another",
        "No label is of the cohort, or of the people, that is predicted, with all its windows.",
    ),
}
READING = (
    "Balanced accuracy in percent: mean ± standard deviation over draws and, in brackets, the 95 % interval over "
    "people. Every representation is read by the same heads, on the same windows. Encoders were pretrained without the "
    f"cohort that is predicted. Rows with {CALIBRATED} use the unlabelled windows of the person who is predicted."
)


def cohort_blocks(
    study: Study, planned: Sequence[PlannedRun], found: dict[str, Run], out: Path
) -> tuple[list[Block], list[Run]]:
    """The sections of all questions, and the runs that they show: every few-shot evaluation."""
    members = [p for p in planned if p.evaluation and study.evaluations[p.evaluation].kind == "few_shot"]
    members = [p for p in members if p.name in found]
    if not members:
        return [Text(f"{MISSING}: no evaluation of a cohort has results.")], []
    detecting = [p for p in members if p.settings.get("detect")]
    events, others = detection_blocks(study, detecting, found), [p for p in members if p not in detecting]
    if not others:
        return events, [found[p.name] for p in members]
    rows = with_predictions(cohort_rows(study, others, found), found)
    blocks, left_out = chosen_note(study, rows), study.chosen_people
    for question, (title, text) in QUESTIONS.items():
        own = rows[rows["question"] == question]
        blocks.append(Heading(title))
        if own.empty:
            blocks.append(Text(f"{MISSING}: no evaluation of this question has results."))
            continue
        runs = [found[name] for name in own["run"].unique()]
        blocks.append(Text(" ".join([text, READING, *z_scored(own, planned), RESAMPLED])))
        blocks.append(cohorts_table(own, found, question))
        footnotes = notes(runs)
        for shots, of in own.groupby("shots"):
            caption = f"{title}: balanced accuracy with {plural(shots, 'label')} per class, %"
            blocks.append(values_table(of, "cohort", f"cohorts_{question}_{shots}", caption, footnotes))
        blocks += averages_tables(own, question, title, left_out)
        blocks += gain_blocks(own, found, question, title, out)
        blocks += seen_by(runs)
    return [*blocks, *events, *goals_table(rows, left_out)], [found[p.name] for p in members]


def z_scored(rows: pd.DataFrame, planned: Sequence[PlannedRun]) -> list[str]:
    """A sentence on the rows whose encoder reads z-scores by the evaluated dataset's own moments; none without such."""
    of_dataset = {p.name for p in planned if p.command == "train" and p.settings["normalize"] == "dataset"}
    runs = {p.name for p in planned if p.command != "train" and of_dataset & set(p.needs)}
    names = rows[rows["run"].isin(runs)]["representation"].unique()
    if not len(names):
        return []
    return [
        f"Encoders of {', '.join(names)} read the z-score of the dataset: mean and standard deviation of each channel "
        "are of everybody's recordings in the cohort that is predicted, without labels."
    ]


def cohorts_table(rows: pd.DataFrame, found: dict[str, Run], question: str) -> Table:
    """What is predicted of each cohort."""
    lines = []
    for cohort, of in rows.groupby("cohort", sort=False):
        r = found[of["run"].iloc[0]].results
        people = next(iter(r["shots"].values()))["interval"]["balanced_accuracy"]["groups"]
        chance = tables.percent(r["chance"]["balanced_accuracy"])
        lines.append(
            [cohort, str(people), str(len(r["classes"])), chance, f"{r['window_s']:g}", r["held_out"], r["groups"]]
        )
    header = ["cohort", "people predicted", "classes", "chance, %", "window, s", "predicted", "kept apart"]
    return Table(pd.DataFrame(lines, columns=header, dtype=object), f"cohorts_{question}", "Cohorts")
