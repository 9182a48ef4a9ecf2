"""Preparing a recording with video: what it costs beside decoding its video once, and beside real time.

Decoding is PyAV's, one thread, every frame from first to last, nothing done with it, not even a conversion: what no
reader of the whole video can do without. Preparing decodes by the same library on one thread, and does all the rest:
scaling, RGB, JPEG, the signal path, hashes, measures of quality, and writing to the disk.

Memory is that of a process that prepares a long recording and a fifth of it. Signals grow with the length, 5 kB a
second and some multiple of it while they are resampled; video must not.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from configs.reporting import BenchmarkConfig
from datasets.preparation.source import prepare_source
from datasets.recording import Recording, Source
from scripts.benchmarks import videos
from scripts.benchmarks.measure import Report, cpu_ratio, in_turn, peak_rss_mib, per_cpu_s, progress, spread

IMU_RATE_HZ = 200  # of the source


def run(cfg: BenchmarkConfig) -> Report:
    """Make the videos, prepare and decode them in turn, fill the table."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        return _run(cfg, Path(folder))


def _run(cfg: BenchmarkConfig, folder: Path) -> Report:
    report = Report(f"Preparing recordings of {cfg.video_s:g} s at {cfg.frame_size} pixels, {cfg.repeats} rounds")
    contenders = {}
    for name, size in videos.SIZES.items():
        progress(f"make a video, {name}")
        video = folder / f"{name}.mp4"
        videos.write_video(video, size, cfg.video_s)
        source = Source(name, (video,), partial(parse, name, video, cfg.video_s))
        contenders[f"decode, {name}"] = partial(decode, video, cfg.video_s)
        contenders[f"prepare, {name}"] = partial(prepare, source, folder / "data", cfg)
    costs = in_turn(contenders, cfg.repeats)
    ratios = []
    for name in videos.SIZES:
        decoding, preparing = costs[f"decode, {name}"], costs[f"prepare, {name}"]
        ratios.append(cpu_ratio(decoding, preparing))
        goal = ("4", "realtime_factor") if name == "1080p30" else ()
        report.add(f"times real time per core, decoding, {name}", per_cpu_s(decoding))
        report.add(f"times real time per core, preparing, {name}", per_cpu_s(preparing), *goal)
        report.add("  decoding is so many times cheaper", ratios[-1])
    worst = max(ratios, key=lambda ratio: ratio.median)
    report.add("the larger of these two", worst, "at most 1.5", "cpu_ratio_vs_decode")
    for minutes, key in ((cfg.long_min / 5, None), (cfg.long_min, "peak_rss_mib")):
        progress(f"prepare {minutes:g} min of 1080p30")
        memory = peak_rss_mib(prepare_long, folder / "1080p30.mp4", folder / "data", minutes, cfg)
        report.add(f"peak memory, {minutes:g} min of 1080p30, MiB", spread([memory]), "under 1024", key)
    return report


def prepare_long(video: Path, root: Path, minutes: float, cfg: BenchmarkConfig) -> None:
    """Prepare a recording whose video is a short one over and over."""
    copies = max(1, round(minutes * 60 / cfg.video_s))
    long = root.parent / "long.mp4"
    videos.repeat_video(video, long, copies)
    length_s = copies * cfg.video_s
    prepare(Source("long", (long,), partial(parse, "long", long, length_s)), root, cfg)


def parse(name: str, video: Path, duration_s: float) -> Recording:
    """A recording whose IMU is noise: parsing a format is no part of the measurement."""
    time_s = np.arange(round(duration_s * IMU_RATE_HZ)) / IMU_RATE_HZ
    rng = np.random.default_rng(0)
    acc, gyro = rng.standard_normal((2, len(time_s), 3))
    return Recording(id=name, acc_time_s=time_s, acc=acc, gyro_time_s=time_s, gyro=gyro, video=video)


def prepare(source: Source, root: Path, cfg: BenchmarkConfig) -> float:
    """Prepare a recording from nothing; returns its seconds."""
    shutil.rmtree(root, ignore_errors=True)
    outcome = prepare_source(source, source.files[0].parent, root, cfg.frame_size, jpeg_quality=90)
    if outcome.status != "prepared":
        raise RuntimeError(f"{source.id} was {outcome.status}: {list(root.rglob('*.json'))[0].read_text()}")
    return cfg.video_s


def decode(video: Path, duration_s: float) -> float:
    """Decode every frame on one thread; returns the video's seconds."""
    import av  # only where source video is read

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        for _ in container.decode(stream):
            pass
    return duration_s
