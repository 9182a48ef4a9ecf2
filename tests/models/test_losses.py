"""Both losses against the equation as written, one pair at a time in Python floats."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import contrastive_loss, sigmoid_loss, soft_target_loss, softmax_loss

SCALE = torch.tensor(7.5, dtype=torch.float64)
BIAS = torch.tensor(-3.25, dtype=torch.float64)
SIZES = [(4, 4, 0), (2, 6, 0), (2, 6, 4), (1, 1, 0), (3, 7, 2)]


def unit_rows(count: int, dim: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, dim, dtype=torch.float64, generator=generator), dim=1)


def sigmoid_oracle(u, v, first_pair):
    total = 0.0
    for i in range(len(u)):
        for j in range(len(v)):
            y = 1.0 if j == i + first_pair else -1.0
            total += math.log1p(math.exp(-y * float(SCALE * (u[i] @ v[j]) + BIAS)))
    return total / len(u)


def softmax_oracle(u, v, first_pair):
    total = 0.0
    for i in range(len(u)):
        exponentials = [math.exp(float(SCALE * (u[i] @ v[j]))) for j in range(len(v))]
        total -= math.log(exponentials[i + first_pair] / sum(exponentials))
    return total / len(u)


@pytest.mark.parametrize("n, N, first_pair", SIZES)
def test_sigmoid_matches_the_equation(n, N, first_pair):
    u, v = unit_rows(n, 8, seed=0), unit_rows(N, 8, seed=1)
    assert float(sigmoid_loss(u, v, SCALE, BIAS, first_pair)) == pytest.approx(
        sigmoid_oracle(u, v, first_pair), rel=1e-12
    )


@pytest.mark.parametrize("n, N, first_pair", SIZES)
def test_softmax_matches_the_equation(n, N, first_pair):
    u, v = unit_rows(n, 8, seed=0), unit_rows(N, 8, seed=1)
    assert float(softmax_loss(u, v, SCALE, first_pair)) == pytest.approx(softmax_oracle(u, v, first_pair), rel=1e-12)


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "softmax_soft"])
def test_gradients_match_finite_differences(name):
    inputs = [x.requires_grad_() for x in (unit_rows(4, 5, 0), unit_rows(4, 5, 1), SCALE.clone(), BIAS.clone())]
    assert torch.autograd.gradcheck(lambda *x: contrastive_loss(name, *x), inputs)


def test_symmetric_softmax_is_the_mean_of_both_directions():
    u, v = unit_rows(5, 8, 0), unit_rows(5, 8, 1)
    expected = (softmax_oracle(u, v, 0) + softmax_oracle(v, u, 0)) / 2
    assert float(contrastive_loss("softmax", u, v, SCALE, BIAS)) == pytest.approx(expected, rel=1e-12)


def test_starts_near_ten_not_near_three_hundred():
    u, v = unit_rows(32, 512, 0), unit_rows(32, 512, 1)
    loss = contrastive_loss("sigmoid", u, v, torch.tensor(10.0).double(), torch.tensor(-10.0).double())
    assert 9 < float(loss) < 11


def test_logits_of_thousands_stay_finite():
    u = unit_rows(4, 8, 0).float()
    for scale in (1e4, -1e4):
        assert sigmoid_loss(u, u, torch.tensor(scale), torch.tensor(0.0)).isfinite()


@pytest.mark.parametrize("n, N, first_pair", [(4, 3, 0), (2, 6, 5), (2, 6, -1)])
def test_pairs_outside_the_columns_are_refused(n, N, first_pair):
    with pytest.raises(ValueError, match=f"first_pair {first_pair}"):
        sigmoid_loss(unit_rows(n, 4, 0), unit_rows(N, 4, 1), SCALE, BIAS, first_pair)
    with pytest.raises(ValueError, match=f"first_pair {first_pair}"):
        softmax_loss(unit_rows(n, 4, 0), unit_rows(N, 4, 1), SCALE, first_pair)


def test_an_unknown_loss_names_the_known_ones():
    with pytest.raises(ValueError, match="'hinge' must be sigmoid, softmax or softmax_soft"):
        contrastive_loss("hinge", unit_rows(2, 4, 0), unit_rows(2, 4, 1), SCALE, BIAS)


def soft_oracle(u, v, rows, temperature):
    """One element at a time: cross entropy with soft targets, along rows and along columns."""
    n, total = len(u), 0.0
    logit = [[float(u[i] @ v[j]) / temperature for j in range(n)] for i in range(n)]
    alike = [[math.exp(temperature * float(u[i] @ u[j] + v[i] @ v[j]) / 2) for j in range(n)] for i in range(n)]
    target = [[a / sum(row) for a in row] for row in alike]
    for i in rows:
        for j in range(n):
            along_row = logit[i][j] - math.log(sum(math.exp(x) for x in logit[i]))
            along_column = logit[j][i] - math.log(sum(math.exp(logit[k][i]) for k in range(n)))
            total -= (target[i][j] * along_row + target[j][i] * along_column) / 2
    return total / len(rows)


@pytest.mark.parametrize("temperature", [0.1, math.log(10)])  # the authors' IMU2CLIP, and their ablation
@pytest.mark.parametrize("first, count", [(0, 5), (0, 2), (2, 3)])
def test_soft_targets_match_the_equation(first, count, temperature):
    u, v = unit_rows(5, 8, 0), unit_rows(5, 8, 1)
    expected = soft_oracle(u, v, range(first, first + count), temperature)
    scale = torch.tensor(1 / temperature, dtype=torch.float64)
    assert float(soft_target_loss(u, v, scale, first, count)) == pytest.approx(expected, rel=1e-12)
