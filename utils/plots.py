"""Pictures of a run: loss curve, confusion matrix, results against shots. PNG files, drawn without a display."""

import csv
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_RETRIEVAL = ("mrr", "r@1", "r@3", "r@5")


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


def shots_curve(
    results: Mapping[str, Mapping[int, tuple[float, float | None]]],
    chance: float,
    png: Path,
    title: str = "",
    ylabel: str = "balanced accuracy",
    pdf: bool = False,
) -> None:
    """Draw results against labelled windows per class, with chance as a dashed line (form of Figure 3 of the paper).

    Args:
        results: for each line its name and, by number of shots, mean and standard deviation (None: a single draw).
    """
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, by_shots) in enumerate(results.items()):
        shots = sorted(by_shots)
        means = [by_shots[n][0] for n in shots]
        stds = [by_shots[n][1] or 0.0 for n in shots]
        axes.errorbar(shots, means, yerr=stds, color=COLOURS[number % len(COLOURS)], label=name, marker="o", capsize=3)
    ticks = sorted({n for by_shots in results.values() for n in by_shots})
    axes.axhline(chance, color="gray", linestyle="--", linewidth=1, label="chance")
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="labelled windows per class", ylabel=ylabel, ylim=(0, 1))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=8)  # below: names are long and lines anywhere
    save_figure(figure, png, title, pdf)


def save_figure(figure: Figure, png: Path, title: str, pdf: bool = False) -> None:
    """Write a figure as PNG and, for print, as PDF beside it."""
    if title:
        width = int(13 * figure.get_figwidth())  # characters of this size that fit
        figure.suptitle("\n".join(textwrap.fill(line, width) for line in title.splitlines()), fontsize=10)
    FigureCanvasAgg(figure)  # Figure without pyplot: no global state, no display, safe in any thread
    figure.savefig(png, dpi=120)
    if pdf:
        figure.savefig(png.with_suffix(".pdf"), dpi=200, metadata={"CreationDate": None})  # equal input, equal file
