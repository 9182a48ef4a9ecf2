"""What a study goes without: runs whose data, people or encoder are absent, and pretraining on fewer datasets."""

from pathlib import Path

import pytest

from configs.study import load_study, planned_runs
from scripts.studies.left_out import UNNEEDED, in_words, left_out, never_held_out, on_those_there
from tests.configs.test_study import ROOT, write
from tests.prepared import write_dataset

STUDY = """
title: Cohorts
datasets: {Young: waist, Old: waist, Wrist: watch, Pocket: phone}
recordings: {waist: {format: hapt, raw: w}, watch: {format: hapt, raw: x}, phone: {format: hapt, raw: y}}
pretraining:
  all_but_watch: {approach: recommended, dataset: [Young, Pocket], config: configs/demo/pretrain.yaml,
    settings: {model: imu_only, dataset_weights: [1, 2]}}
  all: {approach: imu_only, dataset: [Young, Wrist, Pocket], config: configs/demo/pretrain.yaml,
    settings: {model: imu_only, dataset_weights: [1, 2, 3]}}
  lonely: {approach: ours, dataset: Pocket, config: configs/demo/pretrain.yaml}
evaluations:
  watch: {kind: few_shot, dataset: Wrist, config: configs/demo/downstream.yaml, of: [all_but_watch, lonely],
    baselines: [supervised, handcrafted], read: [{features: [encoder], heads: [linear], random_weights: true}]}
  old: {kind: few_shot, dataset: Young, test_dataset: Old, config: configs/demo/downstream.yaml, of: [all],
    probes: false, settings: {subjects: ["SA*"], test_subjects: ["SE*"]},
    read: [{features: [handcrafted], heads: [linear]}, {features: [encoder], heads: [linear]}]}
  transfer: {kind: few_shot, dataset: Wrist, test_dataset: Pocket, config: configs/demo/downstream.yaml, of: [],
    read: [{features: [handcrafted], heads: [linear]}]}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_study(write(tmp_path, STUDY))


def planned(study, absent=()):
    return planned_runs(on_those_there(study, absent), Path("data"), Path("runs"))


def test_with_all_datasets_nothing_changes(study):
    assert on_those_there(study, []) == study and left_out(planned(study), Path("data"), {}) == {}
    assert in_words(study, planned(study), {}) == []


def test_pretraining_goes_on_with_what_is_there(study):
    by_name = {run.name: run for run in planned(study, ["watch"])}
    run = by_name["all_on_waist+phone"]
    assert run.config.dataset == ["waist", "phone"] and run.config.dataset_weights == [1, 3]
    assert run.pretrained_on == "Young + Pocket" and "all_but_watch" in by_name and "all" not in by_name
    assert by_name["old-encoder_linear-all_on_waist+phone"].needs == ("all_on_waist+phone",)
    [line] = in_words(study, planned(study, ["watch"]), {})
    assert line == "all_on_waist+phone: pretrained on Young + Pocket only, of Young + Wrist + Pocket"
    alone = next(run for run in planned(study, ["watch", "phone"]) if run.name == "all_on_waist")
    assert alone.config.dataset == "waist" and alone.config.dataset_weights is None


def test_what_needs_an_absent_dataset_is_left_out(study):
    runs = planned(study, ["phone"])
    reasons = left_out(runs, Path("data"), {"phone": "no phone"})
    assert reasons == dict.fromkeys(("lonely", "watch-lonely", "transfer-handcrafted_linear"), "no phone")
    lines = in_words(study, runs, reasons)
    assert lines[-1] == "left out: 3 runs (lonely, watch, transfer): no phone" and len(lines) == 3


def test_an_encoder_that_nothing_measures_is_left_out(study):
    runs = planned(study, ["watch"])
    reasons = left_out(runs, Path("data"), {"watch": "no watch"})
    assert {name for name, reason in reasons.items() if reason == UNNEEDED} == {"all_but_watch", "lonely"}
    assert {name.split("-")[0] for name, reason in reasons.items() if reason == "no watch"} == {"watch", "transfer"}


def test_an_encoder_without_any_dataset_is_left_out(study):
    reasons = left_out(runs := planned(study, ["waist", "phone"]), Path("data"), {"waist": "no w", "phone": "no p"})
    lost = "none of the datasets of all_but_watch is there"
    needing = ("all_but_watch", "watch-all_but_watch", "watch-supervised", "watch-encoder_linear-random")
    assert {name for name, reason in reasons.items() if reason == lost} == set(needing)
    assert {run.name for run in runs} - reasons.keys() == {"watch-handcrafted"}


@pytest.mark.parametrize(("people", "name"), [(["SA1", "SA2"], "SE*"), (["SE1", "SE2"], "SA*"), (["SA1", "SE1"], None)])
def test_people_who_are_absent(study, tmp_path, people, name):
    write_dataset(tmp_path / "waist", ["a", "b"], seconds=6, video=False, subjects=people)
    reasons = left_out(planned(study), tmp_path, {})
    if name is None:
        assert reasons == {}
    else:
        assert (
            reasons.keys() == {"old-handcrafted_linear", "old-encoder_linear-all", "all"} and reasons["all"] == UNNEEDED
        )
        assert f"waist has nobody called {name} (" in reasons["old-handcrafted_linear"]


def test_people_whom_a_list_leaves_out(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path, data_root = Path("configs/study/real_pairs.yaml"), tmp_path / "data"
    listed = path.read_text().replace("{people_of: UTD-MHAD}", "[s1, s2]")
    assert never_held_out(load_study(write(tmp_path, listed)), data_root) == []
    write_dataset(data_root / "utd_mhad", ["a"] * 4, seconds=6, video=False, subjects=["s1", "s2", "s10", "s8"])
    [line] = never_held_out(load_study(write(tmp_path, listed)), data_root)
    assert line.startswith("never held out: s8, s10 of UTD-MHAD; ")
    assert never_held_out(load_study(path, data_root), data_root) == []


def test_folds_that_are_unknown_yet_leave_nothing_out(tmp_path, monkeypatch):
    """The people of Wrist are the folds; Pocket, which is prepared before it, has nobody called {fold}."""
    monkeypatch.chdir(ROOT)
    text = STUDY.replace("title: Cohorts", "title: Cohorts\nfolds: {people_of: Wrist}")
    text += """  "of_{fold}": {kind: few_shot, dataset: Pocket, config: configs/demo/downstream.yaml, of: [],
    settings: {test_subjects: ["{fold}"]}, read: [{features: [handcrafted], heads: [linear]}]}
"""
    write_dataset(tmp_path / "phone", ["a", "b"], seconds=6, video=False, subjects=["s1", "s2"])
    study = load_study(write(tmp_path, text), tmp_path)
    assert study.folds_unknown
    assert left_out(planned(study), tmp_path, {}) == {}
