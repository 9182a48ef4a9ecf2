"""Table 1 and Figure 2 of the paper from the prepared datasets of a study."""

from pathlib import Path

import numpy as np

from configs.constants import IMU_RATE_HZ, WINDOW_FRAMES
from configs.paper import paper_results
from configs.study import Study
from datasets.frames import draw_frames
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from scripts.describe import TABLE_1, table_1_row
from scripts.reporting.dataset_summary import read_windows, summarize
from scripts.reporting.document import MISSING, Block, Cell, Heading, Picture, Table, Text
from utils.paper_plots import PairedWindow, paired_windows
from utils.tables import marked

FIGURE_2 = ("walking", "downstairs")
FRAMES = 10  # of a window, as the paper's clips


def table_1(study: Study, data_root: Path) -> list[Block]:
    """Sizes of the study's datasets, each beside what the paper had in its place."""
    rows: list[list[Cell | str]] = []
    problems = []
    for role, name in study.datasets.items():
        try:
            rows.append([role, *table_1_row(summarize(open_store(data_root, name)))])
        except (OSError, ValueError) as error:
            rows.append([role, name, *[Cell(MISSING)] * (len(TABLE_1) - 1)])
            problems.append(f"{role}: {error}")
        if role in paper_results().datasets:
            rows.append([role, "in the paper", *paper_results().datasets[role].values()])
    caption = "Sizes of the datasets in the form of Table 1"
    table = Table("table1_datasets", caption, ("role", *TABLE_1), rows, labels=4, notes=tuple(problems))
    return [Heading("Table 1: datasets"), table]


def figure_2(study: Study, data_root: Path, out: Path) -> list[Block]:
    """IMU and frames of two activities, of the first dataset of the study that has labels and video."""
    blocks: list[Block] = [Heading("Figure 2: IMU and video")]
    problems = []
    for role, name in study.datasets.items():
        try:
            store = open_store(data_root, name)
            windows = list_windows(store, needs_video=True, labelled=True)
            chosen = two_activities(windows)
        except (OSError, ValueError) as error:
            problems.append(f"{role}: {error}")
            continue
        png = out / "figures" / "figure2_windows.png"
        samples = [_sample(windows, index) for index in chosen]
        which = " and ".join(sample.name for sample in samples)
        caption = f"Two windows of {marked(name, store.simulated)}: {which}; IMU as stored, frames each half second"
        paired_windows(samples, IMU_RATE_HZ, png, marked(f"{role}: {name}", store.simulated))
        return [*blocks, Picture(png, caption, png.with_suffix(".pdf"))]
    return [*blocks, Text(f"{MISSING}: no dataset of the study has labels and video. {' '.join(problems)}")]


def two_activities(windows: Windows) -> list[int]:
    """A window of each of the paper's two activities; where they are not both there, of the first two classes."""
    present = [name for k, name in enumerate(windows.classes) if (windows.label == k).any()]
    wanted = FIGURE_2 if set(FIGURE_2) <= set(present) else present[:2]
    numbers = [windows.classes.index(name) for name in wanted]
    return [int(np.random.default_rng([0, k]).choice(np.flatnonzero(windows.label == k))) for k in numbers]


def _sample(windows: Windows, index: int) -> PairedWindow:
    size = int(windows.store.info["frame_size"])
    frames = np.empty((FRAMES, size, size, 3), dtype=np.uint8)
    windows.read_frames(index, draw_frames(WINDOW_FRAMES, FRAMES), frames)
    imu = read_windows(windows, np.array([index]))[0]
    return PairedWindow(windows.classes[windows.label[index]], frames, imu)
