"""Checkpoints: whole or refused by name, whatever moment a save is killed at."""

import logging
import os
import pickle
import subprocess
import time

import pytest
import torch
from torch import nn

from utils import checkpoint
from utils.checkpoint import CheckpointError, copy, load, load_weights, newest_valid, save

PAYLOAD = {"kind": "pretrain", "step": 3, "model": {"weight": torch.arange(5000.0)}}


@pytest.fixture
def saved(tmp_path):
    save(tmp_path / "runs" / "last.pt", PAYLOAD)
    return tmp_path / "runs" / "last.pt"


def test_comes_back_as_it_was(saved):
    payload = load(saved, kind="pretrain")
    assert payload["step"] == 3
    assert payload["format"] == 1
    assert torch.equal(payload["model"]["weight"], PAYLOAD["model"]["weight"])
    assert sorted(p.name for p in saved.parent.iterdir()) == ["last.pt", "last.pt.sha256"]


def test_the_checksum_is_one_that_sha256sum_understands(saved):
    done = subprocess.run(["sha256sum", "--check", "last.pt.sha256"], cwd=saved.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "last.pt: OK\n"


def test_missing_files_name_those_that_exist(saved):
    with pytest.raises(CheckpointError, match=r"other\.pt: no such checkpoint; the folder has last\.pt"):
        load(saved.parent / "other.pt")
    with pytest.raises(CheckpointError, match="has none"):
        load(saved.parent / "nowhere" / "other.pt")


@pytest.mark.parametrize("keep", [0, 1, 100, 10_000])
def test_truncated_files_are_refused(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"last\.pt: does not match its checksum"):
        load(saved)
    saved.with_name("last.pt.sha256").unlink()
    with pytest.raises(CheckpointError, match=r"last\.pt: cannot be read as a checkpoint"):
        load(saved)


def test_a_single_flipped_bit_is_noticed(saved):
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        load(saved)


def test_a_file_without_checksum_is_read_with_a_warning(saved, caplog):
    saved.with_name("last.pt.sha256").unlink()
    assert load(saved)["step"] == 3
    assert "no checksum beside it" in caplog.text


class _Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_no_code_runs_from_a_file(tmp_path):
    for name, write in (("torch.pt", torch.save), ("pickle.pt", lambda o, p: p.write_bytes(pickle.dumps(o, 2)))):
        write({"format": 1, "kind": _Touch(tmp_path / "touched")}, tmp_path / name)
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            load(tmp_path / name)
    assert not (tmp_path / "touched").exists()


def test_other_files_and_kinds_are_named(tmp_path, saved):
    torch.save({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this project"):
        load(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="holds a 'pretrain' checkpoint, a 'probe' one is needed"):
        load(saved, kind="probe")


def test_a_second_name_survives_the_first(saved):
    copy(saved, saved.with_name("epoch_0001.pt"))
    save(saved, PAYLOAD | {"step": 4})
    assert load(saved)["step"] == 4
    assert load(saved.with_name("epoch_0001.pt"))["step"] == 3


def test_the_newest_valid_is_used_and_damaged_ones_are_named(saved, caplog):
    folder = saved.parent
    assert newest_valid(folder / "nowhere") is None
    for number, age in ((1, 300), (2, 200)):
        path = folder / f"epoch_{number:04}.pt"
        save(path, PAYLOAD | {"step": number})
        os.utime(path, (time.time() - age, time.time() - age))
    assert newest_valid(folder) == saved
    saved.write_bytes(saved.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert newest_valid(folder) == folder / "epoch_0002.pt"
    assert "last.pt: does not match its checksum" in caplog.text
    for path in folder.glob("*.pt"):
        path.write_bytes(b"")
    assert newest_valid(folder) is None


def test_a_failed_save_leaves_the_old_file_and_no_litter(saved, monkeypatch):
    class Unpicklable:
        def __reduce__(self):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save(saved, PAYLOAD | {"step": 4, "bad": Unpicklable()})
    assert load(saved)["step"] == 3
    assert sorted(p.name for p in saved.parent.iterdir()) == ["last.pt", "last.pt.sha256"]


@pytest.mark.parametrize("call", range(7))
def test_a_crash_at_any_rename_or_flush_leaves_a_valid_file(saved, monkeypatch, call):
    """Dies at each of the points in turn at which the disk changes; what is there must be the old or the new."""

    class Crash(BaseException):
        pass

    calls = []

    def crash_at(function):
        def wrapped(*args, **keywords):
            calls.append(function)
            if len(calls) == call + 1:
                raise Crash
            return function(*args, **keywords)

        return wrapped

    monkeypatch.setattr(checkpoint.Path, "replace", crash_at(checkpoint.Path.replace))
    monkeypatch.setattr(checkpoint, "_flush_folder", crash_at(checkpoint._flush_folder))
    monkeypatch.setattr(checkpoint.Path, "unlink", lambda *_, **__: None)  # a dead process tidies nothing up
    try:
        save(saved, PAYLOAD | {"step": 4})
        survived = True
    except Crash:
        survived = False
    monkeypatch.undo()
    assert survived == (call == 6)  # the six points, and one run without a crash
    assert load(saved)["step"] in ((3, 4) if not survived else (4,))
    save(saved, PAYLOAD | {"step": 5})
    assert load(saved)["step"] == 5
    assert len(saved.with_name("last.pt.sha256").read_text().splitlines()) == 1


def test_weights_that_do_not_fit_are_named(tmp_path):
    module = nn.Linear(3, 2)
    state = {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}
    with pytest.raises(CheckpointError) as problem:
        load_weights(module, state, tmp_path / "c.pt")
    message = str(problem.value)
    for words in ("c.pt", "bias is missing", "extra is not part", "weight has shape (2, 4), the model (2, 3)"):
        assert words in message
    good = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    load_weights(module, good, tmp_path / "c.pt")
    assert torch.equal(module.weight, good["weight"])
