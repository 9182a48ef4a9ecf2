"""Where the paper's order of methods holds in the runs of a study, and where it does not; computed, not judged."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from configs.paper import Value, paper_results
from scripts.reporting.document import MISSING, Block, Cell, Heading, Table, Text
from scripts.reporting.paper_few_shot import IN_TABLE_3, pretraining_label, simulated
from scripts.reporting.runs import Run
from scripts.reporting.study_results import (
    APPROACHES,
    MODES,
    FewShotColumns,
    Result,
    StudyResults,
    few_shot_columns,
    windows_measured,
)
from utils.comparison import ComparisonError, RunComparison, compare_runs
from utils.statistics import FEW_GROUPS, holm
from utils.tables import marked, percent

HOLDS, WITHIN, FAILS, APART = "holds", "within one std", "does not hold", "not comparable: other windows"
SIGNIFICANT = 0.05
VERDICTS = (HOLDS, WITHIN, FAILS, APART, MISSING)


@dataclass(frozen=True)
class Measured:
    """One side of a comparison: a run's balanced accuracy."""

    run: Run
    mean: float
    std: float


@dataclass(frozen=True)
class OrderCase:
    """Method a is to be above method b, as in the paper.

    Attributes:
        claim: the paper's statement that this is a case of.
        where: pretraining dataset and evaluated dataset.
        how: mode, or zero-shot.
        shots: labels per class; None for zero-shot.
        a, b: what was measured; None where it is missing.
        paper: difference of the paper's means; None where it has none.
    """

    claim: str
    where: str
    how: str
    shots: int | None
    a: Measured | None
    b: Measured | None
    paper: float | None

    @property
    def verdict(self) -> str:
        """Whether a is above b by more than the larger of their standard deviations over draws."""
        if self.a is None or self.b is None:
            return MISSING
        if windows_measured(self.a.run, self.shots) != windows_measured(self.b.run, self.shots):
            return APART
        difference, std = self.a.mean - self.b.mean, max(self.a.std, self.b.std)
        return WITHIN if abs(difference) <= std else HOLDS if difference > 0 else FAILS


def few_shot_comparisons(found: StudyResults, few_shot: FewShotColumns) -> list[OrderCase]:
    """Methods at the fewest labels, ours against IMU2CLIP also at the most, ablations at the most."""
    runs, listed = found.study.pretraining, []
    for (mode, role), evaluation in few_shot.evaluations.items():
        asked = {n for r in found.of(evaluation) if r.planned.pretrained_on for n in r.settings["shots"]}
        fewest, most = min(asked), max(asked)
        for pretrained_on in found.study.datasets:
            of = {run.approach: name for name, run in reversed(runs.items()) if run.dataset == pretrained_on}
            scratch = baseline(found, few_shot, role, mode, "supervised")
            pairs = [("ours", "imu_only", fewest), ("imu_only", "supervised", fewest), ("ours", "supervised", fewest)]
            pairs += [("ours", "imu2clip", n) for n in dict.fromkeys((fewest, most))]
            pairs += [("ours", approach, most) for approach in of if approach not in IN_TABLE_3]
            for first, second, shots in pairs:
                a = found.get(evaluation, of.get(first, ""))
                b = scratch if second == "supervised" else found.get(evaluation, of.get(second, ""))
                if a and b:  # the study has both
                    where = place(found, a, role)
                    paper = _paper_few_shot(pretrained_on, first, second, mode, role, shots)
                    sides = (_few_shot(a, shots), _few_shot(b, shots))
                    listed.append(OrderCase(claim(first, second), where, MODES[mode], shots, *sides, paper))
    return listed


def zero_shot_comparisons(found: StudyResults) -> list[OrderCase]:
    """Ours against IMU2CLIP, by balanced accuracy."""
    listed = []
    for name, evaluation in found.study.evaluations.items():
        results = {(r.planned.pretrained_on, r.planned.approach): r for r in reversed(found.of(name))}
        for pretrained_on in found.study.datasets if evaluation.kind == "zero_shot" else ():
            a, b = results.get((pretrained_on, "ours")), results.get((pretrained_on, "imu2clip"))
            if a and b:
                key = (evaluation.dataset, "balanced_accuracy")
                values = [paper_results().zero_shot.get((pretrained_on, x, *key)) for x in ("ours", "imu2clip")]
                where = place(found, a, evaluation.dataset)
                sides = (_zero_shot(a), _zero_shot(b))
                reverse = a.settings["direction"] == "video_to_imu"  # not in the paper
                how, paper = ("zero-shot, video to IMU", None) if reverse else ("zero-shot", _gap(*values))
                listed.append(OrderCase(claim("ours", "imu2clip"), where, how, None, *sides, paper))
    return listed


def claim(first: str, second: str) -> str:
    """The statement in words."""
    words = {"ours": "cross-modal (ours)"} if second in ("imu_only", "supervised") else {}
    return f"{words.get(first, APPROACHES[first])} over {APPROACHES[second]}"


def baseline(found: StudyResults, few_shot: FewShotColumns, role: str, mode: str, name: str) -> Result | None:
    """A baseline of an evaluated dataset: of the same evaluation, else of another of the same few_shot."""
    for other in (mode, *MODES):
        if result := found.get(few_shot.evaluations.get((other, role)), name):
            return result
    return None


def place(found: StudyResults, result: Result, role: str) -> str:
    """Pretraining dataset and evaluated dataset in words."""
    target = marked(role, simulated(found.ended([result.planned.evaluation])))
    return f"{pretraining_label(found, result.pretraining)} → {target}"


def _few_shot(result: Result, shots: int) -> Measured | None:
    row = result.run and result.run.results["shots"].get(str(shots))
    return Measured(result.run, *_value(row["balanced_accuracy"])) if row else None


def _zero_shot(result: Result) -> Measured | None:
    return Measured(result.run, *_value(result.run.results["metrics"]["balanced_accuracy"])) if result.run else None


def _value(value: dict) -> tuple[float, float]:
    return value["mean"], value["std"] or 0.0


def _paper_few_shot(pretrained_on: str, first: str, second: str, mode: str, role: str, shots: int) -> float | None:
    """Difference in the paper at as many labels; of its ablations at the 100 that it gives."""
    paper = paper_results()
    if second in (*IN_TABLE_3, "supervised"):
        return _gap(*(paper.few_shot.get((pretrained_on, x, mode, role, shots)) for x in (first, second)))
    if pretrained_on != "Ego4D":
        return None
    return _gap(*(paper.ablations.get((x, mode, role)) for x in (first, second)))


def _gap(a: Value | None, b: Value | None) -> float | None:
    return a[0] - b[0] if a and b else None


def order_section(found: StudyResults) -> list[Block]:
    """A summary by claim, and every comparison with its numbers."""
    comparisons = [c for few_shot in few_shot_columns(found) for c in few_shot_comparisons(found, few_shot)]
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


def tested(comparison: OrderCase) -> RunComparison | str:
    """The paired test over groups, or why there is none."""
    if comparison.verdict in (MISSING, APART):
        return "–"
    a, b = comparison.a.run, comparison.b.run
    if not all((run.folder / "predictions.csv").is_file() for run in (a, b)):
        return "no predictions kept"
    try:
        found = compare_runs(a.folder, b.folder, comparison.shots)
    except ComparisonError as error:
        return f"none: {error}"
    return found if found.groups >= FEW_GROUPS else f"too few: {found.groups}"


def summary(comparisons: list[OrderCase]) -> Table:
    """How many cases of each claim hold."""
    rows: list[list[Cell | str]] = []
    for name in dict.fromkeys(c.claim for c in comparisons):
        verdicts = [c.verdict for c in comparisons if c.claim == name]
        rows.append([name, *(str(verdicts.count(verdict)) for verdict in VERDICTS), str(len(verdicts))])
    header = ("claim of the paper", *VERDICTS, "cases")
    return Table("order_summary", "The paper's order of methods: how many cases hold", header, rows)


def details(comparisons: list[OrderCase], tests: list[RunComparison | str]) -> Table:
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
    """A difference of fractions in percentage points, signed."""
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
