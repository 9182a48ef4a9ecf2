"""Figures in the form of the paper's: windows with their frames, results against labels in panels, embeddings in 2-D.

Each is written as PNG and as PDF. Letters: W windows, F frames, C = 6 channels, T samples, H, B height and breadth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import COLOURS, save_figure

Points = Mapping[int, tuple[float, float | None]]  # shots -> mean and standard deviation (None: a single draw)
_AXES = ("x", "y", "z")
_MARKERS = "os^Dv*"


@dataclass(frozen=True)
class PairedWindow:
    """An IMU window and the frames of the same seconds.

    Attributes:
        name: of the activity.
        frames: (F, H, B, 3) uint8.
        imu: (C, T) acceleration in m/s², then angular rate in rad/s.
    """

    name: str
    frames: np.ndarray
    imu: np.ndarray


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


def paired_windows(windows: Sequence[PairedWindow], rate_hz: float, png: Path, title: str) -> None:
    """Draw windows side by side: frames in their order, above acceleration and angular rate (form of Figure 2)."""
    figure = Figure(figsize=(6.2 * len(windows), 4.6), layout="constrained")
    grid = figure.subplots(3, len(windows), squeeze=False, height_ratios=[1, 2, 2], sharex=False)
    for column, window in enumerate(windows):
        strip, acceleration, rate = grid[:, column]
        strip.imshow(np.concatenate(list(window.frames), axis=1))
        strip.set_title(window.name, fontsize=10)
        strip.set_axis_off()
        time = np.arange(window.imu.shape[1]) / rate_hz
        for axes, signal, label in (
            (acceleration, window.imu[:3], "acceleration, m/s²"),
            (rate, window.imu[3:], "angular rate, rad/s"),
        ):
            for name, colour, values in zip(_AXES, COLOURS, signal, strict=False):
                axes.plot(time, values, label=name, color=colour, linewidth=1)
            axes.set(ylabel=label, xlim=(0, len(time) / rate_hz))
            axes.grid(alpha=0.3)
        acceleration.tick_params(labelbottom=False)
        rate.set_xlabel("time, s")
    grid[1, 0].legend(loc="upper right", fontsize=8, ncols=3)
    save_figure(figure, png, title, pdf=True)


def shots_panels(panels: Sequence[Panel], png: Path, title: str) -> None:
    """Draw balanced accuracy against labelled windows per class, chance dashed, in panels (form of Figure 3)."""
    columns = min(2, len(panels))
    figure = Figure(figsize=(5.4 * columns, 3.6 * -(-len(panels) // columns) + 0.8), layout="constrained")
    grid = np.ravel(figure.subplots(-(-len(panels) // columns), columns, squeeze=False))
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
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", fontsize=8, ncols=3, handlelength=4)
    save_figure(figure, png, title, pdf=True)


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
