"""The picture is of the right windows, as the encoder sees them, and says how far it can be trusted."""

import csv
import json

import numpy as np
import pytest
import torch

from datasets.windows import list_windows
from scripts import embed, report
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
    return embed.main([*flags, "--data_root", str(folder / "data"), "--out", str(folder / out), *more])


def rows(out):
    with open(out / "embedding.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_windows_are_balanced_seeded_and_named(folder):
    out = run(folder, "tsne", "--windows_per_class", "7", "--perplexity", "5")
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
    again = rows(run(folder, "again", "--windows_per_class", "7", "--perplexity", "5"))
    assert again == table
    assert rows(run(folder, "other", "--windows_per_class", "7", "--perplexity", "5", "--seed", "1")) != table


def test_pca_is_that_of_the_embeddings(folder):
    """Against an eigenvalue decomposition of the correlation matrix."""
    out = run(folder, "pca", "--projection", "pca", "--windows_per_class", "9")
    table = rows(out)
    encoder, training = embed.load_imu_encoder(folder / "last.pt")
    features = []
    for name in ("wearers", "others"):
        windows = list_windows(embed.open_store(folder / "data", name), labelled=True)
        ids = windows.ids()
        chosen = [ids.index(row["window"]) for row in table if row["dataset"] == name]
        assert [windows.classes[windows.label[i]] for i in chosen] == [
            r["class"] for r in table if r["dataset"] == name
        ]
        with torch.no_grad():
            features.append(
                encoder(torch.from_numpy(windows.imu(np.array(chosen), training.normalize))).double().numpy()
            )
    x = np.concatenate(features)
    x = (x - x.mean(0)) / x.std(0)
    values, vectors = np.linalg.eigh(x.T @ x)
    points = np.array([[float(row["x"]), float(row["y"])] for row in table])
    for k in (0, 1):
        expected = x @ vectors[:, -1 - k]
        assert np.allclose(np.abs(points[:, k]), np.abs(expected), atol=1e-3 * np.abs(expected).max())


def test_trustworthiness_tells_a_layout_from_noise():
    x = np.random.default_rng(0).standard_normal((80, 2)) @ np.array([[3.0, 0, 1], [0, 1, 1]])
    assert embed.lay_out(x, "pca", 30, 0).trustworthiness > 0.9


def test_too_few_windows_are_refused(folder):
    with pytest.raises(ValueError, match="perplexity 30 needs more than 90 windows, and there are 28"):
        run(folder, "x", "--windows_per_class", "7")
    with pytest.raises(ValueError, match="8 windows are too few"):
        run(folder, "x", "--windows_per_class", "2", "--projection", "pca")


def test_the_report_shows_it(folder):
    run(folder, "runs/picture", "--projection", "pca")
    page = report.main(["--runs", str(folder / "runs"), "--out", str(folder / "report")]).read_text(encoding="utf-8")
    assert "## Embeddings" in page and "wearers (simulated), others" in page and "Trustworthiness" in page
    assert "Whatever is marked simulated" in page and "Everything" not in page  # one of the two is not
    assert "![Embeddings of wearers (simulated), others" in page
    assert (folder / "report/figures/runs_picture_embedding.pdf").is_file()
