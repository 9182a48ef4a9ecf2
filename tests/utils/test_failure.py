"""Failures in one process. What two ranks make of one is in tests/faults/test_one_rank.py."""

import pytest
import torch

from utils.failure import OutOfMemory, fail_together, run


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
        fail_together(),
    ):
        raise error
    assert problem.value.__cause__ is error
    assert "\n" not in str(problem.value)


def test_the_cpus_allocator_is_understood():
    with pytest.raises(OutOfMemory, match="allocate memory.*--micro_batch_size N"), fail_together():
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_stay_as_they_are():
    error = RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError) as problem, fail_together():
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
