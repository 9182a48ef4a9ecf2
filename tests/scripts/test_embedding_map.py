"""The picture is of the right windows, as the encoder sees them, and says how far it can be trusted."""

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from datasets.windows import list_windows
from scripts import embedding_map, report
from tests.prepared import write_dataset
from tests.pretrained import write_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("embed")
    one = write_dataset(
        root / "data/wearers", ["walk", "sit", "walk", "sit", "walk", "sit"], frame_size=16, video=False
    )
    write_dataset(root / "data/others", ["walk", "turn"] * 3, video=False, simulated=False, seed=1)
    write_checkpoint(root / "last.pt", one)
    return root


def run(folder, out, *more):
    flags = ["--checkpoint", str(folder / "last.pt"), "--datasets", "wearers", "others", "--device", "cpu"]
    return embedding_map.main([*flags, "--data_root", str(folder / "data"), "--out", str(folder / out), *more])


def rows(out):
    with open(out / "embedding.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_windows_are_balanced_seeded_and_named(folder):
    out = run(folder, "tsne", "--windows_per_class", "7")
    table = rows(out)
    counts = {}
    for row in table:
        counts[row["dataset"], row["class"]] = counts.get((row["dataset"], row["class"]), 0) + 1
    assert set(counts.values()) == {7} and len(counts) == 4
    assert len({(row["dataset"], row["window"]) for row in table}) == 28
    results = json.loads((out / "results.json").read_text())
    assert results["command"] == "embed" and results["simulated"] and results["windows"] == 28
    assert [d["name"] for d in results["datasets"]] == ["wearers", "others"]
    assert 0.5 < results["trustworthiness"] <= 1
    assert str(folder) not in (out / "results.json").read_text()  # no path of this machine
    for name in ("embedding.png", "embedding.pdf"):
        assert (out / name).stat().st_size > 1000
    again = rows(run(folder, "again", "--windows_per_class", "7"))
    assert again == table
    assert rows(run(folder, "other", "--windows_per_class", "7", "--seed", "1")) != table


def test_neighbours_of_the_encoder_stay_neighbours(folder):
    """The layout of the windows' own embeddings, computed one by one, not of other rows."""
    table = rows(run(folder, "whole"))
    encoder, training = embedding_map.load_imu_encoder(folder / "last.pt")
    features = []
    for name in ("wearers", "others"):
        windows = list_windows(embedding_map.open_store(folder / "data", name), labelled=True)
        ids = windows.ids()
        own = [row for row in table if row["dataset"] == name]
        chosen = [ids.index(row["window"]) for row in own]
        assert [windows.classes[windows.label[i]] for i in chosen] == [row["class"] for row in own]
        with torch.no_grad():
            imu = torch.from_numpy(windows.imu(np.array(chosen), training.normalize))
            features.append(encoder(imu).double().numpy())
    x = np.concatenate(features)
    points = np.array([[float(row["x"]), float(row["y"])] for row in table])
    expected = json.loads((folder / "whole/results.json").read_text())["trustworthiness"]
    assert trustworthiness((x - x.mean(0)) / x.std(0), points, n_neighbors=10) == pytest.approx(expected, abs=1e-3)
    assert trustworthiness(np.roll(x, 7, axis=0), points, n_neighbors=10) < expected - 0.1


def test_too_few_windows_are_refused(folder):
    with pytest.raises(ValueError, match="8 windows are too few"):
        run(folder, "x", "--windows_per_class", "2")


def test_the_report_shows_it(folder):
    run(folder, "runs/picture")
    page = report.main(["--runs", str(folder / "runs"), "--out", str(folder / "report")]).read_text(encoding="utf-8")
    assert "## Embeddings" in page and "wearers (simulated), others" in page and "Trustworthiness" in page
    assert "Whatever is marked simulated" in page and "Everything" not in page  # one of the two is not
    assert "![Embeddings of wearers (simulated), others" in page
    assert (folder / "report/figures/runs_picture_embedding.pdf").is_file()
