"""The paper's order of methods as comparisons of a study's runs: which are to be above which, and whether they are."""

from dataclasses import dataclass

from configs.paper import Value, paper_results
from scripts.reporting.document import MISSING
from scripts.reporting.few_shot_tables import IN_TABLE_3, pretraining_label, simulated
from scripts.reporting.runs import Run
from scripts.reporting.study_results import APPROACHES, MODES, Protocol, Result, StudyResults, windows_measured
from utils.tables import marked

HOLDS, WITHIN, FAILS, APART = "holds", "within one std", "does not hold", "not comparable: other windows"
VERDICTS = (HOLDS, WITHIN, FAILS, APART, MISSING)


@dataclass(frozen=True)
class Measured:
    """One side of a comparison: a run's balanced accuracy."""

    run: Run
    mean: float
    std: float


@dataclass(frozen=True)
class Comparison:
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


def few_shot_comparisons(found: StudyResults, protocol: Protocol) -> list[Comparison]:
    """Methods at the fewest labels, ours against IMU2CLIP also at the most, ablations at the most."""
    runs, listed = found.study.pretraining, []
    for (mode, role), evaluation in protocol.evaluations.items():
        asked = {n for r in found.of(evaluation) if r.cell.pretrained_on for n in r.settings["shots"]}
        fewest, most = min(asked), max(asked)
        for pretrained_on in found.study.datasets:
            of = {run.approach: name for name, run in reversed(runs.items()) if run.dataset == pretrained_on}
            scratch = baseline(found, protocol, role, mode, "supervised")
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
                    listed.append(Comparison(claim(first, second), where, MODES[mode], shots, *sides, paper))
    return listed


def zero_shot_comparisons(found: StudyResults) -> list[Comparison]:
    """Ours against IMU2CLIP, by balanced accuracy."""
    listed = []
    for name, evaluation in found.study.evaluations.items():
        results = {(r.cell.pretrained_on, r.cell.approach): r for r in reversed(found.of(name))}
        for pretrained_on in found.study.datasets if evaluation.kind == "zero_shot" else ():
            a, b = results.get((pretrained_on, "ours")), results.get((pretrained_on, "imu2clip"))
            if a and b:
                key = (evaluation.dataset, "balanced_accuracy")
                values = [paper_results().zero_shot.get((pretrained_on, x, *key)) for x in ("ours", "imu2clip")]
                where = place(found, a, evaluation.dataset)
                sides = (_zero_shot(a), _zero_shot(b))
                reverse = a.settings["direction"] == "video_to_imu"  # not in the paper
                how, paper = ("zero-shot, video to IMU", None) if reverse else ("zero-shot", _gap(*values))
                listed.append(Comparison(claim("ours", "imu2clip"), where, how, None, *sides, paper))
    return listed


def claim(first: str, second: str) -> str:
    """The statement in words."""
    words = {"ours": "cross-modal (ours)"} if second in ("imu_only", "supervised") else {}
    return f"{words.get(first, APPROACHES[first])} over {APPROACHES[second]}"


def baseline(found: StudyResults, protocol: Protocol, role: str, mode: str, name: str) -> Result | None:
    """A baseline of an evaluated dataset: of the same evaluation, else of another of the same protocol."""
    for other in (mode, *MODES):
        if result := found.get(protocol.evaluations.get((other, role)), name):
            return result
    return None


def place(found: StudyResults, result: Result, role: str) -> str:
    """Pretraining dataset and evaluated dataset in words."""
    target = marked(role, simulated(found.ended([result.cell.evaluation])))
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
