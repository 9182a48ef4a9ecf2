"""A study with folds on its page: mean, spread and ends over people; confusion of all; examples right and wrong."""

import contextlib
import json

import numpy as np
import pandas as pd
import pytest

from configs.study import load_study
from datasets.store import open_store
from datasets.windows import list_windows
from scripts import report
from scripts.reporting import folds_page
from scripts.reporting.folds_page import named_windows
from tests.prepared import write_dataset
from tests.scripts.reporting.test_study_page import ROOT
from tests.study_runs import CLASSES, write_runs

FOLDS = ["s1", "s2", "s3"]
STUDY = """
title: People in turn
folds: [s1, s2, s3]
datasets: {MMEA: pairs}
chosen_on: {MMEA: [s1]}
pretraining:
  "softmax_{fold}": {approach: softmax, dataset: MMEA, config: configs/demo/pretrain.yaml, settings: {loss: softmax}}
  "ours_{fold}": {approach: ours, dataset: MMEA, config: configs/demo/pretrain.yaml}
  "imu_only_{fold}": {approach: imu_only, dataset: MMEA, config: configs/demo/pretrain.yaml,
    settings: {model: imu_only}}
evaluations:
  "zero_shot_{fold}": {kind: zero_shot, dataset: MMEA, config: configs/demo/zeroshot_mmea.yaml}
  "few_shot_{fold}": {kind: few_shot, dataset: MMEA, config: configs/demo/downstream.yaml,
    settings: {shots: [1, 2]}, baselines: [random, handcrafted], read: [{features: [invariant], heads: [linear]}]}
"""
BASE = {"softmax": 0.7, "ours": 0.8, "imu_only": 0.5, "random": 0.2, "handcrafted": 0.9, "read": 0.6}
MISSING = "zero_shot_s3-ours_s3"
WAYS = {"imu_to_video/r@1": "IMU to video, R@1", "video_to_imu/r@5": "video to IMU, R@5"}


def accuracy(planned, shots):
    return BASE[planned.approach] - FOLDS.index(planned.evaluation[-2:]) / 10


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder with data/, runs/ and report/; the first fold predicts all of two classes right, and one wrong."""
    folder = tmp_path_factory.mktemp("folds")
    with contextlib.chdir(ROOT):  # paths in a study file start there
        (folder / "study.yaml").write_text(STUDY)
        write_runs(load_study(folder / "study.yaml"), folder / "runs", accuracy, leave_out=(MISSING,))
        names = CLASSES["MMEA"]
        store = write_dataset(folder / "data/pairs", names * 2, frame_size=16)
        windows = list_windows(store, labelled=True, classes=names)
        truth = np.array(names)[windows.label]
        predicted = np.where(np.isin(truth, names[:2]), truth, names[0])
        table = pd.DataFrame({"window": windows.ids(), "truth": truth, "predicted": predicted})
        table.to_csv(folder / "runs/zero_shot_s1-softmax_s1/predictions.csv", index=False)
        make(folder)
    return folder


def make(folder):
    flags = ["--runs", str(folder / "runs"), "--study", str(folder / "study.yaml"), "--data_root", str(folder / "data")]
    return report.main([*flags, "--out", str(folder / "report")])


def cells(study, name):
    frame = pd.read_csv(study / "report/tables" / f"{name}.csv", dtype=str, keep_default_na=False)
    return frame.set_index(frame.columns[0])


def results(study, run):
    return json.loads((study / "runs" / run / "results.json").read_text())


def over(values):
    mean, std = 100 * np.mean(values), 100 * np.std(values, ddof=1)
    return f"{mean:.1f} ± {std:.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def test_zero_shot_over_people(study):
    table = cells(study, "folds")
    runs = [results(study, f"zero_shot_{fold}-softmax_{fold}") for fold in FOLDS]
    values = [run["metrics"]["balanced_accuracy"]["mean"] for run in runs]
    assert table.loc["ours with softmax loss", "zero shot: balanced accuracy"] == over(values)
    for metric, words in WAYS.items():
        of_pairs = [run["retrieval"][metric] for run in runs]
        assert table.loc["ours with softmax loss", f"zero shot: {words}"] == over(of_pairs)
    assert table.loc["IMU-only", "zero shot: balanced accuracy"] == "-"
    assert list(table.loc["chance"]) == ["25.0", "1.0", "5.0", "1.0", "5.0", "25.0", "25.0"]


def test_few_shot_over_people(study):
    table = cells(study, "folds")
    assert list(table.index) == [
        *("ours with softmax loss", "ours", "IMU-only", "random weights", "handcrafted features"),
        *("invariant features, linear", "chance"),
    ]
    for shots, column in (("1", "few shot: 1 label"), ("2", "few shot: 2 labels")):
        for row, source in (
            ("handcrafted features", "handcrafted"),
            ("IMU-only", "imu_only_{}"),
            ("invariant features, linear", "invariant_linear"),
        ):
            runs = [results(study, f"few_shot_{fold}-{source.format(fold)}") for fold in FOLDS]
            values = [run["shots"][shots]["balanced_accuracy"]["mean"] for run in runs]
            assert table.loc[row, column] == over(values)


def test_means_without_the_people_of_the_choice(study):
    table = cells(study, "folds_without")
    for row, source in (("handcrafted features", "handcrafted"), ("IMU-only", "imu_only_{}")):
        runs = [results(study, f"few_shot_{fold}-{source.format(fold)}") for fold in FOLDS[1:]]
        values = [run["shots"]["2"]["balanced_accuracy"]["mean"] for run in runs]
        assert table.loc[row, "few shot: 2 labels"] == over(values)
    assert table.loc["ours", "zero shot: balanced accuracy"].endswith("; 1 of 2")
    page = (study / "report/report.md").read_text()
    assert "Labels of s1 chose settings" in page and "over 2 people" in page


def test_first_approach_against_the_others(study):
    table = cells(study, "folds_tests")
    assert list(table.index) == [
        "ours",
        "IMU-only",
        "random weights",
        "handcrafted features",
        "invariant features, linear",
    ]
    runs = [(results(study, f"few_shot_{f}-softmax_{f}"), results(study, f"few_shot_{f}-handcrafted")) for f in FOLDS]
    values = [[run["shots"]["1"]["balanced_accuracy"]["mean"] for run in pair] for pair in runs]
    difference = 100 * np.mean([a - b for a, b in values])
    assert table.loc["handcrafted features", "few shot: 1 label"] == f"{difference:+.1f} (3 people)"
    assert table.loc["ours", "zero shot: balanced accuracy"] == "-10.0 (2 people)"
    assert not any("R@" in name for name in table.columns)


def test_folds_without_results_are_counted(study):
    cell = cells(study, "folds").loc["ours", "zero shot: balanced accuracy"]
    assert cell.endswith("(70.0 to 80.0); 2 of 3")
    by_fold = cells(study, "folds_zero_shot")
    assert by_fold.loc["ours", "s3"] == "-" and by_fold.loc["ours", "s2"].startswith("70.0")
    assert f"shown as missing: {MISSING}." in (study / "report/report.md").read_text()


def test_the_papers_tables_are_left_out(study):
    page = (study / "report/report.md").read_text()
    assert "## Each person held out in turn" in page
    assert not any(words in page for words in ("Table 3", "Table 4", "Table 5", "paper's order", "## Few-shot"))
    written = {path.stem for path in (study / "report/tables").iterdir()}
    assert written == {
        "folds",
        "folds_without",
        "folds_tests",
        "folds_zero_shot",
        "pretraining",
        "pretraining_imu_only",
        "runs",
    }


def test_confusion_is_of_all_folds_of_the_first_approach(study, monkeypatch):
    drawn = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        folds_page,
        "confusion_matrix",
        lambda counts, classes, png, title: drawn.update(counts=counts, title=title) or png.write_bytes(b"\x89PNG"),
    )
    make(study)
    summed = np.sum([results(study, f"zero_shot_{fold}-softmax_{fold}")["confusion"] for fold in FOLDS], axis=0)
    assert (drawn["counts"] == summed).all()
    assert "ours with softmax loss" in drawn["title"] and f"{summed.sum()} windows" in drawn["title"]


def test_examples_are_windows_of_the_first_fold(study, monkeypatch):
    shown = []
    monkeypatch.chdir(ROOT)
    paired = folds_page.paired_windows
    monkeypatch.setattr(
        folds_page,
        "paired_windows",
        lambda windows, rate: shown.append(windows) or paired(windows, rate),
    )
    make(study)
    assert [len(pair) for pair in shown] == [2, 2, 2, 2]
    windows = [window for pair in shown for window in pair]
    for number, window in enumerate(windows):
        truth, predicted = window.name.removeprefix("true ").split(", predicted ")
        assert (truth == predicted) == (number < 4)
        assert window.frames is not None and window.imu.shape[0] == 6
    page = (study / "report/report.md").read_text()
    for name in ("right", "wrong"):
        assert page.count(f"Predicted {name} (12 of 24 windows)") == 2
        assert (study / f"report/figures/folds_{name}_2.png").is_file()


def test_windows_by_their_names(study):
    store = open_store(study / "data", "pairs")
    listed = list_windows(store)
    chosen = [7, 2, 7]
    found = named_windows(listed, [listed.ids()[k] for k in chosen])
    assert (found.imu(np.arange(3), "none") == listed.imu(np.array(chosen), "none")).all()
    assert found.ids() == [listed.ids()[k] for k in chosen]
    with pytest.raises(ValueError, match="no recording rec999"):
        named_windows(listed, ["rec999@0"])


def test_without_the_dataset_the_page_says_so(study, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    flags = ["--runs", str(study / "runs"), "--study", str(study / "study.yaml"), "--data_root", str(tmp_path)]
    page = report.main([*flags, "--out", str(tmp_path / "report")]).read_text()
    assert "missing: no dataset 'pairs'" in page.split("### Examples")[1]


def test_no_results_at_all(study, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    (tmp_path / "runs").mkdir()
    flags = ["--runs", str(tmp_path / "runs"), "--study", str(study / "study.yaml"), "--data_root", str(tmp_path)]
    assert "missing: no evaluation of a fold" in report.main([*flags, "--out", str(tmp_path / "report")]).read_text()
