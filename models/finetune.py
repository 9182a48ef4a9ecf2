"""Encoder and linear layer trained together on a few labelled windows: finetuning, or training from scratch.

Letters: W windows, D embedding, K classes, B batch.
"""

import copy
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.probe import embed_imu, initial_weight, shuffled_batches
from utils.optim import cosine_annealing
from utils.progress_bar import progress

STEPS_PER_PROCESS = 50  # fewer steps are done sooner than another process has started


@dataclass(frozen=True)
class Cell:
    """One training of the grid: a draw at a number of shots.

    Attributes:
        train: (n,) positions of the windows to learn from.
        test: (m,) positions of the windows to predict.
        select: (s,) positions of the windows that choose the epoch; none takes the last.
        seed: of initial weights, batches and dropout.
    """

    train: Tensor
    test: Tensor
    select: Tensor
    seed: int


def finetune(
    make_encoder: Callable[[], nn.Module],
    imu: Tensor,
    labels: Tensor,
    seed: int,
    num_classes: int,
    epochs: int,
    batch_size: int,
    lr: float,
    encoder_lr: float,
    weight_decay: float,
    select: tuple[Tensor, Tensor] | None = None,
    least_lr: float | None = None,
) -> tuple[nn.Module, nn.Linear, int]:
    """Train an encoder together with a linear layer, each at its own rate.

    The layer starts from the weights, and meets its windows in the order, that ``train_linear_heads`` has for the same
    seed.

    Args:
        make_encoder: gives the encoder to begin with, (B, 6, 250) -> (B, D): a copy of a pretrained one, or a new one
            whose weights follow from the seed.
        imu: (n, 6, 250) windows to learn from, on the device to train on.
        labels: (n,) int64 classes, on the same device.
        seed: of initial weights, batches and dropout (it sets torch's global generator).
        select: windows (s, 6, 250) and classes (s,) that choose the epoch, the first with the most of them right;
            without, it is the last.
        least_lr: towards which both rates fall like half a cosine over all steps; None: they stay.

    Returns:
        The trained encoder, in eval mode, the layer, and after which epoch, from 1, they were taken.
    """
    torch.manual_seed(seed)
    encoder = make_encoder().to(imu.device).train()
    head = nn.Linear(encoder.dim, num_classes).to(imu)
    with torch.no_grad():
        initial = initial_weight(num_classes, encoder.dim, seed).to(imu)
        head.weight.copy_(initial[:, :-1])
        head.bias.copy_(initial[:, -1])
    groups = [{"params": encoder.parameters(), "lr": encoder_lr}, {"params": head.parameters(), "lr": lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    torch.manual_seed(seed)  # again: dropout must not depend on how the encoder was made
    most, taken, best = -1, epochs, None
    plan = shuffled_batches(torch.arange(len(imu)), epochs, batch_size, seed).to(imu.device)
    step = 0
    for epoch, batches in enumerate(plan.chunk(epochs), start=1):
        for batch in batches:
            batch = batch[batch >= 0]
            for group, peak in zip(optimizer.param_groups, (encoder_lr, lr), strict=True):
                group["lr"] = cosine_annealing(step, len(plan), peak, least_lr)
            step += 1
            loss = nn.functional.cross_entropy(head(encoder(imu[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if select is not None:
            with torch.no_grad():
                right = int((head(embed_imu(encoder, select[0])).argmax(1) == select[1]).sum())
            encoder.train()  # embed_imu left it in eval mode
            if right > most:
                most, taken, best = right, epoch, copy.deepcopy((encoder.state_dict(), head.state_dict()))
    if best is not None:
        encoder.load_state_dict(best[0])
        head.load_state_dict(best[1])
    return encoder.eval(), head, taken


def finetune_grid(
    make_encoder: Callable[[], nn.Module],
    imu: Tensor,
    labels: Tensor,
    cells: Sequence[Cell],
    keep: int,
    device: torch.device,
    num_workers: int,
    **settings: Any,
) -> tuple[list[Tensor], list[int], tuple[nn.Module, Tensor, Tensor]]:
    """``finetune`` for every cell, several at a time.

    A step on a few windows keeps one core busy and no more (measured: 74 ms with one thread and with two), so cells run
    in processes of one thread each, side by side. Stacking the models of several cells into one (``torch.func.vmap``)
    took 1.4 to 2.3 times as long. A cell's result does not depend on how many processes there are. A GPU takes one
    cell after another, in this process: every further process would open a CUDA context of its own, which takes
    hundreds of megabytes of the GPU's memory, and some clusters allow one only.

    Args:
        make_encoder: as in ``finetune``; must be picklable.
        imu: (W, 6, 250), on the CPU.
        labels: (W,) int64 classes, on the CPU.
        keep: number of the cell whose trained encoder and layer are returned.
        num_workers: processes on a CPU, at most; 0 takes every core. Small grids take fewer.
        settings: the other arguments of ``finetune``.

    Returns:
        For each cell (m, K) logits of its test windows, on the CPU, and the epoch that they are of; and encoder,
        weight (K, D) and bias (K,) of the cell to keep.
    """
    work = (make_encoder, imu, labels, cells, keep, device, settings)
    steps = [settings["epochs"] * -(-len(cell.train) // settings["batch_size"]) for cell in cells]
    processes = side_by_side(steps, device, num_workers)
    logits: list[Tensor | None] = [None] * len(cells)
    epochs, kept = [0] * len(cells), None
    ended = progress(_results(work, steps, processes), total=len(cells), desc="finetune", unit="run")
    for number, of_test, epoch, trained in ended:
        logits[number], epochs[number] = of_test, epoch
        kept = trained or kept
    return logits, epochs, kept


def side_by_side(steps: list[int], device: torch.device, num_workers: int) -> int:
    """Number of processes for cells of so many steps each; arguments as in ``finetune_grid``."""
    if device.type != "cpu":
        return 1
    return min(num_workers or _cores(), len(steps), max(1, sum(steps) // STEPS_PER_PROCESS))


def _results(work: tuple, steps: list[int], processes: int) -> Iterator[tuple]:
    """What ``_run`` gives for every cell, as they end."""
    if processes == 1:
        threads = torch.get_num_threads()
        try:
            _start(work)
            yield from map(_run, range(len(steps)))
        finally:
            _work.clear()
            torch.set_num_threads(threads)
        return
    # Forked, which costs nothing, where a new process takes seconds to import what it needs: children of one thread do
    # not miss their parent's (so do PyTorch's own loaders). What travels is pickled here: left to the pool, tensors
    # would go through shared memory, of which containers lack.
    context = torch.multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_load, initargs=(pickle.dumps(work),)) as pool:
        longest_first = sorted(range(len(steps)), key=lambda number: -steps[number])
        for future in as_completed([pool.submit(_run_pickled, number) for number in longest_first]):
            yield pickle.loads(future.result())


_work: dict[str, Any] = {}  # of this process: sent once, not with every cell


def _start(work: tuple) -> None:
    torch.set_num_threads(1)
    _work.update(zip(("make", "imu", "labels", "cells", "keep", "device", "settings"), work, strict=True))
    for name in ("imu", "labels"):
        _work[name] = _work[name].to(_work["device"])


def _load(work: bytes) -> None:
    _start(pickle.loads(work))


def _run(number: int) -> tuple[int, Tensor, int, tuple[nn.Module, Tensor, Tensor] | None]:
    cell, imu, labels = _work["cells"][number], _work["imu"], _work["labels"]
    train, test, choose = (own.to(imu.device) for own in (cell.train, cell.test, cell.select))
    select = (imu[choose], labels[choose]) if len(choose) else None
    encoder, head, epoch = finetune(
        _work["make"], imu[train], labels[train], seed=cell.seed, select=select, **_work["settings"]
    )
    with torch.no_grad():
        logits = head(embed_imu(encoder, imu[test])).cpu()
    if number != _work["keep"]:
        return number, logits, epoch, None
    return number, logits, epoch, (encoder.cpu(), head.weight.detach().cpu(), head.bias.detach().cpu())


def _run_pickled(number: int) -> bytes:
    return pickle.dumps(_run(number))


def _cores() -> int:
    """Cores that this process may use; not every system can say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
