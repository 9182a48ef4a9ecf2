"""Labels of one cohort, answers on another: which windows, whose, and what the class map says."""

import json

import numpy as np
import pytest

import downstream
from configs.evaluation import FeaturesConfig
from datasets.protocols.classes import common_classes
from datasets.protocols.few_shot import build_task, cell_seed
from datasets.protocols.few_shot_results import describe
from datasets.store import open_store
from models.handcrafted import handcrafted_features
from models.readers import fit_head
from scripts import features
from tests.prepared import write_dataset

MAP = """
walk: {hips: [D01, D02], chest: WALKING}
rest: {hips: 'F*', chest: [SIT, LIE]}
jump: {hips: D03}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two cohorts with sensors and names of classes of their own; only ``hips`` names its people SA and SE."""
    root = tmp_path_factory.mktemp("cohorts")
    labels = sorted(["D01", "D02", "D03", "F01", "F02"] * 6)
    write_dataset(root / "hips", labels, seconds=20, video=False, subjects=5)
    rename(root / "hips", {f"s{k}": f"{'SA' if k < 3 else 'SE'}{k}" for k in range(5)})
    labels = ["WALKING", "SIT", "LIE"] * 6
    write_dataset(root / "chest", labels, seconds=15, video=False, subjects=6, seed=1)
    (root / "map.yaml").write_text(MAP)
    return root


def rename(root, people):
    """Other names of people, in the table of recordings."""
    path = root / "recordings.csv"
    text = path.read_text()
    for old, new in people.items():
        text = text.replace(f",{old},", f",{new},")
    path.write_text(text)


def config(root, **changes):
    settings = {"dataset": "hips", "data_root": root, "shots": [2, 4], "draws": 3}
    return FeaturesConfig(**settings | changes)


def across(root, **changes):
    return config(root, **{"test_dataset": "chest", "class_map": root / "map.yaml"} | changes)


def test_shots_of_one_dataset_and_all_windows_of_the_other(world):
    task = build_task(across(world))
    ids = np.array(task.windows.ids())
    assert task.windows.classes == ("walk", "rest") and task.split == "transfer"
    assert task.dropped == {"jump": "the class map has none of chest"}
    chest, hips = open_store(world, "chest"), open_store(world, "hips")
    label_of = {f"{s.name}/{row.id}": row.label for s in (chest, hips) for row in s.recordings.itertuples()}
    common = {"D01": "walk", "D02": "walk", "F01": "rest", "F02": "rest"} | {"WALKING": "walk", "SIT": "rest"}
    common["LIE"] = "rest"
    everything = {f"chest/{row.id}@{at}" for row in chest.recordings.itertuples() for at in (0, 5, 10)}
    shots = set()
    for draw in task.draws:
        assert {name.split("/")[0] for name in ids[draw.learnt_from]} == {"hips"}
        assert set(ids[draw.test]) == everything and len(draw.test) == 3 * 18
        for k, name in enumerate(task.windows.classes):
            assert len(draw.shots[k]) == 4
            for i in [*draw.shots[k], *draw.held_out[k]]:
                assert common[label_of[ids[i].split("@")[0]]] == name and task.windows.label[i] == k
        shots.add(tuple(sorted(ids[draw.learnt_from])))
        fewer, more = (set(draw.train(n)) for n in (2, 4))
        assert len(fewer) == 4 and fewer < more
    assert len(shots) == 3
    assert "hips to chest" in describe(task) and "class left out: jump" in describe(task)


def test_windows_are_read_from_their_own_dataset(world):
    task = build_task(across(world))
    hips, chest = task.parts
    indices = np.array([len(hips) + 3, 0, len(hips), 7])
    for normalize in ("none", "dataset"):
        found = task.windows.imu(indices, normalize)
        assert np.array_equal(found[[0, 2]], chest.imu(np.array([3, 0]), normalize))
        assert np.array_equal(found[[1, 3]], hips.imu(np.array([0, 7]), normalize))
    some = task.windows.subset(indices)
    assert some.ids() == [task.windows.ids()[i] for i in indices]
    assert some.sources().tolist() == [task.windows.sources()[i] for i in indices]


def test_young_to_old_within_one_dataset(world):
    task = build_task(config(world, test_subjects=["SE*"]))
    subject = task.windows.subject
    for draw in task.draws:
        assert set(subject[draw.learnt_from]) <= {"SA0", "SA1", "SA2"} and set(subject[draw.test]) == {"SE3", "SE4"}
        assert len(set(draw.test)) == len(draw.test) == 4 * 12  # all that they have
        assert not set(task.windows.subset(draw.learnt_from).sources()) & set(task.windows.subset(draw.test).sources())
        assert draw.held_out_groups == ("subject SE3", "subject SE4")
    some = build_task(config(world, subjects=["SA1"], test_subjects=["SE3"], shots=[1]))
    assert {*some.windows.subject[some.draws[0].learnt_from]} == {"SA1"}
    assert {*some.windows.subject[some.draws[0].test]} == {"SE3"}
    assert "labels of hips (SA1), tested on hips (SE3)" in some.kept_apart


def test_nobody_is_on_both_sides(world, tmp_path):
    with pytest.raises(ValueError, match="SE3 would give labels and be predicted: .*--subjects"):
        build_task(config(world, subjects=["S*"], test_subjects=["SE3"]))
    for name in ("phone", "watch"):  # of one format, and so of the same people
        write_dataset(tmp_path / name, ["a", "b"] * 6, video=False, subjects=3, seed=len(name))
    with pytest.raises(ValueError, match="s0, s1, s2 would give labels"):
        build_task(config(tmp_path, dataset="phone", test_dataset="watch"))
    apart = build_task(config(tmp_path, dataset="phone", test_dataset="watch", subjects=["s0"], test_subjects=["s1"]))
    assert {*apart.groups} == {"phone subject s0", "watch subject s1"}


def test_the_same_recording_under_two_names_is_refused(tmp_path):
    write_dataset(tmp_path / "one", ["a", "b"] * 6, video=False, subjects=0)
    write_dataset(tmp_path / "two", ["a", "b"] * 6, video=False, subjects=0)
    with pytest.raises(ValueError, match="hold the same samples"):
        build_task(config(tmp_path, dataset="one", test_dataset="two"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("walk: {hips: D011, chest: SIT}", r"walk: hips has no class 'D011'; did you mean D01.*it has D01"),
        ("walk: {hips: D01, chest: 'X*'}", r"walk: chest has no class 'X\*'"),
        ("walk: D01", "is not {dataset: class}"),
        ("walk: {hips: D01, chest: SIT}\nrest: {hips: 'D*', chest: LIE}", "hips: D01 is walk and rest"),
        ("walk: {hips: D01}", "no class has an entry 'chest'"),
    ],
)
def test_a_class_map_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        common_classes(tmp_path / "map.yaml", {"hips": ["D01", "D02"], "chest": ["SIT", "LIE"]})


def test_names_and_small_classes_that_are_refused(world):
    with pytest.raises(ValueError, match="test_subjects: .* has no subject 'SX"):
        build_task(config(world, test_subjects=["SX*"]))
    with pytest.raises(ValueError, match="too few to classify"):
        build_task(config(world, test_dataset="chest"))  # no class of the same name
    with pytest.raises(ValueError, match="walk: 48 windows, 500 are needed"):
        build_task(across(world, shots=[500]))
    assert build_task(across(world, shots=[500], small_classes="shorten")).shortened().keys() == {"walk", "rest"}


def test_a_class_map_merges_classes_within_one_dataset(world):
    task = build_task(config(world, class_map=world / "map.yaml", classes=["rest", "jump"], val_samples=4))
    assert task.windows.classes == ("rest", "jump") and task.dropped == {}
    assert np.bincount(task.windows.label).tolist() == [48, 24]


@pytest.mark.parametrize("who", ["features", "downstream"])
def test_results_name_both_datasets(world, tmp_path, who):
    words = (
        f"--dataset hips --test_dataset chest --class_map {world}/map.yaml --data_root {world} --runs_root {tmp_path}"
    )
    words = [*words.split(), "--run_name", "run", "--shots", "2", "4", "--draws", "3", "--seed", "5"]
    more = {"features": "--head trees --num_workers 1", "downstream": "--random_weights --epochs 1 --device cpu"}[who]
    main = {"features": features.main, "downstream": downstream.main}[who]
    results = json.loads((main([*words, *more.split(), "--report"]) / "results.json").read_text())
    assert results["dataset"]["name"] == "chest" and results["labels_from"]["name"] == "hips"
    assert results["split"] == "transfer" and results["held_out_per_class"] is None
    assert results["shots"]["4"]["interval"]["balanced_accuracy"]["groups"] == 6
    if who == "features":
        task = build_task(across(world, seed=5))
        draw = task.draws[1]
        train, test = draw.train(4), draw.test
        rows = handcrafted_features(task.windows.imu(np.arange(len(task.windows)), "none"))
        seed = cell_seed(5, draw, 4)
        head = fit_head("trees", rows[train], task.windows.label[train], task.groups[train], seed, 1)
        hits = head.predict(rows[test]) == task.windows.label[test]
        recall = [hits[task.windows.label[test] == k].mean() for k in range(2)]
        assert results["shots"]["4"]["balanced_accuracy"]["values"][1] == pytest.approx(np.mean(recall))
