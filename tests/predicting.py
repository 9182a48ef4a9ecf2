"""Recordings as users have them, and a small classifier with random weights."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from configs.training import TrainConfig
from models import build_imu_encoder
from models.classifier import Classifier, ClassifierFacts, save_classifier

CLASSES = ["walking", "sitting", "turning"]
NAMES = ("time", "ax", "ay", "az", "gx", "gy", "gz")
MAY_DAY_S = 1714557600.0  # 2024-05-01T10:00:00Z


def samples(seconds: float, rate_hz: float = 100.0, seed: int = 0, quiet: tuple[float, float] = (0, 0)) -> np.ndarray:
    """(N, 7) seconds, m/s² and rad/s of somebody who moves; within ``quiet``, seconds, nothing does but noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    moving = ((t < quiet[0]) | (t >= quiet[1]))[:, None]
    tilt = 0.6 * np.sin(2 * np.pi * 0.1 * t)  # about x: gravity turns as the gyroscope says
    rate = 0.6 * 2 * np.pi * 0.1 * np.cos(2 * np.pi * 0.1 * t)
    gravity = 9.80665 * np.stack([0 * t, np.sin(tilt), np.cos(tilt)], axis=1)
    steps = np.sin(2 * np.pi * 1.8 * t)[:, None] * [0.3, 0.2, 0.5]
    acc = np.where(moving, gravity + steps, [0, 0, 9.80665]) + rng.normal(0, 0.02, (len(t), 3))
    gyro = np.where(moving, rate[:, None] * [1, 0, 0], 0) + rng.normal(0, 0.01, (len(t), 3))
    return np.concatenate([t[:, None], acc, gyro], axis=1)


def write_csv(path: Path, table: np.ndarray, start_s: float = MAY_DAY_S, names: tuple[str, ...] = NAMES) -> Path:
    """A plain table, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(table[:, : len(names)], columns=list(names)).round(5)
    frame[names[0]] = (frame[names[0]] + start_s).round(3)
    frame.to_csv(path, index=False)
    return path


def write_classifier(folder: Path, normalize: str = "dataset", threshold: float = 0.0, **settings) -> Path:
    """Three classes, windows of 2 s, random weights; ``settings`` of the encoder's training."""
    torch.manual_seed(0)
    config = TrainConfig(dataset="x", imu_encoder="conv", window_s=2, normalize=normalize, **settings)
    encoder = build_imu_encoder(config)
    rates = 0.05 * (np.ones((3, 3)) - 3 * np.eye(3))
    facts = ClassifierFacts(
        classes=CLASSES,
        window_s=2.0,
        normalize=normalize,
        encoder=config.model_dump(mode="json"),
        temperature=1.0,
        threshold=threshold,
        prior=[1 / 3] * 3,
        rates_per_s=rates.tolist(),
        simulated=True,
        trained_on={"mode": "lp"},
    )
    mean, std = torch.tensor([0, 0, 9.8, 0, 0, 0]), torch.tensor([1.0, 3, 1, 0.4, 0.4, 0.4])
    classifier = Classifier(facts, encoder, torch.randn(3, encoder.dim), torch.zeros(3), mean, std)
    save_classifier(folder, classifier, "# A test\n")
    return folder
