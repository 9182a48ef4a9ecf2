"""Linear probe, finetuning and zero-shot on the device predict as on a CPU, from the same checkpoint."""

import csv
import json
from pathlib import Path

import pytest

import downstream
import zeroshot
from tests.gpu.running import DEVICE, NO_DROPOUT, losses, within

FEW_SHOT = "--shots 5 --val_samples 5 --draws 2 --split window".split()


@pytest.fixture(scope="module")
def checkpoint(data, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("pretrained")
    losses(data, runs, "a", *NO_DROPOUT)
    return runs / "a" / "checkpoints" / "last.pt"


@pytest.fixture
def compare(data, checkpoint, tmp_path, record_property):
    """Evaluates on the device and on the CPU, and holds the share of windows that both give the same class."""

    def evaluate(main, name: str, device: str, *words: str) -> tuple[list[str], dict]:
        where = ["--data_root", data, "--runs_root", tmp_path, "--dataset", "sim_mmea", "--checkpoint", checkpoint]
        folder = main([*map(str, where), "--run_name", name, "--device", device, *words])
        with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
            predictions = [row["predicted"] for row in csv.DictReader(file)]
        return predictions, json.loads((folder / "results.json").read_text())

    def check(main, least: float, *words: str) -> None:
        expected, _ = evaluate(main, "expected", "cpu", *words)
        found, results = evaluate(main, "found", DEVICE, *words)
        same = sum(map(str.__eq__, found, expected)) / len(expected)
        record_property("windows", len(found))
        record_property(f"same class as on a CPU (at least {least:g})", same)
        record_property("seconds", results["seconds"])
        assert len(found) == len(expected) >= 100 and same >= least

    return check


@within(60)
@pytest.mark.parametrize("more", [[], ["--standardize"]], ids=["plain", "standardized"])
def test_linear_probe(compare, more):
    compare(downstream.main, 0.97, "--mode", "lp", *FEW_SHOT, *more)


@within(90)
def test_finetuning_in_two_processes(compare):
    """Processes share the card; a GPU cannot be used after a fork, so they are new ones."""
    compare(downstream.main, 0.95, "--mode", "finetune", "--num_workers", "2", "--epochs", "12", *FEW_SHOT)


@within(60)
@pytest.mark.parametrize("direction", ["imu_to_video", "video_to_imu"])
def test_zero_shot(compare, direction):
    compare(zeroshot.main, 0.97, "--prototypes_per_class", "2", "--direction", direction)
