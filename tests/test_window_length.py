"""Windows of another length through training and every evaluation."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

import downstream
import train
import zeroshot
from datasets.windows import list_windows
from models import readers
from scripts import embedding_map, features
from scripts.reporting.runs import Run, windows_measured
from tests.prepared import write_dataset
from tests.training import command, losses
from utils import checkpoint
from utils.checkpoint import CheckpointError
from utils.comparison import compare_runs

DRAWN = "--window_s 2.5 --min_coverage 0.6 --window_start random --speed_jitter 0.2".split()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Twelve recordings of 6.4 s and two people, and runs on windows of 2.5 s."""
    root = tmp_path_factory.mktemp("length")
    write_dataset(root / "tiny", ["walking", "standing"] * 6, seconds=6.4, frame_size=16, subjects=6)
    train.main(command(root, root, "whole", *DRAWN))
    return root


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setitem(readers.TREES, "forest", 5)


def run(main, root, name, words):
    common = f"--dataset tiny --data_root {root} --runs_root {root} --run_name {name} {words}"
    folder = main(common.split())
    return folder, json.loads((folder / "results.json").read_text())


def test_training_resumes_to_the_bit(world):
    train.main(command(world, world, "part", *DRAWN, "--max_steps", "3"))
    train.main(command(world, world, "part", *DRAWN, "--resume", "auto"))
    assert losses(world / "part") == losses(world / "whole")
    results = json.loads((world / "whole" / "results.json").read_text())
    assert results["windows"] + results["held_out"] == 24 and results["config"]["window_s"] == 2.5
    assert checkpoint.load(world / "whole/checkpoints/last.pt")["config"]["window_s"] == 2.5
    assert "+2.5" not in (world / "whole" / "log.txt").read_text()
    with pytest.raises(CheckpointError, match="window_start was 'random', is 'grid'"):
        train.main(command(world, world, "part", *DRAWN[:-4], *DRAWN[-2:], "--resume", "auto"))


def test_masked_reconstruction_trains_and_resumes(world):
    method = ["--model", "imu_only", *DRAWN, "--imu_patch", "12"]
    train.main(command(world, world, "masked", *method))
    train.main(command(world, world, "again", *method, "--max_steps", "7"))
    train.main(command(world, world, "again", *method, "--resume", "auto"))
    assert losses(world / "again") == losses(world / "masked")


def test_evaluations_take_the_length_of_the_checkpoint(world):
    encoder = f"--checkpoint {world}/whole/checkpoints/last.pt"
    few = "--shots 2 --val_samples 2 --draws 3"
    folder, probe = run(downstream.main, world, "probe", f"{encoder} {few} --epochs 1")
    forest_folder, forest = run(features.main, world, "forest", f"--head forest --window_s 2.5 {few}")
    assert probe["window_s"] == forest["window_s"] == 2.5 and sum(probe["windows_per_class"]) == 24
    assert probe["shots"]["2"]["windows_sha256"] == forest["shots"]["2"]["windows_sha256"]
    other_folder, other = run(features.main, world, "five", f"--head forest {few}")
    assert other["window_s"] == 5 and other["shots"]["2"]["windows_sha256"] != forest["shots"]["2"]["windows_sha256"]
    with pytest.raises(ValueError, match="did not predict the same windows"):
        compare_runs(forest_folder, other_folder, forest["classes"], 2)
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
        assert all(row["window"].endswith("+2.5") for row in csv.DictReader(file))
    out = embedding_map.main(
        [*encoder.split(), "--datasets", "tiny", "--data_root", str(world), "--out", f"{world}/map"]
        + "--device cpu --windows_per_class 12".split()
    )
    assert json.loads((out / "results.json").read_text())["window_s"] == 2.5


def test_another_length_is_refused(world):
    encoder = f"--checkpoint {world}/whole/checkpoints/last.pt --window_s 3"
    remedy = "was trained on windows of 2.5 s, not of 3 s: leave --window_s out, or pretrain with --window_s 3"
    for main in (downstream.main, zeroshot.main):
        with pytest.raises(CheckpointError, match=remedy):
            run(main, world, "refused", encoder)
    with pytest.raises(CheckpointError, match=remedy):
        embedding_map.main(
            [*encoder.split(), "--datasets", "tiny", "--data_root", str(world), "--out", f"{world}/refused"]
        )


def test_zero_shot_with_the_centre_window_of_each_recording(world):
    encoder = f"--checkpoint {world}/whole/checkpoints/last.pt --prototypes_per_class 2"
    folder, centre = run(zeroshot.main, world, "centre", f"{encoder} --windows_per_recording centre")
    _, everything = run(zeroshot.main, world, "all", encoder)
    assert centre["window_s"] == 2.5 and centre["queries_per_class"] == [4, 4]
    assert everything["queries_per_class"] == [8, 8]
    prototypes = json.loads((folder / "prototypes.json").read_text())
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
        queries = [row["window"] for row in csv.DictReader(file)]
    names = [*queries, *prototypes["walking"], *prototypes["standing"]]
    assert sorted(names) == [f"rec{k:03d}@1.9+2.5" for k in range(12)]  # (6.4 - 2.5) / 2 = 1.95, on the grid of frames
    longer = [Run(folder, "centre", centre | change) for change in ({}, {"window_s": 5.0})]
    assert windows_measured(longer[0]) != windows_measured(longer[1])


def test_short_recordings_are_counted_in_the_plan(world, capsys, tmp_path):
    store = write_dataset(tmp_path / "tiny", ["walking", "standing"] * 4, seconds=2.1, frame_size=16)
    with pytest.raises(ValueError, match="no usable 3 s window.* 8 recordings are too short"):
        list_windows(store, window_s=3.0)
    few = "--shots 1 --val_samples 1 --draws 1 --window_s 3"
    _, kept = run(features.main, tmp_path, "kept", f"--head forest {few} --min_coverage 0.7")
    assert kept["windows_per_class"] == [4, 4] and "too short" not in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "tiny/recordings.csv", dtype=str, keep_default_na=False)
    for row in range(2):  # 1.6 s of them
        path = tmp_path / "tiny" / "imu" / f"{table['id'][row]}.npy"
        np.save(path, np.load(path)[:80])
        table.loc[row, "samples"] = "80"
    table.to_csv(tmp_path / "tiny/recordings.csv", index=False)
    _, kept = run(features.main, tmp_path, "fewer", f"--head forest {few} --min_coverage 0.7")
    words = "2 recordings are too short for a window of 3 s"
    assert kept["windows_per_class"] == [3, 3] and words in capsys.readouterr().out
    short = ["--model", "imu_only", "--window_s", "3", "--min_coverage", "0.7", "--max_steps", "1"]
    train.main(command(tmp_path, tmp_path, "train", *short))
    assert words in (tmp_path / "train" / "log.txt").read_text()
