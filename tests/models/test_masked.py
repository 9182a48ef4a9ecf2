"""Masked reconstruction: what is hidden, what is measured, and that the encoder never masks by itself."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from configs.training import TrainConfig
from models import build_model, build_objective, load_dual_encoder, load_imu_encoder
from models.masked import draw_masks, error_on_masked, mean_of_visible
from models.objectives import Masked
from utils import checkpoint
from utils.checkpoint import CheckpointError

SMALL = {"dataset": "x", "model": "imu_only", "imu_dim": 8, "imu_heads": 2, "imu_layers": 2, "imu_ffn": 8}


def windows(count: int) -> torch.Tensor:
    return torch.randn(count, 6, 250, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def model_of(**settings):
    torch.manual_seed(0)
    return build_model(TrainConfig(**(SMALL | settings))).double()


def masks(count: int, epoch: int = 1, share: float = 0.4, num_patches: int = 16, seed: int = 0) -> torch.Tensor:
    return draw_masks(seed, epoch, torch.arange(count), num_patches, share)


@pytest.mark.parametrize("share, num_patches, hidden", [(0.4, 16, 6), (0.5, 16, 8), (0.01, 16, 1), (0.99, 4, 3)])
def test_every_channel_hides_the_same_number(share, num_patches, hidden):
    assert torch.equal(masks(20, 1, share, num_patches).sum(2), torch.full((20, 6), hidden))


def test_masks_follow_from_seed_epoch_and_window_alone():
    everything = masks(40)
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(draw_masks(0, 1, shuffled, 16, 0.4), everything[shuffled])
    for other in (masks(40, epoch=2), masks(40, seed=1)):
        assert not torch.equal(other, everything)
    assert len(torch.unique(everything.flatten(0, 1), dim=0)) > 200  # of 240; channels and windows differ


def test_every_patch_is_masked_as_often_and_independently():
    drawn = masks(5000).flatten(0, 1).double()  # 30,000 draws of 6 of 16
    assert (drawn.mean(0) - 6 / 16).abs().max() < 5 * (0.375 * 0.625 / 30000) ** 0.5
    together = (drawn.T @ drawn / len(drawn))[~torch.eye(16, dtype=bool)]
    chance = 6 * 5 / (16 * 15)
    assert (together - chance).abs().max() < 5 * (chance * (1 - chance) / 30000) ** 0.5


def mix(x: int) -> int:
    """SplitMix64 in Python's unbounded integers."""
    most = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & most
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & most
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & most
    return x ^ (x >> 31)


def test_masks_match_a_slow_implementation():
    seed, epoch = 7, 3
    for window in (0, 11):
        key = mix((mix((mix(seed) + epoch) & (2**64 - 1)) + window) & (2**64 - 1))
        for channel in range(6):
            numbers = [mix((key + (channel * 16 + p) * 0x9E3779B97F4A7C15) & (2**64 - 1)) for p in range(16)]
            hidden = sorted(range(16), key=lambda p: numbers[p])[:6]
            found = draw_masks(seed, epoch, torch.tensor([window]), 16, 0.4)[0, channel]
            assert found.nonzero().flatten().tolist() == sorted(hidden)


def test_error_and_baseline_match_loops():
    rng = np.random.default_rng(0)
    patches, predicted = torch.from_numpy(rng.standard_normal((2, 3, 6, 16, 5)))
    mask = masks(3)
    found, baseline = error_on_masked(predicted, patches, mask), mean_of_visible(patches, mask)
    for b in range(3):
        squares = []
        for c in range(6):
            seen = [float(x) for p in range(16) if not mask[b, c, p] for x in patches[b, c, p]]
            assert float(baseline[b, c, 0, 0]) == pytest.approx(sum(seen) / len(seen), rel=1e-12)
            for p in range(16):
                if mask[b, c, p]:
                    squares += [
                        (float(x) - float(y)) ** 2 for x, y in zip(patches[b, c, p], predicted[b, c, p], strict=True)
                    ]
        assert float(found[b]) == pytest.approx(sum(squares) / len(squares), rel=1e-12)


def test_hidden_values_are_not_seen():
    """What a masked patch holds changes the target alone: the prediction is made without it."""
    model, imu, mask = model_of().eval(), windows(2), masks(2)
    predictions = []
    model.head.register_forward_hook(lambda module, arguments, output: predictions.append(output))
    model(imu, mask)
    hidden = mask.repeat_interleave(16, dim=2)[:, :, :250]
    model(torch.where(hidden, imu + 5, imu), mask)
    visible_last = ~mask[:, :, -1]  # the padding repeats a window's last value
    assert torch.equal(predictions[0][visible_last], predictions[1][visible_last])
    model(torch.where(~hidden, imu + 5, imu), mask)
    assert not torch.allclose(predictions[0], predictions[2])


@torch.no_grad()
def test_each_hidden_patch_is_predicted_from_its_own_token():
    model, imu, mask = model_of().eval(), windows(2), masks(2)
    patches = model.imu_encoder.patches(imu)
    tokens = model.imu_encoder.tokens(torch.where(mask[..., None], 0.0, patches))  # the CLS token first
    for b, found in enumerate(model(imu, mask).tolist()):
        errors = [
            float((model.head(tokens[b, c, 1 + p]) - patches[b, c, p]).square().mean()) for c, p in mask[b].nonzero()
        ]
        assert found == pytest.approx(sum(errors) / len(errors), rel=1e-12)


def test_every_parameter_learns():
    model = model_of()
    model(windows(4), masks(4)).mean().backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize("pooling", ["cls", "mean", "both"])
def test_a_reloaded_encoder_never_masks(tmp_path, pooling):
    config = TrainConfig(**SMALL, imu_pooling=pooling)
    model = build_model(config).eval()
    payload = {"kind": "pretrain", "config": config.model_dump(mode="json"), "model": model.state_dict()}
    checkpoint.save(tmp_path / "c.pt", payload | {"video_config": None})
    encoder, loaded = load_imu_encoder(tmp_path / "c.pt")
    imu = windows(3).float()
    first, second = encoder(imu), encoder(imu)
    tokens = model.imu_encoder.tokens(model.imu_encoder.patches(imu))  # nothing masked
    parts = {"cls": [tokens[:, :, 0]], "mean": [tokens[:, :, 1:].mean(2)]}
    parts["both"] = parts["cls"] + parts["mean"]
    assert torch.equal(first, second)
    assert torch.equal(first, torch.cat(parts[pooling], dim=2).flatten(1))
    assert first.shape == (3, encoder.dim) and loaded.imu_pooling == pooling
    with pytest.raises(CheckpointError, match=r"c\.pt: was trained as imu_only and has no video encoder"):
        load_dual_encoder(tmp_path / "c.pt")


def test_reconstruction_does_not_train_the_cls_output():
    """Why mean is the other way to read it: no error reaches the last CLS token, which the authors' code reads."""
    model = model_of()
    tokens = model.imu_encoder.tokens(model.imu_encoder.patches(windows(2)))
    tokens.retain_grad()
    model.head(tokens[:, :, 1:]).square().sum().backward()
    assert not tokens.grad[:, :, 0].any() and tokens.grad[:, :, 1:].any()
    assert TrainConfig(**SMALL).imu_pooling == TrainConfig(dataset="x").imu_pooling == "cls"


class Rows:
    def __init__(self, imu, first):
        self.imu, self.index = imu, torch.arange(first, first + len(imu))

    def to(self, device):
        return self.imu, None


def test_the_held_out_report_does_not_depend_on_batches():
    model, imu, cpu = model_of(), windows(7), torch.device("cpu")
    objective = build_objective(TrainConfig(**SMALL))
    assert isinstance(objective, Masked)
    reports = [
        objective.evaluate(model, [Rows(imu[a:b], a) for a, b in pairwise(cuts)], cpu, torch.float32)
        for cuts in ([0, 7], [0, 3, 6, 7])
    ]
    assert reports[0][0] == pytest.approx(reports[1][0], rel=1e-12)
    mask = draw_masks(0, 0, torch.arange(7), 16, 0.4)
    assert reports[0][0]["masked_mse"] == pytest.approx(float(model(imu, mask).detach().mean()), rel=1e-12)
    assert 0.9 < reports[0][1]["masked_mse"] < 1.2  # white noise of variance 1, guessed by a mean of 160 values


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"loss": "softmax"}, "loss: imu_only has no video"),
        ({"video_encoder": "clip"}, "video_encoder: imu_only has no video"),
        ({"imu_encoder": "conv_gru"}, "no patches to mask"),
        ({"model": "imu2clip", "imu_pooling": "mean"}, "imu_pooling mean is for patchtst"),
    ],
)
def test_what_cannot_go_together_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig(**(SMALL | settings))


def test_a_single_patch_cannot_be_masked():
    with pytest.raises(ValueError, match="masking needs two at least, use a smaller imu_patch"):
        masks(1, num_patches=1)
