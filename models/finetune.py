"""Encoder and linear layer trained together on a few labelled windows: finetuning, or training from scratch.

Letters: W windows, D embedding, K classes, B batch.
"""

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from joblib import cpu_count
from torch import Tensor, nn

from models.probe import embed_imu, initial_weight, shuffled_batches
from utils.optim import cosine_annealing
from utils.progress_bar import progress

STEPS_PER_PROCESS = 50  # fewer steps are done sooner than another process has started
Trained = tuple[nn.Module, Tensor, Tensor]  # encoder, weight (K, D), bias (K,)


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
    class_weight: Tensor | None = None,
) -> tuple[nn.Module, nn.Linear, int]:
    """Train an encoder together with a linear layer, each at its own rate.

    The layer starts from the weights, and meets its windows in the order, that ``train_linear_heads`` has for the same
    seed.

    Args:
        make_encoder: gives the encoder to begin with, (B, 6, T) -> (B, D): a copy of a pretrained one, or a new one
            whose weights follow from the seed.
        imu: (n, 6, T) windows to learn from, on the device to train on.
        labels: (n,) int64 classes, on the same device.
        seed: of initial weights, batches and dropout (it sets torch's global generator).
        select: windows (s, 6, T) and classes (s,) that choose the epoch, the first with the most of them right;
            without, it is the last.
        least_lr: towards which both rates fall like half a cosine over all steps; None: they stay.
        class_weight: (K,) factor of the loss of each class's windows; None: 1.

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
            scores, right = head(encoder(imu[batch])), labels[batch]
            if class_weight is None:
                loss = nn.functional.cross_entropy(scores, right)
            else:  # PyTorch's own weights divide by those of the batch, and so undo them in a small one
                loss = nn.functional.cross_entropy(scores, right, reduction="none")
                loss = (class_weight.to(loss)[right] * loss).mean()
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
) -> tuple[list[Tensor], list[int], Trained]:
    """``finetune`` for every cell, several at a time.

    A step on a few windows keeps one core busy and no more (measured: 74 ms with one thread and with two), so cells run
    in processes of one thread each, side by side. Stacking the models of several cells into one (``torch.func.vmap``)
    took 1.4 to 2.3 times as long. A cell's result does not depend on how many processes there are. A GPU takes one
    cell after another, in this process: every further process would open a CUDA context of its own, which takes
    hundreds of megabytes of the GPU's memory, and some clusters allow one only.

    Args:
        make_encoder: as in ``finetune``.
        imu: (W, 6, T), on the CPU.
        labels: (W,) int64 classes, on the CPU.
        keep: number of the cell whose trained encoder and layer are returned.
        num_workers: processes on a CPU, at most; 0 takes every core. Small grids take fewer.
        settings: the other arguments of ``finetune``.

    Returns:
        For each cell (m, K) logits of its test windows, on the CPU, and the epoch that they are of; and encoder,
        weight (K, D) and bias (K,) of the cell to keep.
    """
    imu, labels = imu.to(device), labels.to(device)

    def run(number: int) -> tuple[Tensor, int, Trained | None]:
        cell = cells[number]
        train, test, choose = (own.to(device) for own in (cell.train, cell.test, cell.select))
        select = (imu[choose], labels[choose]) if len(choose) else None
        encoder, head, epoch = finetune(make_encoder, imu[train], labels[train], cell.seed, select=select, **settings)
        with torch.no_grad():
            logits = head(embed_imu(encoder, imu[test])).cpu()
        trained = (encoder.cpu(), head.weight.detach().cpu(), head.bias.detach().cpu()) if number == keep else None
        return logits, epoch, trained

    steps = [settings["epochs"] * -(-len(cell.train) // settings["batch_size"]) for cell in cells]
    longest_first = sorted(range(len(cells)), key=lambda number: -steps[number])
    ended = _results(run, longest_first, side_by_side(steps, device, num_workers))
    found = dict(zip(longest_first, progress(ended, total=len(cells), desc="finetune", unit="run"), strict=True))
    logits, epochs, trained = zip(*(found[number] for number in range(len(cells))), strict=True)
    return list(logits), list(epochs), trained[keep]


def side_by_side(steps: list[int], device: torch.device, num_workers: int) -> int:
    """Number of processes for cells of so many steps each; arguments as in ``finetune_grid``."""
    if device.type != "cpu":
        return 1
    return min(num_workers or cpu_count(), len(steps), max(1, sum(steps) // STEPS_PER_PROCESS))


def _results(run: Callable[[int], tuple], numbers: list[int], processes: int) -> Iterator[tuple]:
    """What ``run`` gives for each number, in their order."""
    if processes == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield from map(run, numbers)
        finally:
            torch.set_num_threads(threads)
        return
    # Forked, which costs nothing and hands on ``run`` with all that it refers to, where a new process takes seconds to
    # import what it needs: children of one thread do not miss their parent's (so do PyTorch's own loaders).
    context = torch.multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(run,)) as pool:
        yield from map(pickle.loads, pool.map(_run, numbers))


def _start(run: Callable[[int], tuple]) -> None:
    global _run_here
    _run_here = run
    torch.set_num_threads(1)


def _run(number: int) -> bytes:
    """A result, pickled here: left to the pool, tensors would go through shared memory, of which containers lack."""
    return pickle.dumps(_run_here(number))
