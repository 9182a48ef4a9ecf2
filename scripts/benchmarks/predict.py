"""Classifying a recording: hours of it per CPU-second, reading included, memory, and how long a live answer takes.

One CSV file is the unit, as for stepcount (Small et al. 2024), whose model is no part of its package and is not
downloaded here. The rival is what is written by hand instead: pandas reads the file at once, ``np.interp`` takes it to
50 Hz, and a random forest reads the handcrafted features of windows of 5 s without overlap; no tables, no page.

The recording is simulated movement, the classifier has random weights unless ``--model`` names one: neither changes the
time.
"""

import contextlib
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestClassifier

from configs.constants import IMU_RATE_HZ, WINDOW_S, WINDOW_SAMPLES
from configs.reporting import BenchmarkConfig
from configs.training import TrainConfig
from datasets.recordings.find import find
from datasets.recordings.plain_csv import PlainSettings
from models import build_imu_encoder, encoder_settings, load_classifier
from models.classifier import Classifier, ClassifierFacts, save_classifier
from models.handcrafted import handcrafted_features
from models.smoothing import rates_from_jumps
from scripts import predict
from scripts.benchmarks.measure import Report, in_turn, peak_rss_mib, per_second, progress, ratio
from scripts.live import COLUMNS, Live

RATE_HZ = 100  # of the file
BLOCK_S = 600  # the same values come again after it
CLASSES = 5
LIVE_S, LIVE_HOP_S, LIVE_CHUNK_S = 300.0, 1.0, 0.1
START_S = 1714550400  # of the file's clock, seconds since 1970


def run(cfg: BenchmarkConfig, folder: Path) -> Report:
    """Write the file, let the contenders work in turn, fill the table."""
    torch.set_num_threads(1)
    file, hours = folder / "recording.csv", cfg.hours
    progress(f"write {hours:g} hours at {RATE_HZ} Hz")
    write_recording(file, hours)
    model = cfg.model or write_classifier(folder / "classifier")
    forest = untaught_forest()
    contenders = {
        "ours": partial(ours, file, model, folder / "out", hours),
        "reading": partial(reading, file, hours),
        "rival": partial(rival, file, forest, hours),
    }
    costs = in_turn(contenders, cfg.repeats)
    size = f"{file.stat().st_size / 1e6:.0f} MB"
    report = Report(f"Classifying {hours:g} hours at {RATE_HZ} Hz, a CSV of {size}, on one core, {cfg.repeats} rounds")
    mine, theirs = (per_second(costs[name], "cpu_s") for name in ("ours", "rival"))
    report.add("hours of recording per CPU-second", mine, key="hours_per_cpu_s")
    report.add("  pandas, handcrafted features, random forest", theirs, key="rival_hours_per_cpu_s")
    report.add("  ours is so many times faster", ratio(mine, theirs), key="ratio_vs_rival")
    share = [100 * read.cpu_s / all_.cpu_s for read, all_ in zip(costs["reading"], costs["ours"], strict=True)]
    report.add("share of CPU time that is reading the file, %", share, key="reading_percent")
    report.add("CPU-seconds for a day", [24 / rate for rate in mine], "30", "day_cpu_s")
    progress("memory of a fresh process")
    memory = peak_rss_mib(ours, file, model, folder / "out", hours)
    report.add("peak memory, MiB", [memory], "under 1024", "peak_rss_mib")
    progress("live")
    took = 1000 * np.array(live_latencies(load_classifier(model)))
    for name, key, q in (("median", "latency_ms", 50), ("99th percentile", "latency_p99_ms", 99)):
        report.add(f"live: from sample to answer, {name}, ms", [float(np.percentile(took, q))], "10", key)
    return report


def movement(seconds: float) -> np.ndarray:
    """(N, 6) of somebody who walks and rests by turns, m/s² and rad/s."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    moving = (np.sin(2 * np.pi * time_s / 120) > 0)[:, None]
    tones = np.sin(2 * np.pi * rng.uniform(0.5, 3, 6) * time_s[:, None] + rng.uniform(0, 6, 6))
    noise = rng.normal(0, 0.05, (len(time_s), 6))
    return moving * tones * [2, 2, 3, 0.6, 0.4, 0.8] + noise + [0, 0, 9.81, 0, 0, 0]


def write_recording(path: Path, hours: float) -> None:
    """A CSV with a header; lines of a block are made once, but for their time."""
    values = [",".join(f"{v:.4f}" for v in row) for row in movement(min(BLOCK_S, hours * 3600)).tolist()]
    with open(path, "w", encoding="ascii") as file:
        file.write(",".join(COLUMNS) + "\n")
        for first in range(0, round(hours * 3600 * RATE_HZ), len(values)):
            numbers = range(first, first + len(values))
            file.writelines(
                f"{START_S + n // RATE_HZ}.{100 * (n % RATE_HZ) // RATE_HZ:02d},{row}\n"
                for n, row in zip(numbers, values, strict=True)
            )


def write_classifier(folder: Path) -> Path:
    """The small convolutional encoder with random weights."""
    torch.manual_seed(0)
    config = TrainConfig(dataset="none", imu_encoder="conv", normalize="dataset")
    encoder = build_imu_encoder(config)
    facts = ClassifierFacts(
        classes=[f"activity {k}" for k in range(CLASSES)],
        window_s=WINDOW_S,
        normalize="dataset",
        encoder=encoder_settings(config),
        temperature=1.0,
        threshold=0.0,
        prior=[1 / CLASSES] * CLASSES,
        rates_per_s=rates_from_jumps(np.zeros((CLASSES, CLASSES)), np.zeros(CLASSES)).tolist(),
        simulated=True,
        trained_on={},
    )
    head, mean = torch.randn(CLASSES, encoder.dim), torch.tensor([0, 0, 9.81, 0, 0, 0])
    classifier = Classifier(facts, encoder, head, torch.zeros(CLASSES), mean, torch.ones(6))
    save_classifier(folder, classifier, "Random weights, for measuring speed.\n")
    return folder


def ours(file: Path, model: Path, out: Path, hours: float) -> float:
    """``scripts.predict`` with its tables and page; returns the hours."""
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):
        if predict.main([str(file), "--model", str(model), "--out", str(out)]):
            raise RuntimeError(f"{file} was not classified: see above")
    return hours


def reading(file: Path, hours: float) -> float:
    """The samples of the file alone, as ``scripts.predict`` reads them; returns the hours."""
    (listed,), _ = find([file], "csv", {}, PlainSettings())
    rows = sum(len(samples.acc) for samples in listed.open().samples)
    if rows < hours * 3600 * RATE_HZ:
        raise RuntimeError(f"{file}: {rows} samples read")
    return hours


def untaught_forest() -> RandomForestClassifier:
    """Fitted on noise: what it has learnt does not change the time."""
    rng = np.random.default_rng(0)
    imu = rng.standard_normal((200, 6, WINDOW_SAMPLES)).astype(np.float32)
    return RandomForestClassifier(200, random_state=0).fit(handcrafted_features(imu), np.arange(200) % CLASSES)


def rival(file: Path, forest: RandomForestClassifier, hours: float) -> float:
    """The script that one writes by hand; returns the hours."""
    table = pd.read_csv(file).to_numpy()
    grid_s = np.arange(table[0, 0], table[-1, 0], 1 / IMU_RATE_HZ)
    imu = np.stack([np.interp(grid_s, table[:, 0], table[:, k]) for k in range(1, 7)]).astype(np.float32)
    count = imu.shape[1] // WINDOW_SAMPLES
    windows = imu[:, : count * WINDOW_SAMPLES].reshape(6, count, WINDOW_SAMPLES).transpose(1, 0, 2)
    forest.predict_proba(handcrafted_features(np.ascontiguousarray(windows)))
    return hours


def live_latencies(classifier: Classifier) -> list[float]:
    """Seconds from handing samples over to having the answer, for every one."""
    live, took = Live(classifier, LIVE_HOP_S), []
    values = movement(LIVE_S)
    time_s, step = np.arange(len(values)) / RATE_HZ, round(LIVE_CHUNK_S * RATE_HZ)
    for k in range(0, len(values), step):
        own = slice(k, k + step)
        begin = time.perf_counter()
        answers = live.push(time_s[own], values[own, :3], time_s[own], values[own, 3:])
        if len(answers) == 1:  # at the beginning several come at once, when the rates are known
            took.append(time.perf_counter() - begin)
    return took
