"""Averages over cohorts with intervals over people, and the goals: of all people, and without those of the choice."""

import pandas as pd

from configs.study import Study
from scripts.reporting.cohorts_people import Person, difference_interval, mean_interval, without
from scripts.reporting.cohorts_rows import ACROSS, INVARIANT, LABELS, RECOMMENDED, WITHIN
from scripts.reporting.document import Block, Heading, Table, Text, plural
from scripts.reporting.order import points
from utils import tables
from utils.cohorts_interval import FEWEST_DRAWN
from utils.statistics import REPLICATES

# The points that the recommended encoder is to gain, and over which representation; None: the best without pretraining
GOALS: dict[str, tuple[int, str | None]] = {WITHIN: (5, None), ACROSS: (10, INVARIANT)}
RESAMPLED = (
    f"Averages over cohorts have in brackets the 95 % interval of {REPLICATES:,} resamples of people: of the n of each "
    "cohort n - 1 are drawn with replacement, the same for all rows, and for all cohorts that they are in."
)
ALL, OTHERS = "all", "without those of the choice"


def chosen_note(study: Study, rows: pd.DataFrame) -> list[Block]:
    """Whose labels chose settings, and what is left out a second time; nothing if the study names nobody.

    Args:
        rows: of ``with_predictions``.
    """
    if not study.chosen_on:
        return []
    predicted = set().union(*(p.subjects for p in rows["predicted"].dropna()))
    named = "; ".join(f"{role}: {', '.join(people)}" for role, people in study.chosen_on.items())
    text = (
        f"Labels of {len(study.chosen_people)} people who are predicted here chose settings of the {RECOMMENDED} "
        f"encoder ({named}). Averages and goals are therefore given a second time without what is "
        "predicted of them; as other people, they may still have given labels, and recordings to pretraining."
    )
    blocks: list[Block] = [Text(text)]
    if absent := sorted(study.chosen_people - predicted):
        blocks.append(Text(f"Predicted nowhere: {', '.join(' '.join(one) for one in absent)}.", strong=True))
    return blocks


def averages_tables(rows: pd.DataFrame, question: str, title: str, left_out: frozenset[Person]) -> list[Block]:
    """The mean over cohorts at each number of labels, of how many if not of all; and again without some people.

    Args:
        rows: of ``with_predictions``, of one question.
    """
    caption, name = f"{title}: balanced accuracy, mean over cohorts, %", f"cohorts_{question}_mean"
    blocks: list[Block] = [_averages_table(rows, name, caption)]
    others = without(rows, left_out) if left_out else rows[:0]
    if not others.empty:
        blocks.append(_averages_table(others, f"{name}_without", f"{caption}, {OTHERS}"))
    return blocks


def _averages_table(rows: pd.DataFrame, name: str, caption: str) -> Table:
    known = rows.groupby("shots")["cohort"].nunique()
    means = []
    for (representation, head, shots), of in rows.groupby(["representation", "head", "shots"], sort=False):
        ends, some = mean_interval(of), f"; {len(of)} of {known[shots]}" if len(of) < known[shots] else ""
        text = (
            tables.percent(of["value"].mean()) + (f" ({tables.interval(ends)})" if ends.low is not None else "") + some
        )
        means.append((representation, head, shots, plural(shots, "label"), text))
    means = pd.DataFrame(means, columns=["representation", "head", "shots", "labels", "text"])
    first = means.drop_duplicates("labels").sort_values("shots")["labels"].tolist()
    frame = tables.pivot(means, ["representation", "head"], ["labels"], cell=lambda row: row.text)
    return Table(frame[["representation", "head", *first]], name, caption, _few_people(rows))


def _few_people(rows: pd.DataFrame) -> tuple[str, ...]:
    """A note on cohorts of so few people that they are not drawn."""
    people = rows.dropna(subset="predicted").drop_duplicates("cohort")
    counts = {row.cohort: len(row.predicted.people) for row in people.itertuples()}
    few = [f"{cohort} ({number})" for cohort, number in counts.items() if number < FEWEST_DRAWN]
    return (f"Too few people to draw from, whose luck is not in the intervals: {', '.join(few)}.",) if few else ()


def goals_table(rows: pd.DataFrame, left_out: frozenset[Person]) -> list[Block]:
    """What the recommended encoder gains on average over cohorts, beside the goal; nothing without such rows.

    Of every representation the head with the best average counts, of the people that a line is about. Averages are over
    the cohorts that all rows of a question have; rows that use people's unlabelled windows are left out.

    Args:
        rows: of ``with_predictions``.
    """
    rows = rows[(rows["shots"] == LABELS) & ~rows["calibrated"]]
    people = {ALL: rows} | ({OTHERS: without(rows, left_out)} if left_out else {})
    lines = [line for question in GOALS for whose, of in people.items() for line in _goals(of, question, whose)]
    if not lines:
        return []
    header = ("question", "people", "row", "average, %", "compared with", "its average, %", "gain, points")
    header += ("95 % interval", "0 in it", "goal", "cohorts")
    caption = f"Averages over cohorts with {plural(LABELS, 'label')} per class: what the recommended encoder gains"
    note = (
        "Of every representation the head with the best average; heads are chosen on these averages, on both sides. "
        "The interval over people is of the difference of these two rows, and has none of the luck of that choice."
    )
    frame = pd.DataFrame(lines, columns=header, dtype=object)
    return [
        Heading("What pretraining gains"),
        Table(frame, "cohorts_goals", caption, (note, *_few_people(people[list(people)[-1]]))),
    ]


def _goals(rows: pd.DataFrame, question: str, whose: str) -> list[list[str]]:
    """A line for each representation with the recommended encoder."""
    goal, against = GOALS[question]
    own = rows[rows["question"] == question]
    values = own.pivot_table("value", ["representation", "head"], "cohort", sort=False)
    means = values.dropna().mean(axis=1)
    approach = own.drop_duplicates("representation").set_index("representation")["approach"]
    names = means.index.get_level_values("representation")
    ours, bare = (means[names.map(approach) == kind] for kind in (RECOMMENDED, ""))
    others = bare if against is None else means[names == against]
    if ours.empty or others.empty:
        return []
    by_row, other, lines = own.set_index(["representation", "head"]).sort_index(), others.idxmax(), []
    for _, of in ours.groupby("representation", sort=False):
        row, difference = of.idxmax(), of.max() - others.max()
        ends = difference_interval(by_row.loc[[row]], by_row.loc[[other]])
        of_interval = [ends.note, "-"]
        if ends.low is not None:
            of_interval = [f"{points(ends.low)} to {points(ends.high)}", "yes" if ends.low <= 0 <= ends.high else "no"]
        cells = [
            question,
            whose,
            ", ".join(row),
            tables.percent(of.max()),
            ", ".join(other),
            tables.percent(others.max()),
        ]
        lines.append([*cells, points(difference), *of_interval, f"+{goal}", f"{values.shape[1]}"])
    return lines
