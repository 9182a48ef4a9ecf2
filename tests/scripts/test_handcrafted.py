"""The forest on handcrafted features predicts the very windows that the probe of an encoder predicts."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

import downstream
from datasets.store import open_store
from datasets.windows import list_windows
from models.handcrafted import handcrafted_features
from scripts import handcrafted
from tests.prepared import write_dataset
from utils.comparison import compare_runs

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
    return handcrafted.main(words(world, out, "forest", "--num_workers 1"))


def test_the_same_windows_as_the_probe(world, folder, tmp_path):
    probe = downstream.main(words(world, tmp_path, "probe", "--random_weights --epochs 1"))
    a, b = (json.loads((f / "results.json").read_text()) for f in (folder, probe))
    assert a["draws"]["sha256"] == b["draws"]["sha256"]
    assert {n: row["windows_sha256"] for n, row in a["shots"].items()} == {
        n: row["windows_sha256"] for n, row in b["shots"].items()
    }
    missing = set(b) - set(a)
    assert not missing, f"results.json of handcrafted lacks {missing}"
    found = compare_runs(folder, probe, a["classes"], shots=4)
    means = [r["shots"]["4"]["balanced_accuracy"]["mean"] for r in (a, b)]
    assert found.difference == pytest.approx(means[0] - means[1])


def test_one_forest_by_hand(world, folder):
    draw = json.loads((folder / "draws.json").read_text())["draws"][1]
    windows = list_windows(open_store(world / "data", "toy"), labelled=True)
    position = {name: i for i, name in enumerate(windows.ids())}
    train = np.array([position[i] for name in CLASSES for i in draw["shots"][name][:4]])
    test = np.array([position[i] for name in CLASSES for i in draw["held_out"][name]])
    features = handcrafted_features(windows.imu(np.arange(len(windows)), "none"))
    forest = RandomForestClassifier(500, random_state=int(np.random.SeedSequence([5, 1, 4]).generate_state(1)[0]))
    predicted = forest.fit(features[train], windows.label[train]).predict(features[test])
    results = json.loads((folder / "results.json").read_text())
    measured = results["shots"]["4"]["balanced_accuracy"]["values"][1]
    assert measured == pytest.approx(balanced_accuracy_score(windows.label[test], predicted))
    predictions = pd.read_csv(folder / "predictions.csv")
    own = predictions[(predictions.shots == 4) & (predictions.draw == 1)]
    assert own.predicted.tolist() == [CLASSES[k] for k in predicted]


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(handcrafted, "TREES", 5)


def test_each_cell_has_the_seed_that_the_probe_has_for_it(world, tmp_path, monkeypatch):
    forests, probes = [], []

    def forest(trees, random_state, n_jobs):
        forests.append(random_state)
        return RandomForestClassifier(trees, random_state=random_state, n_jobs=n_jobs)

    def probe(embeddings, labels, sets, seeds, **rest):
        probes.extend(seeds)
        raise InterruptedError

    monkeypatch.setattr(handcrafted, "RandomForestClassifier", forest)
    monkeypatch.setattr(downstream, "train_linear_heads", probe)
    common = words(world, tmp_path, "folds", "--split leave_one_group_out")
    handcrafted.main([*common, "--num_workers", "1"])
    with pytest.raises(InterruptedError):
        downstream.main([*common, "--random_weights"])
    assert forests == probes
    assert len(set(forests)) == len(forests) == 2 * 3 * 6  # numbers of shots, draws, people


def test_a_file_for_downstream_serves_as_well(world, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("mode: lp\nstandardize: true\nepochs: 3\n")
    handcrafted.main(["--config", str(tmp_path / "c.yaml"), *words(world, tmp_path, "run", "--report --num_workers 1")])
    assert "random forest on handcrafted features" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        (tmp_path / "c.yaml").write_text("shot: 5\n")
        handcrafted.main(["--config", str(tmp_path / "c.yaml"), *words(world, tmp_path, "run")])
    assert "did you mean shots" in capsys.readouterr().err
