"""The encoder alone: the same predictions, no video weights, and nothing but its own settings to build it."""

import json
from pathlib import Path

import pytest
import torch

import downstream
from configs.predict import SHIPPED
from models import load_classifier, load_imu_encoder
from scripts import export
from tests.prepared import write_dataset
from tests.pretrained import write_checkpoint
from utils import checkpoint
from utils.checkpoint import CheckpointError


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("export")
    store = write_dataset(root / "data" / "toy", ["fall", "walking"] * 6, seconds=20, video=False, subjects=6)
    write_checkpoint(root / "last.pt", store)
    return root


def write(world, tmp_path, name):
    return export.main(["--checkpoint", str(world / "last.pt"), "--out", str(tmp_path / name)])


def test_predictions_are_alike_from_the_encoder_alone(world, tmp_path):
    predictions = []
    for number, file in enumerate((world / "last.pt", write(world, tmp_path, "encoder.safetensors"))):
        words = (
            f"--checkpoint {file} --dataset toy --data_root {world}/data --runs_root {tmp_path} --run_name {number} "
        )
        words += "--shots 3 --draws 2 --epochs 2 --val_samples 5"
        folder = downstream.main(words.split())
        results = json.loads((folder / "results.json").read_text())
        predictions.append(
            ((folder / "predictions.csv").read_text(), results["shots"], results["checkpoint"]["dataset"])
        )
        assert results["seen_in_pretraining"]["seen"]
    assert predictions[0] == predictions[1]


def test_it_holds_the_imu_encoder_and_no_video(world, tmp_path):
    file = write(world, tmp_path, "encoder.safetensors")
    (whole, settings), (alone, same) = load_imu_encoder(world / "last.pt"), load_imu_encoder(file)
    imu = torch.randn(3, 6, 250)
    with torch.no_grad():
        assert torch.equal(whole(imu), alone(imu))
    assert settings == same and not alone.training
    bytes_of_weights = sum(value.numel() * value.element_size() for value in whole.state_dict().values())
    assert file.stat().st_size < bytes_of_weights + 60_000
    assert (world / "last.pt").stat().st_size > bytes_of_weights + 60_000


def test_what_is_no_encoder_is_named(world, tmp_path):
    file = write(world, tmp_path, "encoder.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="encoder.safetensors: is not a whole safetensors file"):
        load_imu_encoder(file)
    with pytest.raises(CheckpointError, match="absent.safetensors: no such encoder"):
        load_imu_encoder(tmp_path / "absent.safetensors")
    checkpoint.save(tmp_path / "classifier.pt", {"kind": "classifier"})
    with pytest.raises(CheckpointError, match="holds a 'classifier' checkpoint"):
        load_imu_encoder(tmp_path / "classifier.pt")
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="was not written by scripts.export"):
        load_imu_encoder(tmp_path / "other.safetensors")
    with pytest.raises(SystemExit):
        write(world, tmp_path, "encoder.onnx")


def test_a_shipped_classifier_is_found_by_its_name():
    graph, facts, _ = export.read_model(Path(SHIPPED))
    assert json.loads(facts["classes"]) == load_classifier(SHIPPED).facts.classes and graph.output == "probabilities"
