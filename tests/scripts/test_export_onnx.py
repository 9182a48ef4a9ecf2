"""ONNX: the numbers of PyTorch from raw windows, whatever the encoder and the z-score, and what int8 costs."""

import json
import re

import numpy as np
import pytest
import torch

from datasets.windows import list_windows
from models import load_imu_encoder
from models.classifier import save_classifier, z_score
from scripts import export
from tests.classifiers import small_classifier
from tests.prepared import write_dataset
from tests.pretrained import write_checkpoint
from utils import onnx_file

for package in onnx_file.NEEDED:
    pytest.importorskip(package, reason=f"ONNX needs {package}: pip install -r requirements-dev.txt")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("onnx")
    store = write_dataset(root / "data" / "toy", ["sit", "walk"] * 6, seconds=20, video=False)
    write_checkpoint(root / "last.pt", store)
    return root


def windows(world, count):
    """Raw windows of the dataset."""
    found = list_windows(export.open_store(world / "data", "toy"))
    return found.imu(np.arange(count), "none")


def written(world, name, checkpoint, *more):
    out = world / name
    return export.main(
        ["--checkpoint", str(checkpoint), "--onnx", "--out", str(out), "--data_root", f"{world}/data", *more]
    )


@pytest.mark.parametrize(
    "encoder, normalize", [("patchtst", "dataset"), ("conv", "window"), ("conv_gru", "none"), ("conv", "recording")]
)
def test_probabilities_are_those_of_pytorch(world, encoder, normalize):
    classifier = small_classifier(encoder, normalize, seed=3)
    folder = world / f"{encoder}_{normalize}"
    save_classifier(folder, classifier, "card")
    file = written(world, f"{encoder}_{normalize}.onnx", folder)
    moments = {"mean": classifier.mean.numpy(), "std": classifier.std.numpy()} if normalize == "recording" else {}
    run = onnx_file.session(file)
    for count in (1, 5, 31):
        imu = windows(world, count)
        expected = classifier.probabilities(imu, *moments.values())
        np.testing.assert_allclose(run({"imu": imu} | moments), expected, rtol=0, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-3
    import onnx

    facts = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert json.loads(facts["classes"]) == ["sit", "walk", "turn"] and facts["normalize"] == normalize
    assert (facts["window_s"], facts["rate_hz"], facts["simulated"]) == ("5", "50", "true")


def test_embeddings_are_those_of_pytorch_and_int8_says_its_cost(world, capsys):
    file = written(world, "encoder.onnx", world / "last.pt")
    imu, (encoder, training) = windows(world, 7), load_imu_encoder(world / "last.pt")
    moments = np.float32([0, 9, 0, 0, 0, 0]), np.float32([1, 2, 3, 4, 5, 6])
    inputs = dict(zip(("imu", "mean", "std"), (imu, *moments), strict=True))
    with torch.no_grad():
        expected = encoder(z_score(torch.from_numpy(imu), training.normalize, *map(torch.from_numpy, moments))).numpy()
    exact = onnx_file.session(file)
    np.testing.assert_allclose(exact(inputs), expected, rtol=1e-5, atol=1e-5)
    agreed = re.search(r"agrees with PyTorch on (\d+) windows: differs by ([\d.e+-]+)", capsys.readouterr().out)
    assert int(agreed[1]) == 64 and 0 < float(agreed[2]) < 1e-4
    config = export.ExportConfig(checkpoint="x", onnx=True, out="x.onnx", dataset="toy", data_root=world / "data")
    batches = export.batches(export.of_dataset(config, 5.0))
    for how in ("dynamic", "static"):
        small = written(world, f"{how}.onnx", world / "last.pt", "--int8", how, "--dataset", "toy")
        said = float(re.search(r"int8.* differs by ([\d.e+-]+)", capsys.readouterr().out)[1])
        other = onnx_file.session(small)
        assert said == pytest.approx(max(np.abs(other(b) - exact(b)).max() for b in batches), rel=0.05)
        assert said > 1e-4


def test_a_convolutional_classifier_takes_dynamic_int8(world):
    """Its layers are turned round on the way, which the shapes noted for them do not follow."""
    save_classifier(world / "c8", small_classifier("conv", "none"), "card")
    file = written(world, "c8.onnx", world / "c8", "--int8", "dynamic", "--dataset", "toy")
    np.testing.assert_allclose(onnx_file.session(file)({"imu": windows(world, 3)}).sum(1), 1, atol=1e-4)


def test_a_file_that_differs_is_not_written(world, monkeypatch):
    save_classifier(world / "c", small_classifier("conv"), "card")
    monkeypatch.setattr(export.onnx_file, "in_torch", lambda _: lambda inputs: np.full((len(inputs["imu"]), 3), 0.3))
    with pytest.raises(ValueError, match="differ"):
        written(world, "wrong.onnx", world / "c")
    assert not (world / "wrong.onnx").exists()


def test_a_missing_package_is_named(world, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ValueError, match="pip install onnxscript"):
        written(world, "x.onnx", world / "last.pt")


@pytest.mark.parametrize(
    "words",
    [
        "--onnx --out x.safetensors",
        "--out x.onnx",
        "--onnx --out x.onnx --int8 static",
        "--out x.safetensors --int8 static",
    ],
)
def test_settings_that_do_not_go_together(words):
    with pytest.raises(SystemExit):
        export.parse(export.ExportConfig, ["--checkpoint", "last.pt", *words.split()])
