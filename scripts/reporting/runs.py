"""The runs of a report, found by their results.json, and notes on them."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scripts.reporting.document import Block, Linked, Picture, Text
from utils import tables
from utils.long_table import GUESSES, dataset_name, long_table

COMMANDS = ("train", "downstream", "features", "zeroshot", "embed")
FEW_SHOT = ("downstream", "features")


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its name among the runs of a report, and the content of its results.json."""

    folder: Path
    name: str
    results: dict[str, Any]

    @property
    def command(self) -> str:
        return self.results["command"]

    @property
    def dataset(self) -> str:
        """Name of the dataset, marked if it is simulated."""
        return dataset_name(self.results)


def find_runs(folders: list[Path], may_be_empty: bool = False) -> tuple[list[Run], list[Path]]:
    """Finished runs in or below these folders, sorted by path, and folders of runs without results.

    Raises:
        FileNotFoundError: if a folder is missing, or has no finished run unless it may be empty.
        ValueError: if a results.json cannot be read, naming the file.
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
        common = os.path.commonpath([other.parent.parent for other in files])  # of one folder, the runs' own names
        runs.append(Run(file.parent, file.parent.relative_to(common).as_posix(), results))
    finished = {run.folder for run in runs}
    begun = {file.parent for folder in folders for file in folder.rglob("config.yaml")}
    return runs, sorted(begun - finished)


def table_of(runs: Sequence[Run]) -> pd.DataFrame:
    """The long table of these runs."""
    return long_table({run.name: run.results for run in runs})


def measured(runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Rows of the long table over all draws, by metric in this order and by shots, with the ``folder`` of each run."""
    values = table_of(runs)
    values = values[values["draw"].isna() & values["metric"].isin(metrics)]
    folders = {run.name: run.folder for run in runs}
    values = values.assign(folder=values["run"].map(folders), order=values["metric"].map(list(metrics).index))
    return values.sort_values(["order", "shots"], kind="stable").drop(columns="order")


def percent(row: Any) -> str:
    """A cell of a table: mean and standard deviation of a row in percent, linked to its run."""
    return linked(tables.percent(row.value, row.std), row)


def fraction(row: Any) -> str:
    """A cell of a table: mean and standard deviation of a row, linked to its run."""
    return linked(tables.fraction(row.value, row.std), row)


def interval(row: Any) -> str:
    """A cell of a table: interval over groups of a row in percent, linked to its run."""
    return linked(tables.interval(row), row)


def linked(text: str, row: Any) -> str:
    """Text of a row of the long table with its source, if it is of a run."""
    return text if text == "-" or row.method in GUESSES else Linked(text, row.folder)


def notice(runs: list[Run]) -> str | None:
    """A warning above the page if results or encoders are from simulated data."""
    if runs and all(_wholly_simulated(run.results) for run in runs):
        return (
            "Everything measured here is simulated: people, rooms, sensors and video come from a program. It shows "
            "that the software works from end to end, and says nothing about patients."
        )
    checkpoints = [run.results["checkpoint"] for run in runs if run.command != "train"]
    if any(run.results["simulated"] for run in runs) or any(c and c["dataset"]["simulated"] for c in checkpoints):
        return "Whatever is marked simulated was not measured on people."
    return None


def _wholly_simulated(results: dict[str, Any]) -> bool:
    """Whether a result is from simulated data alone."""
    if results["command"] == "train":
        return results["simulated"]
    datasets = results["datasets"] if results["command"] == "embed" else [results["dataset"]]
    return all(
        d["simulated"] for d in [*datasets, *([results["prototypes_from"]] if "prototypes_from" in results else [])]
    )


def notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """Notes below a table on the windows of these evaluations."""
    return tuple(dict.fromkeys(f"{run.dataset}: {line}" for run in runs for line in tables.notes(run.results)))


def windows_measured(run: Run, shots: int | None = None) -> Any:
    """Equal for runs that were measured on the same windows; of few-shot runs, at these shots per class."""
    r = run.results
    if shots is not None:
        return r["shots"][str(shots)]["windows_sha256"] if str(shots) in r["shots"] else None
    cut = (r["window_s"], *(str(r["config"][n]) for n in ("min_coverage", "windows_per_recording", "query_subjects")))
    queries = (*r["classes"], *r["queries_per_class"], r["direction"], *cut)
    return (*queries, r["prototypes_per_class"], r["prototypes_from"]["name"], r["seed"])


def picture_of(run: Run, file: str, caption: str, out: Path) -> Block:
    """Copy a run's picture to the report and show it, or a note that it is missing."""
    source = run.folder / file
    if not source.is_file():
        return Text(f"{caption}: {source.name} is missing from run {run.name}.")
    target = out / "figures" / f"{run.folder.parent.name}_{run.folder.name}_{file}"
    shutil.copyfile(source, target)
    pdf = source.with_suffix(".pdf")
    if pdf.is_file():
        shutil.copyfile(pdf, target.with_suffix(".pdf"))
    return Picture(target, caption, target.with_suffix(".pdf") if pdf.is_file() else None)
