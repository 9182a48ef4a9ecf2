"""Study files: which runs they stand for, and what is refused."""

from pathlib import Path

import pytest

from configs.load import ConfigError
from configs.study import checkpoint_of, load_study, planned_runs
from datasets.protocols.people import are_named

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "configs" / "study").glob("*.yaml"))
SMALL = """
title: Small
datasets: {Ego4D: sim_ego4d, MMEA: sim_mmea}
pretraining:
  ours: {approach: ours, dataset: Ego4D, config: configs/demo/pretrain.yaml}
  masked: {approach: imu_only, dataset: MMEA, config: configs/demo/pretrain.yaml, settings: {model: imu_only}}
evaluations:
  probe: {kind: few_shot, dataset: MMEA, config: configs/demo/downstream.yaml, baselines: [random],
          settings: {shots: [5, 10], standardize: false}}
  zero: {kind: zero_shot, dataset: MMEA, config: configs/demo/zeroshot_mmea.yaml}
"""


def write(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_pair_is_a_run_after_those_that_it_needs(tmp_path):
    listed = planned_runs(load_study(write(tmp_path, SMALL)), Path("data"), Path("runs"))
    assert [planned.name for planned in listed] == [
        *("ours", "masked", "probe-ours", "probe-masked", "probe-random"),
        "zero-ours",  # and none of masked, which has no video encoder
    ]
    by_name = {planned.name: planned for planned in listed}
    assert by_name["probe-masked"].needs == ("masked",)
    assert (by_name["probe-masked"].approach, by_name["probe-masked"].pretrained_on) == ("imu_only", "MMEA")
    assert (by_name["probe-random"].approach, by_name["probe-random"].pretrained_on) == ("random", None)
    assert by_name["zero-ours"].dataset_role == "MMEA" and by_name["zero-ours"].evaluation == "zero"
    assert by_name["ours"].evaluation is None and by_name["ours"].needs == ()


def test_a_lone_baseline_has_the_first_encoders_architecture(tmp_path):
    text = SMALL.replace("baselines: [random],", "of: [], baselines: [random],")
    by_name = {
        planned.name: planned for planned in planned_runs(load_study(write(tmp_path, text)), Path("data"), Path("runs"))
    }
    assert "probe-ours" not in by_name and by_name["probe-random"].needs == ("ours",)
    assert by_name["probe-random"].values["checkpoint"] == Path("runs/ours/checkpoints/last.pt")


def test_the_settings_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    by_name = {
        planned.name: planned
        for planned in planned_runs(load_study(write(tmp_path, SMALL)), Path("data"), Path("runs"))
    }
    trained = by_name["masked"].config
    assert (trained.model, trained.dataset, trained.run_name) == ("imu_only", "sim_mmea", "masked")
    probe = by_name["probe-ours"].config
    assert (probe.shots, probe.standardize, probe.random_weights) == ([5, 10], False, False)
    assert probe.checkpoint == checkpoint_of(Path("runs"), "ours") == Path("runs/ours/checkpoints/last.pt")
    assert by_name["probe-random"].config.random_weights
    assert by_name["zero-ours"].config.run_name == "zero-ours"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_of_the_project_hold_together(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    listed = planned_runs(load_study(path), Path("data"), Path("runs"))
    names = [planned.name for planned in listed]
    assert len(set(names)) == len(names) > 5
    for number, planned in enumerate(listed):
        assert set(planned.needs) <= set(names[:number])
        assert planned.settings["run_name"] == planned.name  # raises where a setting is refused


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dataset: Ego4D, config", "dataset: Ego5D, config", "ours: dataset 'Ego5D' is not one of Ego4D, MMEA"),
        ("approach: ours", "approach: mine", "pretraining.ours.approach: Input should be 'ours'"),
        ("zeroshot_mmea.yaml}", "zeroshot_mmea.yaml, of: [masked]}", "masked has no video encoder"),
        ("zeroshot_mmea.yaml}", "zeroshot_mmea.yaml, of: [nobody]}", "of 'nobody' is not one of ours, masked"),
        (
            "zeroshot_mmea.yaml}",
            "zeroshot_mmea.yaml, baselines: [random]}",
            "zero: baselines, read and test_dataset are for",
        ),
        ("title: Small", "title: Small\nsimulate: configs/demo/simulate.yaml", "simulate and prepare go together"),
        ("configs/demo/zeroshot_mmea.yaml", "configs/none.yaml", "configs/none.yaml, which is not there"),
        ("title: Small", "titel: Small", "titel: Extra inputs"),
        ("title: Small", "title: Small\nchosen_on: {PD: [p1]}", "chosen_on: dataset 'PD' is not one of Ego4D, MMEA"),
        ("title: Small", "title: Small\nchosen_on: {MMEA: [p1]}", "chosen_on: only the pages of cohorts and of folds"),
        ("  masked:", "  a/b:", "must be a plain folder name"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused(tmp_path, monkeypatch, old, new, message):
    monkeypatch.chdir(ROOT)
    assert old in SMALL
    with pytest.raises(ConfigError, match="study.yaml: ") as error:
        load_study(write(tmp_path, SMALL.replace(old, new)))
    assert message in str(error.value)


def test_people_are_told_apart_by_their_recordings(tmp_path):
    text = SMALL.replace("title: Small", "title: Small\npage: cohorts\nchosen_on: {MMEA: ['18'], PD: [p1]}")
    text = text.replace("MMEA: sim_mmea}", "MMEA: sim_mmea, PD: pd}")
    text += "recordings: {pd: {format: classyglass, raw: glasses}}\n"
    study = load_study(write(tmp_path, text))
    assert study.chosen_people == {("sim_mmea", "18"), ("glasses", "p1")}
    assert (study.recorded_as("PD"), study.recorded_as("Ego4D")) == ("glasses", "sim_ego4d")


def test_a_pretraining_on_several_roles(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    both = SMALL.replace("dataset: Ego4D, config", "dataset: [MMEA, Ego4D], config")
    both = both.replace("pretrain.yaml}\n  masked", "pretrain.yaml, settings: {dataset_weights: [0.5, 2]}}\n  masked")
    by_name = {run.name: run for run in planned_runs(load_study(write(tmp_path, both)), Path("data"), Path("runs"))}
    trained = by_name["ours"].config
    assert (trained.dataset, trained.dataset_weights) == (["sim_mmea", "sim_ego4d"], [0.5, 2.0])
    assert by_name["ours"].pretrained_on == by_name["probe-ours"].pretrained_on == "MMEA + Ego4D"
    assert by_name["masked"].pretrained_on == "MMEA" and by_name["masked"].config.dataset == "sim_mmea"
    with pytest.raises(ConfigError, match="ours: dataset 'PD' is not one of"):
        load_study(write(tmp_path, both.replace("[MMEA, Ego4D]", "[MMEA, PD]")))


def test_phone_and_watch_halve_any_people(monkeypatch):
    monkeypatch.chdir(ROOT)
    by_name = {run.name: run for run in planned_runs(load_study(STUDIES[0]), Path("data"), Path("runs"))}
    for evaluation in ("phone_to_watch", "watch_to_phone"):
        settings = by_name[f"{evaluation}-handcrafted_linear"].config
        for people in ([f"s{n:02d}" for n in range(1, 17)], [f"s{n}" for n in range(17, 24)], ["7", "12"]):
            learnt, predicted = (are_named(people, names) for names in (settings.subjects, settings.test_subjects))
            assert learnt.any() and predicted.any() and (learnt != predicted).all()
