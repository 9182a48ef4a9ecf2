"""The folder of a classifier: whole and equal, or refused; nothing in it runs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from configs.load import ConfigError, build, load
from configs.training import TrainConfig
from models import build_imu_encoder, classifier, encoder_settings, load_classifier
from models.classifier import CONFIG, WEIGHTS, Classifier, ClassifierFacts, save_classifier
from models.novelty import calibrated_novelty
from models.pretrained import WeightsError
from tests.models.test_pretrained import hub as hub
from utils.checkpoint import CheckpointError

TRAINING = TrainConfig(dataset="toy", imu_encoder="conv", window_s=2, data_root="/somewhere/of/mine")
FACTS = ClassifierFacts(
    classes=["sit", "walk"],
    window_s=2.0,
    normalize="dataset",
    encoder=encoder_settings(TRAINING),
    temperature=1.5,
    threshold=0.4,
    prior=[0.5, 0.5],
    rates_per_s=[[-0.1, 0.1], [0.3, -0.3]],
    simulated=True,
    trained_on={"dataset": {"name": "toy"}},
)


def made(facts=FACTS):
    torch.manual_seed(0)
    encoder = build_imu_encoder(TRAINING)
    head = torch.randn(2, encoder.dim), torch.randn(2)
    return Classifier(facts, encoder, *head, torch.arange(6.0), torch.arange(1.0, 7.0))


@pytest.fixture
def folder(tmp_path):
    save_classifier(tmp_path / "mine", made(), "# a card\n")
    return tmp_path / "mine"


def test_three_files_come_back_the_same(folder):
    assert {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS, "README.md"}
    imu = torch.randn(5, 6, 100)
    loaded = load_classifier(folder)
    assert loaded.facts == FACTS and not loaded.training
    np.testing.assert_array_equal(loaded.probabilities(imu), made().probabilities(imu))
    assert "somewhere" not in (folder / CONFIG).read_text()


@pytest.mark.parametrize("page", ["scripts/README.md", "models/weights/daily_movements/README.md"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_lines_of_the_page_run(page, kind, folder, monkeypatch):
    (lines,) = re.findall(r"```python\n(from models import load_classifier\n.*?)```", Path(page).read_text(), re.DOTALL)
    monkeypatch.chdir(folder.rename(folder.with_name("my_classifier")).parent)
    said = {"windows": np.random.default_rng(0).normal(size=(3, 6, 100)).astype(kind)}
    exec(lines, said)
    assert isinstance(said["probabilities"], np.ndarray) and said["probabilities"].dtype == np.float32
    assert said["probabilities"].shape == (3, len(said["classifier"].facts.classes))
    assert said["probabilities"].sum(1) == pytest.approx(1)


@pytest.mark.parametrize("normalize", ["dataset", "recording", "window", "none"])
def test_arrays_and_tensors_of_any_type_are_taken(normalize):
    model = made(replace(FACTS, normalize=normalize))
    imu = np.random.default_rng(0).integers(-9, 9, (5, 6, 100))
    moments = [np.arange(6), np.arange(1, 7)] if normalize == "recording" else []
    with torch.no_grad():
        wanted = model(*(torch.tensor(x, dtype=torch.float32) for x in (imu, *moments))).softmax(1).numpy()
    read_only = np.frombuffer(imu.astype(">f4").tobytes(), ">f4").reshape(imu.shape)
    arrays = [imu, imu.astype(np.float16), read_only, imu[::-1].copy()[::-1]]
    tensors = [torch.tensor(imu, dtype=kind) for kind in (torch.int16, torch.bfloat16, torch.float64)]
    for windows in [*arrays, *tensors]:
        got = model.probabilities(windows, *moments, batch_size=2)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)
    np.testing.assert_allclose(model.probabilities(tensors[2], *map(torch.tensor, moments)), wanted, rtol=1e-5)
    torch.testing.assert_close(model(tensors[2], *map(torch.tensor, moments)).softmax(1), torch.tensor(wanted))


@pytest.mark.parametrize("normalize", ["dataset", "window"])
@pytest.mark.parametrize("shape", [(3, 100, 6), (3, 6, 90), (6, 100)])
def test_windows_of_another_shape_are_refused(normalize, shape):
    with pytest.raises(ValueError, match=r"want \(batch, 6, 100\)"):
        made(replace(FACTS, normalize=normalize)).probabilities(np.zeros(shape))


@pytest.mark.parametrize("own_encoder", [True, False])
def test_novelty_comes_back_the_same(tmp_path, own_encoder):
    model, imu = made(), torch.randn(40, 6, 100)
    torch.manual_seed(1)
    pretrained = None if own_encoder else build_imu_encoder(TRAINING).eval()
    with torch.no_grad():
        embeddings = (pretrained or model.encoder)(model.normalized(imu))
    people, labels = np.repeat(["a", "b"], 20), torch.arange(40) % 2
    novelty, facts = calibrated_novelty(embeddings, labels, people, 2, own_encoder)
    model.facts, model.novelty, model.pretrained = replace(FACTS, novelty=facts), novelty, pretrained
    save_classifier(tmp_path / "mine", model, "")
    loaded = load_classifier(tmp_path / "mine")
    assert loaded.facts.novelty == facts
    np.testing.assert_allclose(loaded.unlike(imu), novelty(embeddings).numpy(), rtol=1e-3)
    np.testing.assert_allclose(loaded.probabilities(imu), made().probabilities(imu), rtol=1e-5)
    assert loaded.unlike(imu[:0]).shape == (0,)
    content = json.loads((tmp_path / "mine" / CONFIG).read_text())
    for change, words in (
        ({"threshold": 0.0}, "threshold"),
        ({"components": 3}, "novelty.directions"),
        ({"x": 1}, "x"),
    ):
        (tmp_path / "mine" / CONFIG).write_text(json.dumps(content | {"novelty": content["novelty"] | change}))
        with pytest.raises(CheckpointError, match=words):
            load_classifier(tmp_path / "mine")


def test_an_older_folder_cannot_tell_what_is_unlike(folder):
    content = json.loads((folder / CONFIG).read_text())
    del content["novelty"]
    (folder / CONFIG).write_text(json.dumps(content))
    loaded = load_classifier(folder)
    assert loaded.novelty is None and np.isnan(loaded.unlike(torch.randn(3, 6, 100))).all()


def test_the_logits_are_of_z_scored_windows_and_cooler():
    model, imu = made(), torch.randn(3, 6, 100, dtype=torch.float32)
    z = (imu - torch.arange(6.0)[:, None]) / torch.arange(1.0, 7.0)[:, None]
    with torch.no_grad():
        wanted = (model.encoder(z) @ model.head.weight.T + model.head.bias) / 1.5
        torch.testing.assert_close(model(imu), wanted)
    assert model.probabilities(imu[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"kind": "malware"}, "is not the config.json"),
        ({"format": 2}, "of format 1"),
        ({"extra": 1}, "extra"),
        ({"classes": None}, "classes"),
        ({"classes": ["walk", "walk"]}, "names one twice"),
        ({"classes": ["a", "b", "c"]}, "not of 3 classes"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "__import__('os')"}, "temperature"),
        ({"threshold": 1.2}, "threshold"),
        ({"prior": [1.0]}, "not of 2 classes"),
        ({"rates_per_s": [[-0.1, 0.2], [0.3, -0.3]]}, "no generator"),
        ({"rates_per_s": [[0.1, -0.1], [0.3, -0.3]]}, "no generator"),
        ({"normalize": "person"}, "normalize"),
        ({"window_s": 4.0}, "that of its encoder 2"),
        ({"encoder": {"dataset": "toy", "imu_encoder": "os.system"}}, "imu_encoder"),
        ({"encoder": {"dataset": "toy", "run": "me"}}, "unknown setting 'run'"),
        ({"encoder": encoder_settings(TRAINING) | {"imu_encoder": "patchtst"}}, "does not fit the model"),
    ],
)
def test_tampered_settings_are_refused(folder, change, words):
    content = json.loads((folder / CONFIG).read_text()) | change
    (folder / CONFIG).write_text(json.dumps(content))
    with pytest.raises((CheckpointError, ConfigError), match=words):
        load_classifier(folder)


def nan(weights):
    weights["head.bias"][0] = torch.nan


def shape(weights):
    weights["head.weight"] = weights["head.weight"][:, :-1].contiguous()


def missing(weights):
    del weights["std"]


def more(weights):
    weights["backdoor"] = torch.zeros(1)


@pytest.mark.parametrize(
    "tamper, words",
    [(nan, "head.bias has values"), (shape, "head.weight has shape"), (missing, "std is missing"), (more, "backdoor")],
)
def test_tampered_weights_are_refused(folder, tamper, words):
    weights = load_file(folder / WEIGHTS)
    tamper(weights)
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=words):
        load_classifier(folder)


@pytest.mark.parametrize("name, content", [(CONFIG, b"{"), (CONFIG, b"[" * 10**5), (WEIGHTS, b"cut"), (WEIGHTS, b"")])
def test_damaged_files_are_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        load_classifier(folder)


def test_a_pickle_in_place_of_weights_does_not_run(folder, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save(Payload(), folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_classifier(folder)
    assert not (tmp_path / "ran").exists()


def test_a_missing_file_is_named(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="has no model.safetensors"):
        load_classifier(folder)


def test_a_name_of_those_that_ship(folder, monkeypatch):
    monkeypatch.setattr(classifier, "SHIPPED", folder.parent)
    assert load_classifier("mine").facts == FACTS
    with pytest.raises(CheckpointError, match="no folder yours.*of this software: mine"):
        load_classifier("yours")


def test_a_hub_id_gives_its_three_files(folder, hub):
    for path in folder.iterdir():
        hub[path.name] = path.read_bytes()
    hub["model.py"] = b"raise SystemExit"
    loaded = load_classifier("somebody/mine")
    assert loaded.facts == FACTS
    fetched = classifier.classifier_folder("somebody/mine")
    assert {path.name for path in fetched.iterdir()} == {CONFIG, WEIGHTS, "README.md"}
    with pytest.raises(WeightsError, match=r"model: somebody/nothing .*cannot be fetched.*--save_model"):
        hub.clear()
        load_classifier("somebody/nothing")


def test_without_network_the_ways_out_are_said(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set. Ways out: a folder"):
        load_classifier("nobody-here/no-such-model")


def test_each_normalization_is_its_own():
    imu = torch.randn(2, 6, 100) + 3
    mean, std = torch.full((6,), 2.0), torch.full((6,), 4.0)
    own = {name: made(replace(FACTS, normalize=name)) for name in ("recording", "window", "none")}
    torch.testing.assert_close(own["recording"].normalized(imu, mean, std), (imu - 2) / 4)
    window = own["window"].normalized(imu)
    np.testing.assert_allclose(window.mean(2), 0, atol=1e-6)
    assert torch.equal(own["none"].normalized(imu), imu)
    with pytest.raises(ValueError, match="give its mean and std"):
        own["recording"].normalized(imu)


@pytest.mark.parametrize("preset", sorted(Path("configs/pretrain").glob("*.yaml")), ids=lambda path: path.stem)
def test_settings_of_every_preset_rebuild_its_encoder(preset):
    config = load(TrainConfig, preset, {})
    again = build(TrainConfig, encoder_settings(config), "config.json")
    assert encoder_settings(again) == encoder_settings(config)
    first, second = (build_imu_encoder(own).state_dict() for own in (config, again))
    assert {name: value.shape for name, value in first.items()} == {name: value.shape for name, value in second.items()}


def test_settings_of_parts_of_ones_own_choice_are_taken():
    """The softmax loss is not that of the method, and views are trained with no other."""
    words = {"loss": "softmax", "unimodal_weight": 0.5, "positives": ["views"], "augment_noise": 0.1}
    settings = encoder_settings(TrainConfig(dataset="toy", **words))
    assert encoder_settings(build(TrainConfig, settings, "config.json")) == settings
