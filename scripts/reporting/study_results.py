"""The planned runs of a study beside the finished ones: what is missing, and what may stand in one table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from configs.study import PlannedRun, Study
from scripts.reporting.runs import Run
from scripts.reproduce import PLACES, alike

APPROACHES = {
    "imu_only": "IMU-only",
    "imu2clip": "IMU2CLIP",
    "ours": "ours",
    "softmax": "ours with softmax loss",
    "conv_gru": "ours with 1D-CNN + RNN",
    "clip": "ours with ViT-CLIP",
    "random": "random weights",
    "supervised": "supervised from scratch",
    "handcrafted": "handcrafted features",
}
MODES = {"lp": "linear probing", "finetune": "finetuning"}
IN_DISTRIBUTION, OTHER_DRAWS, OTHER_SETTINGS = "†", "≠", "‡"
MARKS = {
    IN_DISTRIBUTION: "pretrained, without labels, on recordings of the evaluated dataset: in-distribution",
    OTHER_DRAWS: "measured on other windows than most of its column: not to be compared",
    OTHER_SETTINGS: "run with other settings than the study asks for now",
}


@dataclass(frozen=True)
class Result:
    """A planned run of the study, and the finished run if there is one."""

    planned: PlannedRun
    run: Run | None

    @property
    def settings(self) -> dict[str, Any]:
        """What the study asks for."""
        return self.planned.settings

    @property
    def pretraining(self) -> str:
        """Name of the pretraining run (of which the encoder is measured), or of the baseline."""
        if self.planned.pretrained_on is None:
            return self.planned.approach
        return self.planned.name if self.planned.evaluation is None else self.planned.needs[0]

    @cached_property
    def other_settings(self) -> list[str]:
        """Settings in which the run differs from what the study asks for."""
        there = self.run.results["config"] if self.run else {}
        return sorted(k for k in there.keys() & self.settings.keys() - PLACES if not alike(there[k], self.settings[k]))

    def marks(self, usual_windows: Any, shots: int | None = None) -> str:
        """Signs of footnotes, see ``MARKS``."""
        if self.run is None:
            return ""
        signs = IN_DISTRIBUTION if in_distribution(self) else ""
        signs += OTHER_DRAWS if windows_measured(self.run, shots) != usual_windows else ""
        return signs + (OTHER_SETTINGS if self.other_settings else "")


@dataclass(frozen=True)
class StudyResults:
    """All planned runs of a study with the finished ones."""

    study: Study
    results: tuple[Result, ...]
    by_key: dict[tuple[str, str], Result] = field(repr=False)
    video_notes: tuple[str, ...] = ()

    def get(self, evaluation: str | None, pretraining: str) -> Result | None:
        """The run of an evaluation and an encoder (or baseline); None if the study has none."""
        return self.by_key.get((evaluation, pretraining)) if evaluation else None

    def of(self, evaluation: str | None) -> list[Result]:
        """All runs of an evaluation."""
        return [result for result in self.results if evaluation and result.planned.evaluation == evaluation]

    def ended(self, evaluations: Sequence[str | None]) -> list[Run]:
        """Runs of these evaluations that have results."""
        return [result.run for name in evaluations for result in self.of(name) if result.run]

    def usual_windows(self, evaluation: str, shots: int | None = None) -> Any:
        """What most runs of an evaluation were measured on, with a number of shots."""
        runs = [run for run in self.ended([evaluation]) if shots is None or str(shots) in run.results["shots"]]
        found = [windows_measured(run, shots) for run in runs]
        return Counter(found).most_common(1)[0][0] if found else None


@dataclass(frozen=True)
class FewShotColumns:
    """Few-shot evaluations that belong into one table: at most one per mode and evaluated dataset.

    Attributes:
        split: of the windows.
        evaluations: (mode, role) -> name of the evaluation.
        shots: labelled windows per class, increasing.
    """

    split: str
    evaluations: dict[tuple[str, str], str]
    shots: tuple[int, ...]

    def most_shots(self, found: StudyResults, column: tuple[str, str]) -> int:
        """The most labels per class that the study asks of the encoders in a column."""
        asked = [r.settings["shots"] for r in found.of(self.evaluations[column]) if r.planned.pretrained_on]
        return max(n for shots in asked for n in shots)

    @property
    def roles(self) -> list[str]:
        return list(dict.fromkeys(role for _, role in self.evaluations))


def match(study: Study, planned: Sequence[PlannedRun], runs: Sequence[Run]) -> StudyResults:
    """Match finished runs to the planned ones, by the names of their folders.

    Raises:
        ValueError: if two runs have the name of one planned run, or a run is of another command.
    """
    by_name: dict[str, Run] = {}
    names = {wanted.name for wanted in planned}
    for run in runs:
        if run.folder.name in names and by_name.setdefault(run.folder.name, run) is not run:
            other = by_name[run.folder.name].folder
            raise ValueError(f"runs: {other} and {run.folder} are both the study's {run.folder.name}: name one of them")
    results = []
    for wanted in planned:
        run = by_name.get(wanted.name)
        if run and run.command != wanted.command:
            raise ValueError(
                f"{run.folder}: is a result of {run.command}, the study's {wanted.name} is {wanted.command}"
            )
        results.append(Result(wanted, run))
    by_key = {(r.planned.evaluation, r.pretraining): r for r in results if r.planned.evaluation}
    lonely = [name for name, evaluation in study.evaluations.items() if evaluation.of == []]
    for result in [r for r in results if r.planned.evaluation in lonely]:
        for name, evaluation in study.evaluations.items():  # a baseline of its own stands beside the dataset's encoders
            if evaluation.kind == "few_shot" and evaluation.dataset == result.planned.dataset_role:
                by_key.setdefault((name, result.pretraining), result)
    return StudyResults(study, tuple(results), by_key, video_notes(study, planned))


def few_shot_columns(found: StudyResults) -> list[FewShotColumns]:
    """One table of few-shot results per split; evaluations that would fall on the same column begin another table."""
    tables: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
    shots: dict[str, list[int]] = {}
    for name, evaluation in found.study.evaluations.items():
        trained = [r for r in found.of(name) if r.planned.command == "downstream" and r.settings["mode"] in MODES]
        if evaluation.kind != "few_shot" or not trained:
            continue
        settings = trained[0].settings
        shots[name] = settings["shots"]
        key, number = (settings["mode"], evaluation.dataset), 0
        while key in tables.setdefault((settings["split"], number), {}):
            number += 1
        tables[settings["split"], number][key] = name
    return [
        FewShotColumns(split, names, tuple(sorted({n for name in names.values() for n in shots[name]})))
        for (split, _), names in tables.items()
    ]


def windows_measured(run: Run, shots: int | None = None) -> Any:
    """Equal for runs that were measured on the same windows; of few-shot runs, at these shots per class."""
    r = run.results
    if shots is not None:
        return r["shots"][str(shots)]["windows_sha256"]
    queries = (*r["classes"], *r["queries_per_class"], r["direction"])
    return (*queries, r["prototypes_per_class"], r["prototypes_from"]["name"], r["seed"])


def video_notes(study: Study, planned: Sequence[PlannedRun]) -> tuple[str, ...]:
    """Which video encoder stood beside each approach; at a small scale it is not the published one."""
    origins = {run.approach: run.config.video_origin for run in planned if run.command == "train"}
    words = [f"{APPROACHES[approach]}: {origin}" for approach, origin in origins.items() if origin]
    return (f"Video encoders of pretraining: {'; '.join(words)}.",) if words else ()


def in_distribution(result: Result) -> bool:
    """Whether the encoder was pretrained on the dataset that it is evaluated on, or its run found windows seen then."""
    seen = result.run.results["seen_in_pretraining"] if result.run else None
    return result.planned.pretrained_on == result.planned.dataset_role or bool(seen and seen["seen"])


def used_marks(cells: Sequence[Any]) -> tuple[str, ...]:
    """Footnotes of the signs that some cells carry."""
    signs = "".join(getattr(cell, "marks", "") for cell in cells)
    return tuple(f"{sign} {text}." for sign, text in MARKS.items() if sign in signs)
