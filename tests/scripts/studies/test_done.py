"""Whether an evaluation of a study is done: the class map that it was measured with, by its content."""

import json

import pytest

from configs.study import load_study, planned_runs
from scripts import features
from scripts.reporting.runs import Run
from scripts.reporting.study_results import other_settings
from scripts.studies.done import is_done
from tests.prepared import write_dataset

STUDY = """
title: A class map
datasets: {{Toy: toy}}
pretraining: {{masked: {{approach: imu_only, dataset: Toy, config: {folder}/train.yaml}}}}
evaluations:
  toy: {{kind: few_shot, dataset: Toy, config: {folder}/few.yaml, of: [], read: [
    {{features: [handcrafted], heads: [linear]}}]}}
"""
MAP = "down: {toy: fall}\nup: {toy: [standing, walking]}\n"


@pytest.fixture
def measured(tmp_path):
    """The planned run, its folder, and the class map that it was measured with."""
    write_dataset(tmp_path / "toy", ["fall", "standing", "walking"] * 4, seconds=20, video=False)
    (tmp_path / "map.yaml").write_text(MAP)
    (tmp_path / "train.yaml").write_text("dataset: toy\nmodel: imu_only\n")
    (tmp_path / "few.yaml").write_text(f"shots: [1]\nval_samples: 1\ndraws: 1\nclass_map: {tmp_path}/map.yaml\n")
    (tmp_path / "study.yaml").write_text(STUDY.format(folder=tmp_path))
    *_, run = planned_runs(load_study(tmp_path / "study.yaml"), tmp_path, tmp_path / "runs")
    words = f"--config {run.file} --dataset toy --features handcrafted --head linear --run_name {run.name}"
    folder = features.main([*words.split(), "--data_root", str(tmp_path), "--runs_root", str(tmp_path / "runs")])
    return run, folder, tmp_path / "map.yaml"


def other(run, folder):
    results = json.loads((folder / "results.json").read_text())
    return other_settings(run, {run.name: Run(folder, run.name, results)})


def test_an_edited_class_map_is_measured_again(measured):
    run, folder, file = measured
    assert is_done(run, folder.parent) and other(run, folder) == []
    file.write_text(MAP.replace("standing, walking", "walking"))
    assert not is_done(run, folder.parent) and other(run, folder) == ["class_map"]
    file.write_text(MAP)
    assert is_done(run, folder.parent)


def test_results_without_a_digest_are_done(measured):
    run, folder, file = measured
    results = json.loads((folder / "results.json").read_text())
    del results["class_map_sha256"]
    (folder / "results.json").write_text(json.dumps(results))
    file.write_text(MAP.replace("standing, walking", "walking"))
    assert is_done(run, folder.parent) and other(run, folder) == []
