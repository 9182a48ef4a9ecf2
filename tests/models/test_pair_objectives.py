"""Pairs beside views (PRIMUS), and distillation from video (COMODO): losses one pair at a time, queues, whole runs."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import train
import zeroshot
from configs.load import ConfigError, parse
from configs.training import TrainConfig
from models import build_model, build_objective, load_dual_encoder
from models.distill import Distilled, distillation_loss
from models.primus import PairsAndViews, primus_loss
from tests.models.test_contrast import SCALE, info_nce_oracle, rows
from tests.training import command, losses, make_data
from utils import checkpoint

SMALL = {"dataset": "x", "imu_encoder": "conv", "video_encoder": "conv21d", "image_size": 16, "video_width": 4}
SMALL |= {"clip_len": 2, "embed_dim": 5, "heads": "linear", "head_dropout": 0, "batch_size": 3, "queue_size": 4}
PRIMUS = {"unimodal_weight": 0.3, "positives": ["views", "nearest"], "loss": "softmax", "augment_noise": 0.1}


def batch(count: int):
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (count, 2, 16, 16, 3), dtype=torch.uint8, generator=generator)
    return torch.randn(2 * count, 6, 250, dtype=torch.float64, generator=generator), video


@pytest.mark.parametrize("near", [False, True])
def test_primus_loss_matches_the_equation(near):
    u, v, a, b, near_v, near_a = (rows(4, seed) for seed in range(6))
    outputs = PairsAndViews(u, v, a, b, SCALE, SCALE, *((near_v, near_a) if near else ()))
    pairs, views = info_nce_oracle(u, v), info_nce_oracle(a, b)
    if near:
        pairs, views = pairs + info_nce_oracle(u, near_v), views + info_nce_oracle(a, near_a)
    assert float(primus_loss(outputs, 0.3)) == pytest.approx(0.7 * pairs + 0.3 * views, rel=1e-12)


def test_primus_neighbours_are_those_of_the_video():
    torch.manual_seed(0)
    model, (imu, video) = build_model(TrainConfig(**SMALL, **PRIMUS)).double().train(), batch(3)
    first = model(imu, video)
    assert torch.equal(first.near_video, first.z_video) and not first.near_first.requires_grad
    second = model(imu.flip(0), video.flip(0))
    place = [int((second.z_video[i] @ first.z_video.T).argmax()) for i in range(3)]
    assert torch.equal(second.near_video, first.z_video[place].detach())
    assert torch.equal(second.near_first, first.z_first[place].detach())
    build_objective(TrainConfig(**SMALL, **PRIMUS)).loss(second).backward()
    unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []


def test_distillation_loss_matches_the_equation():
    u, v, queue = rows(3, 0), rows(3, 1), rows(6, 2)
    known = torch.tensor([True, True, False, True, True, True])
    videos, total = [q for q, k in zip(queue, known, strict=True) if k], 0.0
    for i in range(3):
        teacher = [math.exp(float(v[i] @ q) / 0.2) for q in videos]
        student = [math.exp(float(SCALE) * float(u[i] @ q)) for q in videos]
        total -= sum(t / sum(teacher) * math.log(s / sum(student)) for t, s in zip(teacher, student, strict=True))
    u.requires_grad_()
    loss = distillation_loss(Distilled(u, v, SCALE, queue, known), 0.2)
    assert loss.item() == pytest.approx(total / 3, rel=1e-12)
    loss.backward()
    assert u.grad.isfinite().all() and u.grad.any()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A dataset with video, and a checkpoint whose video encoder can teach."""
    root = make_data(tmp_path_factory.mktemp("pairs"))
    encoders = "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --loss softmax --epochs 1"
    train.main(command(root, root, "teacher", *encoders.split()))
    return root, f"{root}/teacher/checkpoints/last.pt"


METHODS = {
    "primus": "--loss softmax --unimodal_weight 0.5 --positives views nearest --queue_size 6 --augment_noise 0.1",
    "comodo": "--loss distill --queue_size 6 --temperature 0.05 --video_weights {}",
}
ENCODERS = "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --epochs 1".split()


@pytest.mark.parametrize("name", METHODS)
def test_runs_resume_to_the_bit_and_embed_video(world, tmp_path, name):
    root, teacher = world
    words = [*ENCODERS, *METHODS[name].format(teacher).split()]
    for run, more in (("whole", []), ("a", ["--max_steps", "3"]), ("a", ["--resume", "auto"])):
        train.main(command(root, tmp_path, run, *words, *more))
    assert losses(tmp_path / "a") == losses(tmp_path / "whole") and len(losses(tmp_path / "a")) == 5
    last = tmp_path / "whole" / "checkpoints" / "last.pt"
    mine, theirs = (checkpoint.load(tmp_path / run / "checkpoints/last.pt")["model"] for run in ("whole", "a"))
    assert all(torch.equal(mine[key], theirs[key]) for key in mine) and any("queue" in key for key in mine)
    assert load_dual_encoder(last)[1].loss in ("softmax", "distill")
    words = f"--checkpoint {last} --dataset tiny --data_root {root} --runs_root {tmp_path} --run_name zero"
    zero = zeroshot.main([*words.split(), "--prototypes_per_class", "2"])
    assert json.loads((zero / "results.json").read_text())["queries_per_class"]


def test_teachers_space_is_the_shared_one(world):
    config = TrainConfig(**SMALL, loss="distill", video_weights=world[1])
    torch.manual_seed(0)
    model, (imu, video) = build_model(config).double().train(), batch(3)
    teacher = load_dual_encoder(Path(world[1]))[0].double().video_encoder
    found = model(imu[:3], video)
    torch.testing.assert_close(found.z_video, F.normalize(teacher(video), dim=1), rtol=1e-12, atol=0)
    assert found.known.tolist() == [False] * 4 + [True] * 3 and torch.equal(found.videos[4:], found.z_video)
    assert torch.equal(model(imu[:3], video).known, torch.tensor([True] * 3 + [False] + [True] * 3))
    assert not any(p.requires_grad for p in model.video_encoder.parameters())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"positives": ["views"]}, "positives"),
        (PRIMUS | {"positives": ["nearest"]}, "positives"),
        (PRIMUS | {"positives": ["views", "time"]}, "positives"),
        (PRIMUS | {"loss": "sigmoid"}, "loss sigmoid"),
        (PRIMUS | {"augment_noise": 0}, "two views of a window are the same"),
        (PRIMUS | {"augment_noise": 0, "augment_video_shift": 1}, "two views of a window are the same"),
        (PRIMUS | {"queue_size": 2}, "queue_size 2"),
        ({"loss": "distill"}, "video_weights none"),
        ({"loss": "distill", "video_weights": "a.pt", "queue_size": 2}, "queue_size 2"),
        ({"loss": "distill", "video_weights": "a.pt", "freeze_video": False}, "loss distill"),
        ({"loss": "distill", "video_weights": "a.pt", "learn_temperature": True}, "loss distill"),
        ({"model": "imu_only", "unimodal_weight": 0.5}, "unimodal_weight"),
    ],
)
def test_what_cannot_go_together_is_refused(settings, message):
    base = SMALL if settings.get("model") is None else {"dataset": "x"}
    with pytest.raises((ValueError, ConfigError), match=message):
        TrainConfig(**(base | settings))


def test_views_follow_from_the_weight(tmp_path):
    (tmp_path / "c.yaml").write_text("dataset: x\nloss: softmax\naugment_noise: 0.1\nunimodal_weight: 0.5\n")
    words = ["--config", str(tmp_path / "c.yaml")]
    assert parse(TrainConfig, words).positives == ["views"]
    assert parse(TrainConfig, [*words, "--unimodal_weight", "0"]).positives is None  # a flag is text
