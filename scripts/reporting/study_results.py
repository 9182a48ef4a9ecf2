"""The cells of a study beside their runs: what is there, what is missing, and what may stand in one table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from configs.load import parse
from configs.study import Cell as StudyCell
from configs.study import Study
from scripts.reporting.runs import Run
from scripts.reproduce import PLACES, PROGRAMS, alike

APPROACHES = {
    "imu_only": "IMU-only",
    "imu2clip": "IMU2CLIP",
    "ours": "ours",
    "softmax": "ours with softmax loss",
    "conv_gru": "ours with 1D-CNN + RNN",
    "clip": "ours with ViT-CLIP",
    "random": "random weights",
    "supervised": "supervised from scratch",
    "handmade": "hand-made features",
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
    """A cell of the study, the settings that it asks for, and its run if it has ended."""

    cell: StudyCell
    settings: dict[str, Any]
    run: Run | None

    @property
    def pretraining(self) -> str:
        """Name of the pretraining run (of which the encoder is measured), or of the baseline."""
        if self.cell.pretrained_on is None:
            return self.cell.approach
        return self.cell.name if self.cell.evaluation is None else self.cell.needs[0]

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
    """All cells of a study with their runs."""

    study: Study
    results: tuple[Result, ...]
    by_key: dict[tuple[str, str], Result] = field(repr=False)
    video_notes: tuple[str, ...] = ()

    def get(self, evaluation: str | None, pretraining: str) -> Result | None:
        """The cell of an evaluation and an encoder (or baseline); None if the study has none."""
        return self.by_key.get((evaluation, pretraining)) if evaluation else None

    def of(self, evaluation: str | None) -> list[Result]:
        """All cells of an evaluation."""
        return [result for result in self.results if evaluation and result.cell.evaluation == evaluation]

    def ended(self, evaluations: Sequence[str | None]) -> list[Run]:
        """Runs of these evaluations that have results."""
        return [result.run for name in evaluations for result in self.of(name) if result.run]

    def usual_windows(self, evaluation: str, shots: int | None = None) -> Any:
        """What most runs of an evaluation were measured on, with a number of shots."""
        found = [windows_measured(run, shots) for run in self.ended([evaluation])]
        return Counter(found).most_common(1)[0][0] if found else None


@dataclass(frozen=True)
class Protocol:
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
        asked = [r.settings["shots"] for r in found.of(self.evaluations[column]) if r.cell.pretrained_on]
        return max(n for shots in asked for n in shots)

    @property
    def roles(self) -> list[str]:
        return list(dict.fromkeys(role for _, role in self.evaluations))


def match(study: Study, planned: Sequence[StudyCell], runs: Sequence[Run]) -> StudyResults:
    """Put runs to the cells of a study, by the names of their folders.

    Raises:
        ValueError: if two runs have the name of one cell, or a run is of another command than its cell.
    """
    by_name: dict[str, Run] = {}
    names = {cell.name for cell in planned}
    for run in runs:
        if run.folder.name in names and by_name.setdefault(run.folder.name, run) is not run:
            other = by_name[run.folder.name].folder
            raise ValueError(f"runs: {other} and {run.folder} are both the study's {run.folder.name}: name one of them")
    results = []
    for cell in planned:
        run = by_name.get(cell.name)
        if run and run.command != cell.command:
            raise ValueError(f"{run.folder}: is a result of {run.command}, the study's {cell.name} is {cell.command}")
        settings = parse(PROGRAMS[cell.command][1], list(cell.argv)).model_dump(mode="json")
        results.append(Result(cell, settings, run))
    by_key = {(r.cell.evaluation, r.pretraining): r for r in results if r.cell.evaluation}
    lonely = [name for name, evaluation in study.evaluations.items() if evaluation.of == []]
    for result in [r for r in results if r.cell.evaluation in lonely]:
        for name, evaluation in study.evaluations.items():  # a baseline of its own stands beside the dataset's encoders
            if evaluation.kind == "few_shot" and evaluation.dataset == result.cell.dataset_role:
                by_key.setdefault((name, result.pretraining), result)
    return StudyResults(study, tuple(results), by_key, video_notes(study, planned))


def protocols(found: StudyResults) -> list[Protocol]:
    """One table of few-shot results per split; evaluations that would fall on the same column begin another table."""
    tables: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
    shots: dict[str, list[int]] = {}
    for name, evaluation in found.study.evaluations.items():
        trained = [r for r in found.of(name) if r.cell.command == "downstream" and r.settings["mode"] in MODES]
        if evaluation.kind != "few_shot" or not trained:
            continue
        settings = trained[0].settings
        shots[name] = settings["shots"]
        key, number = (settings["mode"], evaluation.dataset), 0
        while key in tables.setdefault((settings["split"], number), {}):
            number += 1
        tables[settings["split"], number][key] = name
    return [
        Protocol(split, names, tuple(sorted({n for name in names.values() for n in shots[name]})))
        for (split, _), names in tables.items()
    ]


def windows_measured(run: Run, shots: int | None = None) -> Any:
    """Equal for runs that were measured on the same windows; of few-shot runs, with a number of shots."""
    r = run.results
    if shots is not None and (row := r["shots"].get(str(shots))) and "windows_sha256" in row:
        return row["windows_sha256"]
    if "draws" in r:
        return r["draws"]["sha256"]
    asked = (*r["classes"], *r["queries_per_class"], r.get("direction"))  # earlier versions knew one way
    return (*asked, r["prototypes_per_class"], r["prototypes_from"]["name"], r["seed"])


def video_notes(study: Study, planned: Sequence[StudyCell]) -> tuple[str, ...]:
    """Which video encoder stood beside each approach; at a small scale it is not the published one."""
    configs = {c.name: parse(PROGRAMS["train"][1], list(c.argv)) for c in planned if c.name in study.pretraining}
    origins = {run.approach: configs[name].video_origin for name, run in study.pretraining.items()}
    words = [f"{APPROACHES[approach]}: {origin}" for approach, origin in origins.items() if origin]
    return (f"Video encoders of pretraining: {'; '.join(words)}.",) if words else ()


def in_distribution(result: Result) -> bool:
    """Whether the encoder was pretrained on the dataset that it is evaluated on, or its run found windows seen then."""
    seen = result.run.results.get("seen_in_pretraining") if result.run else None  # not in results of earlier versions
    return result.cell.pretrained_on == result.cell.dataset_role or bool(seen and seen["seen"])


def used_marks(cells: Sequence[Any]) -> tuple[str, ...]:
    """Footnotes of the signs that some cells carry."""
    signs = "".join(getattr(cell, "marks", "") for cell in cells)
    return tuple(f"{sign} {text}." for sign, text in MARKS.items() if sign in signs)
