"""Ranks: one process, or several started by a launcher, behind the same few functions.

Letters: B rows of one rank, R ranks, N = R * B rows of all ranks.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Result = TypeVar("Result")

# Where launchers say the local rank: torchrun, srun, and mpirun of Open MPI and of MPICH.
LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")


class RankError(RuntimeError):
    """What another rank could not do; the message is that rank's."""


@dataclass(frozen=True)
class Ranks:
    """Where this process stands."""

    rank: int  # number of this process among all, over all machines
    world_size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0


def setup(device: str) -> Ranks:
    """Join the other ranks if a launcher set ``RANK`` (once), and choose the device.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; one of several ranks takes the GPU of its local rank.

    Raises:
        ValueError: if the device is of another kind or absent, there are more ranks than GPUs, or the launcher has not
            told the ranks what they must know.
    """
    if device.split(":")[0] not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {device!r} must be auto, cpu, cuda or cuda:N")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    use_gpu = gpus > 0 if device == "auto" else torch.device(device).type == "cuda"
    if use_gpu and gpus == 0:
        raise ValueError(f"device {device!r}: this torch sees no CUDA device; use --device cpu")
    alone = "RANK" not in os.environ
    number = _local_rank() if not alone else 0 if device == "auto" else torch.device(device).index or 0
    if use_gpu and number >= gpus:
        raise ValueError(
            f"there is no GPU {number}, this machine has {gpus}, numbered from 0: name another with --device; of "
            "several ranks start fewer, or let each see all GPUs (Slurm: --gpu-bind=none)"
        )
    chosen = torch.device("cuda", number) if use_gpu else torch.device("cpu")
    if use_gpu:
        torch.cuda.set_device(chosen)
    if alone:
        return Ranks(0, 1, chosen)
    if not dist.is_initialized():
        _refuse_stale_store()
        if not use_gpu:
            _keep_to_own_cores(number)
        patience = timedelta(minutes=30)  # the others wait while rank 0 fetches weights
        dist.init_process_group("nccl" if use_gpu else "gloo", device_id=chosen if use_gpu else None, timeout=patience)
    return Ranks(dist.get_rank(), dist.get_world_size(), chosen)


def refuse_tasks_without_ranks() -> None:
    """A launcher started several tasks without telling them apart: each would train alone, in one run folder."""
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        if "RANK" not in os.environ and int(os.environ.get(name, "1")) > 1:
            raise ValueError(
                f"{name} is {os.environ[name]} and RANK is not set: start torchrun, or set RANK, WORLD_SIZE, "
                "MASTER_ADDR and MASTER_PORT for each task"
            )


def _refuse_stale_store() -> None:
    """Restarted ranks may find the addresses of dead ones in torchrun's store, and would wait for them for 30 minutes.

    torchrun keeps one store for all its restarts unless told otherwise, see
    https://github.com/pytorch/pytorch/issues/135712.
    """
    restarts, shared = (os.environ.get(f"TORCHELASTIC_{name}") for name in ("RESTART_COUNT", "USE_AGENT_STORE"))
    if shared == "True" and restarts not in (None, "0"):
        raise ValueError(
            "torchrun started the ranks again with the store of the ranks that are gone: "
            "set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 where torchrun is started, then --max_restarts works"
        )


def _local_rank() -> int:
    """Number of this process among those of its machine."""
    for name in LOCAL_RANKS:
        if name in os.environ:
            return int(os.environ[name])
    raise ValueError(
        f"RANK is set, and none of {', '.join(LOCAL_RANKS)}: set LOCAL_RANK to this rank's number on its machine, from "
        "0, or start the ranks with torchrun; unset RANK for a single process"
    )


def _keep_to_own_cores(local_rank: int) -> None:
    """Keep this rank, and the threads that it will start, to its part of the cores that torchrun may use.

    Ranks wait for the slowest of them several times a step. Left to the scheduler, a decoding thread or a message of
    one rank now and then takes the core that another computes on: two ranks on two cores did 1.7 times the work of
    one so, and 1.8 to 1.9 times with a core each (the demo's model).
    """
    local_ranks = os.environ.get("LOCAL_WORLD_SIZE")  # torchrun's; other launchers do not say
    if local_ranks is not None and hasattr(os, "sched_setaffinity"):  # Linux only
        os.sched_setaffinity(0, own_cores(os.sched_getaffinity(0), local_rank, int(local_ranks)))


def own_cores(cores: set[int], local_rank: int, local_ranks: int) -> set[int]:
    """The part of a machine's cores that one of its ranks keeps to; all of them where there are more ranks."""
    if len(cores) < local_ranks:
        return cores
    first, end = (place * len(cores) // local_ranks for place in (local_rank, local_rank + 1))
    return set(sorted(cores)[first:end])


def teardown() -> None:
    """Leave the other ranks; nothing happens in a single process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 in a single one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    """Rows of all ranks, in rank order; a row's gradient is the sum over all ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[rank() * ctx.count : (rank() + 1) * ctx.count]


def gather(rows: Tensor) -> Tensor:
    """Rows of all ranks, (B, ...) -> (N, ...), in rank order and with gradients.

    Every rank must hold equally many rows. The gradient that reaches a rank's rows is the sum over all ranks' losses,
    so that after the averaging of DistributedDataParallel parameters get the gradient of the mean loss.
    """
    return rows if world_size() == 1 else _Gather.apply(rows)


def all_reduce_sum(values: Tensor) -> Tensor:
    """Sum over ranks, without gradient. A value that is not finite on any rank is not finite in the sum."""
    total = values.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def gather_objects(item: Result) -> list[Result]:
    """One object of each rank, in rank order."""
    if world_size() == 1:
        return [item]
    items: list[Any] = [None] * world_size()
    dist.all_gather_object(items, item)
    return items


def on_first_rank(work: Callable[[], Result]) -> Result:
    """Do something on rank 0 alone and give its result to all; if it fails, all ranks fail with its message.

    Raises:
        RankError: on the other ranks, if the work raised on rank 0 (which raises the error itself).
    """
    if world_size() == 1:
        return work()
    message: list[Any] = [None, None]
    error = None
    if rank() == 0:
        try:
            message[0] = work()
        except Exception as problem:  # told to all ranks first, then raised again below
            error = problem
            message[1] = f"{type(problem).__name__} on rank 0: {problem}"
    dist.broadcast_object_list(message)
    if error is not None:
        raise error
    if message[1] is not None:
        raise RankError(message[1])
    return message[0]
