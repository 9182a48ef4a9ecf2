"""The part of a report on cohorts that tells an event, such as a fall, from everything else that people do."""

from collections.abc import Sequence

from configs.study import PlannedRun, Study
from scripts.reporting.cohorts_rows import measured_rows, values_table
from scripts.reporting.document import Block, Heading, Text, plural
from scripts.reporting.result_tables import seen_by
from scripts.reporting.runs import Run, notes
from utils.long_table import DETECTION

READING = (
    "Percent: mean ± standard deviation over draws and, in brackets, the 95 % interval over people. All windows of the "
    "people held out are scored, none of whom gave a label. Sensitivity is a point of the curve of these scores."
)


def detection_blocks(study: Study, members: Sequence[PlannedRun], found: dict[str, Run]) -> list[Block]:
    """A table for each cohort and measure: a row for each representation and head, a column for each number of labels.

    Args:
        members: planned few-shot runs with ``detect`` that have results.
    """
    if not members:
        return []
    rows = measured_rows(study, members, found, list(DETECTION))
    rows = rows.assign(labels=[plural(shots, "label") for shots in rows["shots"]])
    runs = [found[wanted.name] for wanted in members]
    blocks: list[Block] = [Heading("An event against daily life"), Text(READING)]
    for number, (cohort, of_cohort) in enumerate(rows.groupby("cohort", sort=False)):
        footnotes = notes([found[name] for name in of_cohort["run"].unique()])
        for metric, of in of_cohort.groupby("metric", sort=False):
            name = f"cohorts_{metric}" + (f"_{number + 1}" if number else "")
            blocks.append(values_table(of, "labels", name, f"{cohort}: {DETECTION[metric]}, %", footnotes))
    return [*blocks, *seen_by(runs)]
