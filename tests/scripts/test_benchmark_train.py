"""The training benchmark: its figures, and that the rival trains what we train. Never how fast anything is."""

import json
import math

import numpy as np
import pytest
import torch

from configs.load import read_yaml
from configs.training import TrainConfig
from models import build_model
from scripts import benchmark
from scripts.benchmarks import videos
from scripts.benchmarks.rivals import authors_way
from scripts.benchmarks.rivals.authors_training import AuthorsTraining
from scripts.benchmarks.train import flop_per_window, timings
from utils.progress import PHASES

RECIPE = """
dataset: x
video_weights: none
image_size: 32
video_dim: 32
video_layers: 1
video_heads: 2
video_ffn: 32
imu_dim: 8
imu_heads: 2
imu_layers: 1
imu_ffn: 8
embed_dim: 16
"""
FLAGS = "--repeats 1 --batch_size 4 --steps 5".split()


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_it_prints_its_figures(recipe, monkeypatch, capsys):
    monkeypatch.setattr(videos, "SIZES", {"640x480": videos.Size(96, 64, 25)})
    benchmark.main(["train", "--json", "--recipe", str(recipe), *FLAGS])
    values = json.loads(capsys.readouterr().out)  # one object and nothing else
    assert set(values) == {"other_share", "wait_share", "ratio_vs_authors", "utilisation"}
    assert all(math.isfinite(value) and value >= 0 for value in values.values())
    assert values["wait_share"] <= values["other_share"] < 1


def test_the_authors_step_embeds_as_ours_does(recipe):
    config = TrainConfig(**read_yaml(recipe))
    torch.manual_seed(0)
    model = build_model(config).eval()
    frames = np.random.default_rng(0).integers(0, 256, (3, config.clip_len, 32, 32, 3), dtype=np.uint8)
    imu = torch.randn(3, 6, 250)
    processor = authors_way.image_processor(32)
    floats = torch.cat([processor(list(clip), return_tensors="pt")["pixel_values"] for clip in frames])
    rival = AuthorsTraining(model, "sigmoid", 1e-3, torch.device("cpu"))
    rival.model.eval()
    assert rival.model.video_encoder.model.config._attn_implementation == "eager"
    with torch.no_grad():
        theirs = rival.embed(imu, floats)
        ours = model(imu, torch.from_numpy(frames))[:2]
    for theirs_z, ours_z in zip(theirs, ours, strict=True):
        torch.testing.assert_close(theirs_z, ours_z, atol=1e-5, rtol=0)


def test_the_authors_loop_trains(recipe):
    config = TrainConfig(**read_yaml(recipe))
    rival = AuthorsTraining(build_model(config), "sigmoid", 1e-2, torch.device("cpu"))
    weights = [p for p in rival.model.parameters() if p.requires_grad and p.ndim > 1]
    before = [p.clone() for p in weights]
    batches = [(torch.randn(4, 6, 250), torch.randn(4, config.clip_len, 3, 32, 32))] * 2
    assert rival.train(batches) == 8
    assert all(not torch.equal(p, b) for p, b in zip(weights, before, strict=True))


def test_timings_leave_out_the_first_row_and_weigh_by_time(tmp_path):
    """Steps 5 to 9 took 1 s, steps 10 to 14 took 3 s."""
    lines = ["step,name,value"]
    for step, speed, wait in ((4, 1.0, 0.9), (9, 60.0, 0.2), (14, 20.0, 0.4)):
        lines += [f"{step},windows_per_s,{speed}", f"{step},loss,1.0"]
        lines += [f"{step},{phase}_share,{wait if phase == 'wait' else 0.1}" for phase in PHASES]
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    found = timings(tmp_path)
    assert found["windows_per_s"] == pytest.approx(30.0)
    assert found["wait_share"] == pytest.approx((0.2 * 1 + 0.4 * 3) / 4)
    assert found["backward_share"] == pytest.approx(0.1)


def test_a_window_of_the_papers_models_takes_610_gflop():
    """VideoMAE-Base sees 980 tokens: 6 x 86e6 x 980 for its weights, 12 x 12 x 980^2 x 768 for attention."""
    expected = 6 * 85.8e6 * 980 + 12 * 12 * 980**2 * 768
    found = flop_per_window(TrainConfig(dataset="x", video_weights="none"))
    assert found == pytest.approx(expected, rel=0.02)
    assert found == pytest.approx(610e9, rel=0.01)
