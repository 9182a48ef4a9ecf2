"""Tables as text, made from the long table of results by ``pivot``; one way of writing a number everywhere."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from utils.long_table import DETECTION, GUESSES, METRICS, RECALL, dataset_name, long_table, method, named

_NUMERIC = re.compile(r"(?:[-+±<~–]?\s?[\d.,]+\b.*|[-–?]?|missing)$")


def percent(mean: float, std: float | None = None, digits: int = 1) -> str:
    """``71.2 ± 3.4`` from fractions 0.712 and 0.034; without std ``71.2``; NaN is ``-``."""
    if pd.isna(mean):
        return "-"
    return f"{100 * mean:.{digits}f}" + ("" if pd.isna(std) else f" ± {100 * std:.{digits}f}")


def fraction(mean: float, std: float | None = None) -> str:
    """``0.712 ± 0.034``; without std ``0.712``; NaN is ``-``."""
    return "-" if pd.isna(mean) else f"{mean:.3f}" + ("" if pd.isna(std) else f" ± {std:.3f}")


def interval(row: Any, written: Callable[[float], str] = percent) -> str:
    """``64.1 to 78.0``, the 95 % interval over groups of a row of the long table; a dash where there is none."""
    return "-" if pd.isna(row.low) else f"{written(row.low)} to {written(row.high)}"


def pivot(
    rows: pd.DataFrame, index: list[str], columns: list[str], empty: str = "-", **cells: Callable[[Any], str]
) -> pd.DataFrame:
    """A table of text from rows of the long table. Its rows and columns keep the order of their first appearance.

    Args:
        index: columns of ``rows`` that identify a row of the table; they become its first columns.
        columns: columns of ``rows`` whose values are columns of the table.
        cells: functions that write a cell from its row. Several give columns side by side, named in a lower header.
    """
    parts = {}
    for name, write in cells.items():
        text = pd.Series([write(row) for row in rows.itertuples()], index=rows.index, dtype=object)
        parts[name] = rows.assign(cell=text).pivot_table("cell", index, columns, aggfunc="first", sort=False)
    wide = pd.concat(parts, axis=1).swaplevel(axis=1)
    titles = wide.columns.get_level_values(0).unique()
    wide = wide[[(title, name) for title in titles for name in cells]].astype(object).fillna(empty)
    if len(cells) == 1:
        wide.columns = titles
        return wide.reset_index().rename_axis(columns=None)
    wide = wide.reset_index()
    wide.columns = pd.MultiIndex.from_tuples([(b, a) if a in index else (a, b) for a, b in wide.columns])
    return wide


def with_guesses(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the long table, followed by the baselines of chance and of the most frequent class as further methods."""
    nothing = dict.fromkeys(["std", "low", "high"], np.nan)
    guesses = [rows.assign(method=name, value=rows[name], **nothing).dropna(subset="value") for name in GUESSES]
    return pd.concat([rows, *guesses], ignore_index=True)


def column_names(frame: pd.DataFrame) -> list[str]:
    """One name per column of a table of text, joined with that of its upper header."""
    if frame.columns.nlevels == 1:
        return frame.columns.tolist()
    return [", ".join(filter(None, names)) for names in frame.columns]


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column is aligned right: each cell begins with a number, or stands for a missing one."""
    return all(_NUMERIC.match(cell) for cell in cells)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool] | None = None) -> str:
    """A Markdown table, columns padded so that it reads as plain text too.

    Args:
        right: which columns are aligned right; default: those of numbers, but not the first.

    Raises:
        ValueError: if a row and the header differ in length.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    if any(len(row) != len(header) for row in cells):
        raise ValueError(f"a row does not have the {len(header)} cells of the header {list(header)}")
    if right is None:
        right = [place > 0 and is_numeric(column[1:]) for place, column in enumerate(zip(*cells, strict=True))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def interval_note(ends: dict[str, Any]) -> str:
    """What an interval was computed over, or why there is none."""
    return ends["note"] if ends["low"] is None else f"95 % interval over {ends['groups']} groups"


def siblings_between(siblings: float, shots: int) -> str:
    """A sentence on held-out windows with another window of their recording among the shots."""
    held_out = f"{percent(siblings)} % of the held-out windows"
    return f"{held_out} have another window of their recording among the {shots} shots per class"


def shortened_classes(shortened: dict[str, dict[str, int]]) -> list[str]:
    """A line that names the classes with fewer shots than are asked for, one on held-out windows; none of no class.

    Args:
        shortened: of ``results.json``: name -> how many windows the class has, and of what it has too few, ``shots`` or
            ``held_out``, the fewest and the most of a draw.
    """
    lines = []
    for side, said in (
        ("shots", "trained on fewer windows where more shots are asked for"),
        ("held_out", "measured on fewer held-out windows than are asked for"),
    ):
        parts = []
        for name, of in shortened.items():
            if f"fewest_{side}" in of:
                sizes = sorted({of[f"fewest_{side}"], of[f"most_{side}"]})
                parts.append(f"{name} with {' to '.join(map(str, sizes))} of its {of['windows']}")
        lines += [f"Shortened, {said}: {', '.join(parts)}."] if parts else []
    return lines


def detected(detection: dict[str, Any] | None) -> list[str]:
    """Lines on what was to be detected, from ``detection`` of results.json; none if nothing was."""
    if detection is None:
        return []
    hours, least = detection["hours"], detection["least_rate_per_h"]
    lines = [
        f"Detected: {detection['events']} events, false alarms in {hours:.2f} h of {detection['other_recordings']} "
        f"other recordings or segments: one is {least:.2g} an hour. A recording counts once, by its highest score.",
        "The threshold of the sensitivity is a point of the curve of these scores, not fixed beforehand.",
    ]
    if least > 1:
        lines.append(f"One false alarm an hour cannot be seen in {hours:.2f} h: the sensitivity is that without any.")
    return lines


def seen_before(results: dict[str, Any]) -> list[str]:
    """A warning that the encoder was pretrained on evaluated windows; no line if it was not."""
    seen = results["seen_in_pretraining"]
    words = f"Seen before: {seen['why']}; {seen['windows']} of these windows were seen in pretraining."
    return [words] if seen["seen"] else []


def notes(results: dict[str, Any]) -> list[str]:
    """Notes on the windows of an evaluation, one per line."""
    lines = [results["paper_column"]]
    if results["command"] == "zeroshot":
        if copies := results["copies_left_out"]:
            lines.append(f"Left out: {len(copies)} windows that are copies of a prototype's recording.")
        return list(filter(None, lines))
    lines += shortened_classes(results["shortened_classes"]) + detected(results.get("detection"))
    if siblings := results["siblings_share"]:
        lines.append(f"Recordings on both sides: {siblings_between(siblings, max(map(int, results['shots'])))}.")
    if copies := results["copies_on_both_sides"]:
        lines.append(f"{len(copies)} held-out windows are copies of training windows.")
    if dropped := results["dropped_classes"]:
        lines.append(f"Classes left out: {', '.join(f'{name} ({why})' for name, why in dropped.items())}.")
    return list(filter(None, lines))


def calibration_notes(results: dict[str, Any]) -> list[str]:
    """A line for each number of shots of a run whose probabilities were measured."""
    lines = []
    for shots, scores in results.get("shots", {}).items():
        if of := scores.get("calibration"):
            ece, before, answered = of["ece"], of["ece_uncalibrated"], of["abstention"]
            lines.append(
                f"{shots} shots: calibration error {percent(ece['mean'], ece['std'])} %, without temperature "
                f"{percent(before['mean'], before['std'])} %; {percent(answered['answered'])} % of the windows are "
                f"answered, {percent(answered['accuracy'] or 0)} % of these right"
            )
    return lines


def title(results: dict[str, Any]) -> str:
    """Dataset and method of an evaluation in one line, simulated datasets marked."""
    if results["command"] != "zeroshot":
        return f"{dataset_name(results)}: {method(results)}"
    target, source = results["dataset"], results["prototypes_from"]
    prototypes = "" if source == target else f", prototypes from {named(source)}"
    way = "" if results["direction"] == "imu_to_video" else " from video to IMU"
    return f"{dataset_name(results)}: zero-shot{way}, {method(results)}{prototypes}"


def evaluation_tables(results: dict[str, Any]) -> str:
    """Results of an evaluation beside chance and majority, and the recall of each class, as Markdown."""
    zero_shot, metrics = results["command"] == "zeroshot", METRICS | DETECTION
    write = fraction if zero_shot else percent
    values = long_table({"": results})
    pooled = values[values["draw"].isna()]
    pooled = pooled.assign(of="all queries" if zero_shot else pooled["shots"].astype(str) + " shots")
    rows = [
        (row.of, metrics[row.metric], write(row.value, row.std), interval(row, write))
        + (write(row.chance), write(row.majority))
        for row in pooled[pooled["metric"].isin(metrics)].itertuples()
    ]
    recall = pooled[pooled["metric"].str.startswith(RECALL)]
    recall = recall.assign(**{"class": recall["metric"].str.removeprefix(RECALL)})
    of_classes = pivot(recall, ["class"], ["of"], cell=lambda row: percent(row.value))
    if zero_shot:
        of_classes.insert(1, "queries", list(map(str, results["queries_per_class"])))
        over = f"random {100 * results['config']['bootstrap_share']:g} % of each class"
        protocol = (
            f"{sum(results['queries_per_class'])} queries, {results['prototypes_per_class']} prototypes per class"
        )
        ends = results["interval"]
    else:
        over, protocol = "draws", f"held out: {results['held_out']}; split by {results['groups']}"
        ends = next(iter(results["shots"].values()))["interval"]
    return "\n".join(
        [
            f"\n{title(results)}",
            f"{protocol}; mean ± std over {values['draw'].max() + 1} {over}; "
            f"{interval_note(ends['balanced_accuracy'])}",
            *seen_before(results),
            *notes(results),
            "",
            markdown(("", "metric", "result" if zero_shot else "result, %", "interval", *GUESSES), rows),
            "\nRecall of each class, %\n",
            markdown(of_classes.columns, of_classes.to_numpy().tolist()),
            "",
            *calibration_notes(results),
        ]
    )
