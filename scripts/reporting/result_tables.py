"""Sections of a report by kind of result: few-shot, zero-shot, pretraining, embeddings."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scripts.reporting.document import Block, Heading, Picture, Table, Text
from scripts.reporting.runs import (
    Run,
    fraction,
    interval,
    measured,
    notes,
    percent,
    picture_of,
    windows_measured,
)
from utils import tables
from utils.long_table import DETECTION, METRICS, encoder_origin, method, named
from utils.plots import shots_panels
from utils.tables import interval_note, pivot, seen_before, with_guesses

WAYS = {"imu_to_video": "IMU to video", "video_to_imu": "video to IMU"}
RETRIEVAL = {"r@1": "R@1", "r@5": "R@5", "mrr": "MRR"}
OVER_GROUPS = "over groups (people, or sessions where people are unknown)"
ZERO_SHOT = (
    "Each IMU window takes the class of the nearest prototype, a labelled video or the mean of those of a class (video"
    " to IMU: each video that of labelled IMU windows). Queries are from recordings without prototypes."
)


def few_shot_sections(runs: list[Run], out: Path) -> list[Block]:
    """A part for each dataset, set of classes and split. Tables have a row per method, a column per shots."""
    groups: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        r = run.results
        groups[run.dataset, tuple(r["classes"]), r["groups"], r["held_out"]].append(run)
    blocks: list[Block] = [Heading("Few-shot")] if runs else []
    for number, ((dataset, classes, kind, windows), members) in enumerate(groups.items()):
        members = sorted(members, key=lambda run: method(run.results))
        names = distinct_names(members)
        values = measured(members, [*DETECTION, "balanced_accuracy", "macro_f1"])
        values = values.assign(method=values["run"].map(names), columns=values["shots"].astype(str) + " shots")
        draws = sorted({len(row["macro_f1"]["values"]) for run in members for row in run.results["shots"].values()})
        same = same_windows(members)
        chosen = any(run.results["selected_epochs"] for run in members)
        epoch = "the epoch is the last, or chosen on validation windows." if chosen else "the last epoch is measured."
        blocks += [
            Heading(f"{dataset}: {len(classes)} classes, split by {kind}", 3),
            Text(
                f"Mean ± standard deviation over {' or '.join(map(str, draws))} random draws; held out: {windows}; "
                + epoch
                + (" All rows were measured on the same windows." if same else "")
            ),
        ]
        if not same:
            blocks.append(Text("Not all rows were measured on the same windows.", strong=True))
        intervals = []
        for metric, of_metric in values.groupby("metric", sort=False):
            frame = pivot(with_guesses(of_metric), ["method"], ["columns"], cell=percent)
            words = (METRICS | DETECTION)[metric]
            frame = frame.rename(columns={"method": f"{words}, %"})
            caption = f"{dataset}, few-shot: {words}"
            blocks.append(Table(frame, f"few_shot_{number}_{metric}", caption, notes(members)))
            if metric != "macro_f1" and of_metric["low"].notna().any():
                caption = f"{dataset}, few-shot: 95 % interval of the {words} over groups, %"
                frame = pivot(of_metric, ["method"], ["columns"], cell=interval)
                place = "" if metric == "balanced_accuracy" else f"_{metric}"
                intervals.append(Table(frame, f"few_shot_{number}{place}_interval", caption))
        blocks += intervals
        accuracy = values[values["metric"] == "balanced_accuracy"]
        blocks += seen_by(members)
        curve = out / "figures" / f"shots_{number}.png"
        lines = accuracy.assign(panel="", line=accuracy["method"], approach=accuracy["method"], dashed=False)
        shots_panels(lines, curve, f"{dataset}, few-shot")
        blocks.append(Picture(curve, f"Balanced accuracy against shots, {dataset}", curve.with_suffix(".pdf")))
        for run in members:
            if "detection" in run.results:
                caption = f"Events found against false alarms, {dataset}, {names[run.name]}"
                blocks.append(picture_of(run, "detection.png", caption, out))
            if run.command == "downstream" and run.results["encoder"] != "random":
                caption = f"Confusion matrix, {dataset}, {names[run.name]}"
                blocks.append(picture_of(run, "confusion.png", caption, out))
    return blocks


def same_windows(members: Sequence[Run]) -> bool:
    """Whether runs were measured on the same windows at every number of shots that they share."""
    shots = {int(n) for run in members for n in run.results["shots"]}
    return all(len({windows_measured(run, n) for run in members} - {None}) == 1 for n in shots)


def distinct_names(members: Sequence[Run]) -> dict[str, str]:
    """Method in words by name of the run, with that name added if several runs have the same method."""
    names = [method(run.results) for run in members]
    return {
        run.name: name if names.count(name) == 1 else f"{name} ({run.name})"
        for name, run in zip(names, members, strict=True)
    }


def seen_by(runs: Sequence[Run]) -> list[Block]:
    """Warnings that evaluated windows were seen in pretraining."""
    return [Text(f"{run.name}: {word}", strong=True) for run in runs for word in seen_before(run.results)]


def zero_shot_section(runs: list[Run], out: Path) -> list[Block]:
    """One table, chance beside each value, and the confusion matrices."""
    if not runs:
        return []
    sizes = {
        run.name: {
            "prototypes from": named(r["prototypes_from"]),
            "classes": str(len(r["classes"])),
            "queries": str(sum(r["queries_per_class"])),
        }
        for run in runs
        for r in [run.results]
    }
    values = measured(runs, list(METRICS)).replace({"metric": METRICS})
    values = values.join(pd.DataFrame.from_dict(sizes, orient="index"), on="run")
    labels = ["run", "dataset", "method", "prototypes from", "classes", "queries"]
    cells = {"result": fraction, "chance": lambda row: tables.fraction(row.chance)}
    frame = pivot(values, labels, ["metric"], **cells)
    first = runs[0].results
    text = (
        f"{ZERO_SHOT} Mean ± standard deviation over {len(first['metrics']['mrr']['values'])} random "
        f"{100 * first['config']['bootstrap_share']:g} % of each class."
    )
    pictures = [picture_of(run, "confusion.png", f"Confusion matrix, zero-shot, {run.dataset}", out) for run in runs]
    return [
        Heading("Zero-shot"),
        Text(text),
        Table(frame, "zero_shot", "Zero-shot", notes(runs)),
        zero_shot_intervals("zero_shot_intervals", values, ["run", "dataset", "method"], runs),
        *seen_by(runs),
        *pictures,
    ]


def zero_shot_intervals(name: str, values: pd.DataFrame, labels: list[str], runs: Sequence[Run]) -> Table:
    """Intervals over groups: how far zero-shot results hold for other people.

    Args:
        values: of the long table, with words for each metric.
        labels: columns of ``values`` that name an evaluation.
    """
    values = values[values["metric"].isin([METRICS["balanced_accuracy"], METRICS["macro_f1"]])]
    frame = pivot(values, labels, ["metric"], cell=interval)
    over = dict.fromkeys(interval_note(run.results["interval"]["balanced_accuracy"]) for run in runs)
    caption = f"95 % bootstrap intervals {OVER_GROUPS}, zero-shot, %"
    return Table(frame.rename(columns={"method": "approach"}), name, caption, tuple(over))


def pretraining_section(runs: list[Run], out: Path) -> list[Block]:
    """Retrieval among held-out pairs in both directions, or reconstruction error, beside chance; loss curves."""
    blocks: list[Block] = [Heading("Pretraining")] if runs else []
    retrieval = {f"{way}/{r}": f"{words}, {label}" for way, words in WAYS.items() for r, label in RETRIEVAL.items()}
    pairs = "Retrieval of the video of an IMU window, and the reverse, among held-out windows of other sessions."
    alone = "IMU alone: squared error of masked patches of held-out windows, beside that of the visible patches' mean."
    for text, name, masked, metrics in (
        (pairs, "pretraining", False, retrieval),
        (alone, "pretraining_imu_only", True, {"masked_mse": "masked MSE"}),
    ):
        if members := [run for run in runs if ("reconstruction" in run.results) == masked]:
            words = {"loss": "last loss"} | metrics
            sizes = {run.name: (str(run.results["windows"]), str(run.results["held_out"])) for run in members}
            sizes = pd.DataFrame.from_dict(sizes, orient="index", columns=["windows", "held out"])
            values = measured(members, list(words)).replace({"metric": words}).join(sizes, on="run")
            labels = ["run", "dataset", "windows", "held out"]
            guess = "mean" if masked else "chance"
            cells = {"result": fraction, guess: lambda row: tables.fraction(row.chance)}
            frame = pivot(values, labels, ["metric"], **cells).drop(columns=[("last loss", guess)])
            blocks += [Text(text), Table(frame, name, "Pretraining" + (", IMU alone" if masked else ""))]
    return blocks + [picture_of(run, "loss.png", f"Loss, {run.name}, {run.dataset}", out) for run in runs]


def embedding_section(runs: list[Run], out: Path) -> list[Block]:
    """The pictures of scripts.embedding_map."""
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
