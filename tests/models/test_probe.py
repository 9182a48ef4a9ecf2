"""Heads trained together against each trained alone, by the book; frozen means frozen."""

import pytest
import torch
from torch import nn

from models.probe import embed_imu, initial_weight, shuffled_batches, train_linear_heads

SETTINGS = {"num_classes": 4, "epochs": 3, "batch_size": 8, "lr": 1e-2, "weight_decay": 0.1}


def data(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(90, 6, generator=generator, dtype=dtype)
    return embeddings, torch.arange(90) % 4


def alone(embeddings, labels, windows, seed, num_classes, epochs, batch_size, lr, weight_decay, least_lr=None):
    """One nn.Linear, autograd, torch's AdamW and, towards a least rate, torch's cosine."""
    initial = initial_weight(num_classes, embeddings.shape[1], seed)
    layer = nn.Linear(embeddings.shape[1], num_classes, dtype=embeddings.dtype)
    layer.weight.data.copy_(initial[:, :-1])
    layer.bias.data.copy_(initial[:, -1])
    optimizer = torch.optim.AdamW(layer.parameters(), lr=lr, weight_decay=weight_decay)
    plan = shuffled_batches(windows, epochs, batch_size, seed)
    least = lr if least_lr is None else least_lr  # a cosine from the peak to the peak is constant
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=len(plan), eta_min=least)
    for batch in plan:
        batch = batch[batch >= 0]
        optimizer.zero_grad()
        nn.functional.cross_entropy(layer(embeddings[batch]), labels[batch]).backward()
        optimizer.step()
        scheduler.step()
    return layer


@pytest.mark.parametrize("least_lr", [None, 1e-7])
def test_heads_trained_together_are_what_each_alone_would_be(least_lr):
    embeddings, labels = data()
    # sizes that end at different steps, some with a last batch that is not full, not in order of size
    sets = [torch.arange(5, 25), torch.arange(0, 80), torch.arange(40, 53), torch.arange(10, 90), torch.arange(8)]
    seeds = [3, 4, 5, 6, 7]
    settings = SETTINGS | {"least_lr": least_lr}
    heads = train_linear_heads(embeddings, labels, sets, seeds, **settings)
    for h, (windows, seed) in enumerate(zip(sets, seeds, strict=True)):
        layer = alone(embeddings, labels, windows, seed, **settings)
        torch.testing.assert_close(heads.weight[h], layer.weight.data, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(heads.bias[h], layer.bias.data, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(heads.logits(h, embeddings), layer(embeddings).data, rtol=1e-10, atol=1e-12)


def test_class_weights_are_windows_repeated():
    """In batches of everything: 3 of a class at weight 2 are 6 at weight 1."""
    embeddings, labels = data()
    some = torch.cat([torch.nonzero(labels == k)[: (3, 6, 6, 6)[k], 0] for k in range(4)])
    repeated = torch.cat([some[:3], some])
    settings, weight = SETTINGS | {"batch_size": 90}, torch.tensor([2.0, 1, 1, 1])
    weighted = train_linear_heads(
        embeddings, labels, [some], [1], class_weight=weight * 21 / 24, **settings
    )  # a mean over 21 windows, not 24
    plain = train_linear_heads(embeddings, labels, [repeated], [1], **settings)
    torch.testing.assert_close(weighted.weight, plain.weight, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(weighted.bias, plain.bias, rtol=1e-8, atol=1e-9)


def test_standardised_heads_take_plain_embeddings():
    embeddings, labels = data()
    embeddings = embeddings * torch.tensor([1e-3, 1, 5, 100, 1, 0]) + torch.tensor(
        [0, 7, -3, 0, 1e3, 2]
    )  # one constant
    sets, seeds = [torch.arange(8), torch.arange(5, 45), torch.arange(13)], [1, 2, 3]
    heads = train_linear_heads(embeddings, labels, sets, seeds, standardize=True, **SETTINGS)
    for h, (windows, seed) in enumerate(zip(sets, seeds, strict=True)):
        own = embeddings[windows]
        z = (embeddings - own.mean(0)) / own.std(0, correction=0).clamp(min=1e-6)
        layer = alone(z, labels, windows, seed, **SETTINGS)
        # the product undoes offsets of 1,000 standard deviations, and with them three digits
        torch.testing.assert_close(heads.logits(h, embeddings), layer(z).data, rtol=1e-7, atol=1e-8)


def test_company_changes_nothing():
    embeddings, labels = data()
    sets, seeds = [torch.arange(20), torch.arange(60)], [1, 2]
    both = train_linear_heads(embeddings, labels, sets, seeds, **SETTINGS)
    for h in range(2):
        one = train_linear_heads(embeddings, labels, sets[h : h + 1], seeds[h : h + 1], **SETTINGS)
        torch.testing.assert_close(one.weight[0], both.weight[h], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("standardize", [False, True])
def test_windows_of_their_own_choose_the_epoch(standardize):
    """Training to each number of epochs by itself, and counting."""
    embeddings, labels = data()
    sets, seeds, choose = [torch.arange(8), torch.arange(5, 25)], [1, 2], torch.arange(60, 90)
    settings = SETTINGS | {"lr": 0.3, "standardize": standardize}
    up_to = [
        train_linear_heads(embeddings, labels, sets, seeds, **settings | {"epochs": epochs}) for epochs in range(1, 9)
    ]
    best = train_linear_heads(
        embeddings, labels, sets, seeds, **settings | {"epochs": 8}, select=[choose, torch.arange(0)]
    )
    right = [(heads.logits(0, embeddings[choose]).argmax(1) == labels[choose]).sum().item() for heads in up_to]
    assert right.index(max(right)) != 7 and best.epochs == [1 + right.index(max(right)), 8]
    torch.testing.assert_close(best.weight[0], up_to[best.epochs[0] - 1].weight[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(best.weight[1], up_to[-1].weight[1], rtol=1e-10, atol=1e-12)  # none to ask: the last
    still = train_linear_heads(embeddings, labels, sets, seeds, **settings | {"lr": 0.0}, select=[choose, choose])
    assert still.epochs == [1, 1]  # the first of equals


def test_an_epoch_meets_every_window_once_in_a_new_order():
    plan = shuffled_batches(torch.arange(100, 121), epochs=4, batch_size=8, seed=0).view(4, -1)
    epochs = [epoch[epoch >= 0].tolist() for epoch in plan]
    assert all(sorted(epoch) == list(range(100, 121)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 4
    assert shuffled_batches(torch.arange(21), 4, 8, seed=0).shape == (12, 8)


def test_heads_begin_as_nn_linear_does():
    ours = torch.stack([initial_weight(20, 50, seed) for seed in range(50)])
    layer = nn.Linear(50, 20)
    assert ours.abs().max() <= 50**-0.5 and layer.weight.abs().max() <= 50**-0.5
    assert ours.std() == pytest.approx(50**-0.5 / 3**0.5, rel=0.01)  # of a uniform; 51,000 values: 0.3 %
    assert layer.weight.std().item() == pytest.approx(ours.std().item(), rel=0.1)
    assert ours.mean().abs() < 0.002


def test_separable_classes_are_learnt():
    labels = torch.arange(200) % 5
    embeddings = torch.eye(5)[labels] * 4 + 0.1 * torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    settings = SETTINGS | {"num_classes": 5, "epochs": 25}
    heads = train_linear_heads(embeddings, labels, [torch.arange(50), torch.arange(100)], [0, 1], **settings)
    for h in range(2):
        assert (heads.logits(h, embeddings[100:]).argmax(1) == labels[100:]).all()


class Encoder(nn.Module):
    """Normalisation with running statistics and dropout: both must be still while it is frozen."""

    dim = 12

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.out = nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 12)

    def forward(self, imu):
        return self.out(self.drop(self.norm(imu).amax(dim=2)))


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_a_frozen_encoder_is_frozen():
    torch.manual_seed(0)
    encoder = Encoder().train()
    encoder(torch.randn(64, 6, 250) + 2)  # so that the running statistics are not the initial ones
    before, imu = state(encoder), torch.randn(30, 6, 250) * 3 + 1
    first = embed_imu(encoder, imu, batch_size=7)
    assert not encoder.training
    assert all(torch.equal(before[name], value) for name, value in state(encoder).items())
    assert before["norm.num_batches_tracked"] == 1
    one_by_one = torch.cat([encoder(window[None]).detach() for window in imu])
    torch.testing.assert_close(first, one_by_one)  # neither dropout nor the batch's own statistics
    assert first.shape == (30, 12) and first.dtype == torch.float32 and not first.is_inference()
