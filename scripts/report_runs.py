"""The runs of a report: found by their results.json, and put into tables by what they measured."""

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.document import Block, Cell, Heading, Picture, Table, Text
from utils.plots import shots_curve
from utils.tables import METRICS, encoder_origin, few_shot_method, interval, marked, percent, share

COMMANDS = ("train", "downstream", "handmade", "zeroshot", "embed")
FEW_SHOT = ("downstream", "handmade")
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


def few_shot_sections(runs: list[Run], out: Path) -> list[Block]:
    """A part for each dataset, set of classes and split: rows of methods, columns of shots, chance below."""
    groups: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        r = run.results
        groups[run.dataset, tuple(r["classes"]), r["groups"], held_out(r)].append(run)
    blocks: list[Block] = [Heading("Few-shot")] if runs else []
    for number, ((dataset, classes, kind, windows), members) in enumerate(groups.items()):
        members = sorted(members, key=lambda run: few_shot_method(run.results))
        draws = {len(row["macro_f1"]["values"]) for run in members for row in run.results["shots"].values()}
        same = len({run.results["draws"]["sha256"] for run in members}) == 1
        blocks += [
            Heading(f"{dataset}: {len(classes)} classes, split by {kind}", 3),
            Text(
                f"Mean ± standard deviation over {' or '.join(map(str, sorted(draws)))} random draws; held out: "
                f"{windows}; the last epoch is measured." + (" All rows are of the same windows." if same else "")
            ),
        ]
        if not same:
            blocks.append(Text("Not all rows are of the same draws of windows.", strong=True))
        blocks += [_few_shot_table(number, dataset, metric, members) for metric in ("balanced_accuracy", "macro_f1")]
        blocks += _interval_table(number, dataset, members)
        blocks += [Text(f"{run.folder.name}: {word}", strong=True) for run in members for word in seen_before(run)]
        blocks += [Text(word, strong=True) for word in dict.fromkeys(word for run in members for word in warnings(run))]
        curve = out / "figures" / f"shots_{number}.png"
        lines = {few_shot_method(run.results): shots_line(run) for run in members}
        shots_curve(lines, members[0].results["chance"]["balanced_accuracy"], curve, f"{dataset}, few-shot", pdf=True)
        blocks.append(Picture(curve, f"Balanced accuracy against shots, {dataset}", curve.with_suffix(".pdf")))
        for run in members:
            if run.command == "downstream" and run.results["encoder"] != "random":
                caption = f"Confusion matrix, {dataset}, {few_shot_method(run.results)}"
                blocks.append(picture_of(run, "confusion.png", caption, out))
    return blocks


def _few_shot_table(number: int, dataset: str, metric: str, members: list[Run]) -> Table:
    shots = sorted({int(n) for run in members for n in run.results["shots"]})
    rows: list[list[Cell | str]] = []
    for run in members:
        values = [run.results["shots"].get(str(n)) for n in shots]
        rows.append([few_shot_method(run.results), *(percent_cell(v and v[metric], run) for v in values)])
    first = members[0].results  # equal classes and held-out windows: equal chance
    rows += [[row, *[percent(first[row][metric])] * len(shots)] for row in ("chance", "majority")]
    header = (f"{METRICS[metric]}, %", *(f"{n} shots" for n in shots))
    return Table(f"few_shot_{number}_{metric}", f"{dataset}, few-shot: {METRICS[metric]}", header, rows)


def _interval_table(number: int, dataset: str, members: list[Run]) -> list[Block]:
    """95 % intervals over groups, if some run has them."""
    shots = sorted({int(n) for run in members for n in run.results["shots"]})
    rows: list[list[Cell | str]] = []
    for run in members:
        measured = [run.results["shots"].get(str(n)) for n in shots]
        rows.append([few_shot_method(run.results), *(interval_cell(row, run) for row in measured)])
    if all(cell.text == "-" for row in rows for cell in row[1:]):
        return []
    caption = f"{dataset}, few-shot: 95 % interval of the balanced accuracy over groups, %"
    return [Table(f"few_shot_{number}_interval", caption, ("method", *(f"{n} shots" for n in shots)), rows)]


def interval_cell(row: dict[str, Any] | None, run: Run) -> Cell:
    """Both ends, and their middle as the number behind them; ``-`` where there is none."""
    if row is None or "interval" not in row or row["interval"]["balanced_accuracy"]["low"] is None:
        return Cell("-")
    ends = row["interval"]["balanced_accuracy"]
    return Cell(interval(row, "balanced_accuracy"), (ends["low"] + ends["high"]) / 2, run=run.folder)


def seen_before(run: Run) -> list[str]:
    """That pretraining has seen the windows, if so; results of earlier versions do not say."""
    seen = run.results.get("seen_in_pretraining")
    return [f"seen before: {seen['why']}."] if seen and seen["seen"] else []


def warnings(run: Run) -> list[str]:
    """What was found wrong with the windows of a few-shot result; results of earlier versions do not say."""
    found = []
    if copies := run.results.get("copies_on_both_sides"):
        found.append(f"{run.dataset}: {len(copies)} held-out windows are copies of windows that were learnt from.")
    if dropped := run.results.get("dropped_classes"):
        found.append(
            f"{run.dataset}: classes left out: {', '.join(f'{name} ({why})' for name, why in dropped.items())}."
        )
    return found


def zero_shot_section(runs: list[Run], out: Path) -> list[Block]:
    """One table, chance beside each value, and the confusion matrices."""
    if not runs:
        return []
    rows: list[list[Cell | str]] = []
    for run in runs:
        r = run.results
        source = r["prototypes_from"]
        method = f"{r['model']}, {encoder_origin(r)}"
        method += ", video to IMU" if r.get("direction") == "video_to_imu" else ""  # earlier versions knew one way
        size = [str(len(r["classes"])), str(sum(r["queries_per_class"]))]
        row: list[Cell | str] = [run.dataset, method, marked(source["name"], source["simulated"]), *size]
        for name in METRICS:
            row += [share_cell(r["metrics"][name], run), share(r["chance"][name])]
        rows.append(row)
    header = ["dataset", "method", "prototypes from", "classes", "queries"]
    header += [cell for label in METRICS.values() for cell in (label, "chance")]
    first = runs[0].results
    text = (
        "Each IMU window takes the class of the nearest labelled video; no recording that gave a prototype is asked "
        f"about. Mean ± standard deviation over {len(first['metrics']['mrr']['values'])} random "
        f"{100 * first['config']['bootstrap_share']:g} % of each class."
    )
    pictures = [picture_of(run, "confusion.png", f"Confusion matrix, zero-shot, {run.dataset}", out) for run in runs]
    table = Table("zero_shot", "Zero-shot", tuple(header), rows, labels=3)
    return [Heading("Zero-shot"), Text(text), table, *pictures]


def held_out(results: dict[str, Any]) -> str:
    """What a few-shot result was measured on, in words."""
    number = results["held_out_per_class"]
    return results["held_out"] if number is None else f"{number} windows per class"


def percent_cell(value: dict | None, run: Run, marks: str = "") -> Cell:
    """Mean and standard deviation in percent; ``-`` where the run has no such value."""
    if value is None:
        return Cell("-")
    return Cell(percent(value["mean"], value["std"]), value["mean"], value["std"], run.folder, marks)


def share_cell(value: dict, run: Run, marks: str = "") -> Cell:
    """Mean and standard deviation as shares of 1."""
    return Cell(share(value["mean"], value["std"]), value["mean"], value["std"], run.folder, marks)


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
