"""Studies with folds: a part with ``{fold}`` in its name is there once for each of them, and mistakes are refused."""

from pathlib import Path

import pytest

from configs.folds import FOLD, expand_folds, people_of
from configs.load import ConfigError
from configs.study import load_study, planned_runs
from tests.configs.test_study import ROOT, write
from tests.prepared import write_dataset

FOLDED = """
title: People in turn
folds: [s1, s2]
datasets: {Pairs: pairs}
pretraining:
  "ours_{fold}": {approach: ours, dataset: Pairs, config: configs/demo/pretrain.yaml,
    settings: {exclude_classes: ["{fold}", "not_{fold}"], epochs: 3, video_weights: "w_{fold}"}}
  "masked_{fold}": {approach: imu_only, dataset: Pairs, config: configs/demo/pretrain.yaml, settings: {model: imu_only}}
  everybody: {approach: ours, dataset: Pairs, config: configs/demo/pretrain.yaml}
evaluations:
  "zero_{fold}": {kind: zero_shot, dataset: Pairs, config: configs/demo/zeroshot_mmea.yaml}
  "probe_{fold}": {kind: few_shot, dataset: Pairs, config: configs/demo/downstream.yaml, of: ["masked_{fold}"],
    baselines: [random, handcrafted], settings: {classes: ["{fold}"]}}
  "scratch_{fold}": {kind: few_shot, dataset: Pairs, config: configs/demo/downstream.yaml, of: [],
    baselines: [supervised]}
  probe: {kind: few_shot, dataset: Pairs, config: configs/demo/downstream.yaml, of: [everybody]}
"""


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.chdir(ROOT)


def runs(tmp_path, text=FOLDED):
    return {run.name: run for run in planned_runs(load_study(write(tmp_path, text)), Path("data"), Path("runs"))}


def test_each_fold_has_runs_of_its_own(tmp_path):
    assert list(runs(tmp_path)) == [
        *("ours_s1", "ours_s2", "masked_s1", "masked_s2", "everybody"),
        *("zero_s1-ours_s1", "zero_s1-everybody", "zero_s2-ours_s2", "zero_s2-everybody"),  # never of another fold
        *("probe_s1-masked_s1", "probe_s1-random", "probe_s1-handcrafted"),
        *("probe_s2-masked_s2", "probe_s2-random", "probe_s2-handcrafted"),
        *("scratch_s1-supervised", "scratch_s2-supervised", "probe-everybody"),
    ]


def test_the_fold_stands_in_settings_and_sources(tmp_path):
    by_name = runs(tmp_path)
    trained = by_name["ours_s2"].config
    assert (trained.exclude_classes, trained.epochs, trained.video_weights) == (["s2", "not_s2"], 3, "w_s2")
    assert by_name["probe_s2-random"].config.classes == ["s2"]
    assert by_name["probe_s2-random"].needs == ("masked_s2",)
    assert by_name["scratch_s2-supervised"].needs == ("ours_s2",)  # the first encoder of its fold
    assert by_name["probe-everybody"].config.classes != ["s2"]


def test_a_part_knows_its_fold_and_template(tmp_path):
    study = load_study(write(tmp_path, FOLDED))
    assert (study.pretraining["ours_s2"].fold, study.pretraining["ours_s2"].template) == ("s2", "ours_{fold}")
    assert (study.evaluations["probe"].fold, study.evaluations["probe"].template) == (None, None)


def test_a_study_without_folds_stays_as_it_is():
    content = {"title": "a", "pretraining": {"ours": {"settings": {"epochs": 3}}}, "evaluations": {}}
    assert expand_folds(content) == content


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folds: [s1, s2]\n", "", "ours_{fold}: the study has no folds"),
        ("folds: [s1, s2]", "folds: [s1, s2, s1]", "folds: s1 is there twice"),
        ("folds: [s1, s2]", "folds: [s1, a/b]", "plain folder name"),
        ('["{fold}", "not_{fold}"]', '["{flod}"]', "ours_{fold}: nothing replaces {flod}"),
        ("of: [everybody]", 'of: ["ours_{fold}"]', "probe: nothing replaces {fold} in 'ours_{fold}'"),
        ('"zero_{fold}"', '"zero_{fold}_{person}"', "nothing replaces {person} in 'zero_{fold}_{person}'"),
        ("  everybody:", "  ours_s2:", "ours_s2: there is another ours_s2"),
        ('of: ["masked_{fold}"]', 'of: ["nobody_{fold}"]', "of 'nobody_s1' is not one of"),
    ],
)
def test_a_mistake_with_folds_is_refused(tmp_path, old, new, message):
    assert old in FOLDED
    with pytest.raises(ConfigError, match="study.yaml: ") as error:
        load_study(write(tmp_path, FOLDED.replace(old, new)))
    assert message in str(error.value)


def test_folds_that_serve_nothing_are_refused(tmp_path):
    without = FOLDED.replace("_{fold}", "_all").replace('"{fold}"', "all").replace("not_all", "no")
    with pytest.raises(ConfigError, match="folds: no name .* holds {fold}"):
        load_study(write(tmp_path, without))


def test_a_fold_may_be_a_number(tmp_path):
    numbered = runs(tmp_path, FOLDED.replace("[s1, s2]", "[1, 2]"))
    assert numbered["ours_2"].values["exclude_classes"] == ["2", "not_2"]


def of_people(tmp_path, names):
    """A study of the people of a dataset, and the folder that holds the dataset."""
    write_dataset(tmp_path / "data" / "pairs", ["a"] * len(names), seconds=6, video=False, subjects=names)
    return write(tmp_path, FOLDED.replace("[s1, s2]", "{people_of: Pairs}")), tmp_path / "data"


def test_folds_are_the_people_of_a_dataset(tmp_path):
    path, data_root = of_people(tmp_path, ["s10", "s2", "", "s1", "s2"])
    study = load_study(path, data_root)
    assert study.folds == ["s1", "s2", "s10"] and not study.folds_unknown
    listed = load_study(write(tmp_path, FOLDED.replace("[s1, s2]", "[s1, s2, s10]")))
    assert study == listed


def test_people_in_the_order_of_their_numbers(tmp_path):
    _, data_root = of_people(tmp_path, ["b", "a10b2", "a2", "12", "a10b1", "7"])
    assert people_of(data_root / "pairs") == ["7", "12", "a2", "a10b1", "a10b2", "b"]
    assert people_of(data_root / "other") == []


def test_people_of_what_is_not_prepared(tmp_path):
    text = FOLDED.replace("[s1, s2]", "{people_of: Pairs}")
    for study in (load_study(write(tmp_path, text)), load_study(write(tmp_path, text), tmp_path / "none")):
        assert study.folds_unknown and study.folds == [FOLD] and "ours_{fold}" in study.pretraining
    with pytest.raises(ConfigError, match="nothing replaces {person}"):
        load_study(write(tmp_path, text.replace('"zero_{fold}"', '"zero_{fold}_{person}"')))


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ("{people_of: Pears}", "folds: people_of 'Pears' is not one of Pairs"),
        ("{people: Pairs}", "folds: give names, .*people_of"),
        ("{people_of: Pairs, first: 2}", "folds: give names"),
        ("{people_of: Pairs}", "folds: .*pairs names s1 in recordings.csv"),
    ],
)
def test_people_that_cannot_be_folds(tmp_path, folds, message):
    _, data_root = of_people(tmp_path, ["s1", ""])
    with pytest.raises(ConfigError, match=f"study.yaml: {message}"):
        load_study(write(tmp_path, FOLDED.replace("[s1, s2]", folds)), data_root)


def test_real_pairs_hold_out_each_person_there_is(tmp_path):
    names = [f"s{number}" for number in range(1, 8)]
    write_dataset(tmp_path / "utd_mhad", ["a"] * 7, seconds=6, video=False, subjects=names)
    path = Path("configs/study/real_pairs.yaml")
    found = planned_runs(load_study(path, tmp_path), tmp_path, Path("runs"))
    listed = tmp_path / "listed.yaml"
    listed.write_text(path.read_text().replace("{people_of: UTD-MHAD}", "[s1, s2, s3, s4, s5, s6, s7]"))
    wanted = planned_runs(load_study(listed), tmp_path, Path("runs"))
    assert found == wanted and len(found) == 35 + 28 + 7 * 2 * 9
    assert found[0].settings["exclude_subjects"] == ["s1"]
