"""How good a classification or a ranking is, and what guessing would have given.

Balanced accuracy and F1 follow from counts, of which a bootstrap scores thousands at once. scikit-learn's functions, to
which the tests hold these, score one list of labels at a time, and importing them slows every command's start.

Shapes: Q queries, K classes or candidates, H repetitions.
"""

from collections.abc import Mapping, Sequence

import numpy as np


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts of (true class, predicted class).

    Args:
        truth: (Q,) integer classes in 0..K-1.
        predicted: (Q,) integer classes in 0..K-1.

    Returns:
        (K, K) int64; rows are the truth.

    Raises:
        ValueError: if the shapes differ, or a class lies outside 0..K-1.
    """
    values = np.concatenate([truth, predicted])
    if truth.shape != predicted.shape or values.min() < 0 or values.max() >= num_classes:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} run from {values.min()} to {values.max()}, want as "
            f"many of the one as of the other, classes 0..{num_classes - 1}"
        )
    return np.bincount(truth * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """Mean recall (Table 2 of the paper) over the classes that have queries.

    Args:
        counts: (..., K, 3) hits, queries and predictions of each class.

    Returns:
        (...,)
    """
    hits, queries = counts[..., 0], counts[..., 1]
    return (hits / np.maximum(queries, 1)).sum(-1) / (queries > 0).sum(-1)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that have queries: (...,) from (..., K, 3); a class that is never predicted has F1 0."""
    hits, queries, predictions = counts[..., 0], counts[..., 1], counts[..., 2]
    return (2 * hits / np.maximum(queries + predictions, 1)).sum(-1) / (queries > 0).sum(-1)


def classification_metrics(confusion: np.ndarray) -> dict[str, float]:
    """Balanced accuracy and macro F1 over the classes that have queries.

    A class without queries has no recall, so neither mean counts it (``recall_per_class`` tells which); predictions of
    it still are misses of the true class.

    Args:
        confusion: (K, K) counts, rows are the truth.
    """
    counts = np.stack([np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)], axis=-1)
    return {"balanced_accuracy": float(balanced_accuracy(counts)), "macro_f1": float(macro_f1(counts))}


def recall_per_class(confusion: np.ndarray) -> list[float | None]:
    """Recall of each class from (K, K) counts; None where a class has no query."""
    return [float(row[k] / row.sum()) if row.sum() else None for k, row in enumerate(confusion)]


def classification_chance(support: np.ndarray) -> dict[str, float]:
    """What uniform guessing among K classes gives, in the limit of many queries.

    Recall is 1/K and precision the class's fraction, so F1 is their harmonic mean.

    Args:
        support: (K,) queries of each class; a class without any is guessed too, but not counted.
    """
    guess, fraction = 1 / len(support), support[support > 0] / support.sum()
    return {"balanced_accuracy": guess, "macro_f1": float(np.mean(2 * guess * fraction / (guess + fraction)))}


def majority_baseline(support: np.ndarray) -> dict[str, float]:
    """What always predicting the most frequent class gives; see classification_chance for the argument."""
    confusion = np.zeros((len(support), len(support)), dtype=np.int64)
    confusion[:, support.argmax()] = support
    return classification_metrics(confusion)


def retrieval_metrics(similarity: np.ndarray, target: np.ndarray, ks: Sequence[int] = (1, 3, 5)) -> dict[str, float]:
    """Mean reciprocal rank and recall at k (Table 2 of the paper), ties at their expected value.

    Candidates that tie with the target come in random order, so that the rank is uniform on g+1 .. g+e with g
    candidates above the target and e level with it (itself included). A constant scorer then gives exactly
    ``retrieval_chance``, and never a perfect score.

    Args:
        similarity: (Q, K) the higher, the nearer; rows are queries, columns candidates.
        target: (Q,) index of the right candidate of each query.
        ks: the k of each recall; one beyond K is always reached.

    Returns:
        ``{"mrr": ..., "r@1": ..., ...}``

    Raises:
        ValueError: if a similarity is not finite.
    """
    if not np.isfinite(similarity).all():
        raise ValueError(f"{int((~np.isfinite(similarity)).sum())} of {similarity.size} similarities are not finite")
    right = similarity[np.arange(len(target)), target][:, None]
    above = (similarity > right).sum(axis=1)
    level = (similarity == right).sum(axis=1)
    harmonic = _harmonic_numbers(similarity.shape[1])
    metrics = {"mrr": float(((harmonic[above + level] - harmonic[above]) / level).mean())}
    for k in ks:
        metrics[f"r@{k}"] = float((np.clip(k - above, 0, level) / level).mean())
    return metrics


def retrieval_chance(num_candidates: int, ks: Sequence[int] = (1, 3, 5)) -> dict[str, float]:
    """What a random order of K candidates gives: MRR H_K / K with the harmonic number H_K, recall at k k / K."""
    chance = {"mrr": float(_harmonic_numbers(num_candidates)[-1] / num_candidates)}
    return chance | {f"r@{k}": min(1.0, k / num_candidates) for k in ks}


def mean_and_std(repetitions: Sequence[Mapping[str, float]]) -> dict[str, dict]:
    """Mean and sample standard deviation (n - 1) of each metric over repetitions.

    Returns:
        ``{metric: {"mean": float, "std": float or None with one repetition, "values": [float, ...]}}``
    """
    summary = {}
    for name in repetitions[0]:
        values = [float(repetition[name]) for repetition in repetitions]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        summary[name] = {"mean": float(np.mean(values)), "std": std, "values": values}
    return summary


def metrics_over_draws(truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray], num_classes: int) -> dict:
    """Balanced accuracy and macro F1 of each draw, summarised; recall and confusion of all draws together.

    Args:
        truth: for each draw (Q,) classes in 0..K-1; ``predicted`` alike.

    Returns:
        ``mean_and_std`` of each metric, ``recall`` (K,) and ``confusion`` (K, K) as lists.
    """
    confusions = [confusion_matrix(t, p, num_classes) for t, p in zip(truth, predicted, strict=True)]
    total = sum(confusions)
    together = {"recall": recall_per_class(total), "confusion": total.tolist()}
    return mean_and_std([classification_metrics(confusion) for confusion in confusions]) | together


def _harmonic_numbers(largest: int) -> np.ndarray:
    """(largest + 1,) H_0 = 0, H_1 = 1, H_2 = 1.5, ..."""
    return np.concatenate(([0.0], np.cumsum(1 / np.arange(1, largest + 1))))
