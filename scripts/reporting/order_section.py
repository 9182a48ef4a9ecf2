"""Where the paper's order of methods holds in the runs of a study, and where it does not; computed, not judged."""

from collections.abc import Iterator

import numpy as np

from scripts.reporting.document import MISSING, Block, Cell, Heading, Table, Text
from scripts.reporting.study_order import APART, VERDICTS, Comparison, few_shot_comparisons, zero_shot_comparisons
from scripts.reporting.study_results import StudyResults, protocols
from utils.comparison import ComparisonError, RunComparison, compare_runs
from utils.statistics import FEW_GROUPS, holm
from utils.tables import percent

SIGNIFICANT = 0.05


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
        "whether the order would hold for other people, with these classifiers; the verdict, for other draws of "
        "labels. Where the split is by windows or by recordings, the people measured also gave the labels: of "
        "others nothing is said."
    )
    tests = [tested(comparison) for comparison in comparisons]
    return [Heading("Where the paper's order holds"), Text(text), summary(comparisons), details(comparisons, tests)]


def tested(comparison: Comparison) -> RunComparison | str:
    """The paired test over groups, or why there is none."""
    if comparison.verdict in (MISSING, APART):
        return "–"
    a, b = comparison.a.run, comparison.b.run
    if not all((run.folder / "answers.csv").is_file() for run in (a, b)):
        return "no answers kept"
    try:
        found = compare_runs(a.folder, b.folder, comparison.shots)
    except ComparisonError as error:
        return f"none: {error}"
    return found if found.groups >= FEW_GROUPS else f"too few: {found.groups}"


def summary(comparisons: list[Comparison]) -> Table:
    """How many cases of each claim hold."""
    rows: list[list[Cell | str]] = []
    for name in dict.fromkeys(c.claim for c in comparisons):
        verdicts = [c.verdict for c in comparisons if c.claim == name]
        rows.append([name, *(str(verdicts.count(verdict)) for verdict in VERDICTS), str(len(verdicts))])
    header = ("claim of the paper", *VERDICTS, "cases")
    return Table("order_summary", "The paper's order of methods: how many cases hold", header, rows)


def details(comparisons: list[Comparison], tests: list[RunComparison | str]) -> Table:
    """Every case."""
    rows: list[list[Cell | str]] = []
    done = [test for test in tests if isinstance(test, RunComparison)]
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


def power_note(tests: list[RunComparison]) -> tuple[str, ...]:
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


def _test_cells(test: RunComparison | str, adjusted: Iterator[float]) -> list[Cell]:
    """Groups, interval of the difference over them, p-value as it is and corrected."""
    if isinstance(test, str):
        return [Cell(test), *[Cell("–")] * 3]
    p_values = (test.p_value, float(next(adjusted)))
    return [
        Cell(str(test.groups), test.groups),
        Cell(f"{100 * test.low:+.1f} to {100 * test.high:+.1f}"),
        *(Cell(f"{p:.3f}" if p >= 0.001 else "< 0.001", p) for p in p_values),
    ]
