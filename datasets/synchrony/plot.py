"""The picture of a synchrony check: how far apart video and IMU are, and what was compared in a few recordings."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from datasets.store import Recordings
from datasets.synchrony.offset import VERDICTS, Curves, SyncSettings, clearest_curves

COLOURS = {"ok": "#009E73", "offset": "#D55E00", "cannot tell": "#999999"}
BINS = 60
EXAMPLES = 3


def draw_offsets(store: Recordings, table: pd.DataFrame, settings: SyncSettings, png: Path) -> None:
    """Draw a histogram of offsets by verdict, and motion curves before and after alignment of a few recordings.

    Args:
        table: rows of ``sync.csv``, one per recording of the store.
    """
    examples = choose_examples(table)
    figure = Figure(figsize=(11, 3 + 2 * len(examples)), layout="constrained")
    grid = figure.add_gridspec(1 + len(examples), 2, height_ratios=[1.3] + [1] * len(examples))
    _histogram(figure.add_subplot(grid[0, :]), table, settings)
    for row, recording in enumerate(examples, start=1):
        offset_s = float(table["offset_s"].iloc[recording])
        curves = clearest_curves(store.frames(recording), store.imu(recording)[:, 3:], offset_s, settings)
        title = f"{table['id'].iloc[recording]}: {table['verdict'].iloc[recording]}, as stored"
        if np.isfinite(offset_s):
            _curves(figure.add_subplot(grid[row, 0]), curves, 0.0, title)
            _curves(figure.add_subplot(grid[row, 1]), curves, offset_s, f"IMU moved by {offset_s:+.3f} s")
        else:
            _curves(figure.add_subplot(grid[row, :]), curves, 0.0, title)
    figure.suptitle(f"Offset between video and IMU: {store.name}{' (simulated)' if store.simulated else ''}")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    figure.savefig(png, dpi=110)


def choose_examples(table: pd.DataFrame) -> list[int]:
    """Row numbers: the surest of each verdict that was given, ``offset`` first; recordings without frames never."""
    usable = table[(table["stretches"] > 0) & (table["used_s"] > 0)]
    found = []
    for verdict in ("offset", "ok", "cannot tell"):
        rows = usable[usable["verdict"] == verdict]
        if len(rows):
            found.append(
                int(rows["correlation"].fillna(0).idxmax() if verdict != "cannot tell" else rows["used_s"].idxmax())
            )
    return found[:EXAMPLES]


def _histogram(axes: Axes, table: pd.DataFrame, settings: SyncSettings) -> None:
    edges = np.linspace(-settings.max_lag_s, settings.max_lag_s, BINS + 1)
    told = [name for name in VERDICTS if name != "cannot tell"]
    values = [table.loc[table["verdict"] == name, "offset_s"] for name in told]
    labels = [f"{name}: {len(v)}" for name, v in zip(told, values, strict=True)]
    axes.hist(values, bins=edges, stacked=True, color=[COLOURS[name] for name in told], label=labels)
    for limit in (-settings.max_offset_s, settings.max_offset_s):
        axes.axvline(limit, color="black", linestyle="--", linewidth=0.8)
    silent = int((table["verdict"] == "cannot tell").sum())
    axes.plot([], [], "s", color=COLOURS["cannot tell"], label=f"cannot tell: {silent} (not drawn)")
    axes.set(xlabel="offset, s (positive: the video is late; dashed: limit of ok)", ylabel="recordings")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)


def _curves(axes: Axes, curves: Curves, offset_s: float, title: str) -> None:
    """Picture and gyroscope motion over time, the gyroscope's moved later by the offset."""
    axes.plot(curves.picture_s, np.degrees(curves.picture), color="#0072B2", linewidth=1.2, label="picture")
    axes.plot(curves.gyro_s + offset_s, np.degrees(curves.gyro), color="#E69F00", linewidth=1.2, label="gyroscope")
    axes.legend(fontsize=7, loc="upper right")
    axes.set_xlim(curves.picture_s[0], curves.picture_s[-1])
    axes.set_title(title, fontsize=9)
    axes.set(xlabel="video time, s", ylabel="turn, °/frame")
