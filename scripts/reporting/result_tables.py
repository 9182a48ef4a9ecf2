"""Results of any runs, in tables by what they measured: few-shot, zero-shot, pretraining, embeddings."""

from collections import defaultdict
from pathlib import Path

from scripts.reporting.document import Block, Cell, Heading, Picture, Table, Text
from scripts.reporting.runs import (
    RETRIEVAL,
    Run,
    fraction_cell,
    held_out,
    interval_cell,
    percent_cell,
    picture_of,
    seen_by,
    shots_line,
    warnings,
    window_notes,
)
from scripts.reporting.study_results import windows_measured
from utils.plots import Line, Panel, shots_panels
from utils.tables import METRICS, encoder_origin, few_shot_method, fraction, interval, interval_note, marked, percent

WAYS = {"imu_to_video": "IMU to video", "video_to_imu": "video to IMU"}
INTERVALS = ("balanced_accuracy", "macro_f1")


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
        same = same_windows(members)
        names = distinct_names(members)
        chosen = any(run.results["selected_epochs"] for run in members)
        blocks += [
            Heading(f"{dataset}: {len(classes)} classes, split by {kind}", 3),
            Text(
                f"Mean ± standard deviation over {' or '.join(map(str, sorted(draws)))} random draws; held out: "
                f"{windows}; "
                + (
                    "the epoch is the last, or chosen on windows of their own."
                    if chosen
                    else "the last epoch is measured."
                )
                + (" All rows are of the same windows." if same else "")
            ),
        ]
        if not same:
            blocks.append(Text("Not all rows are of the same draws of windows.", strong=True))
        for metric in ("balanced_accuracy", "macro_f1"):
            blocks.append(_few_shot_table(number, dataset, metric, members, names))
        blocks += _interval_table(number, dataset, members, names)
        blocks += seen_by(members)
        blocks += [Text(word, strong=True) for word in dict.fromkeys(word for run in members for word in warnings(run))]
        curve = out / "figures" / f"shots_{number}.png"
        lines = [Line(name, name, shots_line(run)) for name, run in zip(names, members, strict=True)]
        panel = Panel("", lines, members[0].results["chance"]["balanced_accuracy"])
        shots_panels([panel], curve, f"{dataset}, few-shot")
        blocks.append(Picture(curve, f"Balanced accuracy against shots, {dataset}", curve.with_suffix(".pdf")))
        for name, run in zip(names, members, strict=True):
            if run.command == "downstream" and run.results["encoder"] != "random":
                caption = f"Confusion matrix, {dataset}, {name}"
                blocks.append(picture_of(run, "confusion.png", caption, out))
    return blocks


def same_windows(members: list[Run]) -> bool:
    """Whether runs were measured on the same windows wherever they have a number of shots in common."""
    shots = {n for run in members for n in run.results["shots"]}
    return all(len({windows_measured(run, int(n)) for run in members if n in run.results["shots"]}) == 1 for n in shots)


def distinct_names(members: list[Run]) -> list[str]:
    """Their methods in words; with the run's folder where several are alike."""
    names = [few_shot_method(run.results) for run in members]
    return [n if names.count(n) == 1 else f"{n} ({run.folder.name})" for n, run in zip(names, members, strict=True)]


def _few_shot_table(number: int, dataset: str, metric: str, members: list[Run], names: list[str]) -> Table:
    shots = sorted({int(n) for run in members for n in run.results["shots"]})
    rows: list[list[Cell | str]] = []
    for name, run in zip(names, members, strict=True):
        values = [run.results["shots"].get(str(n)) for n in shots]
        rows.append([name, *(percent_cell(v and v[metric], run) for v in values)])
    first = members[0].results  # equal classes and held-out windows: equal chance
    rows += [[row, *[percent(first[row][metric])] * len(shots)] for row in ("chance", "majority")]
    header = (f"{METRICS[metric]}, %", *(f"{n} shots" for n in shots))
    caption = f"{dataset}, few-shot: {METRICS[metric]}"
    return Table(f"few_shot_{number}_{metric}", caption, header, rows, notes=window_notes(members))


def _interval_table(number: int, dataset: str, members: list[Run], names: list[str]) -> list[Block]:
    """95 % intervals over groups, if some run has enough of them."""
    shots = sorted({int(n) for run in members for n in run.results["shots"]})
    rows: list[list[Cell | str]] = []
    for name, run in zip(names, members, strict=True):
        measured = [run.results["shots"].get(str(n)) for n in shots]
        rows.append([name, *(interval_cell(row, run) for row in measured)])
    if all(cell.text == "-" for row in rows for cell in row[1:]):
        return []
    caption = f"{dataset}, few-shot: 95 % interval of the balanced accuracy over groups, %"
    return [Table(f"few_shot_{number}_interval", caption, ("method", *(f"{n} shots" for n in shots)), rows)]


def zero_shot_section(runs: list[Run], out: Path) -> list[Block]:
    """One table, chance beside each value, and the confusion matrices."""
    if not runs:
        return []
    rows: list[list[Cell | str]] = []
    for run in runs:
        r = run.results
        source = r["prototypes_from"]
        method = f"{r['model']}, {encoder_origin(r)}"
        method += ", video to IMU" if r["direction"] == "video_to_imu" else ""
        size = [str(len(r["classes"])), str(sum(r["queries_per_class"]))]
        row: list[Cell | str] = [run.dataset, method, marked(source["name"], source["simulated"]), *size]
        for name in METRICS:
            row += [fraction_cell(r["metrics"][name], run), fraction(r["chance"][name])]
        rows.append(row)
    header = ["dataset", "method", "prototypes from", "classes", "queries"]
    header += [cell for label in METRICS.values() for cell in (label, "chance")]
    first = runs[0].results
    text = (
        "Each IMU window takes the class of the nearest labelled video (or of their mean, or each video window that of "
        "labelled IMU windows, where a run says so); no recording that gave a prototype gives a query. "
        f"Mean ± standard deviation over {len(first['metrics']['mrr']['values'])} random "
        f"{100 * first['config']['bootstrap_share']:g} % of each class."
    )
    pictures = [picture_of(run, "confusion.png", f"Confusion matrix, zero-shot, {run.dataset}", out) for run in runs]
    table = Table("zero_shot", "Zero-shot", tuple(header), rows, labels=3)
    intervals = zero_shot_intervals(
        "zero_shot_intervals", [(row[:2], run) for row, run in zip(rows, runs, strict=True)]
    )
    return [Heading("Zero-shot"), Text(text), table, *intervals, *seen_by(runs), *pictures]


def zero_shot_intervals(name: str, rows: list[tuple[list[Cell | str], Run]]) -> list[Block]:
    """How far zero-shot results hold for other people.

    Args:
        rows: labels of a run in two columns, and the run.
    """
    if not rows:
        return []
    cells = [
        [*labels, *(Cell(interval(run.results, metric), run=run.folder) for metric in INTERVALS)]
        for labels, run in rows
    ]
    notes = tuple(dict.fromkeys(interval_note(run.results["interval"]["balanced_accuracy"]) for _, run in rows))
    caption = "95 % bootstrap intervals over groups (people, or sessions where people are unknown), zero-shot, %"
    header = ("evaluation", "approach", *(METRICS[metric] for metric in INTERVALS))
    return [Table(name, caption, header, cells, labels=2, notes=notes)]


def pretraining_section(runs: list[Run], out: Path) -> list[Block]:
    """Retrieval among held-out pairs, both ways, or the error of reconstruction, beside chance; loss curves."""
    if not runs:
        return []
    blocks: list[Block] = [Heading("Pretraining")]
    masked = [run for run in runs if "reconstruction" in run.results]
    pairs = [run for run in runs if run not in masked]
    if pairs:
        text = "Which video belongs to an IMU window, and the reverse, among held-out windows of other sessions."
        header = ["run", "dataset", "windows", "last loss", "retrieval", "among"]
        header += [cell for label in RETRIEVAL.values() for cell in (label, "chance")]
        rows = [row for run in pairs for row in _retrieval_rows(run)]
        blocks += [Text(text), Table("pretraining", "Pretraining", tuple(header), rows, labels=2)]
    if masked:
        text = (
            "IMU alone: squared error of masked patches of held-out windows, beside that of the visible patches' mean."
        )
        header = ("run", "dataset", "windows", "last loss", "held out", "masked MSE", "mean")
        rows = [_reconstruction_row(run) for run in masked]
        blocks += [Text(text), Table("pretraining_imu_only", "Pretraining, IMU alone", header, rows, labels=2)]
    return blocks + [picture_of(run, "loss.png", f"Loss, {run.folder.name}, {run.dataset}", out) for run in runs]


def _retrieval_rows(run: Run) -> list[list[Cell | str]]:
    rows = []
    for way, arrow in WAYS.items():
        r = run.results
        row: list[Cell | str] = [run.folder.name, run.dataset, str(r["windows"]), _loss(run), arrow, str(r["held_out"])]
        for name in RETRIEVAL:
            for values, key in ((r["retrieval"], f"{way}/{name}"), (r["chance"], name)):
                row.append(Cell(fraction(values[key]), values[key], run=run.folder) if key in values else "-")
        rows.append(row)
    return rows


def _reconstruction_row(run: Run) -> list[Cell | str]:
    r = run.results
    errors = [f"{values['masked_mse']:.3f}" if values else "-" for values in (r["reconstruction"], r["chance"])]
    return [run.folder.name, run.dataset, str(r["windows"]), _loss(run), str(r["held_out"]), *errors]


def _loss(run: Run) -> Cell:
    return Cell(f"{run.results['loss']:.3f}", run.results["loss"], run=run.folder)


def embedding_section(runs: list[Run], out: Path) -> list[Block]:
    """The pictures of scripts.embed."""
    blocks: list[Block] = [Heading("Embeddings")] if runs else []
    for run in runs:
        r = run.results
        blocks.append(
            Text(
                f"{r['windows']} windows of {run.dataset}, equally many of each class, seen by the IMU encoder alone, "
                f"{encoder_origin(r)}. Two dimensions by {r['projection']}. Trustworthiness "
                f"{r['trustworthiness']:.2f}: how far a window's {r['neighbours']} nearest in the picture are its "
                "neighbours in the embedding (1 at best, about 0.5 at random). Distances between clusters mean little."
            )
        )
        blocks.append(picture_of(run, "embedding.png", f"Embeddings of {run.dataset}, {encoder_origin(r)}", out))
    return blocks
