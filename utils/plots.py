"""Figures of results: loss curve, confusion matrix, results against labels, embeddings in 2-D.

They are PNG files (for print also PDF), drawn without a display.
"""

import csv
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^Dv*"
Points = Mapping[int, tuple[float, float | None]]  # shots -> mean and standard deviation (None: a single draw)
_RETRIEVAL = ("mrr", "r@1", "r@3", "r@5")


@dataclass(frozen=True)
class Line:
    """A method in a panel of Figure 3; lines of the same ``method`` share a colour, dashed ones are a variant."""

    name: str
    method: str
    points: Points
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of pretraining and evaluated dataset."""

    title: str
    lines: Sequence[Line]
    chance: float


def read_metrics(metrics_csv: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of each metric in a run's ``metrics.csv`` (step, name, value).

    Raises:
        ValueError: if the file is not of that form; names the line.
    """
    series: dict[str, tuple[list[int], list[float]]] = {}
    with open(metrics_csv, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        if next(reader, None) != ["step", "name", "value"]:
            raise ValueError(f"{metrics_csv}: does not begin with the line step,name,value")
        for row in reader:
            try:
                step, name, value = int(row[0]), row[1], float(row[2])
            except (IndexError, ValueError) as error:
                raise ValueError(f"{metrics_csv}, line {reader.line_num}: {row} is not step, name, value") from error
            steps, values = series.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
    return series


def loss_curve(metrics_csv: Path, png: Path, title: str = "") -> None:
    """Draw loss, and retrieval on held-out pairs if there is any, against steps.

    A metric is recognised by the last part of its name: ``loss``, or ``mrr`` and ``r@k``. Nothing is written as long
    as there is no loss, as after an epoch that is shorter than the log interval.
    """
    series = read_metrics(metrics_csv)
    losses = {name: points for name, points in series.items() if name.split("/")[-1] == "loss"}
    retrieval = {name: points for name, points in series.items() if name.split("/")[-1] in _RETRIEVAL}
    if not losses:
        return
    panels = [(losses, "loss")] + ([(retrieval, "retrieval on held-out windows")] if retrieval else [])
    figure = Figure(figsize=(5.5 * len(panels), 3.6), layout="constrained")
    for axes, (lines, label) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for number, (name, (steps, values)) in enumerate(lines.items()):
            marker = "." if len(steps) < 40 else None
            axes.plot(steps, values, color=COLOURS[number % len(COLOURS)], label=name, linewidth=1, marker=marker)
        axes.set(xlabel="step", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    if retrieval:
        axes.set_ylim(0, 1)
    save_figure(figure, png, title)


def confusion_matrix(confusion: np.ndarray, classes: Sequence[str], png: Path, title: str = "") -> None:
    """Draw a confusion matrix, each row in percent of its true class; a class without windows stays empty.

    Args:
        confusion: (K, K) counts, rows are the truth.
        classes: (K,) names.
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
    axes.set(xlabel="predicted", ylabel="true (windows)")
    for row, column in np.argwhere(percent >= 0.5):
        value = percent[row, column]
        colour = "white" if value > 55 else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.8)
    save_figure(figure, png, title)


def shots_panels(panels: Sequence[Panel], png: Path, title: str, pdf: bool = True) -> None:
    """Draw balanced accuracy against labelled windows per class, chance dotted, in panels (form of Figure 3)."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    names = {line.name for panel in panels for line in panel.lines}
    legend_columns = 3 if max(map(len, names)) < 40 and columns > 1 else 1
    legend_height = 0.2 * -(-(len(names) + 1) // legend_columns)  # inches; below: names are long and lines anywhere
    figure = Figure(figsize=(5.4 * columns, 3.6 * rows + 0.4 + legend_height), layout="constrained")
    grid = np.ravel(figure.subplots(rows, columns, squeeze=False))
    methods = list(dict.fromkeys(line.method for panel in panels for line in panel.lines))
    legend: dict[str, object] = {}
    for axes, panel in zip(grid, panels, strict=False):
        for line in panel.lines:
            shots = sorted(line.points)
            number = methods.index(line.method)
            legend[line.name] = axes.errorbar(
                shots,
                [100 * line.points[n][0] for n in shots],
                yerr=[100 * (line.points[n][1] or 0.0) for n in shots],
                color=COLOURS[number % len(COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                linestyle="--" if line.dashed else "-",
                capsize=3,
                label=line.name,
            )
        legend["chance"] = axes.axhline(100 * panel.chance, color="gray", linestyle=":", linewidth=1.2, label="chance")
        _label_shots(axes, panel)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    place = {"loc": "outside lower center", "fontsize": 8, "ncols": legend_columns, "handlelength": 4}
    figure.legend(legend.values(), legend.keys(), **place)
    save_figure(figure, png, title, pdf)


def _label_shots(axes: Axes, panel: Panel) -> None:
    ticks = sorted({n for line in panel.lines for n in line.points})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="labelled windows per class", ylabel="balanced accuracy, %", ylim=(0, 100))
    axes.set_title(panel.title, fontsize=10)
    axes.grid(alpha=0.3)


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
