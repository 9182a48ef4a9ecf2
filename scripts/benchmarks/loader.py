"""Reading windows for training: our loader against the authors' way and against worker processes.

CPU time where the question is what a window costs, time by the clock where it is how fast batches reach the training
process. All contenders of a ratio run in turn, several times.
"""

import itertools
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from configs.constants import CHANNELS, FRAME_RATE_HZ, GYRO, IMU_RATE_HZ, WINDOW_FRAMES, WINDOW_S
from configs.reporting import BenchmarkConfig
from datasets.loader import LoaderSettings, PairLoader
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.source_video import frames_at
from datasets.store import Store, imu_path, open_frame_writer
from datasets.windows import Windows, list_windows
from scripts.benchmarks import videos
from scripts.benchmarks.measure import (
    Report,
    cpu_ratio,
    in_turn,
    peak_rss_mib,
    per_cpu_s,
    per_wall_s,
    progress,
    spread,
    wall_ratio,
)
from scripts.benchmarks.rivals import authors_way

SOURCE_RATE_HZ = 200  # of the csv, as Ego4D's
CACHED_WINDOWS = 16  # npz files, 7.5 MB each at 224 pixels
CLOCK_EPOCHS = 3  # an epoch is a second, in which others may take a core
BEST_CASE_BATCHES = 2  # so many of the authors' best case are timed at a time
IMU_EPOCHS = 20  # an epoch of IMU alone is too short to time


def run(cfg: BenchmarkConfig) -> Report:
    """Make the data, run everything, fill the table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            return _run(cfg, Path(folder))
    finally:
        torch.set_num_threads(threads)


def _run(cfg: BenchmarkConfig, folder: Path) -> Report:
    report = Report(
        f"Reading windows of {cfg.clip_len} frames at {cfg.frame_size} pixels, batches of {cfg.batch_size}, "
        f"{cfg.repeats} rounds"
    )
    clips, recordings = {}, {}
    for name, size in videos.SIZES.items():
        progress(f"make a video, {name}")
        clips[name], recordings[name] = folder / f"{name}.mp4", folder / f"{name}_recording.mp4"
        videos.write_video(clips[name], size, cfg.video_s)
        videos.repeat_video(clips[name], recordings[name], math.ceil(cfg.recording_min * 60 / cfg.video_s))
    store = prepare(folder / "data", clips, cfg)
    report.note(_sizes(store, clips, cfg))
    os.sync()  # a gigabyte goes to the disk now, not while time is taken

    progress("measure memory")
    memory = peak_rss_mib(read_epoch, store.root, cfg.batch_size, cfg.clip_len)
    by_clock = in_turn(clock_contenders(store, folder, cfg), cfg.repeats)
    by_cpu = in_turn(cpu_contenders(store, clips, recordings, folder, cfg), cfg.repeats)

    ours = [
        type(first)(first.amount + second.amount, first.cpu_s + second.cpu_s, first.wall_s + second.wall_s)
        for first, second in zip(*(by_cpu[f"ours, {name}"] for name in clips), strict=True)
    ]
    report.add("windows per CPU-second, ours", per_cpu_s(ours), "350", "windows_per_cpu_s")
    length = f"{cfg.recording_min:g} min"
    for name, target in zip(clips, ("200", "1500"), strict=True):
        for way, what, *goal in (
            (f"authors, {name}", f"{name}, {length}", target, f"ratio_vs_authors_{name}"),
            (f"authors, {name}, clip", f"{name}, a clip of {cfg.video_s:g} s"),
        ):
            report.add(f"windows per CPU-second, authors' way, {what}", per_cpu_s(by_cpu[way]))
            report.add("  ours is so many times faster", cpu_ratio(by_cpu[f"ours, {name}"], by_cpu[way]), *goal)
    report.add("IMU windows per CPU-second, ours", per_cpu_s(by_cpu["ours, imu"]))
    report.add(f"IMU windows per CPU-second, authors' csv, {length}", per_cpu_s(by_cpu["authors, imu"]))
    ratio = cpu_ratio(by_cpu["ours, imu"], by_cpu["authors, imu"])
    report.add("  ours is so many times faster", ratio, "20,000", "ratio_vs_authors_imu")

    report.add("windows per second, ours, one thread", per_wall_s(by_clock["one thread"]))
    report.add("windows per second, authors' best case, one worker", per_wall_s(by_clock["best case"]))
    ratio = wall_ratio(by_clock["one thread"], by_clock["best case"])
    report.add("  ours is so many times faster", ratio, "10", "ratio_vs_authors_best")
    report.add("windows per second, ours, two threads", per_wall_s(by_clock["two threads"]))
    report.add("windows per second, two worker processes, same store", per_wall_s(by_clock["two workers"]))
    ratio = wall_ratio(by_clock["two threads"], by_clock["two workers"])
    report.add("  ours is so many times faster", ratio, "1.6", "ratio_vs_worker_processes")
    report.add("peak memory of a process that loads, MiB", spread([memory]), "under 1024", "peak_rss_mib")
    return report


def prepare(root: Path, sources: dict[str, Path], cfg: BenchmarkConfig) -> Store:
    """A prepared dataset with a recording per source video, whose frames are repeated up to its length."""
    rng = np.random.default_rng(0)
    count = round(cfg.recording_min * 60 * FRAME_RATE_HZ)
    for name, video in sources.items():
        progress(f"prepare {name}")
        times = np.arange(int(cfg.video_s * FRAME_RATE_HZ)) / FRAME_RATE_HZ
        pictures = list(frames_at(video, times, cfg.frame_size))
        with open_frame_writer(root, name, jpeg_quality=90) as writer:
            for _, picture in zip(range(count), itertools.cycle(pictures), strict=False):
                writer.write(picture)
        imu = rng.standard_normal((count * IMU_RATE_HZ // FRAME_RATE_HZ, len(CHANNELS))).astype(np.float32)
        recording = PreparedRecording(
            id=name,
            source=name,
            imu=imu,
            subject="",
            session=name,
            label="",
            source_rate_hz=SOURCE_RATE_HZ,
            source_hash="",
            frames=count,
        )
        write_source(root, name, "", [recording])
    info = {"name": "benchmark", "simulated": True, "frame_size": cfg.frame_size}
    finalize(root, list(sources), [], [], info | {"settings": {}, "versions": {}})
    return Store(root)


def clock_contenders(store: Store, folder: Path, cfg: BenchmarkConfig) -> dict:
    """What is timed by the clock; each runs an epoch, or a part of one, and returns the number of windows."""
    windows = list_windows(store, needs_video=True)
    best_case = authors_way.CachedWindows(
        write_cache(store, folder),
        imu_path(store.root, store.recordings["id"][0]),
        BEST_CASE_BATCHES * cfg.batch_size,
        cfg.clip_len,
        authors_way.image_processor(cfg.frame_size),
    )
    workers = authors_way.worker_loader(authors_way.StoreWindows(windows, cfg.clip_len), cfg.batch_size, 2)
    best_worker = authors_way.worker_loader(best_case, cfg.batch_size, 1)
    return {
        "one thread": epochs_of(windows, cfg, num_threads=1, epochs=CLOCK_EPOCHS),
        "best case": lambda: sum(len(batch[0]) for batch in best_worker),
        "two threads": epochs_of(windows, cfg, num_threads=2, epochs=CLOCK_EPOCHS),
        "two workers": lambda: sum(len(batch[0]) for _ in range(CLOCK_EPOCHS) for batch in workers),
    }


def cpu_contenders(store: Store, clips: dict, recordings: dict, folder: Path, cfg: BenchmarkConfig) -> dict:
    """What is measured in CPU time; each returns the number of windows that it read.

    The authors' way reads windows of the recording as it was before preparation; and, for comparison, of a clip that
    holds few windows, such as UESTC-MMEA-CL's, whose index is quickly read.

    Args:
        clips, recordings: by the name of the recording in the store, a short video, and one of the recording's length.
    """
    windows, contenders = list_windows(store, needs_video=True), {}
    for recording, name in enumerate(store.recordings["id"]):
        contenders[f"ours, {name}"] = epochs_of(windows.subset(windows.recording == recording), cfg, num_threads=1)
        contenders[f"authors, {name}"] = source_windows(recordings[name], cfg.recording_min * 60, cfg)
        contenders[f"authors, {name}, clip"] = source_windows(clips[name], cfg.video_s, cfg)
    csv = folder / "imu.csv"
    write_csv(csv, cfg.recording_min)

    def authors_imu() -> int:
        authors_way.imu_from_csv(csv, cfg.recording_min * 30, SOURCE_RATE_HZ)
        return 1

    imu_only = {"clip_len": 0, "num_threads": 1, "epochs": IMU_EPOCHS}
    return contenders | {"ours, imu": epochs_of(windows, cfg, **imu_only), "authors, imu": authors_imu}


def source_windows(video: Path, length_s: float, cfg: BenchmarkConfig):
    """A contender: the authors' way to read frames, each time of another window."""
    processor = authors_way.image_processor(cfg.frame_size)
    starts = itertools.cycle(np.random.default_rng(0).permutation(int(length_s / WINDOW_S)) * WINDOW_S)

    def read() -> int:
        authors_way.frames_from_video(video, next(starts), cfg.clip_len, processor)
        return 1

    return read


def epochs_of(windows: Windows, cfg: BenchmarkConfig, num_threads: int, clip_len: int | None = None, epochs: int = 1):
    """A contender: our loader, whole epochs of it."""
    clip_len = cfg.clip_len if clip_len is None else clip_len
    loader = PairLoader(windows, LoaderSettings(cfg.batch_size, clip_len, "recording", num_threads=num_threads))
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
    columns = ["gyro_x", "gyro_y", "gyro_z", "accl_x", "accl_y", "accl_z"]
    table = pd.DataFrame(rng.standard_normal((len(time_ms), len(GYRO) * 2)), columns=columns)
    table.insert(0, "canonical_timestamp_ms", time_ms)
    table.insert(0, "component_timestamp_ms", time_ms)
    table.insert(0, "component_idx", 0)
    table.to_csv(path, index=False, float_format="%.6f")


def read_epoch(root: Path, batch_size: int, clip_len: int) -> None:
    """An epoch with two threads."""
    windows = list_windows(Store(root), needs_video=True)
    for _ in PairLoader(windows, LoaderSettings(batch_size, clip_len, "recording", num_threads=2)).epoch(0):
        pass


def _sizes(store: Store, sources: dict[str, Path], cfg: BenchmarkConfig) -> str:
    parts = []
    for recording, name in enumerate(store.recordings["id"]):
        frames = store.frames(recording)
        rate = sources[name].stat().st_size * 8 / cfg.video_s / 1e6
        parts.append(f"{name} {rate:.1f} Mbit/s, {frames.path.stat().st_size / len(frames) / 1e3:.1f} kB a frame")
    return f"H.264 and its JPEG frames: {'; '.join(parts)}"
