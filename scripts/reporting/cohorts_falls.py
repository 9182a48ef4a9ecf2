"""The part of a report on cohorts that tells an event, such as a fall, from everything else that people do."""

from collections.abc import Sequence

import pandas as pd

from configs.study import PlannedRun, Study
from scripts.reporting.cohorts_rows import row_facts
from scripts.reporting.document import Block, Heading, Linked, Table, Text, plural
from scripts.reporting.result_tables import seen_by
from scripts.reporting.runs import Run, measured, notes
from utils import tables
from utils.long_table import DETECTION

READING = (
    "Percent: mean ± standard deviation over draws and, in brackets, the 95 % interval over people. All windows of the "
    "people held out are scored, none of whom gave a label. Sensitivity is a point of the curve of these scores."
)


def detection_blocks(study: Study, members: Sequence[PlannedRun], found: dict[str, Run]) -> list[Block]:
    """A table for each measure: a row for each representation and head, a column for each number of labels.

    Args:
        members: planned few-shot runs with ``detect`` that have results.
    """
    if not members:
        return []
    facts = pd.DataFrame([row_facts(study, wanted) for wanted in members])
    runs = [found[name] for name in facts["run"]]
    values = measured(runs, list(DETECTION))
    values["run"] = values["run"].map({found[name].name: name for name in facts["run"]})
    rows = facts.merge(values, on="run")
    footnotes = notes(runs)
    blocks: list[Block] = [Heading("An event against daily life"), Text(READING)]
    for metric, words in DETECTION.items():
        of = rows[rows["metric"] == metric]
        chance = of.drop_duplicates("shots").assign(representation="chance", head="", value=lambda own: own["chance"])
        both = pd.concat([of, chance.assign(std=float("nan"), low=float("nan"))], ignore_index=True)
        both = both.assign(labels=[plural(int(shots), "label") for shots in both["shots"]])
        frame = tables.pivot(both, ["representation", "head"], ["labels"], cell=_cell)
        blocks.append(
            Table(frame, f"cohorts_{metric}", f"{', '.join(facts['cohort'].unique())}: {words}, %", footnotes)
        )
    return [*blocks, *seen_by(runs)]


def _cell(row) -> str:
    if row.representation == "chance":
        return tables.percent(row.value)
    text = tables.percent(row.value, row.std) + (f" ({tables.interval(row)})" if pd.notna(row.low) else "")
    return Linked(text, row.folder)
