"""Contrast of views: losses against the equations one pair at a time, the queue against a list, and what a run does."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import downstream
import train
from configs.load import ConfigError
from configs.training import TrainConfig
from datasets.placing import beside
from datasets.windows import list_windows
from models import build_model, build_objective, load_dual_encoder, load_imu_encoder
from models.augmentation import Augmentation
from models.batchnorm import hold_statistics
from models.contrast import EmbeddingQueue, Views, nearest_loss
from models.masked import draw_masks, reconstruction_error
from tests.prepared import write_dataset
from tests.training import command, losses
from utils import checkpoint
from utils.checkpoint import CheckpointError

CPU, SCALE = torch.device("cpu"), torch.tensor(4.0, dtype=torch.float64)
SMALL = {"dataset": "x", "model": "imu_contrast", "imu_dim": 8, "imu_heads": 2, "imu_layers": 1, "imu_ffn": 8}
SMALL |= {"embed_dim": 5, "augment_noise": 0.1, "imu_dropout": 0, "head_dropout": 0, "batch_size": 4, "queue_size": 6}


def rows(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, 5, dtype=torch.float64, generator=generator), dim=1)


def info_nce_oracle(u, v):
    """Symmetric InfoNCE as written, in Python floats."""
    total = 0.0
    for a, b in ((u, v), (v, u)):
        for i in range(len(a)):
            exponentials = [math.exp(float(SCALE * (a[i] @ b[j]))) for j in range(len(b))]
            total -= math.log(exponentials[i] / sum(exponentials))
    return total / (2 * len(u))


def nearest_oracle(z, past):
    """The most similar of a list, one product at a time."""
    return torch.stack([max(past, key=lambda old, row=row: float(row @ old)) for row in z])


def test_nearest_loss_matches_the_equation():
    u, v, past = rows(4, 0), rows(4, 1), rows(7, 2)
    near_u, near_v = nearest_oracle(u, past), nearest_oracle(v, past)
    expected = (info_nce_oracle(near_u, v) + info_nce_oracle(near_v, u)) / 2
    assert float(nearest_loss(u, v, near_u, near_v, SCALE)) == pytest.approx(expected, rel=1e-12)


def test_queue_is_a_list_of_the_last_ones():
    queue, past = EmbeddingQueue(6, 5).double(), []
    z = rows(3, 9)
    assert torch.equal(queue.nearest(z), z)
    for seed in range(5):
        queue.add(rows(4, seed))
        past = [*past, *rows(4, seed)][-6:]
        assert torch.equal(queue.nearest(z), nearest_oracle(z, past))
        assert sorted(map(tuple, queue.rows[queue.filled].tolist())) == sorted(tuple(old.tolist()) for old in past)
    assert queue.count == 20


def test_spoilt_steps_leave_the_queue_alone():
    model = build_model(TrainConfig(**SMALL, positives=["nearest"])).train()
    update, imu = hold_statistics(model), torch.randn(8, 6, 250)
    model(imu * math.nan)
    assert model.queue.count == 0 and not model.queue.rows.any()
    model(imu)
    update()
    assert model.queue.count == 4 and model.queue.rows[:4].isfinite().all()
    model.eval()(imu)
    assert model.queue.count == 4, "only training batches are remembered"


@pytest.mark.parametrize(
    "positives, kinds",
    [(["views"], "d"), (["time"], "d"), (["nearest"], "n"), (["views", "nearest"], "dn"), (["time", "nearest"], "dn")],
)
def test_loss_is_the_mean_over_kinds(positives, kinds):
    objective = build_objective(TrainConfig(**SMALL, positives=positives, mask_weight=0.5))
    u, v, near_u, near_v = (rows(4, seed) for seed in range(4))
    outputs = Views(u, v, SCALE, near_u, near_v, torch.tensor([1.0, 2.0, 3.0, 6.0]))
    found = {"d": info_nce_oracle(u, v), "n": float(nearest_loss(u, v, near_u, near_v, SCALE))}
    assert float(objective.loss(outputs)) == pytest.approx(np.mean([found[k] for k in kinds]) + 0.5 * 3, rel=1e-12)
    u[2, 0] = math.nan
    assert objective.per_window(outputs).isfinite().all(1).tolist() == [True, True, False, True]
    assert objective.progress(outputs) == {"scale": 4.0}


def test_model_embeds_views_and_reconstructs():
    torch.manual_seed(0)
    config = TrainConfig(**SMALL, positives=["views", "nearest"], mask_weight=1)
    model, imu = build_model(config).double().eval(), torch.randn(6, 6, 250).double()
    mask = draw_masks(0, 1, torch.arange(3), 16, 0.4)
    model.queue.add(rows(4, 5))
    found = model(imu, mask)
    assert torch.equal(found.z_second, model.embed(imu)[3:]) and found.scale.item() == pytest.approx(10)
    assert torch.equal(found.near_second, nearest_oracle(found.z_second, rows(4, 5)))
    expected = reconstruction_error(model.imu_encoder, model.mask_head, imu[:3], mask)
    torch.testing.assert_close(found.error, expected, rtol=1e-12, atol=0)
    build_objective(config).loss(model.train()(imu, mask)).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_running_statistics_are_of_views():
    """Not of masked windows: they are what the encoder is used on."""
    torch.manual_seed(0)
    imu, mask = torch.randn(6, 6, 250), draw_masks(0, 1, torch.arange(3), 16, 0.4)
    models = [build_model(TrainConfig(**SMALL, mask_weight=weight)).train() for weight in (0, 1)]
    models[1].load_state_dict(models[0].state_dict(), strict=False)
    updates = [hold_statistics(model) for model in models]
    models[0](imu), models[1](imu, mask)
    for update in updates:
        update()
    buffers = [dict(model.imu_encoder.named_buffers()) for model in models]
    assert any("running_mean" in name for name in buffers[0])
    assert all(torch.equal(buffers[0][name], buffers[1][name]) for name in buffers[0])


def test_views_have_draws_of_their_own():
    imu, zero, one = torch.randn(4, 6, 50), torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    found = Augmentation(7, 32, noise=0.1).imu(torch.cat([imu, imu]), zero, one, one, 1, 3, views=2)
    assert torch.equal(found[:4], Augmentation(7, 32, noise=0.1).imu(imu, zero, one, one, 1, 3))
    assert (found[4:] - found[:4]).std() == pytest.approx(0.1 * 2**0.5, rel=0.1)
    parts = [Augmentation(7, 32, noise=0.1, rank=rank, world_size=2) for rank in (0, 1)]
    halves = [
        p.imu(torch.cat([part, part]), zero, one, one, 1, 3, 2) for p, part in zip(parts, imu.split(2), strict=True)
    ]
    views = [half.chunk(2) for half in halves]
    assert torch.equal(torch.cat([view for pair in zip(*views, strict=True) for view in pair]), found)


@pytest.mark.parametrize("speed", [None, 1.25])
def test_neighbours_are_the_slow_ones(tmp_path, speed):
    store = write_dataset(tmp_path / "d", ["walking"] * 3 + ["standing"], seconds=17, video=False)
    windows = list_windows(store, window_s=2.5)
    windows.avoid[1] = np.array([[300.0, 310.0]])
    if speed:
        windows = windows.__class__(**(vars(windows) | {"speed": np.full(len(windows), speed)}))
    length, moves = math.ceil(125 * (speed or 1)), []
    for epoch in range(1, 6):
        side, moved = np.random.default_rng([3, epoch, 0, 3]).random((2, len(windows)))
        found = beside(windows, 3, epoch, 0.7)
        assert np.array_equal(found.recording, windows.recording)
        for i, (recording, start) in enumerate(zip(windows.recording, windows.start, strict=True)):
            expected = start
            if moved[i] < 0.7:
                for other in (start + length, start - length)[:: 1 if side[i] < 0.5 else -1]:
                    free = not (recording == 1 and other < 310 and other + length > 300)
                    if other >= 0 and other + length <= 850 and free:
                        expected = other
                        break
            assert found.start[i] == expected
            moves.append(int(np.sign(expected - start)))
    assert set(moves) == {-1, 0, 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_dataset(root / "tiny", ["walking", "standing"] * 4, seconds=15, video=False)
    return root


METHODS = {
    "patchtst": "--positives views time nearest --queue_size 8 --mask_weight 1 --augment_rotation_deg 20",
    "conv": "--imu_encoder conv --positives nearest --queue_size 8 --augment_noise 0.1 --heads linear",
    "conv_gru": "--imu_encoder conv_gru --positives time --embed_dim 8",
}


@pytest.mark.parametrize("name", METHODS)
def test_runs_resume_to_the_bit_and_are_evaluated(data, tmp_path, name):
    words = ["--model", "imu_contrast", *METHODS[name].split(), "--epochs", "2"]
    train.main(command(data, tmp_path, "whole", *words))
    train.main(command(data, tmp_path, "a", *words, "--max_steps", "5"))
    train.main(command(data, tmp_path, "a", *words, "--resume", "auto"))
    assert losses(tmp_path / "a") == losses(tmp_path / "whole") and len(losses(tmp_path / "a")) == 10
    last = tmp_path / "whole" / "checkpoints" / "last.pt"
    mine = checkpoint.load(tmp_path / "a" / "checkpoints" / "last.pt")["model"]
    assert all(torch.equal(value, mine[key]) for key, value in checkpoint.load(last)["model"].items())
    assert ("queue.rows" in mine) == ("nearest" in METHODS[name])
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert results["retrieval"].keys() == {"view_to_view/mrr", "view_to_view/r@1", "view_to_view/r@5"}
    assert results["chance"]["r@1"] == pytest.approx(1 / results["held_out"])
    assert load_imu_encoder(last)[0].dim
    with pytest.raises(CheckpointError, match="was trained as imu_contrast and has no video"):
        load_dual_encoder(last)
    few = f"--checkpoint {last} --dataset tiny --data_root {data} --runs_root {tmp_path} --run_name few --shots 2"
    probe = downstream.main([*few.split(), *"--val_samples 2 --draws 2 --epochs 1".split()])
    assert json.loads((probe / "results.json").read_text())["model"] == "imu_contrast"


def test_report_is_retrieval_of_augmented_views():
    objective = build_objective(TrainConfig(**SMALL))
    imu = torch.randn(5, 6, 250)
    moments = torch.full((1, 6, 1), 2.0), torch.full((1, 6, 1), 3.0), torch.ones(1, 6, 1)
    batches = [
        SimpleNamespace(to=lambda _, part=part: (part, None), neighbour=None, moments=moments) for part in imu.split(3)
    ]
    seen = []
    model = SimpleNamespace(eval=lambda: None, embed=lambda x: (seen.append(x), F.normalize(x.flatten(1), dim=1))[1])
    found, chance, count = objective.evaluate(model, batches, CPU, torch.float32)
    assert count == 5 and chance["r@1"] == 0.2 and found["view_to_view/r@1"] == 1
    expected = Augmentation(0, 224, noise=0.1).imu(torch.cat([imu[:3], imu[:3]]), *moments, 0, 0, 2)
    assert torch.equal(seen[0], expected)
    assert "view->view  MRR 1.000" in objective.describe(found, chance, count)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"augment_noise": 0}, "two views of a window are the same"),
        ({"video_encoder": "clip"}, "video_encoder: imu_contrast has no video"),
        ({"loss": "sigmoid"}, "loss sigmoid"),
        ({"positives": ["nearest"], "queue_size": 3}, "queue_size 3"),
        ({"positives": []}, "positives"),
        ({"mask_weight": 1, "imu_encoder": "conv"}, "imu_encoder conv"),
        ({"mask_weight": 1, "imu_stride": 8}, "imu_stride"),
        ({"augment_video_shift": 1}, "augment_video"),
        ({"micro_batch_size": 1}, "micro_batch_size"),
        ({"model": "imu_only", "mask_weight": 1}, "mask_weight"),
        ({"model": "imu_only", "positives": ["time"]}, "positives"),
    ],
)
def test_what_cannot_go_together_is_refused(settings, message):
    with pytest.raises((ValueError, ConfigError), match=message):
        TrainConfig(**(SMALL | settings))
