"""Distance to the windows learnt from, against the formula one window at a time."""

import numpy as np
import pytest
import torch

from models.novelty import Novelty, calibrated_novelty, fit_novelty

CLASSES = 3


def learnt(dim, per_class=(8, 20, 5)):
    """Features that vary more along some directions than others, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), per_class)
    features = (
        rng.normal(size=(len(labels), dim)) * np.linspace(3, 0.3, dim) + 4 * rng.normal(size=(CLASSES, dim))[labels]
    )
    return features, labels


def oracle(features, labels, rows, most):
    """The covariance as a matrix, its inverse, and a loop over windows and classes."""
    features, rows = (of / np.linalg.norm(of, axis=1, keepdims=True) for of in (features, rows))
    means = [features[labels == k].mean(0) for k in range(CLASSES)]
    covariance = sum(np.cov(features[labels == k].T, bias=True) for k in range(CLASSES)) / CLASSES
    values, vectors = np.linalg.eigh(covariance)
    values[: len(values) - most] = values[: len(values) - most].mean()
    inverse = np.linalg.inv(vectors @ np.diag(values) @ vectors.T)
    return [min(float(np.sqrt((row - mean) @ inverse @ (row - mean))) for mean in means) for row in rows]


@pytest.mark.parametrize("dim, most", [(6, 2), (6, 5), (40, 10)])
def test_matches_the_formula(dim, most):
    features, labels = learnt(dim)
    rows = np.random.default_rng(1).normal(size=(7, dim)) * 5
    model = fit_novelty(torch.from_numpy(features), torch.from_numpy(labels), CLASSES, most)
    with torch.no_grad():
        found = model.double()(torch.from_numpy(rows)).tolist()
    assert found == pytest.approx(oracle(features, labels, rows, most), rel=1e-5)  # the parts are kept in float32


def test_no_unit_or_rotation_of_features_matters():
    features, labels = (torch.from_numpy(of) for of in learnt(20))
    turn = torch.linalg.qr(torch.randn(20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    plain = fit_novelty(features, labels, CLASSES, 8)(features.float())
    turned = fit_novelty(7 * features @ turn, labels, CLASSES, 8)((7 * features @ turn).float())
    torch.testing.assert_close(turned, plain, rtol=1e-4, atol=1e-5)


def test_a_class_with_many_windows_counts_as_the_others():
    features, labels = (torch.from_numpy(of) for of in learnt(12))
    rows = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    more = labels == 1
    again = torch.cat([features, features[more]]), torch.cat([labels, labels[more]])
    torch.testing.assert_close(fit_novelty(*again, CLASSES, 4)(rows), fit_novelty(features, labels, CLASSES, 4)(rows))


def test_constant_features_and_single_windows_give_numbers():
    for features in (torch.zeros(3, 10), torch.eye(3, 10)):
        distance = fit_novelty(features, torch.arange(3), CLASSES)(features + torch.ones(10))
        assert torch.isfinite(distance).all()


def test_the_threshold_is_the_unit():
    model = fit_novelty(*(torch.from_numpy(of) for of in learnt(12)), CLASSES)
    rows = torch.randn(5, 12)
    parts = model.means, model.directions, model.variances, model.rest
    torch.testing.assert_close(Novelty(*parts, threshold=4.0)(rows), model(rows) / 4)


def people_and_a_stranger():
    """Embeddings of four people who are alike, and of one whose windows lie elsewhere."""
    rng = np.random.default_rng(0)
    labels, people = np.tile(np.repeat(np.arange(CLASSES), 20), 4), np.repeat(list("abcd"), 60)
    means = 3 * rng.normal(size=(CLASSES, 30))
    own = means[labels] + rng.normal(size=(len(labels), 30))
    return torch.from_numpy(own).float(), torch.from_numpy(labels), people, torch.from_numpy(own[:60] - 4).float()


def test_the_threshold_is_of_people_held_out():
    """A loop over people: distances to the others, thresholds of the others."""
    own, labels, people, _ = people_and_a_stranger()
    novelty, facts = calibrated_novelty(own, labels, people, CLASSES, own_encoder=True)
    distances = {
        name: fit_novelty(own[people != name], labels[people != name], CLASSES)(own[people == name]).numpy()
        for name in "abcd"
    }
    threshold = sorted(np.concatenate(list(distances.values())))[237]  # of 240: 2 are beyond
    assert novelty.threshold == facts.threshold == pytest.approx(float(threshold))
    beyond = {}
    for name, values in distances.items():
        others = sorted(np.concatenate([of for other, of in distances.items() if other != name]))
        beyond[name] = np.mean(values > others[178])
    assert facts.share == pytest.approx(np.mean(list(beyond.values())))
    assert facts.highest_share == pytest.approx(max(beyond.values())) and facts.limit == max(0.1, facts.highest_share)
    assert (facts.windows, facts.people, facts.components) == (240, 4, len(novelty.variances))


def test_a_stranger_is_beyond_the_limit_and_people_are_not():
    own, labels, people, stranger = people_and_a_stranger()
    novelty, facts = calibrated_novelty(own, labels, people, CLASSES, own_encoder=True)
    assert (novelty(stranger) > 1).float().mean() > 0.9 > 0.05 > (novelty(own) > 1).float().mean()
    assert calibrated_novelty(own[:60], labels[:60], people[:60], CLASSES, own_encoder=True) is None
