"""Reading windows for training: our loader against the authors' way.

CPU time where the question is what a window costs, time by the clock where it is how fast batches reach the training
process. All contenders of a ratio run in turn, several times.
"""

import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from configs.constants import CHANNELS, FRAME_RATE_HZ, IMU_RATE_HZ, WINDOW_FRAMES, WINDOW_S
from configs.reporting import BenchmarkConfig
from datasets.frames import frame_writer
from datasets.loader import LoaderSettings, PairLoader
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.source_video import frames_at
from datasets.store import Store, frames_path, imu_path
from datasets.windows import Windows, list_windows
from scripts.benchmarks import videos
from scripts.benchmarks.measure import Report, in_turn, per_second, progress, ratio
from scripts.benchmarks.rivals import authors_way

FRAME_SIZE, CLIP_LEN, BATCH_SIZE = 224, 10, 32  # the paper's
MINUTES = 20  # of each recording that is read from
SOURCE_RATE_HZ = 200  # of the csv, as Ego4D's
CACHED_WINDOWS = 16  # npz files, 7.5 MB each at 224 pixels
CLOCK_EPOCHS = 3  # an epoch is a second, in which others may take a core
BEST_CASE_BATCHES = 2  # so many of the authors' best case are timed at a time
IMU_EPOCHS = 20  # an epoch of IMU alone is too short to time


def run(cfg: BenchmarkConfig, folder: Path) -> Report:
    """Make the data, run everything, fill the table."""
    torch.set_num_threads(1)
    report = Report(
        f"Reading windows of {CLIP_LEN} frames at {FRAME_SIZE} pixels, batches of {BATCH_SIZE}, {cfg.repeats} rounds"
    )
    clips, recordings = {}, {}
    for name, size in videos.SIZES.items():
        progress(f"make a video, {name}")
        clips[name], recordings[name] = folder / f"{name}.mp4", folder / f"{name}_recording.mp4"
        videos.write_video(clips[name], size)
        videos.repeat_video(clips[name], recordings[name], math.ceil(MINUTES * 60 / videos.LENGTH_S))
    store = prepare(folder / "data", clips, MINUTES, FRAME_SIZE)
    os.sync()  # a gigabyte goes to the disk now, not while time is taken
    by_clock = in_turn(clock_contenders(store, folder), cfg.repeats)
    by_cpu = in_turn(cpu_contenders(store, recordings, folder), cfg.repeats)

    rounds = zip(*(by_cpu[f"ours, {name}"] for name in clips), strict=True)
    both = [sum(c.amount for c in costs) / sum(c.cpu_s for c in costs) for costs in rounds]
    report.add("windows per CPU-second, ours", both, "350", "windows_per_cpu_s")
    goals = [(name, name, target) for name, target in zip(clips, ("200", "1500"), strict=True)]
    for key, what, target in (*goals, ("imu", "IMU alone, csv", "20,000")):
        ours, theirs = (per_second(by_cpu[f"{who}, {key}"], "cpu_s") for who in ("ours", "authors"))
        report.add(f"windows per CPU-second, authors' way, {what}, {MINUTES} min", theirs)
        report.add("  ours is so many times faster", ratio(ours, theirs), target, f"ratio_vs_authors_{key}")
    ours, theirs = (per_second(by_clock[who], "wall_s") for who in ("one thread", "best case"))
    report.add("windows per second, ours, one thread", ours)
    report.add("windows per second, authors' best case, one worker", theirs)
    report.add("  ours is so many times faster", ratio(ours, theirs), "10", "ratio_vs_authors_best")
    return report


def prepare(root: Path, sources: dict[str, Path], minutes: float, frame_size: int) -> Store:
    """A prepared dataset with a recording per source video, whose frames are repeated up to its length."""
    rng = np.random.default_rng(0)
    count = round(minutes * 60 * FRAME_RATE_HZ)
    for name, video in sources.items():
        progress(f"prepare {name}")
        pictures = list(frames_at(video, np.arange(videos.LENGTH_S * FRAME_RATE_HZ) / FRAME_RATE_HZ, frame_size))
        with frame_writer(frames_path(root, name)) as writer:
            for _, picture in zip(range(count), itertools.cycle(pictures), strict=False):
                writer.write(picture)
        imu = rng.standard_normal((count * IMU_RATE_HZ // FRAME_RATE_HZ, len(CHANNELS))).astype(np.float32)
        recording = PreparedRecording(name, name, imu, "", name, "", SOURCE_RATE_HZ, "", frames=count)
        write_source(root, name, "", [recording])
    info = {"name": "benchmark", "simulated": True, "frame_size": frame_size}
    finalize(root, list(sources), [], [], info | {"settings": {}, "versions": {}})
    return Store(root)


def clock_contenders(store: Store, folder: Path) -> dict[str, Callable[[], float]]:
    """What is timed by the clock; each runs an epoch, or a part of one, and returns the number of windows."""
    best_case = authors_way.CachedWindows(
        write_cache(store, folder),
        imu_path(store.root, store.recordings["id"][0]),
        BEST_CASE_BATCHES * BATCH_SIZE,
        CLIP_LEN,
        authors_way.image_processor(FRAME_SIZE),
    )
    best_worker = authors_way.worker_loader(best_case, BATCH_SIZE, 1)
    return {
        "one thread": epochs_of(list_windows(store, needs_video=True), CLIP_LEN, CLOCK_EPOCHS),
        "best case": lambda: sum(len(batch[0]) for batch in best_worker),
    }


def cpu_contenders(store: Store, recordings: dict[str, Path], folder: Path) -> dict[str, Callable[[], float]]:
    """What is measured in CPU time; each returns the number of windows that it read.

    Args:
        recordings: by the name of the recording in the store, the video as it was before preparation.
    """
    windows, contenders = list_windows(store, needs_video=True), {}
    for recording, name in enumerate(store.recordings["id"]):
        contenders[f"ours, {name}"] = epochs_of(windows.subset(windows.recording == recording), CLIP_LEN)
        contenders[f"authors, {name}"] = source_windows(recordings[name])
    csv = folder / "imu.csv"
    write_csv(csv, MINUTES)

    def authors_imu() -> int:
        authors_way.imu_from_csv(csv, MINUTES * 30, SOURCE_RATE_HZ)
        return 1

    return contenders | {"ours, imu": epochs_of(windows, 0, IMU_EPOCHS), "authors, imu": authors_imu}


def source_windows(video: Path) -> Callable[[], float]:
    """A contender: the authors' way to read frames, each time of another window."""
    processor = authors_way.image_processor(FRAME_SIZE)
    starts = itertools.cycle(np.random.default_rng(0).permutation(int(MINUTES * 60 / WINDOW_S)) * WINDOW_S)

    def read() -> int:
        authors_way.frames_from_video(video, next(starts), CLIP_LEN, processor)
        return 1

    return read


def epochs_of(windows: Windows, clip_len: int, epochs: int = 1) -> Callable[[], float]:
    """A contender: our loader with one thread, whole epochs of it."""
    loader = PairLoader(windows, LoaderSettings(BATCH_SIZE, clip_len, "recording", num_threads=1))
    numbers = itertools.count()
    return lambda: sum(len(batch.index) for _ in range(epochs) for batch in loader.epoch(next(numbers)))


def write_cache(store: Store, folder: Path) -> list[Path]:
    """The decoded frames of some windows of the first recording as npz files, not compressed, which is fastest."""
    frames = store.frames(0)
    paths = [folder / f"{k}.npz" for k in range(min(CACHED_WINDOWS, len(frames) // WINDOW_FRAMES))]
    for k, path in enumerate(paths):
        np.savez(path, frames.read(np.arange(k * WINDOW_FRAMES, (k + 1) * WINDOW_FRAMES)))
    return paths


def write_csv(path: Path, minutes: float) -> None:
    """A recording's IMU as Ego4D's csv, angular rate first."""
    progress("write a csv")
    rng = np.random.default_rng(0)
    time_ms = np.arange(round(minutes * 60 * SOURCE_RATE_HZ)) * 1000 / SOURCE_RATE_HZ
    columns = {"component_idx": 0, "component_timestamp_ms": time_ms, "canonical_timestamp_ms": time_ms}
    columns |= {name: rng.standard_normal(len(time_ms)) for name in "gyro_x gyro_y gyro_z accl_x accl_y accl_z".split()}
    pd.DataFrame(columns).to_csv(path, index=False, float_format="%.6f")
