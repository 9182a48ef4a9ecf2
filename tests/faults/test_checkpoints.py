"""What a kill, a bad disk and a full one do to checkpoints, and to the run that comes after."""

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from tests.training import command, losses, make_data
from utils import checkpoint
from utils.checkpoint import CheckpointError

ROOT = Path(__file__).resolve().parents[2]


def test_sigkill_at_twenty_random_moments_during_saves():
    memory = Path("/dev/shm")  # a kill is the same there as on a disk, and a busy disk takes minutes
    environment = os.environ | ({"TMPDIR": str(memory)} if memory.is_dir() else {})
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.sigkill_while_saving", "20"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == sum(found["hit"].values()) == 20
    assert found["hit"].get("between two saves", 0) < 20  # the kills did hit saves


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    """A run that ended after 7 of its 10 steps; epoch_0001.pt holds step 5, last.pt step 7."""
    runs = tmp_path_factory.mktemp("runs")
    train.main(command(data, runs, "a", "--save_interval", "1", "--max_steps", "7"))
    return runs


def truncate(file: bytes) -> bytes:
    return file[: len(file) // 2]


def flip_a_bit(file: bytes) -> bytes:
    middle = len(file) // 2
    return file[:middle] + bytes([file[middle] ^ 1]) + file[middle + 1 :]


def zero_the_end(file: bytes) -> bytes:
    """What some file systems leave of a file whose size reached the disk before its content."""
    return file[:-4096] + bytes(4096)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, zero_the_end])
def test_a_damaged_newest_checkpoint_gives_way_to_the_older_one(data, stopped, tmp_path, caplog, damage):
    runs = tmp_path / "runs"
    shutil.copytree(stopped, runs)
    last = runs / "a" / "checkpoints" / "last.pt"
    last.write_bytes(damage(last.read_bytes()))
    with caplog.at_level(logging.INFO):
        again = command(data, runs, "a", "--save_interval", "1", "--resume", "auto", "--max_steps", "8")
        assert train.main(again) == 0
    assert f"skipped {last}: does not match its checksum" in caplog.text
    assert "epoch_0001.pt, at step 5" in caplog.text
    before, after = losses(stopped / "a"), losses(runs / "a")
    assert {step: after[step] for step in before} == before  # steps 5 and 6 came out as they had the first time
    assert len(after) == 8
    assert checkpoint.load(last)["step"] == 8


def test_with_every_checkpoint_damaged_no_run_restarts(data, stopped, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(stopped, runs)
    for path in (runs / "a" / "checkpoints").glob("*.pt"):
        path.write_bytes(flip_a_bit(path.read_bytes()))
    with pytest.raises(CheckpointError, match="no checkpoint there is whole: remove the folder to start from scratch"):
        train.main(command(data, runs, "a", "--resume", "auto"))


@pytest.fixture(params=["a full disk", "a limit on file sizes"])
def tight(request, tmp_path):
    """A folder where a file of 2 MB does not fit."""
    folder = tmp_path / "tight"
    folder.mkdir()
    if request.param == "a full disk":
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small tmpfs cannot be mounted here: that needs root")
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_where_a_checkpoint_does_not_fit_the_older_one_stays(tight):
    path = tight / "last.pt"
    checkpoint.save(path, {"kind": "x", "step": 1, "weights": torch.zeros(50_000)})
    with pytest.raises(OSError, match=r"(No space left on device|File too large).*make room.*last\.pt") as problem:
        checkpoint.save(path, {"kind": "x", "step": 2, "weights": torch.zeros(500_000)})
    assert problem.value.filename == str(path)
    assert checkpoint.load(checkpoint.newest_valid(tight))["step"] == 1
    assert sorted(p.name for p in tight.iterdir()) == ["last.pt", "last.pt.sha256"]
    checkpoint.save(path, {"kind": "x", "step": 3, "weights": torch.zeros(60_000)})
    assert checkpoint.load(path)["step"] == 3


def test_a_run_that_fills_the_disk_can_be_resumed(data, tmp_path):
    """The disk is full when step 10 is to be saved; with room again the run goes on from step 5."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small tmpfs cannot be mounted here: that needs root")
    try:
        arguments = command(data, small, "a", "--resume", "auto")
        train.main([*arguments, "--max_steps", "5"])
        ballast = small / "ballast"
        free = shutil.disk_usage(small).free
        ballast.write_bytes(bytes(free - 80_000))  # room for lines of metrics, not for a checkpoint
        with pytest.raises(OSError, match="No space left on device: cannot save the checkpoint"):
            train.main(arguments)
        assert checkpoint.load(small / "a" / "checkpoints" / "last.pt")["step"] == 5
        ballast.unlink()
        assert train.main(arguments) == 0
        assert sorted(losses(small / "a")) == list(range(10))
    finally:
        subprocess.run(["umount", str(small)], check=True)
