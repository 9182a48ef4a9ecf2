"""Training: where the time of a step goes, how much of the machine it uses, how much faster than the authors' it is.

What is timed is train.py itself: it is run as anybody runs it, and its own metrics are read. The first rows of each
run, in which caches and threads warm up, do not count.
"""

import contextlib
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import train
from configs.constants import CHANNELS, WINDOW_S, WINDOW_SAMPLES
from configs.load import parse
from configs.reporting import BenchmarkConfig
from configs.training import TrainConfig
from models import build_model
from scripts.benchmarks import loader, videos
from scripts.benchmarks.measure import Cost, Report, measure, per_second, progress, ratio
from scripts.benchmarks.rivals import authors_way
from scripts.benchmarks.rivals.authors_training import AuthorsTraining, SourceWindows
from utils.optim import autocast_dtype
from utils.progress import PHASES

ROOT = Path(__file__).resolve().parents[2]
VIDEO = "640x480"  # the authors' training reads this; from 1080p it is several times slower
WARM_UP = 5  # steps
AUTHORS_BATCHES = 2  # of a round, one for each worker process
WORKERS = 2  # threads of ours, processes of the authors'
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}


def run(cfg: BenchmarkConfig, folder: Path) -> Report:
    """Make the data, train in turn, fill the table."""
    names = itertools.count()
    config = parse(TrainConfig, arguments(cfg, folder, next(names)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = autocast_dtype(config.precision, device)
    report = Report(
        f"Training by {cfg.recipe}: batches of {cfg.batch_size}, {cfg.steps} steps in each of {cfg.repeats} rounds, "
        f"{torch.cuda.get_device_name() if device.type == 'cuda' else f'{torch.get_num_threads()} CPU threads'}, "
        f"{str(dtype).removeprefix('torch.')}"
    )
    video = prepare(cfg, folder, config)
    authors = AuthorsTraining(build_model(config), config.loss, config.lr, device)
    dataset = authors_windows(cfg, folder, config, video)
    ours, peak, theirs = [], [], []
    for number in range(cfg.repeats):
        progress(f"round {number + 1} of {cfg.repeats}")
        ours.append(train_here(cfg, folder, next(names)))
        peak.append(measure_peak(device, dtype))
        batches = authors_way.worker_loader(dataset, cfg.batch_size, WORKERS)
        theirs.append(measure(lambda batches=batches: authors.train(batches)))

    outside = [1 - t["forward_share"] - t["backward_share"] for t in ours]
    report.add("share of a step outside forward and backward", outside, "under 0.05", "other_share")
    report.add("share of a step waiting for data", [t["wait_share"] for t in ours], "under 0.02", "wait_share")
    speed, rival, product = [t["windows_per_s"] for t in ours], per_second(theirs, "wall_s"), per_second(peak, "wall_s")
    report.add("windows per second, ours", speed)
    report.add(f"windows per second, authors' training, from {VIDEO} video", rival)
    report.add("  ours is so many times faster", ratio(speed, rival), "3", "ratio_vs_authors")
    report.add("matrix product, GFLOP/s", [figure / 1e9 for figure in product])
    flop = flop_per_window(config)
    what, goal = f"share of that in use, at {flop / 1e9:.3g} GFLOP a window", "0.4" if device.type == "cuda" else ""
    report.add(what, [flop * figure for figure in ratio(speed, product)], goal, "utilisation")
    if cfg.ranks > 1:
        scale(cfg, folder, names, report)
    return report


def arguments(cfg: BenchmarkConfig, folder: Path, name: int, *more: str) -> list[str]:
    """The command line of a run: the recipe with nothing to download, ended before its first epoch does."""
    words = ["--config", cfg.recipe.resolve(), "--video_weights", "none", "--batch_size", cfg.batch_size]
    words += ["--num_workers", WORKERS, "--held_out", 0, "--resume", "none"]
    words += ["--dataset", "benchmark", "--data_root", folder / "data", "--runs_root", folder / "runs"]
    words += ["--run_name", f"run{name}", "--log_interval", WARM_UP, "--max_steps", WARM_UP + cfg.steps, *more]
    return [str(word) for word in words]


def prepare(cfg: BenchmarkConfig, folder: Path, config: TrainConfig) -> Path:
    """A prepared dataset, an epoch of which is longer than a run; returns its source video."""
    progress(f"make a video, {VIDEO}, and prepare it")
    video = folder / f"{VIDEO}.mp4"
    videos.write_video(video, videos.SIZES[VIDEO])
    windows = cfg.batch_size * cfg.ranks * (WARM_UP + cfg.steps + 1)
    minutes = math.ceil(windows * WINDOW_S / 60)
    loader.prepare(folder / "data" / "benchmark", {VIDEO: video}, minutes, config.image_size)
    return video


def authors_windows(cfg: BenchmarkConfig, folder: Path, config: TrainConfig, video: Path) -> SourceWindows:
    """What the authors' training reads."""
    csv_file = folder / "imu.csv"
    loader.write_csv(csv_file, videos.LENGTH_S / 60)
    length, windows = AUTHORS_BATCHES * cfg.batch_size, int(videos.LENGTH_S / WINDOW_S)
    return SourceWindows(video, csv_file, loader.SOURCE_RATE_HZ, windows, length, config.clip_len, config.image_size)


def train_here(cfg: BenchmarkConfig, folder: Path, name: int) -> dict[str, float]:
    """Run train.py in this process; returns its timings."""
    with contextlib.redirect_stdout(sys.stderr):
        train.main(arguments(cfg, folder, name))
    return timings(folder / "runs" / f"run{name}")


def timings(run_folder: Path) -> dict[str, float]:
    """``windows_per_s`` and shares of a run, over all steps but the first row's."""
    table = pd.read_csv(run_folder / "metrics.csv").pivot(index="step", columns="name", values="value")
    if len(table) < 2 or table.index[0] != WARM_UP - 1:
        raise RuntimeError(f"{run_folder}: metrics at steps {table.index.tolist()}, want every {WARM_UP}")
    steps, counted = np.diff(table.index), table.iloc[1:]
    seconds = steps / counted["windows_per_s"]  # for one window a step
    shares = {f"{phase}_share": float(np.average(counted[f"{phase}_share"], weights=seconds)) for phase in PHASES}
    return {"windows_per_s": float(steps.sum() / seconds.sum())} | shares


def measure_peak(device: torch.device, dtype: torch.dtype) -> Cost:
    """Operations and time of a few big matrix products, the most that the device gives."""
    side = MATRIX_SIDE[device.type]
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    (a @ b)[0, 0].item()  # warm up, and wait

    def work() -> float:
        for _ in range(4):
            product = a @ b
        product[0, 0].item()
        return 4 * 2 * side**3

    return measure(work)


def flop_per_window(config: TrainConfig) -> float:
    """Operations of forward and backward, counted without doing them."""
    model = build_model(config).to("meta")
    imu = torch.empty(2, len(CHANNELS), WINDOW_SAMPLES, device="meta")
    side = config.image_size
    video = torch.empty(2, config.clip_len, side, side, 3, dtype=torch.uint8, device="meta")
    # attention as plain matrix products: not every fused one is known to the counter
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        z_imu, z_video, *_ = model(imu, video)
        (z_imu * z_video).sum().backward()
    return counter.get_total_flops() / 2


def scale(cfg: BenchmarkConfig, folder: Path, names: Iterator[int], report: Report) -> None:
    """Several processes, each with a core, against one process with one core; a process has the same work in both."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < cfg.ranks:
        raise ValueError(f"ranks {cfg.ranks}: there are only {len(cores)} cores")
    one, many = [], []
    for number in range(cfg.repeats):
        progress(f"round {number + 1} of {cfg.repeats}: 1 and {cfg.ranks} ranks")
        one.append(train_on(cores[:1], cfg, folder, next(names))["windows_per_s"])
        many.append(train_on(cores[: cfg.ranks], cfg, folder, next(names))["windows_per_s"])
    report.add("windows per second, one process on one core", one)
    report.add(f"windows per second, {cfg.ranks} processes on {cfg.ranks} cores", many)
    report.add("  so many times faster", ratio(many, one), "1.8 for 2" if cfg.ranks == 2 else "", "scaling")


def train_on(cores: list[int], cfg: BenchmarkConfig, folder: Path, name: int) -> dict[str, float]:
    """Run train.py with a rank for each of these cores; returns its timings."""
    launcher, cfg = [sys.executable], cfg.model_copy(update={"batch_size": cfg.batch_size * len(cores)})
    if len(cores) > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={len(cores)}"]
    command = [
        *launcher,
        str(ROOT / "train.py"),
        *arguments(cfg, folder, name, "--num_workers", "1", "--device", "cpu"),
    ]
    subprocess.run(
        ["taskset", "--cpu-list", ",".join(map(str, cores)), *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=sys.stderr,
        check=True,
    )
    return timings(folder / "runs" / f"run{name}")
