"""Smoothing against the sum over all paths of a short run."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.linalg import expm

from models.classifier import ClassifierFacts
from models.smoothing import DEFAULT_DWELL_S, ForwardFilter, rates_from_jumps, smooth, stationary

JUMPS, SECONDS = np.array([[0, 3, 1], [2, 0, 0], [0, 4, 0]]), np.array([40.0, 9.0, 25.0])
FACTS = ClassifierFacts(
    classes=["a", "b", "c"],
    window_s=2.0,
    normalize="none",
    encoder={},
    temperature=1.0,
    threshold=0.0,
    prior=[0.5, 0.2, 0.3],
    rates_per_s=rates_from_jumps(JUMPS, SECONDS).tolist(),
    simulated=True,
    trained_on={},
)


def posteriors(n, seed=0):
    return np.random.default_rng(seed).dirichlet([0.4] * 3, size=n)


def oracle(probabilities, hop_s, facts):
    """(filtered, smoothed): each path of classes weighs its probability times what the windows say."""
    n, classes = probabilities.shape
    rates = np.array(facts.rates_per_s)
    step, first = expm(rates * hop_s), stationary(rates)
    said = (probabilities / facts.prior) ** min(1, hop_s / facts.window_s)
    sums = np.zeros((2, n, classes))
    for end in range(1, n + 1):
        for path in product(range(classes), repeat=end):
            weight = first[path[0]] * said[0, path[0]]
            for t in range(1, end):
                weight *= step[path[t - 1], path[t]] * said[t, path[t]]
            sums[0, end - 1, path[-1]] += weight
            if end == n:
                for t in range(n):
                    sums[1, t, path[t]] += weight
    return sums / sums.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("n, hop_s", [(1, 2.0), (5, 2.0), (6, 0.5), (4, 7.0)])
def test_smoothing_is_the_sum_over_all_paths(n, hop_s):
    probabilities = posteriors(n)
    filtered, smoothed = oracle(probabilities, hop_s, FACTS)
    np.testing.assert_allclose(smooth(probabilities, hop_s, FACTS), smoothed, rtol=1e-9)
    np.testing.assert_allclose(ForwardFilter(hop_s, FACTS).push(probabilities), filtered, rtol=1e-9)


def test_the_filter_goes_on_where_it_was():
    probabilities, whole, parts = posteriors(9), ForwardFilter(1.0, FACTS), ForwardFilter(1.0, FACTS)
    pieces = [parts.push(part) for part in np.split(probabilities, [1, 1, 5])]
    np.testing.assert_array_equal(np.concatenate(pieces), whole.push(probabilities))


def test_a_long_run_neither_underflows_nor_forgets():
    sure = np.full((200_000, 3), 1e-300)
    sure[:, 1] = 1
    sure[100_000] = [1, 0, 0]  # one window that says what cannot be
    smoothed = smooth(sure, 2.0, FACTS)
    assert np.isfinite(smoothed).all() and (smoothed.argmax(axis=1) == 1).mean() > 0.9999
    assert smooth(sure[:0], 2.0, FACTS).shape == (0, 3)


def test_rates_are_counts_and_a_prior_of_one_jump():
    rates = rates_from_jumps(JUMPS, SECONDS)
    assert rates[0, 1] == (3 + 0.5) / (40 + DEFAULT_DWELL_S) and rates[1, 2] == 0.5 / 19
    np.testing.assert_allclose(rates.sum(axis=1), 0, atol=1e-15)
    never = rates_from_jumps(np.zeros((4, 4)), np.zeros(4))
    np.testing.assert_allclose(-1 / np.diag(never), DEFAULT_DWELL_S)  # how long each lasts
    np.testing.assert_allclose(stationary(never), 0.25)
    np.testing.assert_allclose(stationary(rates) @ rates, 0, atol=1e-12)


def test_rates_without_change_hold_everything():
    """A generator of zeros, as an edited file may have: the run is of one class, the likeliest."""
    still = replace(FACTS, rates_per_s=np.zeros((3, 3)).tolist(), prior=[1 / 3] * 3)
    smoothed = smooth(np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0.9, 0.1, 0]]), 2.0, still)
    np.testing.assert_allclose(smoothed, [[0.9, 0.1, 0]] * 3, atol=1e-9)
