"""Convolutional encoders, augmentation and people left out through all commands, on seconds of data."""

import json

import numpy as np
import pytest
import torch

import downstream
import train
import zeroshot
from configs.load import ConfigError
from configs.training import TrainConfig
from datasets.frames import frame_writer
from datasets.store import frames_path, open_store
from datasets.windows import list_windows
from models import load_dual_encoder
from scripts import embedding_map, export
from tests.prepared import write_dataset
from tests.training import command, losses

CLASSES = ["standing", "walking"]
SMALL = "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --loss softmax".split()
FRAMES = "--frame_box 0.25 0 0.75 1 --frame_differences 3".split()
AUGMENTED = (
    "--augment_rotation_deg 15 --augment_scale 0.1 --augment_bias 0.1 --augment_noise 0.05 --augment_drop_sensor 0.2 "
    "--augment_video_shift 2 --augment_video_scale 0.15 --augment_video_rotation_deg 8"
).split()
PATCHES = "--imu_mixing patch --imu_stride 8 --imu_pooling segments --video_stem --video_pooling local --clip_len 8"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """16 recordings of four people, with pictures that differ."""
    root = tmp_path_factory.mktemp("data")
    store = write_dataset(root / "tiny", sorted(CLASSES * 4) * 2, seconds=10, frame_size=16, subjects=4)
    for number, name in enumerate(store.recordings["id"]):
        rng = np.random.default_rng(number)
        with frame_writer(frames_path(store.root, name)) as writer:
            for _ in range(100):
                writer.write(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1))
    return root


def flags(data, runs, *more):
    return command(
        data, runs, "whole", *SMALL, *FRAMES, *AUGMENTED, "--exclude_subjects", "s3", "--held_out", "0", *more
    )


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    assert train.main(flags(data, runs)) == 0
    return runs / "whole"


@pytest.fixture(scope="module")
def checkpoint(whole):
    return whole / "checkpoints" / "last.pt"


def test_excluded_people_are_not_trained_on(whole):
    assert "24 windows to train on, 0 held out" in (whole / "log.txt").read_text()


def test_augmented_runs_resume_to_the_bit(data, whole, tmp_path):
    train.main(flags(data, tmp_path, "--max_steps", "4"))
    train.main(flags(data, tmp_path, "--resume", "auto"))
    assert losses(tmp_path / "whole") == losses(whole) and len(losses(whole)) == 12


@pytest.mark.parametrize("name", sorted(n for n in TrainConfig.model_fields if n.startswith("augment_")))
def test_each_augmentation_changes_the_loss_and_off_does_not(data, tmp_path, name):
    """Each setting reaches the batch; with amounts that vanish, raw signals give what z-scored ones do."""
    found = []
    for run, amount in (("off", "0"), ("tiny", "1e-12"), ("on", "0.9")):
        words = [f"--{name}", amount, "--max_steps", "1"]
        train.main(command(data, tmp_path, run, *SMALL, "--held_out", "0", "--loss", "sigmoid", *words))
        found.append(float.fromhex(losses(tmp_path / run)[0]))
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert abs(found[2] - found[0]) > 1e-5


def test_transformers_of_small_data_train_and_load(data, tmp_path):
    sizes = ["--video_patch", "8", "--clip_len", "8"]
    words = [*PATCHES.split(), *sizes, *FRAMES, "--video_dropout", "0.1", "--max_steps", "2"]
    train.main(command(data, tmp_path, "patches", "--held_out", "0", *words))
    model, config = load_dual_encoder(tmp_path / "patches" / "checkpoints" / "last.pt")
    assert model.imu_encoder.dim == 8 * 5 and model.video_encoder.dim == 8 * 16
    assert config.imu_mixing == "patch" and model.video_encoder.normalize.box == [0.25, 0.0, 0.75, 1.0]


def test_downstream_among_some_people(data, checkpoint, tmp_path):
    words = f"--checkpoint {checkpoint} --dataset tiny --data_root {data} --runs_root {tmp_path} --run_name few "
    words += "--subjects s1 s3 --shots 2 --val_samples 2 --draws 2 --epochs 2"
    folder = downstream.main(words.split())
    results = json.loads((folder / "results.json").read_text())
    assert sum(results["windows_per_class"]) == 16
    assert results["seen_in_pretraining"]["windows"] == 8  # those of s1: s3 was left out


def test_zero_shot_of_one_person(data, checkpoint, tmp_path):
    words = f"--checkpoint {checkpoint} --dataset tiny --data_root {data} --runs_root {tmp_path} --run_name zero "
    words += "--query_subjects s3 s2 --prototypes_per_class all --prototype vote --retrieval"
    folder = zeroshot.main(words.split())
    results = json.loads((folder / "results.json").read_text())
    assert results["queries_per_class"] == [8, 8]
    prototypes = json.loads((folder / "prototypes.json").read_text())
    store = open_store(data, "tiny")
    person = dict(zip(store.recordings["id"], store.recordings["subject"], strict=True))
    used = [name for names in prototypes.values() for name in names]
    assert len(used) == 16 and {person[name.split("@")[0]] for name in used} == {"s0", "s1"}
    assert results["seen_in_pretraining"]["windows"] == 8
    assert results["retrieval_chance"]["r@5"] == pytest.approx(5 / 16)

    model, config = load_dual_encoder(checkpoint)
    windows = list_windows(store, needs_video=True, labelled=True)
    windows = windows.subset(np.isin(windows.subject, ["s2", "s3"]))
    zero = zeroshot.ZeroshotConfig(checkpoint=checkpoint, dataset="tiny")
    z_video = zeroshot.embed_video(model, windows, config, zero, torch.device("cpu"))
    z_imu = zeroshot.embed_imu(model, windows, config.normalize, torch.device("cpu"))
    similarity = [[sum(a * b for a, b in zip(z, v, strict=True)) for v in z_video.tolist()] for z in z_imu.tolist()]
    ranks = [sum(value >= row[i] for value in row) for i, row in enumerate(similarity)]
    assert results["retrieval"]["imu_to_video/r@5"] == pytest.approx(np.mean(np.array(ranks) <= 5))


def test_export_and_picture(data, checkpoint, tmp_path):
    out = export.main(["--checkpoint", str(checkpoint), "--out", str(tmp_path / "encoder.safetensors")])
    words = f"--checkpoint {out} --datasets tiny --data_root {data} --out {tmp_path / 'picture'}"
    assert (embedding_map.main(words.split()) / "embedding.png").is_file()


@pytest.mark.parametrize(
    "words, message",
    [
        ("--exclude_subjects s33", "no subject 's33'; did you mean s3"),
        ("--exclude_subjects s0 s1 s2 s3", "without s0, s1, s2, s3 no window"),
    ],
)
def test_unknown_people_are_named(data, tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        train.main(command(data, tmp_path, "no", *SMALL, *words.split()))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"video_encoder": "conv21d", "video_weights": "x/y"}, "conv21d"),
        ({"video_encoder": "conv21d", "video_stem": True}, "video_stem and video_pooling are for videomae"),
        ({"video_stem": True}, "--video_weights none"),
        ({"frame_differences": 3}, "--video_weights none"),
        ({"video_encoder": "clip", "video_weights": "none", "frame_differences": 3}, "frame_differences"),
        ({"video_weights": "none", "video_stem": True, "video_patch": 4}, "video_patch 4"),
        ({"video_pooling": "local", "clip_len": 4}, "clip_len of 8"),
        ({"frame_box": [0.5, 0, 0.4, 1]}, "frame_box 0.5 0 0.4 1"),
        ({"frame_box": [0, 0, 1]}, "frame_box"),
        ({"imu_stride": 17}, "imu_stride 17"),
        ({"model": "imu_only", "imu_stride": 8}, "imu_stride"),
        ({"model": "imu_only", "imu_encoder": "conv"}, "imu_encoder conv"),
        ({"model": "imu_only", "augment_video_shift": 2}, "augment_video"),
        ({"imu_encoder": "conv", "imu_pooling": "mean"}, "imu_pooling mean"),
        ({"augment_noise": 0.1, "normalize": "window"}, "normalize window"),
    ],
)
def test_what_cannot_go_together_is_refused(settings, message):
    with pytest.raises((ValueError, ConfigError), match=message):
        TrainConfig(dataset="x", **settings)


def test_people_with_numbers_for_names():
    assert TrainConfig(dataset="x", exclude_subjects=[7]).exclude_subjects == ["7"]
