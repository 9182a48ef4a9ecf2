"""Figures of results: loss curve, confusion matrix, results against labels, embeddings in 2-D.

They are PNG files (for print also PDF), drawn without a display.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^Dv*"
_RETRIEVAL = ("mrr", "r@1", "r@3", "r@5")


def loss_curve(metrics_csv: Path, png: Path, title: str = "") -> None:
    """Draw loss, and retrieval on held-out pairs if there is any, against steps.

    A metric is recognised by the last part of its name: ``loss``, or ``mrr`` and ``r@k``. Nothing is written as long
    as there is no loss, as after an epoch that is shorter than the log interval.

    Args:
        metrics_csv: of a run, with the columns step, name and value.
    """
    series = dict(list(pd.read_csv(metrics_csv).groupby("name", sort=False)))
    losses = {name: rows for name, rows in series.items() if name.split("/")[-1] == "loss"}
    retrieval = {name: rows for name, rows in series.items() if name.split("/")[-1] in _RETRIEVAL}
    if not losses:
        return
    panels = [(losses, "loss")] + ([(retrieval, "retrieval on held-out windows")] if retrieval else [])
    figure = Figure(figsize=(5.5 * len(panels), 3.6), layout="constrained")
    for axes, (lines, label) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for number, (name, rows) in enumerate(lines.items()):
            marker = "." if len(rows) < 40 else None
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(rows["step"], rows["value"], color=colour, label=name, linewidth=1, marker=marker)
        axes.set(xlabel="step", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    if retrieval:
        axes.set_ylim(0, 1)
    save_figure(figure, png, title)


def confusion_matrix(
    confusion: np.ndarray, classes: Sequence[str], png: Path, title: str = "", of: str = "windows"
) -> None:
    """Draw a confusion matrix, each row in percent of its true class; a class without windows stays empty.

    Args:
        confusion: (K, K) counts, rows are the truth.
        classes: (K,) names.
        of: what was counted.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100 * counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    side = 2.2 + 0.42 * len(classes)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    places = np.arange(len(classes))
    axes.set_xticks(places, classes, rotation=90)
    axes.set_yticks(places, [f"{name} ({n:.0f})" for name, n in zip(classes, total[:, 0], strict=True)])
    axes.set(xlabel="predicted", ylabel=f"true ({of})")
    for row, column in np.argwhere(percent >= 0.5):
        value = percent[row, column]
        colour = "white" if value > 55 else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.8)
    save_figure(figure, png, title)


def reliability_diagram(before: dict, after: dict, png: Path, title: str = "") -> None:
    """Draw the accuracy of windows against their confidence, without and with the temperature; the diagonal is ideal.

    Args:
        before, after: of ``utils.calibration.reliability``.
    """
    figure = Figure(figsize=(4.6, 5.2), layout="constrained")
    axes, counts = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":", linewidth=1.2)
    edges = np.linspace(0, 1, len(after["windows"]) + 1)
    for number, (name, bins) in enumerate((("as trained", before), ("with temperature", after))):
        colour, marker = COLOURS[number], _MARKERS[number]
        filled = [(c, a) for c, a in zip(bins["confidence"], bins["accuracy"], strict=True) if c is not None]
        axes.plot(*zip(*filled, strict=True), color=colour, marker=marker, label=name, linewidth=1)
        counts.stairs(bins["windows"], edges, color=colour)
    axes.set(ylabel="accuracy", ylim=(0, 1))
    counts.set(xlabel="confidence", ylabel="windows", xlim=(0, 1))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    save_figure(figure, png, title)


def coverage_curve(share: Sequence[float], accuracy: Sequence[float], target: float, png: Path, title: str) -> None:
    """Draw the accuracy of the most confident windows against the fraction of windows that they are.

    Args:
        share: fractions of all windows; ``accuracy`` alike.
        target: accuracy that was asked for, dotted.
    """
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(100 * np.asarray(share), 100 * np.asarray(accuracy), color=COLOURS[0], marker=".")
    axes.axhline(100 * target, color="gray", linestyle=":", linewidth=1.2)
    axes.set(xlabel="windows answered, %", ylabel="of these right, %", xlim=(0, 100), ylim=(0, 100))
    axes.grid(alpha=0.3)
    save_figure(figure, png, title)


def shots_panels(rows: pd.DataFrame, png: Path, title: str, pdf: bool = True) -> None:
    """Draw balanced accuracy against labelled windows per class, chance dotted, in panels (form of Figure 3).

    Args:
        rows: of the long table, one for each point: shots, value, std and chance; with the names of its ``panel``
            (a pair of datasets), ``line`` and ``approach``. Lines of an approach share a colour; ``dashed`` ones are a
            variant.
    """
    panels = rows["panel"].nunique()
    columns = min(2, panels)
    names = rows["line"].unique()
    legend_columns = 3 if max(map(len, names)) < 40 and columns > 1 else 1
    legend_height = 0.2 * -(-(len(names) + 1) // legend_columns)  # inches; below: names are long and lines anywhere
    figure = Figure(figsize=(5.4 * columns, 3.6 * -(-panels // columns) + 0.4 + legend_height), layout="constrained")
    grid = np.ravel(figure.subplots(-(-panels // columns), columns, squeeze=False))
    approaches = rows["approach"].unique().tolist()
    legend: dict[str, object] = {}
    for axes, (panel, members) in zip(grid, rows.groupby("panel", sort=False), strict=False):
        for name, line in members.groupby("line", sort=False):
            line = line.sort_values("shots")
            number = approaches.index(line["approach"].iloc[0])
            legend[name] = axes.errorbar(
                line["shots"].to_list(),
                100 * line["value"],
                yerr=100 * line["std"].fillna(0),
                color=COLOURS[number % len(COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                linestyle="--" if line["dashed"].any() else "-",
                capsize=3,
                label=name,
            )
        chance = 100 * members["chance"].iloc[0]
        legend["chance"] = axes.axhline(chance, color="gray", linestyle=":", linewidth=1.2, label="chance")
        ticks = sorted(members["shots"].unique())
        axes.set_xscale("log")
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
        axes.set(xlabel="labelled windows per class", ylabel="balanced accuracy, %", ylim=(0, 100))
        axes.set_title(panel, fontsize=10)
        axes.grid(alpha=0.3)
    for axes in grid[panels:]:
        axes.set_axis_off()
    place = {"loc": "outside lower center", "fontsize": 8, "ncols": legend_columns, "handlelength": 4}
    figure.legend(legend.values(), legend.keys(), **place)
    save_figure(figure, png, title, pdf)


def points_by_group(rows: pd.DataFrame, png: Path, title: str) -> None:
    """Draw balanced accuracy of each group, such as a person, a point for each line and chance dotted.

    Args:
        rows: of the long table, one for each point: value, std and chance; with the names of its ``group`` and
            ``line``.
    """
    groups, names = rows["group"].unique().tolist(), rows["line"].unique().tolist()
    figure = Figure(figsize=(max(4.5, 0.9 * len(groups) + 1.5), 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, line) in enumerate(rows.groupby("line", sort=False)):
        beside = 0.5 * ((number + 0.5) / len(names) - 0.5)
        axes.errorbar(
            [groups.index(group) + beside for group in line["group"]],
            100 * line["value"],
            yerr=100 * line["std"].fillna(0),
            color=COLOURS[number % len(COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linestyle="none",
            capsize=3,
            label=name,
        )
    axes.axhline(100 * rows["chance"].mean(), color="gray", linestyle=":", linewidth=1.2, label="chance")
    axes.set_xticks(range(len(groups)), groups)
    axes.set(ylabel="balanced accuracy, %", xlim=(-0.5, len(groups) - 0.5), ylim=(0, 100))
    axes.grid(alpha=0.3, axis="y")
    figure.legend(loc="outside lower center", fontsize=8, ncols=3)
    save_figure(figure, png, title, pdf=True)


def detection_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], png: Path, title: str) -> None:
    """Draw the fraction of events found against false alarms an hour, a line for each name.

    Args:
        curves: name -> ``false_alarms_per_h`` and the ``sensitivity`` at each.
    """
    figure = Figure(figsize=(5.4, 4), layout="constrained")
    axes = figure.subplots()
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        share = [100 * value for value in curve["sensitivity"]]
        axes.plot(curve["false_alarms_per_h"], share, color=colour, label=name, drawstyle="steps-post")
    axes.axvline(1, color="gray", linestyle=":", linewidth=1.2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="false alarms an hour", ylabel="events found, %", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    save_figure(figure, png, title)


def gains_by_group(rows: pd.DataFrame, png: Path, title: str) -> None:
    """Draw differences to a baseline in points by cohort, a panel for each head, a line at zero and intervals.

    Args:
        rows: one for each point: representation, head, cohort, and ``value``, ``low`` and ``high`` as fractions; the
            ends are NaN where there is no interval.
    """
    cohorts, names = rows["cohort"].unique().tolist(), rows["representation"].unique().tolist()
    heads = rows["head"].unique().tolist()
    size = (max(6.0, 1.5 * len(cohorts) + 1.2), 2.9 * len(heads) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    legend: dict[str, object] = {}
    for axes, head in zip(np.ravel(figure.subplots(len(heads), 1, sharex=True, squeeze=False)), heads, strict=True):
        axes.axhline(0, color="gray", linewidth=1.2)
        for name, line in rows[rows["head"] == head].groupby("representation", sort=False):
            number = names.index(name)
            beside = 0.7 * ((number + 0.5) / len(names) - 0.5)
            ends = np.abs(line[["low", "high"]].sub(line["value"], axis=0).to_numpy().T)
            legend[name] = axes.errorbar(
                [cohorts.index(cohort) + beside for cohort in line["cohort"]],
                100 * line["value"],
                yerr=100 * np.nan_to_num(ends),
                color=COLOURS[number % len(COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=5,
                linestyle="none",
                capsize=2,
                elinewidth=1,
            )
        axes.set_title(head, fontsize=10)
        axes.set(ylabel="gain, points", xlim=(-0.5, len(cohorts) - 0.5))
        for between in range(len(cohorts) - 1):
            axes.axvline(between + 0.5, color="gray", linewidth=0.4)
        axes.grid(alpha=0.3, axis="y")
    axes.set_xticks(range(len(cohorts)), [textwrap.fill(cohort, 16) for cohort in cohorts], fontsize=8)
    shown = [name for name in names if name in legend]
    figure.legend([legend[name] for name in shown], shown, loc="outside lower center", fontsize=8, ncols=4)
    save_figure(figure, png, title, pdf=True)


def embedding_map(
    points: np.ndarray, label: Sequence[str], dataset: Sequence[str], axis_names: tuple[str, str], png: Path, title: str
) -> None:
    """Draw windows as points, twice: coloured by class and by dataset. Each dataset has a marker of its own.

    Args:
        points: (W, 2).
        label: (W,) class of each window.
        dataset: (W,) dataset of each window.
    """
    labels, datasets = np.asarray(label), np.asarray(dataset)
    order, known = list(dict.fromkeys(label)), list(dict.fromkeys(dataset))
    shades = colormaps["tab20" if len(order) > 10 else "tab10"].colors
    figure = Figure(figsize=(12.5, 5 + 0.16 * (len(order) // 5)), layout="constrained")
    by_class, by_dataset = figure.subplots(1, 2)
    for number, name in enumerate(known):
        own = datasets == name
        marker = _MARKERS[number % len(_MARKERS)]
        colour = COLOURS[number % len(COLOURS)]
        by_dataset.scatter(*points[own].T, s=10, color=colour, marker=marker, label=name, alpha=0.6, linewidths=0)
        for place, kind in enumerate(order):
            both = own & (labels == kind)
            if both.any():
                shade = shades[place % len(shades)]
                first = kind not in set(labels[np.isin(datasets, known[:number])])
                legend = kind if first else None
                by_class.scatter(*points[both].T, s=12, color=[shade], marker=marker, label=legend, linewidths=0)
    by_class.set_title("by class", fontsize=10)
    by_dataset.set_title("by dataset", fontsize=10)
    for axes in (by_class, by_dataset):
        axes.set(xlabel=axis_names[0], ylabel=axis_names[1], xticks=[], yticks=[])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=5, fontsize=7)
    save_figure(figure, png, title, pdf=True)


def save_figure(figure: Figure, png: Path, title: str, pdf: bool = False) -> None:
    """Write a figure as PNG and, for print, as PDF beside it."""
    if title:
        width = int(13 * figure.get_figwidth())  # characters of this size that fit
        figure.suptitle("\n".join(textwrap.fill(line, width) for line in title.splitlines()), fontsize=10)
    FigureCanvasAgg(figure)  # Figure without pyplot: no global state, no display, safe in any thread
    figure.savefig(png, dpi=120)
    if pdf:
        figure.savefig(png.with_suffix(".pdf"), dpi=200, metadata={"CreationDate": None})  # equal input, equal file
