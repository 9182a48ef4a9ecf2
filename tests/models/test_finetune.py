"""Finetuning: a copy moves, each part at its rate; many cells side by side give what each alone gives."""

import copy
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest
import torch
from torch import nn

from models.finetune import Cell, finetune, finetune_grid, side_by_side
from models.imu import PatchTSTEncoder
from models.probe import embed_imu, initial_weight, shuffled_batches, train_linear_heads
from tests.models.test_probe import SETTINGS, Encoder, state


def finetune_settings(**changes):
    return {**SETTINGS, "encoder_lr": 1e-3} | changes


def test_finetuning_moves_a_copy_and_each_part_at_its_rate():
    torch.manual_seed(0)
    encoder, imu, labels = Encoder(), torch.randn(20, 6, 250), torch.arange(20) % 4
    before = state(encoder)
    tuned, head, _ = finetune(
        partial(copy.deepcopy, encoder), imu, labels, seed=1, **finetune_settings(encoder_lr=1e-6, lr=1e-3, epochs=1)
    )
    assert all(torch.equal(before[name], value) for name, value in state(encoder).items())
    assert not tuned.training
    # a step of Adam is at most about its rate; 3 steps
    moved = (tuned.out.weight - encoder.out.weight).abs().max().item()
    assert 0 < moved < 4e-6
    initial = initial_weight(4, 12, 1)
    assert 5e-4 < (head.weight - initial[:, :-1]).abs().max().item() < 4e-3
    again, *_ = finetune(
        partial(copy.deepcopy, encoder), imu, labels, seed=1, **finetune_settings(encoder_lr=1e-6, lr=1e-3, epochs=1)
    )
    assert torch.equal(again.out.weight, tuned.out.weight)


@pytest.mark.parametrize("class_weight", [None, torch.tensor([2.0, 1, 0.5, 0.5])])
def test_finetuning_a_still_encoder_is_a_linear_probe(class_weight):
    """With encoder rate 0 and nothing random in the encoder, both ways of learning must agree."""

    class Still(nn.Module):
        dim = 6

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(6, dtype=torch.float64))

        def forward(self, imu):
            return imu.mean(2) * self.scale

    imu, labels = torch.randn(30, 6, 250, dtype=torch.float64) * 10, torch.arange(30) % 4
    encoder = Still()
    settings = finetune_settings(encoder_lr=0.0, class_weight=class_weight)
    _, head, _ = finetune(partial(copy.deepcopy, encoder), imu, labels, seed=5, **settings)
    probe = train_linear_heads(imu.mean(2), labels, [torch.arange(30)], [5], class_weight=class_weight, **SETTINGS)
    torch.testing.assert_close(head.weight.data, probe.weight[0], rtol=1e-10, atol=1e-12)


def tiny_patchtst():
    return PatchTSTEncoder(dim=8, layers=1, heads=2, ffn=16)


def by_the_book(encoder, imu, labels, seed, num_classes, epochs, batch_size, lr, encoder_lr, weight_decay, least_lr):
    """Two plain optimizers, each with torch's cosine, the gradient taken by hand-written cross entropy."""
    head = nn.Linear(encoder.dim, num_classes)
    initial = initial_weight(num_classes, encoder.dim, seed)
    head.weight.data, head.bias.data = initial[:, :-1].clone(), initial[:, -1].clone()
    two = [
        torch.optim.AdamW(part.parameters(), lr=rate, weight_decay=weight_decay)
        for part, rate in ((encoder, encoder_lr), (head, lr))
    ]
    torch.manual_seed(seed)
    encoder.train()
    plan = shuffled_batches(torch.arange(len(imu)), epochs, batch_size, seed)
    anneal = torch.optim.lr_scheduler.CosineAnnealingLR
    falling = [anneal(optimizer, T_max=len(plan), eta_min=least_lr) for optimizer in two if least_lr is not None]
    for batch in plan:
        batch = batch[batch >= 0]
        logits = head(encoder(imu[batch]))
        right = logits[torch.arange(len(batch)), labels[batch]]
        loss = (logits.logsumexp(1) - right).sum() / len(batch)
        for optimizer in two:
            optimizer.zero_grad()
        loss.backward()
        for mover in (*two, *falling):
            mover.step()
    return encoder.eval(), head


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def grid(scratch):
    """A grid of three cells of different size, and how its encoders are made."""
    torch.manual_seed(0)
    imu, labels = torch.randn(40, 6, 250), torch.arange(40) % 4
    cells = [
        Cell(torch.arange(n), torch.arange(20, 40), torch.arange(0), seed) for n, seed in ((9, 5), (20, 6), (4, 7))
    ]
    make = tiny_patchtst if scratch else partial(copy.deepcopy, tiny_patchtst())
    return make, imu, labels, cells


@pytest.mark.parametrize("scratch, least_lr", [(False, None), (True, None), (True, 1e-7)])
def test_a_grid_is_each_cell_by_itself_by_the_book(one_thread, scratch, least_lr):
    make, imu, labels, cells = grid(scratch)
    settings = finetune_settings(epochs=2, least_lr=least_lr)
    logits, epochs, (kept, weight, bias) = finetune_grid(
        make, imu, labels, cells, 1, torch.device("cpu"), 1, **settings
    )
    for number, cell in enumerate(cells):
        torch.manual_seed(cell.seed)  # a new encoder's weights follow from the cell
        encoder = make()
        expected_encoder, head = by_the_book(encoder, imu[cell.train], labels[cell.train], cell.seed, **settings)
        expected = head(embed_imu(expected_encoder, imu[cell.test])).detach()
        torch.testing.assert_close(logits[number], expected, rtol=1e-4, atol=1e-5)
        if number == 1:
            torch.testing.assert_close(weight, head.weight.data, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(kept.state_dict(), expected_encoder.state_dict(), rtol=1e-4, atol=1e-5)
    assert (logits[0] - logits[1]).abs().max() > 0.01 and epochs == [2, 2, 2]


def compare_processes():
    torch.set_num_threads(1)
    make, imu, labels, cells = grid(scratch=True)
    on, settings = torch.device("cpu"), finetune_settings(epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.finetune.STEPS_PER_PROCESS", 1)
        one, _, (a, weight, bias) = finetune_grid(make, imu, labels, cells, 1, on, 1, **settings)
        two, _, (b, *head) = finetune_grid(make, imu, labels, cells, 1, on, 2, **settings)
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))
    assert torch.equal(weight, head[0]) and torch.equal(bias, head[1])
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_processes_give_to_the_bit_what_one_gives():
    """In a new process: forks of one in which autograd has served another device, as in other tests, may not learn."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(compare_processes).result()


@pytest.mark.parametrize(
    "device, steps, workers, expected",
    [("cpu", [200] * 4, 3, 3), ("cpu", [200] * 2, 8, 2), ("cpu", [10] * 4, 8, 1), ("cuda", [200] * 40, 16, 1)],
)
def test_a_gpu_has_one_process(device, steps, workers, expected):
    """Each further one would open a context on the GPU."""
    assert side_by_side(steps, torch.device(device), workers) == expected


def test_from_scratch_every_cell_has_weights_of_its_own(one_thread):
    make, imu, labels, cells = grid(scratch=True)
    same = [Cell(cells[0].train, cells[0].test, torch.arange(0), seed) for seed in (1, 2, 1)]
    logits, *_ = finetune_grid(make, imu, labels, same, 0, torch.device("cpu"), 1, **finetune_settings(encoder_lr=0.0))
    assert torch.equal(logits[0], logits[2]) and (logits[0] - logits[1]).abs().max() > 0.01


def test_windows_of_their_own_choose_the_epoch(one_thread):
    """Training to each number of epochs by itself, and counting."""
    make, imu, labels, cells = grid(scratch=False)
    imu = imu + labels[:, None, None] / 4
    choose, asked = torch.arange(20, 40), []
    settings = finetune_settings(lr=0.1, encoder_lr=0.02, epochs=6)
    for epochs in range(1, 7):
        encoder, head, taken = finetune(make, imu[:20], labels[:20], seed=6, **settings | {"epochs": epochs})
        assert taken == epochs
        asked.append(((head(embed_imu(encoder, imu[choose])).argmax(1) == labels[choose]).sum().item(), encoder, head))
    right = [count for count, *_ in asked]
    assert len(set(right)) > 1 and right.index(max(right)) != 5  # there is something to choose
    cell = Cell(cells[1].train, cells[1].test, choose, seed=6)
    logits, epochs, _ = finetune_grid(make, imu, labels, [cell], 0, torch.device("cpu"), 1, **settings)
    assert epochs == [1 + right.index(max(right))]
    _, encoder, head = asked[epochs[0] - 1]
    torch.testing.assert_close(logits[0], head(embed_imu(encoder, imu[cell.test])).detach(), rtol=1e-5, atol=1e-6)
