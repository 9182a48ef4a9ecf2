"""What a method makes of a batch: what the model is given, the loss over all windows, and what is told of it."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from configs.training import TrainConfig
from models import build_model, build_objective
from models.losses import contrastive_loss
from models.masked import draw_masks, error_on_masked, mean_of_visible

CPU = torch.device("cpu")
SMALL = {"dataset": "x", "imu_dim": 8, "imu_heads": 2, "imu_layers": 1, "imu_ffn": 8, "seed": 3}


class Rows:
    """A batch of the loader, without its buffers."""

    def __init__(self, imu, first: int = 0):
        self.imu, self.index = imu, torch.arange(first, first + len(imu))

    def to(self, device):
        return self.imu, self.imu + 1


def windows(count: int) -> torch.Tensor:
    return torch.randn(count, 6, 250, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def embeddings(seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("loss", ["sigmoid", "softmax", "softmax_soft"])
def test_pairs_get_the_loss_that_was_asked_for(loss):
    objective = build_objective(TrainConfig(**SMALL, loss=loss))
    outputs = (embeddings(0), embeddings(1), torch.tensor(7.0), torch.tensor(-3.0))
    assert objective.needs_video and objective.report == "retrieval"
    assert objective.loss(outputs) == contrastive_loss(loss, *outputs)
    assert objective.progress(outputs) == {"scale": 7.0, "bias": -3.0}
    batch = Rows(windows(2))
    assert all(torch.equal(a, b) for a, b in zip(objective.inputs(batch, CPU, 1), batch.to(CPU), strict=True))


@pytest.mark.parametrize("side", [0, 1])
def test_embeddings_that_are_not_finite_are_found_on_each_side(side):
    objective = build_objective(TrainConfig(**SMALL))
    outputs = [embeddings(0), embeddings(1), torch.tensor(7.0), torch.tensor(-3.0)]
    outputs[side][2, 1] = torch.nan
    assert objective.per_window(tuple(outputs)).isfinite().all(1).tolist() == [True, True, False, True, True]


def test_hidden_patches_follow_from_seed_epoch_and_window():
    objective = build_objective(TrainConfig(**SMALL, model="imu_only", mask_share=0.5))
    assert not objective.needs_video and objective.report == "reconstruction"
    imu = windows(3)
    for epoch in (1, 2):
        given, mask = objective.inputs(Rows(imu, first=4), CPU, epoch)
        assert torch.equal(given, imu)
        assert torch.equal(mask, draw_masks(3, epoch, torch.arange(4, 7), 16, 0.5))
    errors = torch.tensor([1.0, 2.0, 6.0])
    assert objective.loss(errors) == 3 and objective.progress(errors) == {}
    errors[1] = torch.inf
    assert objective.per_window(errors).isfinite().all(1).tolist() == [True, False, True]


def test_reconstruction_is_reported_beside_the_visible_mean():
    torch.manual_seed(0)
    config = TrainConfig(**SMALL, model="imu_only", imu_dropout=0.5)
    model, objective, imu = build_model(config).double().train(), build_objective(config), windows(7)
    found, chance, count = objective.evaluate(model, [Rows(imu[:4]), Rows(imu[4:], 4)], CPU, torch.float32)
    assert count == 7 and not model.training
    mask = draw_masks(3, 0, torch.arange(7), 16, 0.4)
    patches = model.imu_encoder.patches(imu)
    guess = error_on_masked(mean_of_visible(patches, mask), patches, mask).mean()
    with torch.no_grad():
        assert found["masked_mse"] == pytest.approx(model(imu, mask).mean().item(), rel=1e-12)
    assert chance["masked_mse"] == pytest.approx(guess.item(), rel=1e-12)
    line = objective.describe({"masked_mse": 0.25}, {"masked_mse": 0.5}, 7)
    assert "7 windows:  MSE on masked patches 0.2500   mean of the visible patches 0.5000" in line


def test_retrieval_is_reported_with_chance():
    objective = build_objective(TrainConfig(**SMALL))
    model = SimpleNamespace(eval=lambda: None, embed_imu=lambda x: x, embed_video=lambda x: x - 1)
    batches = [SimpleNamespace(to=lambda device: (torch.eye(4), torch.eye(4) + 1))]  # each finds its own
    found, chance, count = objective.evaluate(model, batches, CPU, torch.float32)
    assert count == 4
    assert set(found.values()) == {1.0}
    assert chance["r@1"] == 0.25
    assert "1 of 4" in objective.describe(found, chance, 4)
