"""Whether the paper's order of methods holds in the runs of a study, case by case."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from configs.paper import paper_results
from scripts.reporting.document import MISSING, Block, Heading, Table, Text
from scripts.reporting.paper_tables import IN_TABLE_3, NONE, here
from scripts.reporting.runs import Run
from scripts.reporting.study_results import APPROACHES, MODES
from utils.comparison import compare_runs
from utils.statistics import FEW_GROUPS, Comparison, holm

HOLDS, WITHIN, FAILS, APART = "holds", "within one std", "does not hold", "not comparable: other windows"
SIGNIFICANT = 0.05
VERDICTS = (HOLDS, WITHIN, FAILS, APART, MISSING)


@dataclass(frozen=True)
class OrderCase:
    """A case in which the paper has method a above method b.

    Attributes:
        a, b: rows of the study's table; value is NaN if the run is missing.
        paper: difference of the paper's means; NaN if it has none.
        verdict: whether a is above b by more than the larger of their standard deviations over draws.
    """

    a: Any
    b: Any
    paper: float
    verdict: str

    @property
    def claim(self) -> str:
        """The claim of the paper that this case belongs to."""
        words = {"ours": "cross-modal (ours)"} if self.b.approach in ("imu_only", "supervised") else {}
        return f"{words.get(self.a.approach, APPROACHES[self.a.approach])} over {APPROACHES[self.b.approach]}"


def cases(rows: pd.DataFrame) -> list[OrderCase]:
    """Cases in the order of the tables: at the fewest shots, against IMU2CLIP and ablations also at the most."""
    listed = []
    rows = rows[rows["metric"] == "balanced_accuracy"].assign(method="")
    for _, column in rows.groupby(["table", "evaluation"], sort=False):
        asked = column[column["asked"] & (column["pretrained_on"] != "")]["shots"]
        fewest, most = (None, None) if asked.isna().all() else (asked.min(), asked.max())
        for pretrained_on in column[column["pretrained_on"] != ""]["pretrained_on"].unique():
            of = column[column["pretrained_on"] == pretrained_on]
            ablations = [name for name in of["approach"].unique() if name not in IN_TABLE_3]
            pairs = [("ours", "imu_only", fewest), ("imu_only", "supervised", fewest), ("ours", "supervised", fewest)]
            pairs += [("ours", "imu2clip", shots) for shots in dict.fromkeys((fewest, most))]
            pairs += [("ours", name, most) for name in ablations]
            baselines = rows[(rows["table"] == column["table"].iloc[0]) & (rows["role"] == column["role"].iloc[0])]
            for first, second, shots in pairs:
                a = _row(of, first, shots)
                b = _row(pd.concat([column, baselines]) if second == "supervised" else of, second, shots)
                if a and b:  # the study has both
                    listed.append(OrderCase(a, b, _gap(a, b), verdict(a, b)))
    return listed


def _row(rows: pd.DataFrame, approach: str, shots: int | None) -> Any:
    """The first row of an approach at a number of shots; None if there is none."""
    same = rows["shots"].isna() if shots is None else rows["shots"] == shots
    return next(rows[(rows["approach"] == approach) & same].itertuples(), None)


def _gap(a: Any, b: Any) -> float:
    """Difference in the paper at the same number of labels; of ablations at its 100 labels."""
    values = a.paper, b.paper
    if b.approach not in IN_TABLE_3:
        ablations = paper_results().ablations if a.pretrained_on == "Ego4D" else {}
        values = [ablations.get((row.approach, row.mode, row.role)) for row in (a, b)]
    return values[0][0] - values[1][0] if all(values) else np.nan


def verdict(a: Any, b: Any) -> str:
    """One of ``VERDICTS``."""
    if pd.isna(a.value) or pd.isna(b.value):
        return MISSING
    if a.windows != b.windows:
        return APART
    difference, std = a.value - b.value, np.nanmax([a.std, b.std, 0])
    return WITHIN if abs(difference) <= std else HOLDS if difference > 0 else FAILS


def order_section(rows: pd.DataFrame, found: dict[str, Run]) -> list[Block]:
    """A summary by claim, and a table of all cases with their tests."""
    compared = cases(rows)
    if not compared:
        return []
    text = (
        "A case of the paper's order holds where the first method's mean balanced accuracy is above the second's by "
        "more than the larger of their two standard deviations over draws; a smaller difference is 'within one std'. "
        "The test is a paired permutation test over groups (people, or sessions where people are unknown), never over "
        "draws, which share windows; its p-values are corrected by Holm's method for all tests of this page. It "
        "tests whether the order would hold for other people, with these classifiers; the verdict, for other draws of "
        "labels. In splits by windows or by recordings, labels come from the same people that are evaluated, so these "
        "do not generalise to others."
    )
    verdicts = pd.crosstab([case.claim for case in compared], [case.verdict for case in compared])
    verdicts = verdicts.reindex(dict.fromkeys(case.claim for case in compared)).reindex(columns=VERDICTS, fill_value=0)
    frame = verdicts.assign(cases=verdicts.sum(axis=1)).astype(str).rename_axis("claim of the paper").reset_index()
    summary = Table(frame, "order_summary", "The paper's order of methods: how many cases hold")
    return [Heading("Where the paper's order holds"), Text(text), summary, details(compared, found)]


def tested(case: OrderCase, runs: dict[str, Run]) -> Comparison | str:
    """The paired test over groups, or the reason that there is none."""
    if case.verdict in (MISSING, APART):
        return NONE
    if not all((row.folder / "predictions.csv").is_file() for row in (case.a, case.b)):
        return "no predictions kept"
    shots = None if pd.isna(case.a.shots) else int(case.a.shots)
    try:
        compared = compare_runs(case.a.folder, case.b.folder, runs[case.a.run].results["classes"], shots)
    except ValueError as error:
        return f"none: {error}"
    return compared if compared.interval.groups >= FEW_GROUPS else f"too few: {compared.interval.groups}"


def details(compared: list[OrderCase], runs: dict[str, Run]) -> Table:
    """Every case."""
    tests = [tested(case, runs) for case in compared]
    done = [test for test in tests if isinstance(test, Comparison)]
    adjusted = iter(holm(np.array([test.test.p_value for test in done])))
    rows = []
    for case, test in zip(compared, tests, strict=True):
        a, b = case.a, case.b
        of_test = [test, NONE, NONE, NONE]
        if isinstance(test, Comparison):
            interval, p_values = test.interval, (test.test.p_value, next(adjusted))
            of_test = [str(interval.groups), f"{points(interval.low)} to {points(interval.high)}"]
            of_test += map(p_value, p_values)
        how = MODES.get(a.mode, "zero-shot" + (", video to IMU" if a.mode == "video_to_imu" else ""))
        labels = [case.claim, f"{a.on} → {a.target}", how, NONE if pd.isna(a.shots) else str(a.shots), case.verdict]
        values = [here(row._replace(marks="")) for row in (a, b)]
        rows.append([*labels, *values, points(a.value - b.value), points(case.paper), *of_test])
    header = ("claim of the paper", "pretraining → evaluation", "by", "labels", "verdict", "first", "second")
    header += ("difference", "in the paper", "groups", "95 % interval", "p", "p (Holm)")
    caption = "The paper's order of methods, case by case: balanced accuracy, %, and differences in points"
    return Table(pd.DataFrame(rows, columns=header, dtype=object), "order", caption, power_note(done))


def power_note(tests: list[Comparison]) -> tuple[str, ...]:
    """A note if no corrected p-value can be significant with so few groups and so many tests.

    The smallest possible corrected p-value is the smallest possible p-value times the number of tests.
    """
    least = min(1.0, len(tests) * min((test.test.smallest_p for test in tests), default=1.0))
    if not tests or least <= SIGNIFICANT:
        return ()
    return (
        f"Too few groups: with {len(tests)} tests no corrected p-value can be below {least:.3f} here, however large "
        "the differences.",
    )


def points(difference: float) -> str:
    """A difference of fractions in percentage points, signed."""
    return NONE if pd.isna(difference) else f"{100 * difference:+.1f}"


def p_value(p: float) -> str:
    """``0.030``, or that it is below 0.001."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
