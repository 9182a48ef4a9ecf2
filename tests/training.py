"""A training run small enough for tests: a prepared dataset of seconds, models of a few thousand parameters."""

import csv
from pathlib import Path

import numpy as np

from tests.prepared import write_dataset

SIZES = (
    "--video_weights none --image_size 16 --video_patch 8 --clip_len 2 --embed_dim 16 "
    "--imu_dim 8 --imu_heads 2 --imu_layers 1 --imu_ffn 8 --video_dim 8 --video_heads 2 --video_layers 1 --video_ffn 8"
).split()


def make_data(root: Path) -> Path:
    """Eight recordings of three windows each; returns the data root."""
    write_dataset(root / "tiny", ["walking", "standing"] * 4, seconds=15, frame_size=16)
    return root


def spoil(root: Path, recording: str, second: int) -> None:
    """A sample that is not a number, as only a fault of disk or code could leave it."""
    path = root / "tiny" / "imu" / f"{recording}.npy"
    signal = np.load(path)
    signal[second * 50, 2] = np.nan
    np.save(path, signal)


def command(data: Path, runs: Path, name: str, *more: str) -> list[str]:
    """The command line of a tiny run: 5 steps an epoch, every step logged."""
    basics = ["--dataset", "tiny", "--data_root", str(data), "--runs_root", str(runs), "--run_name", name]
    return [*basics, *SIZES, *"--batch_size 4 --epochs 2 --log_interval 1 --device cpu --lr 0.01".split(), *more]


def losses(run: Path) -> dict[int, str]:
    """Loss of each step, to the last bit."""
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {int(row["step"]): float(row["value"]).hex() for row in rows if row["name"] == "loss"}
