"""How far probabilities can be believed: temperature, calibration error, accuracy against coverage, abstention.

A temperature or threshold is never chosen on the person that it is measured on. Letters: n windows, K classes, B bins.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from utils.metrics import mean_and_std

BINS = 15
PARTS = 5  # of the people, at most: what serves one part is chosen on the others
LEAST_COVERAGE = 0.5  # of windows answered; a threshold that leaves fewer is of no use
UNSURE = 0.05  # share of held-out windows, those of least confidence, that is not answered whatever their accuracy
SHARES = np.linspace(0.05, 1, 20)  # coverages at which the accuracy is written down
_LOG_TEMPERATURE = (-4.0, 4.0)


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log likelihood of (n,) labels under the softmax of (n, K) logits, nats."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 that makes logits / T most likely (Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2).

    The likelihood has one maximum. It is searched within 1/55 and 55, where that of separable windows ends.

    Args:
        logits: (n, K) of windows that the classifier has not learnt from.
        labels: (n,) integer classes.
    """
    logits = logits.astype(np.float64)
    found = minimize_scalar(lambda log: nll(logits / np.exp(log), labels), bounds=_LOG_TEMPERATURE, method="bounded")
    return float(np.exp(found.x))


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """sum_b n_b / n |accuracy_b - confidence_b| over bins of equal width (Guo et al. 2017, equation 3).

    Args:
        confidence: (n,) largest probability of each window.
        right: (n,) bool.
    """
    table = reliability(confidence, right, bins)
    return float(
        sum(n * abs(a - c) for n, c, a in zip(*table.values(), strict=True) if n) / max(1, sum(table["windows"]))
    )


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict[str, list]:
    """Windows, mean confidence and accuracy of each bin; a bin reaches from b/B, exclusive, to (b + 1)/B.

    Returns:
        ``{"windows": [int], "confidence": [float or None], "accuracy": [float or None]}``, None where a bin is empty.
    """
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    windows = np.bincount(bin_of, minlength=bins)
    sums = [np.bincount(bin_of, weights=values, minlength=bins) for values in (confidence, right)]
    means = [[s / n if n else None for s, n in zip(of.tolist(), windows.tolist(), strict=True)] for of in sums]
    return {"windows": windows.tolist(), "confidence": means[0], "accuracy": means[1]}


def accuracy_by_coverage(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,) accuracy of the k + 1 most confident windows; windows of equal confidence come in random order."""
    order = np.argsort(-confidence, kind="stable")
    _, level = np.unique(-confidence[order], return_inverse=True)
    share_right = np.bincount(level, weights=right[order]) / np.bincount(level)
    return np.cumsum(share_right[level]) / np.arange(1, len(order) + 1)


def threshold_for(confidence: np.ndarray, right: np.ndarray, target: float) -> tuple[float, bool]:
    """The lowest confidence from which on windows are answered with at least this accuracy, and whether there is one.

    It is at least that which 95 % of the windows have. They are all of the classes, and other activities must be
    refused too: their confidence tends to be lower (Hendrycks and Gimpel 2017, https://arxiv.org/abs/1610.02136), and
    95 % of what is known is what such a detector customarily keeps. That is also what is returned if the target is not
    reached by any threshold that leaves half of the windows.

    Args:
        confidence: (n,) largest probability of each window.
        right: (n,) bool.
        target: accuracy among the windows that are answered.
    """
    order = np.argsort(-confidence, kind="stable")
    accuracy, falling = np.cumsum(right[order]) / np.arange(1, len(order) + 1), confidence[order]
    ends = np.append(falling[1:] < falling[:-1], True)  # windows of equal confidence are answered together
    floor = float(np.quantile(confidence, UNSURE, method="lower"))
    wanted = (falling >= floor) & (np.arange(1, len(order) + 1) >= LEAST_COVERAGE * len(order))
    enough = np.flatnonzero(ends & (accuracy >= target) & wanted)
    return (float(falling[enough[-1]]), True) if len(enough) else (floor, False)


def cross_fitted(
    logits: np.ndarray, labels: np.ndarray, people: np.ndarray, target: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibration of each window by those of other people.

    The people, in order of name, are dealt to at most five parts; what serves a part is chosen on the others.

    Args:
        logits: (n, K) of windows that their classifier has not learnt from.
        labels: (n,) integer classes.
        people: (n,) names.
        target: see ``threshold_for``.

    Returns:
        (n, K) calibrated probabilities, (n,) temperatures, (n,) thresholds. With one person alone the temperature is 1
        and the threshold 0.
    """
    names, person = np.unique(people, return_inverse=True)
    parts = min(PARTS, len(names))
    temperature, threshold = np.ones(len(labels)), np.zeros(len(labels))
    for part in range(parts if parts > 1 else 0):
        own = person % parts == part
        temperature[own], threshold[own], _ = calibration(logits[~own], labels[~own], target)
    return softmax(logits.astype(np.float64) / temperature[:, None], axis=1), temperature, threshold


def calibration(logits: np.ndarray, labels: np.ndarray, target: float) -> tuple[float, float, bool]:
    """Temperature, threshold of the calibrated confidence, and whether that reaches the target."""
    temperature = fit_temperature(logits, labels)
    confidence, right = confidence_of(softmax(logits.astype(np.float64) / temperature, axis=1), labels)
    return temperature, *threshold_for(confidence, right, target)


def confidence_of(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) largest probability, and (n,) whether it is that of the label."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def measured_calibration(
    logits: Sequence[np.ndarray], labels: Sequence[np.ndarray], people: Sequence[np.ndarray], target: float
) -> tuple[dict[str, Any], np.ndarray]:
    """Calibration of each draw on its held-out windows, and that of all draws together.

    Args:
        logits: for each draw (n, K); ``labels`` and ``people`` (n,) alike.
        target: accuracy among answered windows that the threshold is chosen for.

    Returns:
        What results.json holds under ``calibration``, and the calibrated probabilities of all draws, end to end.
    """
    fitted = [cross_fitted(*draw, target) for draw in zip(logits, labels, people, strict=True)]
    plain = [softmax(own.astype(np.float64), axis=1) for own in logits]
    repetitions = []
    for raw, (calibrated, temperature, _), truth in zip(plain, fitted, labels, strict=True):
        values = {"temperature": float(temperature.mean())}
        for name, probabilities in (("", calibrated), ("_uncalibrated", raw)):
            values[f"ece{name}"] = expected_calibration_error(*confidence_of(probabilities, truth))
            values[f"nll{name}"] = nll(np.log(np.maximum(probabilities, 1e-300)), truth)
        repetitions.append(values)
    truth, probabilities = np.concatenate(labels), np.concatenate([own for own, _, _ in fitted])
    confidence, right = confidence_of(probabilities, truth)
    before = confidence_of(np.concatenate(plain), truth)
    by_coverage = accuracy_by_coverage(confidence, right)
    answered = confidence >= np.concatenate([threshold for _, _, threshold in fitted])
    return mean_and_std(repetitions) | {
        "fitted": all(len(np.unique(own)) > 1 for own in people),
        "reliability": reliability(confidence, right),
        "reliability_uncalibrated": reliability(*before),
        "coverage": {
            "share": SHARES.round(2).tolist(),
            "accuracy": by_coverage[np.ceil(SHARES * len(truth) - 1e-9).astype(int) - 1].tolist(),
            "area": float(by_coverage.mean()),
        },
        "abstention": {
            "target_accuracy": target,
            "answered": float(answered.mean()),
            "accuracy": float(right[answered].mean()) if answered.any() else None,
        },
    }, probabilities
