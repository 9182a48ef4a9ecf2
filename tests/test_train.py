"""train.py in one process: what it writes, how it stops, and how it resumes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from configs.load import ConfigError
from datasets.frames import FrameStream
from datasets.protocols.validation import hold_out
from datasets.store import Store
from datasets.windows import list_windows
from models import load_dual_encoder, load_imu_encoder, objectives
from models.video import ClipFrameEncoder, VideoMAEEncoder
from tests.prepared import write_dataset
from tests.training import command, losses, make_data, spoil
from utils import checkpoint
from utils.checkpoint import CheckpointError
from utils.optim import NonFiniteError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nothing disturbed: 2 epochs of 5 steps."""
    runs = tmp_path_factory.mktemp("runs")
    assert train.main(command(data, runs, "whole", "--save_interval", "1")) == 0
    return runs / "whole"


def test_the_run_folder(whole):
    there = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    expected = {"config.yaml", "environment.json", "log.txt", "metrics.csv", "loss.png", "results.json"}
    names = ("last.pt", "epoch_0001.pt", "epoch_0002.pt")
    assert expected | {f"checkpoints/{name}" for name in names} <= there
    assert any(path.startswith("tensorboard/") for path in there)
    assert sorted(losses(whole)) == list(range(10))
    log = (whole / "log.txt").read_text()
    assert re.search(r"step 10/10 .*windows/s  waiting \d+%  \d\.\d GB  left 0:00", log)
    for words in ("simulated tiny: 21 windows to train on, 3 held out", "steps       10: 2 epochs of 5", "chance  MRR"):
        assert words in log
    results = json.loads((whole / "results.json").read_text())
    assert results["simulated"] is True
    assert results["held_out"] == 3
    assert results["video_origin"] == "small VideoMAE trained along"
    assert results["chance"]["r@1"] == pytest.approx(1 / 3)
    assert set(results["retrieval"]) == {
        f"{w}/{n}" for w in ("imu_to_video", "video_to_imu") for n in ("mrr", "r@1", "r@5")
    }


def test_the_checkpoint_feeds_the_evaluations(whole):
    path = whole / "checkpoints" / "last.pt"
    encoder, config = load_imu_encoder(path)
    assert encoder(torch.zeros(1, 6, 250)).shape == (1, encoder.dim)
    model, _ = load_dual_encoder(path)
    assert model.embed_video(torch.zeros(1, 2, 16, 16, 3, dtype=torch.uint8)).shape == (1, config.embed_dim)
    assert checkpoint.load(path)["step"] == 10
    assert checkpoint.load(whole / "checkpoints" / "epoch_0001.pt")["step"] == 5


def test_the_loss_falls(data, tmp_path):
    train.main(command(data, tmp_path, "long", "--epochs", "6", "--head_dropout", "0", "--imu_dropout", "0"))
    values = [float.fromhex(value) for value in losses(tmp_path / "long").values()]
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize(
    "options",
    [
        "--model imu2clip --embed_dim 512",
        "--loss softmax_soft",
        "--precision bf16",
        "--precision fp16",
        "--micro_batch_size 3",
    ],
)
def test_two_steps_of_other_settings(data, tmp_path, options):
    assert train.main(command(data, tmp_path, "two", "--max_steps", "2", *options.split())) == 0
    assert len(losses(tmp_path / "two")) == 2


def test_the_held_out_report_keeps_to_what_memory_allows(data, tmp_path, monkeypatch):
    sizes, original = [], VideoMAEEncoder.forward
    monkeypatch.setattr(
        VideoMAEEncoder,
        "forward",
        lambda self, clips, _: (sizes.append((self.training, len(clips))), original(self, clips))[1],
    )
    train.main(command(data, tmp_path, "a", "--micro_batch_size", "2", "--epochs", "1"))
    assert {training for training, _ in sizes} == {True, False}
    assert max(size for _, size in sizes) == 2


def test_clip_trains_as_if_all_frames_were_read(data, tmp_path, monkeypatch):
    read, original = [], FrameStream.read_into
    monkeypatch.setattr(FrameStream, "read_into", lambda *a: (read.append(len(a[1])), original(*a)))
    method = ["--video_encoder", "clip", "--clip_len", "5", "--epochs", "1"]
    train.main(command(data, tmp_path, "middle", *method))
    assert set(read) == {1}
    monkeypatch.setattr(ClipFrameEncoder, "frames_used", range)
    train.main(command(data, tmp_path, "all", *method))
    assert set(read) == {1, 5}
    assert losses(tmp_path / "middle") == losses(tmp_path / "all")
    found = [json.loads((tmp_path / name / "results.json").read_text())["retrieval"] for name in ("middle", "all")]
    assert found[0] == found[1]


def test_imu_only_needs_no_video_and_resumes_to_the_bit(tmp_path):
    """Its masks follow from seed, epoch and window; the report says what the mean of the visible patches would do."""
    write_dataset(tmp_path / "tiny", ["walking", "standing"] * 4, seconds=15, video=False)
    method = ["--model", "imu_only", "--epochs", "4", "--exclude_classes", "standing", "--batch_size", "3"]
    train.main(command(tmp_path, tmp_path, "whole", *method))
    train.main(command(tmp_path, tmp_path, "a", *method, "--max_steps", "4"))
    train.main(command(tmp_path, tmp_path, "a", *method, "--resume", "auto"))
    assert losses(tmp_path / "a") == losses(tmp_path / "whole")
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert results["windows"] + results["held_out"] == 12  # half of 24
    assert results["reconstruction"].keys() == results["chance"].keys() == {"masked_mse"}
    assert results["config"]["imu_pooling"] == "cls"
    values = [float.fromhex(value) for value in losses(tmp_path / "whole").values()]
    assert values[-1] < values[0]


@pytest.mark.parametrize("stop_at", [3, 5, 7])
def test_a_resumed_run_repeats_the_losses_to_the_bit(data, whole, tmp_path, stop_at):
    """In the middle of an epoch and at its end, with dropout and frames drawn at random."""
    train.main(command(data, tmp_path, "a", "--max_steps", str(stop_at)))
    assert sorted(losses(tmp_path / "a")) == list(range(stop_at))
    assert train.main(command(data, tmp_path, "a", "--resume", "auto", "--save_interval", "1")) == 0
    assert losses(tmp_path / "a") == losses(whole)
    mine = checkpoint.load(tmp_path / "a" / "checkpoints" / "last.pt")["model"]
    theirs = checkpoint.load(whole / "checkpoints" / "last.pt")["model"]
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_continues(data, whole, tmp_path, monkeypatch, number):
    original = objectives.contrastive_loss
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), number)
        return original(*arguments)

    before = signal.getsignal(number)
    monkeypatch.setattr(objectives, "contrastive_loss", interrupted)
    arguments = command(data, tmp_path, "a", "--resume", "auto", "--save_interval", "1")
    assert train.main(arguments) == 128 + number
    assert signal.getsignal(number) is before
    assert checkpoint.load(tmp_path / "a" / "checkpoints" / "last.pt")["step"] == 7
    assert train.main(arguments) == 0
    assert losses(tmp_path / "a") == losses(whole)


@pytest.mark.parametrize("minutes, saved", [(1e-9, 7), (1e9, 5)])
def test_a_run_that_dies_loses_what_it_did_since_the_last_save(data, whole, tmp_path, monkeypatch, minutes, saved):
    """Saves in the middle of an epoch, or at its end only."""
    original, calls = objectives.contrastive_loss, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) == 8:
            raise OSError("power cut")
        return original(*arguments)

    monkeypatch.setattr(objectives, "contrastive_loss", dies)
    arguments = command(data, tmp_path, "a", "--resume", "auto", "--save_interval", "1", "--save_minutes", str(minutes))
    with pytest.raises(OSError, match="power cut"):
        train.main(arguments)
    assert checkpoint.load(tmp_path / "a" / "checkpoints" / "last.pt")["step"] == saved
    assert (tmp_path / "a" / "loss.png").exists()
    assert train.main(arguments) == 0
    assert losses(tmp_path / "a") == losses(whole)


def test_a_run_that_died_before_its_results_resumes_to_them(data, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "whole")
    results = tmp_path / "whole" / "results.json"
    expected = json.loads(results.read_text())
    results.unlink()
    assert train.main(command(data, tmp_path, "whole", "--resume", "auto", "--save_interval", "1")) == 0
    found = json.loads(results.read_text())
    assert {k: found[k] for k in ("loss", "retrieval", "chance", "steps")} == {
        k: expected[k] for k in ("loss", "retrieval", "chance", "steps")
    }


def test_another_runs_checkpoint_is_resumed_in_its_own_folder(data, whole, tmp_path):
    source = whole / "checkpoints" / "epoch_0001.pt"
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert train.main(command(data, tmp_path, "b", "--save_interval", "1", "--resume", str(source))) == 0
    expected = losses(whole)
    assert losses(tmp_path / "b") == {step: expected[step] for step in range(5, 10)}
    with pytest.raises(CheckpointError, match="holds the checkpoints of another run.*another --run_name"):
        train.main(command(data, whole.parent, "whole", "--save_interval", "1", "--resume", str(source)))
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("program", ["train.py", "downstream.py", "zeroshot.py"])
def test_help_does_not_wait_for_torch(program):
    words = [sys.executable, "-X", "importtime", program, "--help"]
    done = subprocess.run(words, cwd=Path(train.__file__).parent, capture_output=True, text=True, check=True)
    assert "--dataset" in done.stdout
    assert re.search(r"\| +pydantic$", done.stderr, re.MULTILINE)
    assert not re.search(r"\| +(torch|numpy|transformers)$", done.stderr, re.MULTILINE)


def test_a_checkpoint_with_an_unknown_setting_is_refused(data, whole, tmp_path):
    path = tmp_path / "strange.pt"
    payload = checkpoint.load(whole / "checkpoints" / "epoch_0001.pt")
    payload["config"]["gone"] = 1
    checkpoint.save(path, payload)
    with pytest.raises(CheckpointError, match=r"strange\.pt: .*gone was 1, is None"):
        train.main(command(data, tmp_path, "d", "--resume", str(path)))
    for load in (load_imu_encoder, load_dual_encoder):
        with pytest.raises(ConfigError, match=r"strange\.pt: unknown setting 'gone'"):
            load(path)


@pytest.mark.parametrize(
    "change, words",
    [
        (["--lr", "0.02"], "lr was 0.01, is 0.02"),
        (["--batch_size", "2"], "batch_size was 4, is 2"),
        (["--precision", "bf16"], "precision was 'torch.float32', is 'torch.bfloat16'"),
        (["--held_out", "0"], "digest of the training windows was"),
    ],
)
def test_another_experiment_is_not_continued(data, whole, change, words):
    with pytest.raises(CheckpointError, match="cannot be continued") as problem:
        train.main(command(data, whole.parent, "whole", "--resume", "auto", *change))
    assert words in str(problem.value)


def test_a_finished_run_has_nothing_left_to_do(data, whole):
    before = losses(whole)
    assert train.main(command(data, whole.parent, "whole", "--resume", "auto", "--save_interval", "1")) == 0
    assert losses(whole) == before


@pytest.mark.parametrize("poisoned", ["data", "gradient"])
def test_what_is_not_a_number_never_reaches_the_weights(tmp_path, monkeypatch, poisoned):
    data = make_data(tmp_path / "data")
    models = []
    original_build, original_loss = train.build_on_first_rank, objectives.contrastive_loss

    def build(config):
        model, video_config = original_build(config)
        models.append((model, {name: value.clone() for name, value in model.state_dict().items()}))
        return model, video_config

    monkeypatch.setattr(train, "build_on_first_rank", build)
    if poisoned == "data":
        spoil(data, "rec003", second=7)
    else:  # a finite loss whose gradient is not: the root's slope at 0 is infinite
        monkeypatch.setattr(
            objectives, "contrastive_loss", lambda *a: original_loss(*a) + (a[1] * 0).sum().sqrt() * a[1].sum()
        )
    with pytest.raises(NonFiniteError) as problem:
        train.main(command(data, tmp_path, "a", "--batch_size", "21" if poisoned == "data" else "4"))
    model, before = models[0]
    after = model.state_dict()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not list((tmp_path / "a").glob("checkpoints/*"))
    if poisoned == "data":
        assert "IMU signal not finite in rec003@5. Nothing was updated" in str(problem.value)
    else:
        assert "not finite at step 0" in str(problem.value)


def test_fp16_whose_scale_collapses_stops(data, tmp_path, monkeypatch):
    """A finite loss whose gradient is not, at any scale: each step is skipped and halves the scale of 2^16."""
    original, built = objectives.contrastive_loss, []
    build = train.build_on_first_rank
    monkeypatch.setattr(train, "build_on_first_rank", lambda config: (built.append(build(config)), built[0])[1])
    monkeypatch.setattr(objectives, "contrastive_loss", lambda *a: original(*a) + (a[1] * 0).sum().sqrt() * a[1].sum())
    with pytest.raises(NonFiniteError, match=r"scale of fp16 fell to 6.1e-05 at step 29: .*--precision bf16"):
        train.main(command(data, tmp_path, "a", "--precision", "fp16", "--epochs", "99", "--held_out", "0"))
    model = built[0][0]
    saved = checkpoint.load(tmp_path / "a" / "checkpoints" / "last.pt")
    assert 1e-4 < saved["scaler"]["scale"] < 1e-2
    assert all(torch.equal(value, saved["model"][name]) for name, value in model.named_parameters())


def test_ranks_speak_once_a_step_after_backward(data, tmp_path, monkeypatch):
    """Between forward and backward nobody waits for the device, nor for other ranks."""
    events, reduce, backward = [], train.distributed.all_reduce_sum, torch.Tensor.backward
    monkeypatch.setattr(train.distributed, "all_reduce_sum", lambda x: (events.append("sum"), reduce(x))[1])
    monkeypatch.setattr(torch.Tensor, "backward", lambda *a: (events.append("backward"), backward(*a))[1])
    train.main(command(data, tmp_path, "a", "--max_steps", "3"))
    assert events == ["backward", "sum"] * 3


@pytest.mark.parametrize("method", ["imu_video_cross", "imu_only"])
def test_held_out_windows_that_are_not_finite_are_named_first(tmp_path, method):
    data = make_data(tmp_path / "data")
    windows = list_windows(Store(data / "tiny"), needs_video=True)
    held_out = windows.ids(hold_out(windows, 0.1, 512, seed=0)[1])
    spoil(data, held_out[1].split("@")[0], second=7)
    with pytest.raises(ValueError, match=f"IMU signal not finite in {held_out[1]}, held out for the report"):
        train.main(command(data, tmp_path, "a", "--model", method))
    assert not (tmp_path / "a" / "checkpoints").exists()


@pytest.mark.parametrize(
    "options, error, words",
    [
        ("--dataset absent", FileNotFoundError, r"no dataset 'absent'.*there is tiny"),
        ("--batch_size 50", ValueError, r"21 windows do not fill one batch of 50"),
        ("--device cuda:99", ValueError, r"cuda:99"),
        ("--device tpu", ValueError, r"'tpu' must be auto, cpu, cuda or cuda:N"),
        ("--resume nowhere.pt", CheckpointError, r"nowhere\.pt: no such checkpoint"),
    ],
)
def test_mistakes_are_named(data, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        train.main([*command(data, tmp_path, "a"), *options.split()])


def test_one_session_cannot_be_held_out(tmp_path):
    write_dataset(tmp_path / "tiny", ["walking"], seconds=25, frame_size=16)
    assert train.main(command(tmp_path, tmp_path, "a", "--max_steps", "1")) == 0
    assert "only one session" in (tmp_path / "a" / "log.txt").read_text()
    assert json.loads((tmp_path / "a" / "results.json").read_text())["retrieval"] == {}


def test_two_datasets_in_one_training(data, whole, tmp_path):
    """Their windows, weights and facts; resumed to the bit; one named in a list is as one named alone."""
    root = make_data(tmp_path / "data")
    write_dataset(root / "more", ["fall", "walking"] * 3, seconds=20, frame_size=16, simulated=False, seed=3)
    both = ["--dataset", "tiny", "more", "--dataset_weights", "1", "2"]
    assert train.main(command(root, tmp_path, "both", *both)) == 0
    train.main(command(root, tmp_path, "a", *both, "--max_steps", "14"))
    train.main(command(root, tmp_path, "a", *both, "--resume", "auto"))
    assert losses(tmp_path / "a") == losses(tmp_path / "both") and len(losses(tmp_path / "a")) == 20
    results = json.loads((tmp_path / "both" / "results.json").read_text())
    assert results["dataset"] == "tiny + more" and results["config"]["dataset"] == ["tiny", "more"]
    assert [(d["name"], d["windows"], d["windows_per_epoch"], d["held_out"]) for d in results["datasets"]] == [
        ("tiny", 21, 14, 3),
        ("more", 20, 27, 4),
    ]
    assert results["held_out"] == 7 and results["chance"]["r@1"] == pytest.approx((3 * 1 / 3 + 4 * 1 / 4) / 7)
    log = (tmp_path / "both" / "log.txt").read_text()
    for words in (
        "simulated tiny + more: 41 windows",
        "more: 20 windows to train on, 27 in an epoch",
        "more:  held out",
    ):
        assert words in log
    facts = checkpoint.load(tmp_path / "both" / "checkpoints" / "last.pt")["dataset"]
    assert facts["name"] == "tiny + more" and facts["simulated"]
    assert facts["parts"] == [Store(root / name).fingerprint() for name in ("tiny", "more")]
    train.main(command(root, tmp_path, "one", "--dataset", "tiny"))
    assert losses(tmp_path / "one") == losses(whole)
    assert json.loads((tmp_path / "one" / "results.json").read_text())["config"]["dataset"] == "tiny"
