"""Batch normalisation in one process; what ranks do together is in tests/test_two_ranks.py."""

import pytest
import torch
from torch import nn

from models.batchnorm import CrossRankBatchNorm, hold_statistics

D = 3


def batches(count: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [5 * torch.randn(6, D, 7, dtype=torch.float64, generator=generator) + 2 for _ in range(count)]


def running(norm: nn.BatchNorm1d) -> list[torch.Tensor]:
    return [value.clone() for value in (norm.running_mean, norm.running_var, norm.num_batches_tracked)]


def by_the_book(rows: list[torch.Tensor], momentum: float) -> tuple[list[float], list[float]]:
    """Running mean and variance, one channel at a time."""
    means, variances = [0.0] * D, [1.0] * D
    for x in rows:
        for d in range(D):
            values = x[:, d].flatten().tolist()
            mean = sum(values) / len(values)
            var = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
            means[d] = (1 - momentum) * means[d] + momentum * mean
            variances[d] = (1 - momentum) * variances[d] + momentum * var
    return means, variances


def test_it_is_batch_norm():
    norm, reference = CrossRankBatchNorm(D).double(), nn.BatchNorm1d(D).double()
    for x in batches():
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [module(rows) for module, rows in zip((norm, reference), inputs, strict=True)]
        assert torch.equal(*outputs)
        for output in outputs:
            output.square().mul(torch.arange(7)).sum().backward()
        assert torch.equal(inputs[0].grad, inputs[1].grad)
    means, variances = by_the_book(batches(), momentum=0.1)
    assert norm.running_mean.tolist() == pytest.approx(means, rel=1e-12)
    assert norm.running_var.tolist() == pytest.approx(variances, rel=1e-12)
    assert norm.num_batches_tracked == 4
    before = running(norm)
    assert torch.allclose(norm.eval()(x), reference.eval()(x), rtol=1e-12)
    assert all(map(torch.equal, running(norm), before))
    assert norm.state_dict().keys() == reference.state_dict().keys()


@pytest.mark.parametrize("shape", [(6, D), (6, D, 7), (6, D, 4, 5)])
def test_signals_and_images_alike(shape):
    """Also along the way of several ranks, here with one."""
    reference = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)](D).double()
    norms = [CrossRankBatchNorm(D).double() for _ in range(2)]
    x = 5 * torch.randn(shape, dtype=torch.float64) + 2
    expected = reference(x)
    assert torch.equal(norms[0](x), expected)
    torch.testing.assert_close(norms[1]._all_ranks(x), expected, rtol=1e-12, atol=1e-12)
    norms[1].update_statistics()
    for norm in norms:
        torch.testing.assert_close(norm.running_var, reference.running_var, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(norm.eval()(x), reference.eval()(x), rtol=1e-12, atol=1e-12)


def test_held_statistics_wait_for_the_update():
    model = nn.Sequential(CrossRankBatchNorm(D), nn.Identity(), CrossRankBatchNorm(D)).double()
    free = nn.Sequential(CrossRankBatchNorm(D), nn.Identity(), CrossRankBatchNorm(D)).double()
    update_statistics = hold_statistics(model)
    for x in batches():
        before = [running(model[k]) for k in (0, 2)]
        assert torch.equal(model(x), free(x))
        assert all(all(map(torch.equal, running(model[k]), b)) for k, b in zip((0, 2), before, strict=True))
        update_statistics()
        assert all(all(map(torch.equal, running(model[k]), running(free[k]))) for k in (0, 2))
    spoilt = torch.full((2, D, 7), float("nan"), dtype=torch.float64)
    before = running(model[0])
    model(spoilt)
    assert all(map(torch.equal, running(model[0]), before))
    model(x)  # what was spoilt leaves no trace
    update_statistics()
    free(x)
    assert all(map(torch.equal, running(model[2]), running(free[2])))
