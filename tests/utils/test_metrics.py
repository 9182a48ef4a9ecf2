"""Metrics against the definitions, written one query at a time, and against scikit-learn."""

import itertools
import warnings

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from utils.metrics import (
    classification_chance,
    classification_metrics,
    confusion_matrix,
    majority_baseline,
    mean_and_std,
    metrics_over_draws,
    recall_per_class,
    retrieval_chance,
    retrieval_metrics,
)


def classification_oracle(truth, predicted):
    """Mean recall and mean F1 over the classes in the truth, by counting."""
    recalls, scores = [], []
    for k in sorted(set(truth)):
        tp = sum(t == k and p == k for t, p in zip(truth, predicted, strict=True))
        fn = sum(t == k and p != k for t, p in zip(truth, predicted, strict=True))
        fp = sum(t != k and p == k for t, p in zip(truth, predicted, strict=True))
        recalls.append(tp / (tp + fn))
        scores.append(tp / (tp + 0.5 * (fp + fn)))
    return sum(recalls) / len(recalls), sum(scores) / len(scores)


def retrieval_oracle(similarity, target, ks):
    """Every order of the candidates that agrees with the scores, each as likely as the others."""
    ranks = []
    for row, right in zip(similarity.tolist(), target.tolist(), strict=True):
        orders = [
            order
            for order in itertools.permutations(range(len(row)))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        ]
        ranks.append([order.index(right) + 1 for order in orders])

    def expected(score):
        return sum(sum(score(r) for r in options) / len(options) for options in ranks) / len(ranks)

    return {"mrr": expected(lambda r: 1 / r)} | {f"r@{k}": expected(lambda r, k=k: float(r <= k)) for k in ks}


CASES = {
    "random": (np.random.default_rng(0).integers(0, 5, 60), np.random.default_rng(1).integers(0, 5, 60)),
    "perfect": (np.array([0, 1, 2, 2]), np.array([0, 1, 2, 2])),
    "all wrong": (np.array([0, 1, 2]), np.array([1, 2, 0])),
    "a class missing from the predictions": (np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])),
    "a class missing from the truth": (np.array([0, 0, 1, 1]), np.array([0, 2, 1, 4])),
    "one sample": (np.array([3]), np.array([3])),
    "one wrong sample": (np.array([3]), np.array([1])),
}


@pytest.mark.parametrize("truth, predicted", CASES.values(), ids=CASES.keys())
def test_classification_matches_counting_and_scikit_learn(truth, predicted):
    metrics = classification_metrics(confusion_matrix(truth, predicted, 5))
    accuracy, f1 = classification_oracle(truth.tolist(), predicted.tolist())
    assert metrics["balanced_accuracy"] == pytest.approx(accuracy, rel=1e-12)
    assert metrics["macro_f1"] == pytest.approx(f1, rel=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of what the cases are about
        assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted), rel=1e-12)
        present = np.unique(truth)
        by_sklearn = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
        assert metrics["macro_f1"] == pytest.approx(by_sklearn, rel=1e-12)


def test_confusion_has_truth_in_rows_and_refuses_other_classes():
    confusion = confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert recall_per_class(confusion) == [0.5, None, 0.0]
    for truth, predicted in (([0, 1], [0, 3]), ([-1, 1], [0, 0]), ([0, 1, 2], [0, 1])):
        with pytest.raises(ValueError, match="want as many of the one as of the other, classes 0..2"):
            confusion_matrix(np.array(truth), np.array(predicted), 3)


def test_chance_and_majority_are_what_guessing_gives():
    support = np.array([700, 100, 0, 40, 160])
    truth = np.repeat(np.arange(5), support * 200)  # many, so that the limit is reached
    guesses = np.random.default_rng(0).integers(0, 5, len(truth))
    measured = classification_metrics(confusion_matrix(truth, guesses, 5))
    chance = classification_chance(support)
    assert chance["balanced_accuracy"] == 0.2
    for (
        name,
        value,
    ) in chance.items():  # three sampling errors of 8,000 guesses of the rarest class are 0.013 / 4 classes
        assert value == pytest.approx(measured[name], abs=6e-3)
    majority = classification_metrics(confusion_matrix(truth, np.zeros_like(truth), 5))
    assert majority_baseline(support) == pytest.approx(majority, rel=1e-12)
    assert classification_chance(np.full(4, 20)) == pytest.approx({"balanced_accuracy": 0.25, "macro_f1": 0.25})


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [2, 3, 1000])  # the fewer levels, the more ties
def test_retrieval_matches_every_order_of_the_candidates(seed, levels):
    rng = np.random.default_rng(seed)
    similarity, target = rng.integers(0, levels, (7, 6)).astype(float), rng.integers(0, 6, 7)
    metrics = retrieval_metrics(similarity, target, ks=(1, 2, 3, 6, 9))
    assert metrics == pytest.approx(retrieval_oracle(similarity, target, (1, 2, 3, 6, 9)), rel=1e-12)


def test_a_constant_scorer_sits_exactly_at_chance():
    metrics = retrieval_metrics(np.zeros((4, 12)), np.array([0, 3, 11, 5]))
    assert metrics == pytest.approx(retrieval_chance(12), rel=1e-12)
    assert retrieval_chance(5, (1, 3)) == pytest.approx(
        {"mrr": (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5, "r@1": 0.2, "r@3": 0.6}
    )


def test_retrieval_at_both_ends():
    best, worst = np.eye(4), -np.eye(4)
    assert retrieval_metrics(best, np.arange(4)) == {"mrr": 1.0, "r@1": 1.0, "r@3": 1.0, "r@5": 1.0}
    assert retrieval_metrics(worst, np.arange(4), (1, 3)) == pytest.approx({"mrr": 0.25, "r@1": 0.0, "r@3": 0.0})
    assert retrieval_metrics(np.array([[0.3]]), np.array([0]), (1,)) == {"mrr": 1.0, "r@1": 1.0}


def test_retrieval_refuses_what_it_cannot_rank():
    with pytest.raises(ValueError, match="1 of 4 similarities are not finite"):
        retrieval_metrics(np.array([[0.0, np.nan], [1.0, 0.0]]), np.array([0, 1]))


def test_mean_and_sample_std():
    summary = mean_and_std([{"a": 1.0}, {"a": 2.0}, {"a": 6.0}])
    assert summary["a"]["mean"] == 3.0
    assert summary["a"]["std"] == pytest.approx(7**0.5)  # ((-2)^2 + (-1)^2 + 3^2) / 2
    assert summary["a"]["values"] == [1.0, 2.0, 6.0]
    assert mean_and_std([{"a": 1.0}])["a"]["std"] is None


def test_draws_are_measured_one_by_one_and_counted_together():
    truth = [np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2])]
    predicted = [np.array([0, 1, 0, 2]), np.array([1, 1, 1, 1])]
    summary = metrics_over_draws(truth, predicted, 3)
    by_hand = [classification_oracle(t.tolist(), p.tolist()) for t, p in zip(truth, predicted, strict=True)]
    assert summary["balanced_accuracy"]["values"] == pytest.approx([accuracy for accuracy, _ in by_hand])
    assert summary["macro_f1"]["mean"] == pytest.approx(sum(f1 for _, f1 in by_hand) / 2)
    assert summary["confusion"] == [[1, 2, 0], [1, 2, 0], [0, 1, 1]]
    assert summary["recall"] == pytest.approx([1 / 3, 2 / 3, 1 / 2])
