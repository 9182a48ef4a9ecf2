"""The runs of a report, found by their results.json, and how a number of theirs is written."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.reporting.document import Block, Cell, Picture, Text
from utils.tables import (
    few_shot_notes,
    fraction,
    interval,
    marked,
    percent,
    seen_before,
)

COMMANDS = ("train", "downstream", "handcrafted", "zeroshot", "embed")
FEW_SHOT = ("downstream", "handcrafted")
RETRIEVAL = {"r@1": "R@1", "r@5": "R@5", "mrr": "MRR"}


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and the content of its results.json."""

    folder: Path
    results: dict[str, Any]

    @property
    def command(self) -> str:
        return self.results["command"]

    @property
    def dataset(self) -> str:
        """Name of what the run was about, and whether it is simulated."""
        if self.command == "embed":
            return ", ".join(marked(d["name"], d["simulated"]) for d in self.results["datasets"])
        value = self.results["dataset"]
        if isinstance(value, str):
            return marked(value, self.results["simulated"])
        return marked(value["name"], value["simulated"])  # a zero-shot result is simulated if its prototypes are


def find_runs(folders: list[Path], may_be_empty: bool = False) -> tuple[list[Run], list[Path]]:
    """Finished runs in these folders (or below them), by path, and folders of runs without results.

    Raises:
        FileNotFoundError: if a folder is missing, or there is no finished run and there should be.
        ValueError: if a results.json is not legible; names it.
    """
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"runs: there is no folder {folder}")
    files = sorted({file for folder in folders for file in folder.rglob("results.json")})
    if not files and not may_be_empty:
        raise FileNotFoundError(f"runs: no results.json in {', '.join(map(str, folders))}: run an evaluation first")
    runs = []
    for file in files:
        try:
            results = json.loads(file.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file}: is not JSON ({error}): run it again, or move it away") from error
        if not isinstance(results, dict) or results.get("command") not in COMMANDS:
            raise ValueError(f"{file}: is not a result of {', '.join(COMMANDS)}: move it away")
        runs.append(Run(file.parent, results))
    finished = {run.folder for run in runs}
    begun = {file.parent for folder in folders for file in folder.rglob("config.yaml")}
    return runs, sorted(begun - finished)


def notice(runs: list[Run]) -> str | None:
    """What the reader must know of the recordings before any number."""
    if runs and all(_wholly_simulated(run) for run in runs):
        return (
            "Everything measured here is simulated: people, rooms, sensors and video come from a program. It shows "
            "that the software works from end to end, and says nothing about patients."
        )
    if any(run.results["simulated"] or _trained_on_simulated(run) for run in runs):
        return "Whatever is marked simulated was not measured on people."
    return None


def _wholly_simulated(run: Run) -> bool:
    """Whether no recording of people went into a result; what evaluates several datasets may mix them."""
    r = run.results
    datasets = (
        r["datasets"] if run.command == "embed" else [r[key] for key in ("dataset", "prototypes_from") if key in r]
    )
    return all(r["simulated"] if isinstance(d, str) else d["simulated"] for d in datasets)


def _trained_on_simulated(run: Run) -> bool:
    facts = run.results.get("checkpoint")
    return bool(facts and facts["dataset"]["simulated"])


def interval_cell(row: dict[str, Any] | None, run: Run) -> Cell:
    """Both ends, and their middle as the number behind them; ``-`` where there is none."""
    if row is None or row["interval"]["balanced_accuracy"]["low"] is None:
        return Cell("-")
    ends = row["interval"]["balanced_accuracy"]
    return Cell(interval(row, "balanced_accuracy"), (ends["low"] + ends["high"]) / 2, run=run.folder)


def seen_by(runs: list[Run]) -> list[Block]:
    """Of which runs pretraining has seen the windows."""
    return [Text(f"{run.folder.name}: {word}", strong=True) for run in runs for word in seen_before(run.results)]


def warnings(run: Run) -> list[str]:
    """What was found wrong with the windows of a few-shot result."""
    found = []
    if copies := run.results["copies_on_both_sides"]:
        found.append(f"{run.dataset}: {len(copies)} held-out windows are copies of windows that were learnt from.")
    if dropped := run.results["dropped_classes"]:
        found.append(
            f"{run.dataset}: classes left out: {', '.join(f'{name} ({why})' for name, why in dropped.items())}."
        )
    return found


def window_notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """Notes under a table of few-shot results: classes that were shortened, recordings that were on both sides."""
    return tuple(dict.fromkeys(f"{run.dataset}: {line}" for run in runs for line in few_shot_notes(run.results)))


def held_out(results: dict[str, Any]) -> str:
    """What a few-shot result was measured on, in words."""
    number = results["held_out_per_class"]
    return results["held_out"] if number is None else f"{number} windows per class"


def percent_cell(value: dict | None, run: Run, marks: str = "") -> Cell:
    """Mean and standard deviation in percent; ``-`` where the run has no such value."""
    if value is None:
        return Cell("-")
    return Cell(percent(value["mean"], value["std"]), value["mean"], value["std"], run.folder, marks)


def fraction_cell(value: dict, run: Run, marks: str = "") -> Cell:
    """Mean and standard deviation as fractions of 1."""
    return Cell(fraction(value["mean"], value["std"]), value["mean"], value["std"], run.folder, marks)


def shots_line(run: Run) -> dict[int, tuple[float, float | None]]:
    """Balanced accuracy by number of shots, mean and standard deviation."""
    accuracy = {int(n): row["balanced_accuracy"] for n, row in run.results["shots"].items()}
    return {n: (value["mean"], value["std"]) for n, value in accuracy.items()}


def picture_of(run: Run, file: str, caption: str, out: Path) -> Block:
    """Copy a run's picture to the report and show it; one that is missing is said to be."""
    source = run.folder / file
    if not source.is_file():
        return Text(f"{caption}: {source.name} is missing from run {run.folder.name}.")
    target = out / "figures" / f"{run.folder.parent.name}_{run.folder.name}_{file}"
    shutil.copyfile(source, target)
    pdf = source.with_suffix(".pdf")
    if pdf.is_file():
        shutil.copyfile(pdf, target.with_suffix(".pdf"))
    return Picture(target, caption, target.with_suffix(".pdf") if pdf.is_file() else None)
