"""Where the paper's order of methods holds in the runs of a study, and where it does not; computed, not judged."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scripts.study_order import APART, VERDICTS, Comparison, few_shot_comparisons, zero_shot_comparisons
from scripts.study_results import StudyResults, protocols
from utils.answers import paired_answers
from utils.document import MISSING, Block, Cell, Heading, Table, Text
from utils.statistics import FEW_GROUPS, PermutationTest, holm
from utils.statistics import Comparison as Difference
from utils.tables import percent

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class GroupTest:
    """A comparison over groups, or why there is none.

    Attributes:
        kind: what a group is: subject or session.
        reason: empty if there is a test.
    """

    difference: Difference | None = None
    kind: str = ""
    reason: str = ""


def order_section(found: StudyResults) -> list[Block]:
    """A summary by claim, and every comparison with its numbers."""
    comparisons = [c for protocol in protocols(found) for c in few_shot_comparisons(found, protocol)]
    comparisons += zero_shot_comparisons(found)
    if not comparisons:
        return []
    text = (
        "A case of the paper's order holds where the first method's mean balanced accuracy is above the second's by "
        "more than the larger of their two standard deviations over draws; within one of it, either way, is called so. "
        "The test is a paired permutation test over groups (people, or sessions where people are unknown), never over "
        "draws, which share windows; its p-values are corrected by Holm's method for all tests of this page. It asks "
        "whether the order would hold for other people, with these classifiers; the verdict, for other draws of labels."
    )
    tests = [tested(comparison) for comparison in comparisons]
    return [Heading("Where the paper's order holds"), Text(text), summary(comparisons), details(comparisons, tests)]


def tested(comparison: Comparison) -> GroupTest:
    """The paired test over groups of a few-shot comparison whose runs have kept their answers."""
    if comparison.verdict in (MISSING, APART) or comparison.shots is None:
        return GroupTest(reason="–")
    files = [side.run.folder / "answers.csv" for side in (comparison.a, comparison.b)]
    if not all(file.is_file() for file in files):
        return GroupTest(reason="no answers kept")
    answers = paired_answers(*files, comparison.shots)
    if answers is None:
        return GroupTest(reason="groups are unknown")
    number = len(np.unique(answers.groups))
    if number < FEW_GROUPS:
        return GroupTest(reason=f"too few: {number} {answers.kind}s")
    return GroupTest(answers.compare(seed=0), answers.kind)


def summary(comparisons: list[Comparison]) -> Table:
    """How many cases of each claim hold."""
    rows: list[list[Cell | str]] = []
    for name in dict.fromkeys(c.claim for c in comparisons):
        verdicts = [c.verdict for c in comparisons if c.claim == name]
        rows.append([name, *(str(verdicts.count(verdict)) for verdict in VERDICTS), str(len(verdicts))])
    header = ("claim of the paper", *VERDICTS, "cases")
    return Table("order_summary", "The paper's order of methods: how many cases hold", header, rows)


def details(comparisons: list[Comparison], tests: list[GroupTest]) -> Table:
    """Every case."""
    rows: list[list[Cell | str]] = []
    done = [test.difference.test for test in tests if test.difference]
    adjusted = iter(holm(np.array([test.p_value for test in done])))
    for c, test in zip(comparisons, tests, strict=True):
        labels = [c.claim, c.where, c.how, "–" if c.shots is None else str(c.shots), c.verdict]
        values = [Cell(percent(m.mean, m.std), m.mean, m.std, m.run.folder) if m else Cell(MISSING) for m in (c.a, c.b)]
        gap = c.a.mean - c.b.mean if c.a and c.b else None
        rows.append([*labels, *values, points(gap), points(c.paper), *_test_cells(test, adjusted)])
    header = ("claim of the paper", "pretraining → evaluation", "by", "labels", "verdict")
    header += ("first", "second", "difference", "in the paper", "groups", "95 % interval", "p", "p (Holm)")
    caption = "The paper's order of methods, case by case: balanced accuracy, %, and differences in points"
    return Table("order", caption, header, rows, labels=5, notes=power_note(done))


def power_note(tests: list[PermutationTest]) -> tuple[str, ...]:
    """That no difference could be claimed with so few groups and so many tests, if so.

    The smallest corrected p-value is the smallest p-value times the number of tests.
    """
    least = min(1.0, len(tests) * min((test.smallest_p for test in tests), default=1.0))
    if not tests or least <= SIGNIFICANT:
        return ()
    return (
        f"Too few groups: with {len(tests)} tests no corrected p-value can be below {least:.3f} here, however large "
        "the differences.",
    )


def points(difference: float | None) -> Cell:
    """A difference of shares in percentage points, signed."""
    return Cell("–") if difference is None else Cell(f"{100 * difference:+.1f}", difference)


def _test_cells(test: GroupTest, adjusted: Iterator[float]) -> list[Cell]:
    """Groups, interval of the difference over them, p-value as it is and corrected."""
    if test.difference is None:
        return [Cell(test.reason), *[Cell("–")] * 3]
    interval, p_values = test.difference.interval, (test.difference.test.p_value, float(next(adjusted)))
    return [
        Cell(f"{interval.groups} {test.kind}s", interval.groups),
        Cell(f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"),
        *(Cell(f"{p:.3f}" if p >= 0.001 else "< 0.001", p) for p in p_values),
    ]
