"""Failures in one process. What two ranks make of one is in tests/faults/test_one_rank.py."""

import socket

import pytest
import torch

from configs.training import TrainConfig
from utils import failure
from utils.failure import OutOfMemory, fail_together, run

REMEDY = TrainConfig(dataset="d").memory_remedy


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_names_the_remedy(error):
    with (
        pytest.raises(OutOfMemory, match=r"(memory|ALLOC_FAILED).*\. .*--micro_batch_size") as problem,
        fail_together(REMEDY),
    ):
        raise error
    assert problem.value.__cause__ is error
    assert "\n" not in str(problem.value)


def test_the_cpus_allocator_is_understood():
    with pytest.raises(OutOfMemory, match="allocate memory.*--micro_batch_size N"), fail_together(REMEDY):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_stay_as_they_are():
    error = RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError) as problem, fail_together(REMEDY):
        raise error
    assert problem.value is error


def fails(error: Exception) -> int:
    raise error


@pytest.mark.parametrize(
    "main, status, printed",
    [
        (lambda: 0, 0, ""),
        (lambda: 143, 143, ""),
        (lambda: fails(ValueError("lr is too large")), 1, "train.py: lr is too large\n"),
        (lambda: fails(KeyError("name")), 1, "Traceback"),
    ],
    ids=["well", "signal", "mistake", "defect"],
)
def test_the_exit_status(capsys, main, status, printed):
    with pytest.raises(SystemExit) as end:
        run(main, "train.py", (ValueError,))
    assert end.value.code == status
    error = capsys.readouterr().err
    assert error == printed if printed != "Traceback" else error.startswith(printed) and "KeyError: 'name'" in error


@pytest.mark.parametrize("said, rank", [(b'"3"\n', 3), (b"GET / HTTP/1.1\n", None), (b"null\n", None), (b"", None)])
def test_only_ranks_are_let_in(monkeypatch, said, rank):
    monkeypatch.setattr(failure, "GRACE_S", 0.2)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        assert failure._rank_of(ours) == rank


def test_the_remedy_names_what_the_method_has():
    assert "--micro_batch_size" in REMEDY and "--checkpoint_activations" in REMEDY
    alone = TrainConfig(dataset="d", model="imu_only").memory_remedy
    assert "--batch_size" in alone and "--micro_batch_size" not in alone
    frozen = TrainConfig(dataset="d", model="imu2clip").memory_remedy
    assert "--micro_batch_size" in frozen and "--checkpoint_activations" not in frozen
