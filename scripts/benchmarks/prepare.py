"""Preparing a recording with video: what it costs beside decoding its video once, and beside real time.

Decoding is PyAV's, one thread, every frame from first to last, nothing done with it, not even a conversion: what no
reader of the whole video can do without. Preparing decodes by the same library on one thread, and does all the rest:
scaling, RGB, JPEG, the signal path, hashes, measures of quality, and writing to the disk.

Memory is that of a process that prepares a long recording. Signals grow with the length, 5 kB a second and some
multiple of it while they are resampled; video must not.
"""

import shutil
import statistics
from functools import partial
from pathlib import Path

import numpy as np

from configs.reporting import BenchmarkConfig
from datasets.preparation.source import prepare_source
from datasets.recording import Recording, Source
from scripts.benchmarks import videos
from scripts.benchmarks.measure import Report, in_turn, peak_rss_mib, per_second, progress, ratio

IMU_RATE_HZ = 200  # of the source
FRAME_SIZE = 224


def run(cfg: BenchmarkConfig, folder: Path) -> Report:
    """Make the videos, prepare and decode them in turn, fill the table."""
    report = Report(f"Preparing recordings of {videos.LENGTH_S} s at {FRAME_SIZE} pixels, {cfg.repeats} rounds")
    contenders = {}
    for name, size in videos.SIZES.items():
        progress(f"make a video, {name}")
        video = folder / f"{name}.mp4"
        videos.write_video(video, size)
        contenders[f"decode, {name}"] = partial(decode, video)
        contenders[f"prepare, {name}"] = partial(prepare, video, videos.LENGTH_S, folder / "data")
    costs = in_turn(contenders, cfg.repeats)
    worst = 0.0
    for name in videos.SIZES:
        decoding, preparing = (per_second(costs[f"{what}, {name}"], "cpu_s") for what in ("decode", "prepare"))
        goal = ("4", "realtime_factor") if name == "1080p30" else ()
        report.add(f"times real time per core, {name}", preparing, *goal)
        report.add("  decoding once is so many times cheaper", ratio(decoding, preparing), "at most 1.5")
        worst = max(worst, statistics.median(ratio(decoding, preparing)))
    report.values["cpu_ratio_vs_decode"] = worst
    progress(f"prepare {cfg.long_min:g} min of 1080p30")
    long = folder / "long.mp4"
    copies = max(1, round(cfg.long_min * 60 / videos.LENGTH_S))
    videos.repeat_video(folder / "1080p30.mp4", long, copies)
    memory = peak_rss_mib(prepare, long, copies * videos.LENGTH_S, folder / "data")
    report.add(f"peak memory, {cfg.long_min:g} min of 1080p30, MiB", [memory], "under 1024", "peak_rss_mib")
    return report


def parse(video: Path, duration_s: float) -> Recording:
    """A recording whose IMU is noise: parsing a format is no part of the measurement."""
    time_s = np.arange(round(duration_s * IMU_RATE_HZ)) / IMU_RATE_HZ
    acc, gyro = np.random.default_rng(0).standard_normal((2, len(time_s), 3))
    return Recording(id=video.stem, acc_time_s=time_s, acc=acc, gyro_time_s=time_s, gyro=gyro, video=video)


def prepare(video: Path, duration_s: float, root: Path) -> float:
    """Prepare a recording from nothing; returns its seconds."""
    shutil.rmtree(root, ignore_errors=True)
    source = Source(video.stem, (video,), partial(parse, video, duration_s))
    status = prepare_source(source, video.parent, root, FRAME_SIZE)
    if status != "prepared":
        raise RuntimeError(f"{source.id} was {status}: {list(root.rglob('*.json'))[0].read_text()}")
    return duration_s


def decode(video: Path) -> float:
    """Decode every frame on one thread; returns the video's seconds."""
    import av  # only where source video is read

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        for _ in container.decode(stream):
            pass
    return videos.LENGTH_S
