"""Calibration against loops over windows, and against what is known beforehand."""

import numpy as np
import pytest
from scipy.special import softmax

from utils import calibration


def windows(n=400, classes=4, seed=0, sharp=1.0):
    """Logits whose softmax is the true distribution of the labels, times ``sharp``; ten people."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, classes))
    labels = np.array([rng.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return sharp * logits, labels, np.array([f"p{i % 10}" for i in range(n)])


def oracle_ece(confidence, right, bins):
    """The sum as written, one bin and one window at a time."""
    total = 0.0
    for b in range(bins):
        own = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins or (b == 0 and c == 0)]
        if own:
            gap = sum(float(right[i]) for i in own) / len(own) - sum(confidence[i] for i in own) / len(own)
            total += len(own) / len(confidence) * abs(gap)
    return total


@pytest.mark.parametrize("n, bins", [(1, 15), (7, 3), (300, 15)])
def test_calibration_error_is_the_sum_over_bins(n, bins):
    rng = np.random.default_rng(n)
    confidence, right = rng.uniform(0, 1, n), rng.uniform(size=n) < 0.6
    found = calibration.expected_calibration_error(confidence, right, bins)
    assert found == pytest.approx(oracle_ece(confidence, right, bins), rel=1e-12)
    assert sum(calibration.reliability(confidence, right, bins)["windows"]) == n


@pytest.mark.parametrize("sharp", [0.3, 1.0, 5.0])
def test_the_temperature_is_found(sharp):
    logits, labels, _ = windows(20_000, sharp=sharp)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(sharp, rel=0.03)  # of 20,000 labels


def test_the_temperature_is_the_best_of_a_grid():
    logits, labels, _ = windows(100, sharp=3)
    grid = np.exp(np.linspace(-2, 3, 2001))
    best = min(grid, key=lambda t: -np.log(softmax(logits / t, axis=1)[np.arange(100), labels]).mean())
    assert calibration.fit_temperature(logits, labels) == pytest.approx(best, rel=0.003)  # the grid's step


def test_accuracy_by_coverage_shares_ties():
    confidence, right = np.array([0.9, 0.5, 0.5, 0.2]), np.array([True, True, False, False])
    # the second window is right in one of two orders
    assert calibration.accuracy_by_coverage(confidence, right) == pytest.approx([1, 1.5 / 2, 2 / 3, 2 / 4])
    turned = calibration.accuracy_by_coverage(confidence[[0, 2, 1, 3]], right[[0, 2, 1, 3]])
    assert turned == pytest.approx([1, 1.5 / 2, 2 / 3, 2 / 4])


@pytest.mark.parametrize("target", [0.3, 0.75, 0.85, 0.999])
@pytest.mark.parametrize("levels", [10, 1000])  # with ties, and nearly without
def test_the_threshold_is_the_lowest_that_reaches(target, levels):
    logits, labels, _ = windows(201, seed=3)
    confidence, right = calibration.confidence_of(softmax(logits, axis=1), labels)
    confidence = np.round(confidence * levels) / levels
    floor = sorted(confidence)[10]  # of 201: 5 % are below it, or fewer with ties
    answered = {t: confidence >= t for t in np.unique(confidence) if t >= floor}
    good = [t for t, own in answered.items() if own.mean() >= 0.5 and right[own].mean() >= target]
    assert calibration.threshold_for(confidence, right, target) == (min(good, default=floor), bool(good))


@pytest.mark.parametrize("share_right, target, reached", [(1.0, 0.9, True), (0.97, 0.9, True), (0.5, 0.9, False)])
def test_the_least_sure_are_never_answered(share_right, target, reached):
    """However good the rest, and where the target is out of reach."""
    rng = np.random.default_rng(0)
    confidence, right = rng.uniform(0.3, 1, 1000), rng.uniform(size=1000) < share_right
    threshold, found = calibration.threshold_for(confidence, right, target)
    assert found == reached and (confidence < threshold).mean() == pytest.approx(0.05, abs=0.002)


def test_nobody_is_calibrated_by_themselves():
    logits, labels, people = windows(300)
    _, temperature, threshold = calibration.cross_fitted(logits, labels, people, 0.7)
    own = people == "p3"
    other = labels.copy()
    other[own] = (labels[own] + 1) % 4
    _, again, beyond = calibration.cross_fitted(logits, other, people, 0.7)
    same = np.isin(people, ["p3", "p8"])  # dealt to one part
    assert (again[same] == temperature[same]).all() and (beyond[same] == threshold[same]).all()
    assert (again[~same] != temperature[~same]).all()


def test_one_person_alone_is_left_as_they_are():
    logits, labels, _ = windows(30)
    probabilities, temperature, threshold = calibration.cross_fitted(logits, labels, np.full(30, "p"), 0.5)
    assert probabilities == pytest.approx(softmax(logits, axis=1))
    assert (temperature == 1).all() and (threshold == 0).all()


def test_sharp_logits_are_mended():
    draws = [windows(600, seed=seed, sharp=4) for seed in (1, 2)]
    found, probabilities = calibration.measured_calibration(*zip(*draws, strict=True), 0.8)
    assert found["fitted"] and probabilities.shape == (1200, 4)
    assert found["temperature"]["mean"] == pytest.approx(4, rel=0.15)  # of 480 labels each
    assert found["ece"]["mean"] < 0.06 < 0.15 < found["ece_uncalibrated"]["mean"]
    assert found["nll"]["mean"] < found["nll_uncalibrated"]["mean"]
    assert found["abstention"]["accuracy"] == pytest.approx(0.8, abs=0.04)
    assert found["coverage"]["share"][-1] == 1 and len(found["coverage"]["accuracy"]) == 20
    right = probabilities.argmax(1) == np.concatenate([labels for _, labels, _ in draws])
    assert found["coverage"]["accuracy"][-1] == pytest.approx(right.mean())
