"""A study whose heads read features, and whose labels are of another dataset: its runs, and where they are shown."""

from pathlib import Path

import pytest

from configs.load import ConfigError
from configs.study import load_study, planned_runs
from scripts import report
from scripts.studies.done import is_done
from tests.prepared import write_dataset
from tests.study_runs import write_runs

ROOT = Path(__file__).resolve().parents[3]
STUDY = """
title: Features
datasets: {Ego4D: sim_ego4d, MMEA: sim_mmea, PD: sim_pd}
pretraining:
  ours_ego4d: {approach: ours, dataset: Ego4D, config: configs/demo/pretrain.yaml}
evaluations:
  within: {kind: few_shot, dataset: MMEA, config: configs/demo/downstream.yaml, baselines: [random, handcrafted],
    read: [{features: [invariant], heads: [linear, trees], calibrate: person},
           {features: [minirocket], heads: [linear]},
           {features: [encoder, handcrafted], heads: [trees]}]}
  across: {kind: few_shot, dataset: MMEA, test_dataset: PD, config: configs/demo/downstream.yaml,
    settings: {class_map: configs/downstream/cohorts_map.yaml}, probes: PROBES,
    read: [{features: [handcrafted], heads: [trees]}, {features: [encoder], heads: [linear]}]}
"""
READ = [
    *("within-invariant_linear_calibrated", "within-invariant_trees_calibrated", "within-minirocket_linear"),
    *("within-encoder_handcrafted_trees-ours_ego4d", "across-handcrafted_trees", "across-encoder_linear-ours_ego4d"),
]


def study_of(folder, probes="false"):
    (folder / "study.yaml").write_text(STUDY.replace("PROBES", probes))
    return load_study(folder / "study.yaml")


def test_the_runs_and_their_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    planned = {p.name: p for p in planned_runs(study_of(tmp_path), Path("data"), Path("runs"))}
    assert [name for name, p in planned.items() if p.approach == "read"] == READ
    assert "across-ours_ego4d" not in planned and "within-ours_ego4d" in planned
    assert all(planned[name].command == "features" for name in READ)
    beside = planned["within-encoder_handcrafted_trees-ours_ego4d"]
    assert beside.needs == ("ours_ego4d",) and beside.config.checkpoint == Path("runs/ours_ego4d/checkpoints/last.pt")
    assert (beside.config.features, beside.config.head) == (["encoder", "handcrafted"], "trees")
    assert planned["within-invariant_linear_calibrated"].config.calibrate == "person"
    across = planned["across-handcrafted_trees"].config
    assert (across.dataset, across.test_dataset) == ("sim_mmea", "sim_pd") and across.transfers
    forest = planned["within-handcrafted"].config
    assert (forest.features, forest.head) == (["handcrafted"], "forest")
    assert "across-ours_ego4d" in {p.name for p in planned_runs(study_of(tmp_path, "true"), Path("d"), Path("r"))}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a study in which a run's balanced accuracy is its place in the list."""
    root = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        study = study_of(root)
        for name in study.datasets.values():
            write_dataset(root / "data" / name, ["walking", "fall"], video=False)
        names = [p.name for p in planned_runs(study, root / "data", root / "runs")]
        write_runs(study, root / "runs", lambda planned, shots: 0.3 + 0.05 * names.index(planned.name))
        words = f"--runs {root}/runs --study {root}/study.yaml --data_root {root}/data --out {root}/report"
        text = report.main(words.split()).read_text(encoding="utf-8")
    return text


def test_rows_stand_under_plain_names(page):
    for words in (
        "invariant features, linear, standardised by each person's unlabelled windows",
        "invariant features, trees, standardised by each person's unlabelled windows",
        "MiniRocket, linear",
        "encoder + handcrafted, trees (imu_video_cross, pretrained on",
        "handcrafted features, random forest",
        "linear probe on standardised embeddings",
    ):
        assert any(line.startswith(f"| {words}") for line in page.splitlines()), words
    assert "95 % interval of the balanced accuracy over groups" in page and "| chance" in page


def test_the_papers_tables_do_not_change(page):
    (table,) = [part for part in page.split("\n## ") + page.split("\n### ") if part.startswith("Table 3")][:1]
    assert "ours" in table and "handcrafted features" in table
    assert "invariant" not in table and "MiniRocket" not in table and "across" not in table
    assert "Without results" not in page
    assert "standardised by each person" not in table


def test_the_papers_tables_say_what_was_calibrated(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = STUDY.replace("PROBES", "false").replace(
        "baselines: [random, h", "settings: {calibrate: person}, baselines: [h"
    )
    (tmp_path / "study.yaml").write_text(text)
    write_runs(load_study(tmp_path / "study.yaml"), tmp_path / "runs", lambda planned, shots: 0.5)
    words = f"--runs {tmp_path}/runs --study {tmp_path}/study.yaml --data_root {tmp_path} --out {tmp_path}/report"
    (line,) = [row for row in report.main(words.split()).read_text().splitlines() if "MMEA is sim_mmea" in row][:1]
    assert "standardised by each person's unlabelled windows" in line


def test_what_cannot_be_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = STUDY.replace("PROBES", "false")
    for old, new, message in (
        ("test_dataset: PD", "test_dataset: Nowhere", "across: test_dataset 'Nowhere' is not one of"),
        ("heads: [linear, trees]", "heads: [svm]", "within.read.0.heads.0"),
        ("few_shot, dataset: MMEA, test", "zero_shot, dataset: MMEA, test", "across: baselines, read and test_dataset"),
    ):
        (tmp_path / "study.yaml").write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=message):
            load_study(tmp_path / "study.yaml")
    planned = planned_runs(study_of(tmp_path), Path("data"), tmp_path / "runs")
    assert not any(is_done(p, tmp_path / "runs") for p in planned)
