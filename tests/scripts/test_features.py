"""Heads on features of windows: the very windows that the probe of an encoder predicts."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

import downstream
from configs.evaluation import FeaturesConfig
from datasets.protocols.few_shot import build_task, cell_seed
from datasets.store import open_store
from datasets.windows import list_windows
from models import load_imu_encoder, readers
from models.handcrafted import handcrafted_features
from models.invariant import invariant_features, invariant_signals
from models.minirocket import fit_minirocket
from models.probe import embed_imu
from scripts import features
from tests.prepared import write_dataset
from tests.pretrained import write_checkpoint
from utils.comparison import compare_runs
from utils.long_table import method

CLASSES = ["fall", "standing", "walking"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("handcrafted")
    write_dataset(root / "data" / "toy", CLASSES * 8, seconds=20, video=False, subjects=6)
    return root


def words(world, tmp_path, name, *more):
    base = f"--dataset toy --data_root {world}/data --runs_root {tmp_path} --run_name {name} --val_samples 6 --draws 3"
    return f"{base} --shots 2 4 --split group --seed 5 {' '.join(more)}".split()


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return features.main(words(world, out, "forest", "--head forest --num_workers 1"))


def test_the_same_windows_as_the_probe(world, folder, tmp_path):
    probe = downstream.main(words(world, tmp_path, "probe", "--random_weights --epochs 1"))
    a, b = (json.loads((f / "results.json").read_text()) for f in (folder, probe))
    assert a["draws"]["sha256"] == b["draws"]["sha256"]
    assert {n: row["windows_sha256"] for n, row in a["shots"].items()} == {
        n: row["windows_sha256"] for n, row in b["shots"].items()
    }
    missing = set(b) - set(a)
    assert not missing, f"results.json of features lacks {missing}"
    found = compare_runs(folder, probe, a["classes"], shots=4)
    means = [r["shots"]["4"]["balanced_accuracy"]["mean"] for r in (a, b)]
    assert found.difference == pytest.approx(means[0] - means[1])


def test_one_forest_by_hand(world, folder):
    draw = json.loads((folder / "draws.json").read_text())["draws"][1]
    windows = list_windows(open_store(world / "data", "toy"), labelled=True)
    position = {name: i for i, name in enumerate(windows.ids())}
    train = np.array([position[i] for name in CLASSES for i in draw["shots"][name][:4]])
    test = np.array([position[i] for name in CLASSES for i in draw["held_out"][name]])
    rows = handcrafted_features(windows.imu(np.arange(len(windows)), "none"))
    forest = RandomForestClassifier(500, random_state=int(np.random.SeedSequence([5, 1, 4]).generate_state(1)[0]))
    predicted = forest.fit(rows[train], windows.label[train]).predict(rows[test])
    results = json.loads((folder / "results.json").read_text())
    measured = results["shots"]["4"]["balanced_accuracy"]["values"][1]
    assert measured == pytest.approx(balanced_accuracy_score(windows.label[test], predicted))
    predictions = pd.read_csv(folder / "predictions.csv")
    own = predictions[(predictions.shots == 4) & (predictions.draw == 1)]
    assert own.predicted.tolist() == [CLASSES[k] for k in predicted]


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setitem(readers.TREES, "forest", 5)


def test_each_cell_has_the_seed_that_the_probe_has_for_it(world, tmp_path, monkeypatch):
    forests, probes = [], []

    def forest(trees, random_state, n_jobs):
        forests.append(random_state)
        return RandomForestClassifier(trees, random_state=random_state, n_jobs=n_jobs)

    def probe(embeddings, labels, sets, seeds, **rest):
        probes.extend(seeds)
        raise InterruptedError

    monkeypatch.setattr(readers, "RandomForestClassifier", forest)
    monkeypatch.setattr(downstream, "train_linear_heads", probe)
    common = words(world, tmp_path, "folds", "--split leave_one_group_out")
    features.main([*common, "--head", "forest", "--num_workers", "1"])
    with pytest.raises(InterruptedError):
        downstream.main([*common, "--random_weights"])
    assert forests == probes
    assert len(set(forests)) == len(forests) == 2 * 3 * 6  # numbers of shots, draws, people


def by_hand(world, folder, represent, head, shots=4, draw=1):
    """Balanced accuracy of one cell, and of results.json."""
    task = build_task(FeaturesConfig(**yaml.safe_load((folder / "config.yaml").read_text())).with_window(5.0))
    chosen = task.draws[draw]
    train, test = chosen.train(shots), chosen.test
    rows = represent(task.windows, train)
    seed, y = cell_seed(5, chosen, shots), task.windows.label
    fitted = readers.fit_head(head, rows[train], y[train], task.groups[train], seed, 1)
    results = json.loads((folder / "results.json").read_text())
    expected = balanced_accuracy_score(y[test], fitted.predict(rows[test]))
    return results["shots"][str(shots)]["balanced_accuracy"]["values"][draw], pytest.approx(expected), results


@pytest.fixture(scope="module")
def checkpoint(world):
    write_checkpoint(world / "last.pt", open_store(world / "data", "toy"))
    return world / "last.pt"


def everything(windows, normalize="none"):
    return windows.imu(np.arange(len(windows)), normalize)


def test_embeddings_beside_features(world, checkpoint, tmp_path):
    more = f"--features encoder invariant --checkpoint {checkpoint} --head logistic --device cpu"
    folder = features.main(words(world, tmp_path, "run", more))
    encoder, training = load_imu_encoder(checkpoint)

    def represent(windows, train):
        z = embed_imu(encoder, torch.from_numpy(everything(windows, training.normalize))).numpy()
        return np.concatenate([invariant_features(everything(windows)), z], axis=1)

    found, expected, results = by_hand(world, folder, represent, "logistic")
    assert found == expected and results["seen_in_pretraining"]["seen"] and results["encoder"] == "pretrained"
    assert (results["features"], results["head"]) == (["encoder", "invariant"], "logistic")
    assert method(results).startswith("encoder + invariant, logistic (imu_video_cross, pretrained on")


def test_random_weights_are_drawn_and_have_seen_nothing(world, checkpoint, tmp_path):
    more = f"--features encoder --checkpoint {checkpoint} --device cpu --random_weights --report"
    results = json.loads((features.main(words(world, tmp_path, "run", more)) / "results.json").read_text())
    assert results["encoder"] == "random" and not results["seen_in_pretraining"]["seen"]
    assert "random weights" in method(results) and results["checkpoint"]["file"] == "last.pt"


@pytest.mark.parametrize("command", ["features", "downstream"])
def test_calibrated_to_each_person(world, checkpoint, tmp_path, command, monkeypatch):
    """Every row is standardised by all windows of its person in the dataset, of classes that are left out too."""
    store = write_dataset(tmp_path / "data" / "toy", CLASSES * 8, seconds=20, video=False, subjects=4)
    more = f"--classes walking fall --calibrate person --checkpoint {checkpoint} --data_root {tmp_path}/data"
    common = words(world, tmp_path, "run", more)
    rows = {}

    def kept(*arguments):
        rows["found"], rows["people"] = standardised(*arguments), arguments[1]
        return rows["found"]

    main, place = {"features": (features, features), "downstream": (downstream, readers)}[command]
    standardised = readers.standardised_by_person
    monkeypatch.setattr(place, "standardised_by_person", kept)
    extra = {"features": ["--features", "encoder"], "downstream": ["--epochs", "1"]}[command]
    results = json.loads((main.main([*common, *extra, "--device", "cpu"]) / "results.json").read_text())
    windows = list_windows(store)
    encoder, training = load_imu_encoder(checkpoint)
    z = embed_imu(encoder, torch.from_numpy(everything(windows, training.normalize))).numpy()
    own = {name: z[windows.subject == name.removeprefix("subject ")] for name in np.unique(rows["people"])}
    assert len(own) == 4 and all(len(theirs) == 24 for theirs in own.values())  # 6 recordings of 4 windows
    for name, theirs in own.items():
        mine = rows["found"][rows["people"] == name]
        expected = (theirs - theirs.mean(axis=0)) / theirs.std(axis=0)
        distance = np.abs(mine[:, None] - expected[None]).max(axis=2).min(axis=1)
        assert len(mine) and distance.max() < 1e-4  # each is one of the person's, standardised
    assert results["calibrate"] == "person" and "unlabelled windows" in method(results)


def test_minirocket_is_fitted_on_the_shots(world, tmp_path, monkeypatch):
    pytest.importorskip("aeon", reason="aeon is not installed: pip install aeon in an environment of its own")
    fitted = []

    def watched(signals, seed, threads):
        fitted.append((seed, signals))
        return fit_minirocket(signals, seed, threads)

    monkeypatch.setattr(features, "fit_minirocket", watched)
    folder = features.main(words(world, tmp_path, "run", "--features minirocket --num_workers 1"))
    seed = int(np.random.SeedSequence([5, 1, 4]).generate_state(1)[0])

    def represent(windows, train):
        signals = invariant_signals(everything(windows))
        assert np.array_equal(dict(fitted)[seed], signals[train])
        return fit_minirocket(signals[train], seed, 1)(signals)

    found, expected, results = by_hand(world, folder, represent, "linear")
    assert found == expected and method(results) == "MiniRocket, linear" and len(fitted) == 6


@pytest.mark.parametrize(
    "more, message",
    [
        ("--features encoder", "go together"),
        ("--features invariant --checkpoint x.pt", "go together"),
        ("--features invariant invariant", "names one twice"),
        ("--features invariant --random_weights", "leave it out"),
        ("--features magic", "features.0 = 'magic'"),
    ],
)
def test_features_that_do_not_go_together(world, tmp_path, capsys, more, message):
    with pytest.raises(SystemExit):
        features.main(words(world, tmp_path, "run", more))
    assert message in capsys.readouterr().err


def test_a_file_for_downstream_serves_as_well(world, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("mode: lp\nstandardize: true\nepochs: 3\n")
    features.main(
        ["--config", str(tmp_path / "c.yaml"), *words(world, tmp_path, "run", "--report --num_workers 1 --head trees")]
    )
    assert "handcrafted features, trees" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        (tmp_path / "c.yaml").write_text("shot: 5\n")
        features.main(["--config", str(tmp_path / "c.yaml"), *words(world, tmp_path, "run")])
    assert "did you mean shots" in capsys.readouterr().err
