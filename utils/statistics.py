"""How far a result holds: intervals over people, tests between two methods, many comparisons at once.

The mean and standard deviation over draws and the chance and majority rows stand in ``utils.metrics``.

A prediction is one held-out window of one draw with its true class, its predicted class and its group (subject, or
session). The predictions of all draws go in together, end to end: every draw holds out equally many windows of each
class, so that their balanced accuracy is the mean over draws, and a window or person that several draws share stays one
unit.

What each figure covers: the standard deviation over draws, the luck of which windows were learnt from; intervals and
tests over groups, the luck of which people were measured, for the classifiers at hand. Neither contains the other.

Letters: A predictions, G groups, K classes, R replicates, n units whose sign may flip.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from utils.metrics import balanced_accuracy

FEW_GROUPS = 5  # below, there is no interval
REPLICATES = 10_000  # resamples of a bootstrap
CONFIDENCE = 0.95
_EXACT_UNITS = 20  # up to 2^20 sign patterns are all visited
_PATTERNS = 99_999  # random ones that are visited beyond
_CHUNK = 1 << 22  # signs made at a time


@dataclass(frozen=True)
class Interval:
    """An interval over groups.

    Attributes:
        low, high: its ends; None where ``note`` says why there is no interval.
        groups: G, how many groups were resampled.
    """

    low: float | None
    high: float | None
    groups: int
    note: str


UNKNOWN_GROUPS = Interval(None, None, 0, "no interval: some windows have neither subject nor session")


@dataclass(frozen=True)
class PermutationTest:
    """A two-sided test.

    Attributes:
        p_value: fraction of sign patterns at least as extreme as the one seen.
        smallest_p: what the most extreme data with as many units would give; a test with 0.0625 cannot reach 0.05.
    """

    p_value: float
    smallest_p: float


@dataclass(frozen=True)
class Comparison:
    """Balanced accuracy of method a minus that of method b, on the same windows (or people)."""

    difference: float
    interval: Interval
    test: PermutationTest


def class_counts(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray, num_classes: int) -> np.ndarray:
    """Hits, queries and predictions of each class in each group.

    Args:
        truth: (A,) integer classes.
        predicted: (A,) integer classes.
        groups: (A,) names or numbers.

    Returns:
        (G, K, 3) int64, groups in sorted order; sums over groups are all that ``balanced_accuracy`` and ``macro_f1``
        need.
    """
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), num_classes, 3), dtype=np.int64)
    np.add.at(counts, (group, truth, 0), truth == predicted)
    np.add.at(counts, (group, truth, 1), 1)
    np.add.at(counts, (group, predicted, 2), 1)
    return counts


def bootstrap_interval(
    tables: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], seed: int, replicates: int = REPLICATES
) -> Interval:
    """95 % bootstrap interval over groups: groups are drawn with replacement, each with all its predictions.

    The expanded percentile interval of Hesterberg 2015 (https://arxiv.org/abs/1411.5279): percentiles not at a/2 but at
    Phi(-sqrt(G / (G - 1)) * t(1 - a/2; G - 1)), which makes up for the bootstrap's narrowness with few groups. Chosen
    because people are few: in simulated people whose skill differs, 95 % intervals held the truth at 5 / 8 / 20 groups
    in 83 / 88 / 92 % (plain percentiles), 84 / 88 / 93 % (BCa) and 91 / 93 / 94 % (this). Below 5 groups none
    holds what it claims, and there is none.

    A class that a replicate has no query of is not counted in it, nor a replicate whose value is NaN.

    Args:
        tables: (G, ...) whatever adds up over predictions, such as ``class_counts``, or sum and count of reciprocal
            ranks.
        statistic: from sums of tables (R, ...) to values (R,).
    """
    groups = len(tables)
    if groups < FEW_GROUPS:
        return Interval(None, None, groups, f"no interval: {groups} groups, fewer than {FEW_GROUPS}")
    times = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=replicates)
    values = statistic(np.tensordot(times.astype(np.float64), tables, axes=1))
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, groups - 1)
    tail = stats.norm.cdf(-np.sqrt(groups / (groups - 1)) * quantile)
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), groups, note="")


def sign_flip_test(differences: np.ndarray, seed: int) -> PermutationTest:
    """Paired permutation test: is the sum of differences larger than random signs would make it?

    If the two methods are exchangeable in every unit, all 2^n patterns of signs are equally likely. Up to 20
    units all are visited; beyond, the p-value is (1 + extreme ones) / (1 + patterns) over random patterns (Phipson and
    Smyth 2010, https://arxiv.org/abs/1603.05766), which is never 0 and never too small on average.

    ``scipy.stats.permutation_test`` with ``permutation_type="samples"`` gives the same p-value, but evaluates every
    pattern by itself: 10 s for 16 units and over a minute for 20, where doubling the list of sums takes a millisecond.

    Units must be independent. **Draws are not**, as they share windows and people, and five of them cannot give less
    than 2 / 2^5 = 1/16. For two equal methods, five draws of 3 of 11 simulated people reach that 1/16 in 20 % of
    studies. So a test over draws only describes these draws; for a claim take ``compare``, over groups.

    Args:
        differences: (n,) method a minus method b, one per unit; units that do not differ cannot change the result.
    """
    moving = differences[differences != 0]
    units, observed = len(moving), abs(moving.sum())
    threshold = observed - 1e-12 * np.abs(moving).sum()  # the same sum in another order is still the same
    if units <= _EXACT_UNITS:
        sums = moving[:1]  # by symmetry, the first sign may stay
        for difference in moving[1:]:
            sums = np.concatenate([sums + difference, sums - difference])
        p_value = float((np.abs(sums) >= threshold).mean()) if units else 1.0
        return PermutationTest(p_value, min(1.0, 2.0 ** (1 - units)))
    rng = np.random.default_rng(seed)
    step, extreme = max(1, _CHUNK // units), 0
    for start in range(0, _PATTERNS, step):
        signs = 2.0 * rng.integers(0, 2, size=(min(step, _PATTERNS - start), units), dtype=np.int8) - 1
        extreme += int((np.abs(signs @ moving) >= threshold).sum())
    return PermutationTest((1 + extreme) / (1 + _PATTERNS), 1 / (1 + _PATTERNS))


def balanced_accuracy_differences(
    truth: np.ndarray, predicted_a: np.ndarray, predicted_b: np.ndarray, groups: np.ndarray, num_classes: int
) -> np.ndarray:
    """What each group adds to the balanced accuracy of a minus that of b.

    Balanced accuracy is a sum over predictions, each hit weighing 1 / (classes present * queries of its class). So
    swapping the two methods' predictions in a group flips the sign of its summand, and ``sign_flip_test`` of these is
    the test that swaps predictions.

    Returns:
        (G,) float64, groups in sorted order; the sum is the difference.
    """
    a, b = (class_counts(truth, predicted, groups, num_classes) for predicted in (predicted_a, predicted_b))
    queries = a[..., 1].sum(0)
    return ((a - b)[..., 0] / np.maximum(queries, 1)).sum(-1) / (queries > 0).sum()


def compare(
    truth: np.ndarray,
    predicted_a: np.ndarray,
    predicted_b: np.ndarray,
    groups: np.ndarray,
    num_classes: int,
    seed: int,
) -> Comparison:
    """Balanced accuracy of two methods on the same windows: difference, 95 % interval and paired test over groups.

    Give each window its own group only where windows are independent, never where one person has several: such a test
    finds differences that are not there.

    Args:
        truth: (A,) integer classes.
        predicted_a, predicted_b: (A,) classes that the two methods predict, row by row for the same windows.
        groups: (A,) names or numbers.
    """
    both = np.stack([class_counts(truth, p, groups, num_classes) for p in (predicted_a, predicted_b)], axis=1)
    differences = balanced_accuracy_differences(truth, predicted_a, predicted_b, groups, num_classes)
    interval = bootstrap_interval(
        both, lambda sums: balanced_accuracy(sums[:, 0]) - balanced_accuracy(sums[:, 1]), seed
    )
    return Comparison(float(differences.sum()), interval, sign_flip_test(differences, seed))


def compare_pairs(differences: np.ndarray, seed: int) -> Comparison:
    """Mean of (G,) differences of two methods, one for each group: 95 % interval and paired test over groups."""
    tables = np.stack([differences, np.ones(len(differences))], axis=1)
    interval = bootstrap_interval(tables, lambda sums: sums[:, 0] / sums[:, 1], seed)
    return Comparison(float(differences.mean()), interval, sign_flip_test(differences, seed))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values of Holm 1979 (https://www.jstor.org/stable/4615733) for m tests of any dependence.

    The i-th smallest becomes the largest of (m - j + 1) p_(j) over j <= i, at most 1: those below 0.05 together hold
    a false one with probability below 0.05.

    Args:
        p_values: (m,)

    Returns:
        (m,) in the order given.
    """
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
