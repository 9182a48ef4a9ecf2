"""Two encoders and their heads: what is frozen stays, what is built comes back from a checkpoint."""

import math

import pytest
import torch
from torch import nn

import models
from configs.training import TrainConfig
from models import build_model, load_dual_encoder, load_imu_encoder
from models.dual_encoder import DualEncoder
from models.heads import ProjectionHead
from models.losses import contrastive_loss
from utils import checkpoint
from utils.checkpoint import CheckpointError
from utils.optim import parameter_groups

SMALL = {
    "dataset": "x",
    "video_weights": "none",
    "image_size": 16,
    "video_patch": 8,
    "clip_len": 2,
    "embed_dim": 12,
    **{"imu_dim": 8, "imu_heads": 2, "imu_layers": 1, "imu_ffn": 8},
    **{"video_dim": 8, "video_heads": 2, "video_layers": 1, "video_ffn": 8},
}


def config_of(**settings) -> TrainConfig:
    return TrainConfig(**(SMALL | settings))


def pairs(count: int):
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (count, 2, 16, 16, 3), dtype=torch.uint8, generator=generator)
    return torch.randn(count, 6, 250, generator=generator), video


class ToyVideo(nn.Module):
    """A video encoder with what tends to change unasked: batch statistics and dropout."""

    dim = 5

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * 16 * 16 * 3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))

    def forward(self, video, _=None):
        return self.layers(video.float() / 255)


def toy(freeze: bool) -> DualEncoder:
    torch.manual_seed(0)
    imu = nn.Sequential(nn.Flatten(), nn.Linear(1500, 4))
    return DualEncoder(imu, ToyVideo(), ProjectionHead(4, 6, 0.0), ProjectionHead(5, 6, 0.0), freeze_video=freeze)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_frozen_video_encoder_does_not_move(freeze):
    model = toy(freeze)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.1), lr=0.1)
    for _ in range(3):
        model.train()
        contrastive_loss("sigmoid", *model(*pairs(8))).backward()
        optimizer.step()
        optimizer.zero_grad()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    frozen = {name for name in before if name.startswith("video_encoder.")}
    assert not changed & frozen if freeze else frozen <= changed
    assert {name for name in before if not name.startswith("video_encoder.")} <= changed
    assert model.video_encoder.training == (not freeze)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """Weights of a small CLIP in the form in which they are published."""
    folder = tmp_path_factory.mktemp("clip")
    config = config_of(model="imu2clip", embed_dim=512)
    build_model(config).video_encoder.model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    "settings, frozen",
    [
        ({}, True),  # IMU2CLIP as published
        ({"freeze_video": False, "heads": "projection", "loss": "softmax_soft"}, False),  # as the authors trained it
    ],
)
def test_imu2clip_trains_clip_where_it_says_so(clip_folder, settings, frozen):
    model = build_model(config_of(model="imu2clip", embed_dim=512, video_weights=clip_folder, **settings)).train()
    assert {p.requires_grad for p in model.video_encoder.parameters()} == {not frozen}
    assert {module.training for module in model.video_encoder.modules()} == {not frozen}
    contrastive_loss(settings.get("loss", "softmax"), *model(*pairs(4))).backward()
    learnt = {name for name, p in model.video_encoder.named_parameters() if p.grad is not None and p.grad.any()}
    assert not learnt if frozen else any("patch_embedding" in name for name in learnt)
    assert all(p.grad is not None for p in model.imu_encoder.parameters())


@pytest.mark.parametrize("learnt", [True, False])
def test_the_temperature_is_learnt_or_stays(learnt):
    model = build_model(config_of(loss="softmax", temperature=math.log(10), learn_temperature=learnt))
    z_imu, z_video, scale, bias = model(*pairs(4))
    assert scale.item() == pytest.approx(1 / math.log(10))
    contrastive_loss("softmax", z_imu, z_video, scale, bias).backward()
    assert (model.log_scale.grad is not None) == learnt


def test_embeddings_scale_and_bias():
    model = build_model(config_of()).eval()
    z_imu, z_video, scale, bias = model(*pairs(3))
    assert z_imu.shape == z_video.shape == (3, 12)
    for z in (z_imu, z_video):
        torch.testing.assert_close(z.norm(dim=1), torch.ones(3))
    assert (scale.item(), bias.item()) == pytest.approx((10.0, -10.0))
    imu, video = pairs(3)
    assert torch.equal(model.embed_imu(imu), z_imu)
    assert torch.equal(model.embed_video(video), z_video)


def test_half_precision_leaves_embeddings_in_float32():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z_imu, z_video, *_ = build_model(config_of()).eval()(*pairs(2))
    assert z_imu.dtype == z_video.dtype == torch.float32
    torch.testing.assert_close(z_imu.norm(dim=1), torch.ones(2))


def test_projection_head_matches_its_description():
    torch.manual_seed(0)
    head = ProjectionHead(4, 3, dropout=0.5).double().eval()
    x = torch.randn(4, dtype=torch.float64)
    w = head.state_dict()
    first = w["project.weight"] @ x + w["project.bias"]
    gelu = torch.stack([0.5 * a * (1 + math.erf(a / math.sqrt(2))) for a in first])
    total = first + w["mix.weight"] @ gelu + w["mix.bias"]
    expected = (total - total.mean()) / torch.sqrt(total.var(correction=0) + 1e-5)
    torch.testing.assert_close(head(x[None])[0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("video", sorted(models.VIDEO_ENCODERS))
@pytest.mark.parametrize("imu", sorted(models.IMU_ENCODERS))
@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_any_parts_can_be_combined_and_every_parameter_learns(imu, video, loss):
    model = build_model(config_of(imu_encoder=imu, video_encoder=video, loss=loss))
    contrastive_loss(loss, *model(*pairs(4))).backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle  # DistributedDataParallel waits for every gradient
    assert model.bias.requires_grad == (loss == "sigmoid")


def test_imu2clip_ends_in_the_shared_space_by_itself():
    model = build_model(config_of(model="imu2clip", embed_dim=512))
    assert isinstance(model.imu_head, nn.Identity)
    assert model.imu_encoder.dim == model.video_encoder.dim == 512
    with pytest.raises(ValueError, match=r"imu encoder ends in 512 values and embed_dim is 12.*--heads projection"):
        build_model(config_of(model="imu2clip"))


def test_freezing_follows_the_method():
    assert config_of(model="imu2clip", video_weights="auto").freeze_video is True
    assert config_of(model="imu2clip").freeze_video is False
    assert config_of(video_weights="auto").freeze_video is False
    with pytest.raises(ValueError, match="video_weights none loads none"):
        config_of(freeze_video=True)


@pytest.fixture
def saved(tmp_path):
    config = config_of()
    model = build_model(config).eval()
    payload = {"kind": "pretrain", "config": config.model_dump(mode="json"), "model": model.state_dict()}
    path = tmp_path / "c.pt"
    checkpoint.save(path, payload | {"video_config": model.video_encoder.config})
    return path, model


def test_checkpoints_give_back_the_encoders(saved, monkeypatch):
    path, model = saved
    monkeypatch.setattr(models, "weights_folder", lambda name: pytest.fail("published weights were asked for"))
    both, config = load_dual_encoder(path)
    assert config.embed_dim == 12
    assert not both.training
    for mine, theirs in zip(both(*pairs(2)), model(*pairs(2)), strict=True):
        assert torch.equal(mine, theirs)
    encoder, _ = load_imu_encoder(path)
    assert not encoder.training
    assert torch.equal(encoder(pairs(2)[0]), model.imu_encoder(pairs(2)[0]))


def test_a_checkpoint_of_published_weights_needs_no_hub(saved, monkeypatch, tmp_path):
    path, model = saved
    payload = checkpoint.load(path)
    payload["config"] |= {"video_weights": "auto"}
    checkpoint.save(tmp_path / "d.pt", payload)
    monkeypatch.setattr(models, "weights_folder", lambda name: pytest.fail("published weights were asked for"))
    both, _ = load_dual_encoder(tmp_path / "d.pt")
    assert torch.equal(both.embed_video(pairs(2)[1]), model.embed_video(pairs(2)[1]))


def test_a_checkpoint_of_another_shape_is_named(saved, tmp_path):
    path, _ = saved
    payload = checkpoint.load(path)
    payload["config"] |= {"imu_dim": 16}
    checkpoint.save(tmp_path / "d.pt", payload)
    for load in (load_imu_encoder, load_dual_encoder):
        with pytest.raises(CheckpointError, match=r"d\.pt: does not fit the model: .*has shape \(.*the model \("):
            load(tmp_path / "d.pt")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_imu_encoder(tmp_path / "absent.pt")
