"""Table 1 and Figure 2 of the paper from prepared datasets."""

from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import IMU_RATE_HZ
from configs.paper import paper_results
from configs.study import Study
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from scripts.reporting.dataset_figures import paired_windows, read_window
from scripts.reporting.dataset_summary import Summary, hours_text, summarize
from scripts.reporting.document import MISSING, Block, Heading, Picture, Table, Text
from utils.long_table import marked
from utils.plots import save_figure

TABLE_1 = ("dataset", "modalities", "population", "hours", "classes", "5 s windows", "windows per class")
FIGURE_2 = ("walking", "downstairs")


def table_1_header(window_s: float) -> tuple[str, ...]:
    """Columns of Table 1, for windows of this length in seconds."""
    return tuple(f"{window_s:g} s windows" if name == "5 s windows" else name for name in TABLE_1)


def table_1_row(summary: Summary) -> tuple[str, ...]:
    """A dataset's row of Table 1; values without classes and an unknown population are a dash."""
    classes = len(summary.store.classes)
    labelled = 0 if summary.labelled is None else len(summary.labelled)
    return (
        marked(summary.name, summary.store.simulated),
        summary.modalities,
        summary.population or "–",
        hours_text(summary.hours),
        f"{classes:,}" if classes else "–",
        f"{0 if summary.windows is None else len(summary.windows):,}",
        f"{labelled / classes:,.0f}" if classes else "–",
    )


def table_1(study: Study, data_root: Path) -> list[Block]:
    """Sizes of the study's datasets, each beside the paper's dataset of the same role."""
    rows, problems = [], []
    for role, name in study.datasets.items():
        try:
            rows.append((role, *table_1_row(summarize(open_store(data_root, name)))))
        except (OSError, ValueError) as error:
            rows.append((role, name, *[MISSING] * (len(TABLE_1) - 1)))
            problems.append(f"{role}: {error}")
        if role in paper_results().datasets:
            rows.append((role, "in the paper", *paper_results().datasets[role].values()))
    frame = pd.DataFrame(rows, columns=("role", *TABLE_1))
    caption = "Sizes of the datasets in the form of Table 1"
    return [Heading("Table 1: datasets"), Table(frame, "table1_datasets", caption, tuple(problems))]


def figure_2(study: Study, data_root: Path, out: Path) -> list[Block]:
    """IMU and frames of two activities from the first dataset of the study with labels and video."""
    blocks: list[Block] = [Heading("Figure 2: IMU and video")]
    problems = []
    for role, name in study.datasets.items():
        try:
            store = open_store(data_root, name)
            windows = list_windows(store, needs_video=True, labelled=True)
            samples = [read_window(windows, index, activity) for activity, index in two_activities(windows)]
        except (OSError, ValueError) as error:
            problems.append(f"{role}: {error}")
            continue
        png = out / "figures" / "figure2_windows.png"
        which = " and ".join(sample.name for sample in samples)
        caption = f"Two windows of {marked(name, store.simulated)}: {which}; IMU as stored, frames each half second"
        figure = paired_windows(samples, IMU_RATE_HZ)
        save_figure(figure, png, marked(f"{role}: {name}", store.simulated), pdf=True)
        return [*blocks, Picture(png, caption, png.with_suffix(".pdf"))]
    return [*blocks, Text(f"{MISSING}: no dataset of the study has labels and video. {' '.join(problems)}")]


def two_activities(windows: Windows) -> list[tuple[str, int]]:
    """A window of each of the paper's two activities; without both, of the first two classes."""
    present = [name for k, name in enumerate(windows.classes) if (windows.label == k).any()]
    wanted = FIGURE_2 if set(FIGURE_2) <= set(present) else present[:2]
    numbers = {name: windows.classes.index(name) for name in wanted}
    return [
        (name, int(np.random.default_rng([0, k]).choice(np.flatnonzero(windows.label == k))))
        for name, k in numbers.items()
    ]
