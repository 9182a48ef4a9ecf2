"""One Markdown page from the results of any number of runs: tables with chance beside each value, and pictures.

    python -m scripts.report --runs runs --out report

Every number is read from a results.json; whatever is simulated is called so in every table and picture.
"""

import json
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import parse
from configs.schema import ReportConfig
from utils.plots import shots_curve
from utils.tables import METRICS, encoder_origin, few_shot_method, markdown, marked, percent, share

COMMANDS = ("train", "downstream", "zeroshot")
RETRIEVAL = {"r@1": "R@1", "r@5": "R@5", "mrr": "MRR"}


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and the content of its results.json."""

    folder: Path
    results: dict[str, Any]

    @property
    def dataset(self) -> str:
        """Name of the dataset that the run was about, and whether it is simulated."""
        value = self.results["dataset"]
        if isinstance(value, str):
            return marked(value, self.results["simulated"])
        return marked(value["name"], value["simulated"])  # a zero-shot result is simulated if its prototypes are


def main(argv: list[str] | None = None) -> Path:
    """Write the page; returns its path."""
    config = parse(ReportConfig, argv)
    runs, unfinished = find_runs(config.runs)
    config.out.mkdir(parents=True, exist_ok=True)
    by_command = {name: [run for run in runs if run.results["command"] == name] for name in COMMANDS}
    parts = [f"# {config.title}", notice(runs)]
    parts += few_shot(by_command["downstream"], config.out)
    parts += zero_shot(by_command["zeroshot"], config.out)
    parts += pretraining(by_command["train"], config.out)
    parts += provenance(runs, unfinished)
    page = config.out / "report.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"report: {page}")
    return page


def find_runs(folders: list[Path]) -> tuple[list[Run], list[Path]]:
    """Finished runs in these folders (or below them), by path, and folders of runs without results.

    Raises:
        FileNotFoundError: if a folder is missing or there is no finished run.
        ValueError: if a results.json is not legible; names it.
    """
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"runs: there is no folder {folder}")
    files = sorted({file for folder in folders for file in folder.rglob("results.json")})
    if not files:
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


def notice(runs: list[Run]) -> str:
    """What the reader must know of the recordings before any number."""
    simulated = [run.results["simulated"] for run in runs]
    if all(simulated):
        return (
            "> **Everything on this page is simulated**: people, rooms, sensors and video come from a program. It "
            "shows that the software works from end to end, and says nothing about patients."
        )
    if any(simulated) or any(
        run.results["command"] != "train" and "(simulated)" in encoder_origin(run.results) for run in runs
    ):
        return "> Whatever is marked *simulated* was not measured on people."
    return "Chance is what guessing gives."


def few_shot(runs: list[Run], out: Path) -> list[str]:
    """A section for each dataset, set of classes and split: rows of methods, columns of shots, chance below."""
    groups: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        r = run.results
        groups[run.dataset, tuple(r["classes"]), r["groups"], r["held_out_per_class"]].append(run)
    parts = ["## Few-shot"] if runs else []
    for number, ((dataset, classes, kind, held_out), members) in enumerate(groups.items()):
        members = sorted(members, key=lambda run: few_shot_method(run.results))
        draws = {len(row["macro_f1"]["values"]) for run in members for row in run.results["shots"].values()}
        parts.append(f"### {dataset}: {len(classes)} classes, split by {kind}")
        same = len({run.results["draws"]["sha256"] for run in members}) == 1
        parts.append(
            f"Mean ± standard deviation over {' or '.join(map(str, sorted(draws)))} random draws; {held_out} held-out "
            "windows per class; the last epoch is measured. "
            + ("All rows are of the same windows." if same else "**Not all rows are of the same draws of windows.**")
        )
        shots = sorted({int(n) for run in members for n in run.results["shots"]})
        for name in ("balanced_accuracy", "macro_f1"):
            header = [f"{METRICS[name]}, %", *(f"{n} shots" for n in shots)]
            rows = [
                [few_shot_method(run.results), *(_cell(run.results["shots"].get(str(n)), name) for n in shots)]
                for run in members
            ]
            first = members[0].results  # equal classes and held-out windows: equal chance
            rows += [[row, *[percent(first[row][name])] * len(shots)] for row in ("chance", "majority")]
            parts.append(markdown(header, rows))
        curve = out / f"shots_{number}.png"
        lines = {few_shot_method(run.results): _line(run) for run in members}
        shots_curve(lines, members[0].results["chance"]["balanced_accuracy"], curve, f"{dataset}, few-shot")
        parts.append(f"![Balanced accuracy against shots, {dataset}]({curve.name})")
        for run in members:
            if run.results["encoder"] != "random":
                parts.append(
                    _picture(run, "confusion.png", f"Confusion matrix, {dataset}, {few_shot_method(run.results)}", out)
                )
    return parts


def zero_shot(runs: list[Run], out: Path) -> list[str]:
    """One table, chance beside each value, and the confusion matrices."""
    if not runs:
        return []
    rows = []
    for run in runs:
        r = run.results
        source = r["prototypes_from"]
        cells = [
            cell
            for name in METRICS
            for cell in (share(r["metrics"][name]["mean"], r["metrics"][name]["std"]), share(r["chance"][name]))
        ]
        size = [str(len(r["classes"])), str(sum(r["queries_per_class"]))]
        rows.append(
            [run.dataset, f"{r['model']}, {encoder_origin(run.results)}", marked(source["name"], source["simulated"])]
        )
        rows[-1] += size + cells
    header = ["dataset", "method", "prototypes from", "classes", "queries"]
    header += [cell for label in METRICS.values() for cell in (label, "chance")]
    first = runs[0].results
    text = (
        "Each IMU window takes the class of the nearest labelled video; no recording that gave a prototype is asked "
        f"about. Mean ± standard deviation over {len(first['metrics']['mrr']['values'])} random "
        f"{100 * first['config']['bootstrap_share']:g} % of each class."
    )
    pictures = [_picture(run, "confusion.png", f"Confusion matrix, zero-shot, {run.dataset}", out) for run in runs]
    return ["## Zero-shot", text, markdown(header, rows), *pictures]


def pretraining(runs: list[Run], out: Path) -> list[str]:
    """Retrieval among held-out pairs, both ways, or the error of reconstruction, beside chance; loss curves."""
    if not runs:
        return []
    parts, rows, masked = ["## Pretraining"], [], []
    for run in runs:
        r = run.results
        if "reconstruction" in r:
            masked.append(
                [run.folder.name, run.dataset, str(r["windows"]), f"{r['loss']:.3f}", str(r["held_out"])]
                + [f"{values['masked_mse']:.3f}" if values else "-" for values in (r["reconstruction"], r["chance"])]
            )
            continue
        for way, arrow in (("imu_to_video", "IMU to video"), ("video_to_imu", "video to IMU")):
            cells = [
                share(values[key]) if key in values else "-"
                for name in RETRIEVAL
                for values, key in ((r["retrieval"], f"{way}/{name}"), (r["chance"], name))
            ]
            rows.append(
                [run.folder.name, run.dataset, str(r["windows"]), f"{r['loss']:.3f}", arrow, str(r["held_out"])]
            )
            rows[-1] += cells
    header = ["run", "dataset", "windows", "last loss", "retrieval", "among"]
    header += [cell for label in RETRIEVAL.values() for cell in (label, "chance")]
    if rows:
        parts.append(
            "Which video belongs to an IMU window, and the reverse, among held-out windows of sessions not trained on."
        )
        parts.append(markdown(header, rows))
    if masked:
        parts.append(
            "IMU alone: squared error of masked patches of held-out windows, beside that of the visible patches' mean."
        )
        parts.append(markdown(["run", "dataset", "windows", "last loss", "held out", "masked MSE", "mean"], masked))
    return parts + [_picture(run, "loss.png", f"Loss, {run.dataset}", out) for run in runs]


def provenance(runs: list[Run], unfinished: list[Path]) -> list[str]:
    """Where every number comes from."""
    rows = []
    for run in runs:
        r = run.results
        facts = r.get("checkpoint") or {"sha256": "-"}
        rows.append(
            [run.folder.name, r["command"], run.dataset, str(r["seed"]), facts["sha256"][:12], _short(r["commit"])]
        )
    table = markdown(["run", "command", "dataset", "seed", "checkpoint", "commit"], rows)
    parts = [
        "## Runs",
        "Each run's folder holds its settings, environment and, for evaluations, the windows used.",
        table,
    ]
    if unfinished:
        parts.append(f"Begun but without results: {', '.join(folder.name for folder in unfinished)}.")
    return parts


def _short(commit: str) -> str:
    """Enough of a commit to find it, and whether files differed from it."""
    return commit[:12] + ("+changes" if commit.endswith("+changes") else "")


def _cell(row: dict | None, name: str) -> str:
    return "-" if row is None else percent(row[name]["mean"], row[name]["std"])


def _line(run: Run) -> dict[int, tuple[float, float | None]]:
    accuracy = {int(n): row["balanced_accuracy"] for n, row in run.results["shots"].items()}
    return {n: (value["mean"], value["std"]) for n, value in accuracy.items()}


def _picture(run: Run, file: str, caption: str, out: Path) -> str:
    """Copy a run's picture beside the page and show it; one that is missing is said to be."""
    source = run.folder / file
    if not source.is_file():
        return f"*{caption}: {source.name} is missing from run {run.folder.name}.*"
    target = f"{run.folder.parent.name}_{run.folder.name}_{file}"
    shutil.copyfile(source, out / target)
    return f"![{caption}]({target})"


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{ReportConfig.program}: {problem}")
