"""Runs of train.py for the checks: small enough to take seconds on a card; on a dry run, on a CPU."""

import csv
import math
import os
from pathlib import Path

import pytest

import train
from scripts import prepare, simulate
from tests.training import SIZES

ROOT = Path(__file__).resolve().parents[2]
DEVICE = os.environ.get("GPU_CHECK_DEVICE", "cuda")
DRY_RUN = DEVICE == "cpu"
STEPS = 20
NO_DROPOUT = "--imu_dropout 0 --head_dropout 0".split()

# The demo's models (2 million parameters, frames of 64 pixels); a dry run has those of the tests of train.py.
_RECIPE = ["--config", str(ROOT / "configs" / "demo" / "pretrain.yaml"), *(SIZES if DRY_RUN else [])]
_DATA = {  # windows that 20 steps go through four times, and as many of each class as the evaluations ask for
    "simulate": "--ego4d_hours 0.3 --mmea_windows_per_class 16 --pd_windows_per_class 0 --frame_size 64",
    "prepare": "--frame_size 64",
}


def within(seconds: int) -> pytest.MarkDecorator:
    """What a check may take on a card; a dry run, on whatever cores there are, has ten times as long."""
    return pytest.mark.timeout(seconds * (10 if DRY_RUN else 1))


def make_data(folder: Path) -> Path:
    """Simulate recordings and prepare them, as a user does; returns the data root."""
    raw, root = folder / "raw", folder / "data"
    simulate.main(["--out", str(raw), *_DATA["simulate"].split()])
    for name in ("ego4d", "mmea"):
        words = ["--format", name, "--raw", str(raw / name), "--out", str(root / f"sim_{name}")]
        prepare.main([*words, *_DATA["prepare"].split()])
    return root


def command(data: Path, runs: Path, name: str, *more: str) -> list[str]:
    """Arguments of train.py: 20 steps, each logged, nothing held out."""
    where = ["--data_root", str(data), "--runs_root", str(runs), "--run_name", name, "--device", DEVICE]
    how = f"--held_out 0 --log_interval 1 --batch_size 32 --max_steps {STEPS} --num_workers 4".split()
    return [*_RECIPE, *where, *how, *more]


def losses(data: Path, runs: Path, name: str, *more: str) -> list[float]:
    """Train, and return the loss of each step."""
    assert train.main(command(data, runs, name, *more)) == 0
    return logged(runs / name, "loss")


def logged(run: Path, what: str) -> list[float]:
    """A metric of a run, step by step."""
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["name"] == what]
    return [float(row["value"]) for row in sorted(rows, key=lambda row: int(row["step"]))]


def differences(found: list[float], expected: list[float]) -> list[float]:
    """How far each number is from what is expected, relative to that; infinite where one is not a number."""
    pairs = zip(found, expected, strict=True)
    return [abs(f - e) / abs(e) if math.isfinite(f) and math.isfinite(e) else math.inf for f, e in pairs]
