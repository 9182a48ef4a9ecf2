"""Frozen video encoders: loaded from a checkpoint, their embeddings kept in a file, runs as without it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import train
from configs.load import ConfigError
from configs.training import TrainConfig
from datasets.frames import FrameStream, frame_writer
from datasets.loader import LoaderSettings, PairLoader
from datasets.store import frames_path, open_store
from datasets.windows import list_windows
from models import load_dual_encoder
from models.video_cache import cached_features, encoder_digest
from tests.training import command, losses, make_data
from utils import checkpoint
from utils.checkpoint import CheckpointError

ENCODERS = "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --loss softmax".split()
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Pictures that differ, and a checkpoint with a video encoder."""
    root = make_data(tmp_path_factory.mktemp("frozen"))
    store = open_store(root, "tiny")
    for number, name in enumerate(store.recordings["id"]):
        rng = np.random.default_rng(number)
        with frame_writer(frames_path(store.root, name)) as writer:
            for _ in range(150):
                writer.write(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1))
    train.main(command(root, root, "teacher", *ENCODERS, "--epochs", "1"))
    return root, f"{root}/teacher/checkpoints/last.pt"


def frozen(world, runs, name, *more):
    root, teacher = world
    drawn = "--window_start random --speed_jitter 0.2 --augment_noise 0.1 --freeze_video --video_draws 2 --epochs 3"
    return command(root, runs, name, *ENCODERS, *drawn.split(), "--video_weights", teacher, *more)


@pytest.fixture(scope="module")
def cached(world, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    train.main(frozen(world, runs, "cached", "--video_cache", str(runs / "cache")))
    return runs


def values(run):
    return [float.fromhex(value) for _, value in sorted(losses(run).items())]


def test_cached_runs_are_those_without(world, cached, tmp_path, monkeypatch):
    """To float32: an encoder's sums depend on the batch. The second run reads no frame at all."""
    train.main(frozen(world, tmp_path, "direct"))
    assert values(cached / "cached") == pytest.approx(values(tmp_path / "direct"), rel=1e-4)
    results = [json.loads((run / "results.json").read_text()) for run in (cached / "cached", tmp_path / "direct")]
    assert results[0]["retrieval"] == results[1]["retrieval"]
    assert results[0]["video_origin"] == "video encoder of teacher, frozen"
    monkeypatch.setattr(FrameStream, "read_into", lambda *_: pytest.fail("a frame was read"))
    words = ["--video_cache", str(cached / "cache")]
    train.main(frozen(world, tmp_path, "a", *words, "--max_steps", "4"))
    train.main(frozen(world, tmp_path, "a", *words, "--resume", "auto"))
    assert losses(tmp_path / "a") == losses(cached / "cached") and len(losses(tmp_path / "a")) == 15


def test_frozen_encoders_stay_as_they_were(world, cached):
    mine, theirs = (checkpoint.load(Path(p))["model"] for p in (cached / "cached/checkpoints/last.pt", world[1]))
    names = [name for name in theirs if name.startswith("video_encoder.")]
    assert names and all(torch.equal(mine[name], theirs[name]) for name in names)
    assert not torch.equal(mine["video_head.1.weight"], theirs["video_head.1.weight"])


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_draws_come_again(world, jitter):
    windows = list_windows(open_store(world[0], "tiny"), needs_video=True)
    settings = LoaderSettings(4, 3, "none", seed=5, draws=2, random_start=jitter > 0, speed_jitter=jitter)
    loader = PairLoader(windows, settings)

    def by_window(number):
        rows = [(b.index.clone(), b.imu.clone(), b.video.clone()) for b in loader.epoch(number)]
        index, imu, video = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return imu[index.argsort()], video[index.argsort()]

    epochs = [by_window(number) for number in (1, 2, 3, 4)]
    orders = [np.concatenate([batch.index.numpy() for batch in loader.epoch(number)]) for number in (1, 3)]
    assert not np.array_equal(*orders), "the order is drawn anew"
    for first, again in ((0, 2), (1, 3)):
        assert all(torch.equal(x, y) for x, y in zip(epochs[first], epochs[again], strict=True))
    assert not torch.equal(epochs[0][1], epochs[1][1])
    assert torch.equal(epochs[0][0], epochs[1][0]) == (jitter == 0)


class Rows:
    """A batch of pictures that are numbers."""

    def __init__(self, index, draw):
        self.index, self._draw = torch.tensor(index), draw

    def to(self, device):
        return None, (self.index * 10 + (self._draw or 0)).float()[:, None]


class Encoder(torch.nn.Linear):
    dim, config = 2, {"width": 1}


def call(folder, encoder, limit_gb=1.0, facts=None, windows=5, seen=None):
    def batches(draw):
        if seen is not None:
            seen.append(draw)
        return [Rows([0, 1, 2], draw), Rows([], draw), Rows([3, 4], draw)]

    facts = {"dataset": "x"} if facts is None else facts
    return cached_features(folder, facts, encoder, [1, 2], batches, windows, CPU, torch.float32, limit_gb)


def test_features_are_computed_once_per_key(tmp_path):
    torch.manual_seed(0)
    encoder, seen = Encoder(1, 2), []
    found = call(tmp_path, encoder, seen=seen)
    for k, draw in enumerate((1, 2)):
        for row in range(5):
            expected = encoder(torch.tensor([row * 10.0 + draw])).tolist()
            assert found[k, row].tolist() == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(call(tmp_path, encoder, seen=seen), found) and seen == [1, 2]
    call(tmp_path, encoder, facts={"dataset": "y"}, seen=seen)
    digest = encoder_digest(encoder)
    encoder.weight.data[0, 0] += 1e-3
    assert encoder_digest(encoder) != digest
    call(tmp_path, encoder, seen=seen)
    assert len(seen) == 6 and len(list(tmp_path.glob("*.npy"))) == 3


def test_damaged_files_are_computed_again(tmp_path, caplog):
    encoder, seen = Encoder(1, 2), []
    found = call(tmp_path, encoder, seen=seen).copy()
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    assert np.array_equal(call(tmp_path, encoder, seen=seen), found) and len(seen) == 4
    assert "does not match its digest" in caplog.text
    path.with_suffix(".json").unlink()
    call(tmp_path, encoder, seen=seen)
    assert len(seen) == 6


def test_the_folder_is_bounded(tmp_path):
    encoder = Encoder(1, 2)
    size = 4 * 2 * 5 * 2
    with pytest.raises(ValueError, match="video_cache_gb allows 1e-08"):
        call(tmp_path, encoder, limit_gb=1e-8)
    for name in ("a", "b", "c"):
        call(tmp_path, encoder, facts={"dataset": name}, limit_gb=(2 * size + 200) / 1e9)
    kept = {json.loads(path.read_text())["dataset"] for path in tmp_path.glob("*.json")}
    assert kept == {"b", "c"} and len(list(tmp_path.glob("*.npy"))) == 2


def test_files_in_use_stay(tmp_path, caplog):
    """Those to train on are, while the features of the held-out windows are made; no run removes those of another."""
    encoder, one = Encoder(1, 2), 250e-9

    def kept():
        return {json.loads(path.read_text())["dataset"] for path in tmp_path.glob("*.json")}

    mine = call(tmp_path, encoder, facts={"dataset": "a"}, limit_gb=one)
    before = mine.copy()
    for name in ("b", "c"):
        call(tmp_path, encoder, facts={"dataset": name}, limit_gb=one)
        assert kept() == {"a", name} and "video_cache_gb allows 2.5e-07" in caplog.text
    assert np.array_equal(mine, before)
    del mine
    call(tmp_path, encoder, facts={"dataset": "d"}, limit_gb=one)
    assert kept() == {"d"}


@pytest.mark.parametrize(
    "words, message",
    [
        (["--clip_len", "4"], "clip_len was 2, is 4"),
        (["--frame_differences", "1"], "frame_differences was 0.0, is 1.0"),
        (["--video_encoder", "videomae"], "video_encoder was conv21d, is videomae"),
    ],
)
def test_encoders_of_other_frames_are_refused(world, tmp_path, words, message):
    with pytest.raises(CheckpointError, match=message):
        train.main(frozen(world, tmp_path, "no", *words))


def test_video_encoders_of_checkpoints_train_on(world, tmp_path):
    train.main(frozen(world, tmp_path, "on", "--no-freeze_video", "--max_steps", "1", "--lr", "1e-9"))
    mine, theirs = (load_dual_encoder(Path(path))[0] for path in (tmp_path / "on/checkpoints/last.pt", world[1]))
    for a, b in zip(mine.video_encoder.parameters(), theirs.video_encoder.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"video_cache": "x", "video_draws": 2, "video_weights": "a.pt"},
        {"video_cache": "x", "freeze_video": True, "video_weights": "a.pt"},
        {"video_cache": "x", "freeze_video": True, "video_weights": "a.pt", "video_draws": 1, "augment_video_shift": 1},
        {"model": "imu_only", "video_draws": 2},
    ],
)
def test_caches_need_frames_that_come_again(settings):
    with pytest.raises((ValueError, ConfigError), match="video_cache needs|video_draws"):
        TrainConfig(dataset="x", **settings)
