"""Learning rate over steps, and which parameters decay."""

import math

import pytest
import torch
from torch import nn

from configs.training import TrainConfig
from models import build_model
from utils.optim import cosine_annealing, parameter_groups, warmup_cosine


def test_rises_then_falls_like_half_a_cosine():
    factors = [warmup_cosine(step, 100, 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert factors[10] == 1.0
    assert factors[10:] == pytest.approx([math.cos(math.pi * k / 180) ** 2 for k in range(90)])
    assert 0 < factors[-1] < 1e-3


def test_no_warmup_begins_at_the_peak():
    assert warmup_cosine(0, 10, 0.0) == 1.0
    assert warmup_cosine(0, 1, 0.9) == 1.0


@pytest.mark.parametrize("steps", [1, 2, 50, 325])
def test_annealing_is_that_of_torch(steps):
    """Of each group from its own peak; torch's chains one step to the next, hence the tolerance."""
    peaks = (1e-3, 1e-6)
    weights = [nn.Parameter(torch.zeros(1)) for _ in peaks]
    optimizer = torch.optim.AdamW([{"params": [w], "lr": lr} for w, lr in zip(weights, peaks, strict=True)])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=1e-7)
    for step in range(steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            assert cosine_annealing(step, steps, peak, 1e-7) == pytest.approx(group["lr"], rel=1e-9)
            assert cosine_annealing(step, steps, peak, None) == peak
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("method", ["imu_video_cross", "imu2clip"])
def test_only_matrices_and_kernels_decay(method):
    config = TrainConfig(dataset="x", model=method, video_weights="none", image_size=64, video_layers=1, video_dim=24)
    model = build_model(config)
    decay, keep = parameter_groups(model, 0.05)
    assert (decay["weight_decay"], keep["weight_decay"]) == (0.05, 0.0)
    named = {id(p): name for name, p in model.named_parameters()}
    kept = {named[id(p)] for p in keep["params"]}
    decayed = {named[id(p)] for p in decay["params"]}
    assert kept | decayed == {name for name, p in model.named_parameters() if p.requires_grad}
    assert not kept & decayed
    assert ("log_scale" in kept) == config.learn_temperature == (method == "imu_video_cross")
    norms = {
        f"{module}.{name}"
        for module, m in model.named_modules()
        if isinstance(m, nn.LayerNorm | nn.BatchNorm1d | nn.GroupNorm)
        for name, _ in m.named_parameters()
    }
    assert norms <= kept
    assert all(name in kept for name in decayed | kept if name.endswith(("bias", "cls_token", "class_embedding")))
    linear = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv3d)}
    assert linear <= decayed
    if method == "imu_video_cross":
        assert any("cls_token" in name for name in kept)
    else:
        assert any("position_embedding" in name for name in kept)


def test_frozen_parameters_are_in_no_group():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(model, 0.1)) == 2
