"""Intervals and tests against enumeration, scipy and the definitions; their error rates against simulated people."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from utils.metrics import balanced_accuracy, classification_metrics, confusion_matrix, macro_f1
from utils.statistics import (
    balanced_accuracy_differences,
    bootstrap_interval,
    class_counts,
    compare,
    holm,
    sign_flip_test,
)


def predictions(seed, groups, per_group, num_classes=4):
    """Random truth, two methods' predictions and groups; small groups may lack a class."""
    rng = np.random.default_rng(seed)
    truth, a, b = rng.integers(0, num_classes, (3, groups * per_group))
    a = np.where(rng.random(len(truth)) < 0.5, truth, a)
    return truth, a, b, np.repeat(rng.permutation(groups), per_group)


def replicates(groups):
    """Every multiset of groups that a resample may hold, and how likely it is."""
    for chosen in itertools.combinations_with_replacement(range(groups), groups):
        times = np.bincount(chosen, minlength=groups)
        yield chosen, math.factorial(groups) / math.prod(map(math.factorial, times.tolist())) / groups**groups


def tail(groups):
    """Level of each end of a 95 % interval."""
    return stats.norm.cdf(-math.sqrt(groups / (groups - 1)) * stats.t.ppf(0.975, groups - 1))


class TestCounts:
    @pytest.mark.parametrize("seed", range(5))
    def test_scores_are_those_of_the_confusion_matrix(self, seed):
        truth, predicted, _, groups = predictions(seed, groups=3, per_group=4, num_classes=6)
        truth = truth.clip(max=4)  # class 5 is predicted, but never true
        counts = class_counts(truth, predicted, groups, 6)
        pools = [[g] for g in range(3)] + [[0, 1, 2]]
        for pool in pools:
            rows = np.isin(groups, pool)
            expected = classification_metrics(confusion_matrix(truth[rows], predicted[rows], 6))
            sums = counts[pool].sum(0)
            assert balanced_accuracy(sums) == pytest.approx(expected["balanced_accuracy"], rel=1e-12)
            assert macro_f1(sums) == pytest.approx(expected["macro_f1"], rel=1e-12)


class TestBootstrap:
    @pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
    def test_ends_are_quantiles_of_all_resamples(self):
        """462 different resamples of 6 groups, each put together from its rows and scored by scikit-learn."""
        groups = 6
        truth, predicted, _, group = predictions(1, groups, per_group=12)
        tables = class_counts(truth, predicted, group, 4)
        interval = bootstrap_interval(tables, balanced_accuracy, seed=0, replicates=200_000)
        values, weights = [], []
        for chosen, likely in replicates(groups):
            rows = np.concatenate([np.flatnonzero(group == g) for g in chosen])
            values.append(balanced_accuracy_score(truth[rows], predicted[rows]))
            weights.append(likely)
        values, weights = np.array(values), np.array(weights)
        assert weights.sum() == pytest.approx(1)
        noise = 4 * math.sqrt(tail(groups) / 200_000)  # of a share counted over the replicates
        assert weights[values < interval.low - 1e-9].sum() <= tail(groups) + noise
        assert weights[values <= interval.low + 1e-9].sum() >= tail(groups) - noise
        assert weights[values > interval.high + 1e-9].sum() <= tail(groups) + noise
        assert weights[values >= interval.high - 1e-9].sum() >= tail(groups) - noise
        assert interval.groups == groups and interval.note == ""

    def test_mean_agrees_with_scipy(self):
        """Other sums than counts: here a value and the number 1 per group, as for reciprocal ranks."""
        values = np.random.default_rng(0).gamma(2, size=15)
        tables = np.stack([values, np.ones(15)], axis=1)
        interval = bootstrap_interval(tables, lambda sums: sums[:, 0] / sums[:, 1], seed=0, replicates=200_000)
        level = 1 - 2 * tail(15)
        other = stats.bootstrap(
            (values,), np.mean, n_resamples=200_000, confidence_level=level, method="percentile", rng=1
        ).confidence_interval
        # both ends carry the noise of 200,000 replicates at the 1 % tail
        assert (interval.low, interval.high) == pytest.approx(tuple(other), abs=0.01)

    def test_replicates_are_seeded(self):
        tables = class_counts(*predictions(2, 9, 10)[:2], predictions(2, 9, 10)[3], 4)
        whole = bootstrap_interval(tables, balanced_accuracy, seed=3)
        assert whole == bootstrap_interval(tables, balanced_accuracy, seed=3)
        assert whole != bootstrap_interval(tables, balanced_accuracy, seed=4)

    @pytest.mark.parametrize("groups, word", [(1, "1 groups, fewer than 5"), (4, "4 groups, fewer than 5"), (5, "")])
    def test_few_groups_have_no_interval(self, groups, word):
        truth, predicted, _, group = predictions(0, groups, per_group=20)
        interval = bootstrap_interval(class_counts(truth, predicted, group, 4), balanced_accuracy, seed=0)
        assert word in interval.note and bool(interval.note) == bool(word)
        assert (interval.low is None) == (groups < 5)

    def test_covers_the_truth(self):
        """People differ in skill; of 500 intervals, about 95 % hold the mean skill: 0.5. Over windows, far fewer do."""
        rng, people, windows = np.random.default_rng(0), 6, 40
        truth = np.tile(np.arange(4), people * windows // 4)
        person = np.repeat(np.arange(people), windows)
        held = {"people": 0, "windows": 0}
        for _ in range(500):
            right = rng.random(people * windows) < np.repeat(rng.beta(3, 3, people), windows)
            predicted = np.where(right, truth, (truth + 1) % 4)
            for name, groups, times in (("people", person, 2000), ("windows", np.arange(len(truth)), 300)):
                tables = class_counts(truth, predicted, groups, 4)
                interval = bootstrap_interval(tables, balanced_accuracy, seed=0, replicates=times)
                held[name] += interval.low <= 0.5 <= interval.high
        assert 0.91 <= held["people"] / 500 <= 0.98  # plain percentiles: 0.87
        assert held["windows"] / 500 < 0.7


def flip_oracle(differences):
    """Every pattern of signs, one at a time."""
    observed, extreme = abs(math.fsum(differences)), 0
    for signs in itertools.product((1, -1), repeat=len(differences)):
        total = math.fsum(s * d for s, d in zip(signs, differences, strict=True))
        extreme += abs(total) >= observed - 1e-12
    return extreme / 2 ** len(differences)


class TestSignFlip:
    @pytest.mark.parametrize(
        "differences",
        [
            [0.3],
            [0.1, 0.2, 0.3, 0.4, 0.5],
            [0.1, -0.1, 0.1, -0.1],
            [0.1, 0.2, -0.3],  # sums to zero
            [0.0, 0.0, 0.2, 0.1, 0.0, -0.05],
            [0.1] * 3 + [0.3] * 3 + [-0.7],  # 0.1 three times is not 0.3 in floats
            np.random.default_rng(0).normal(0.4, 1, 11).tolist(),
        ],
    )
    def test_visits_every_pattern(self, differences):
        test = sign_flip_test(np.array(differences), seed=0)
        assert test.p_value == pytest.approx(flip_oracle(differences), abs=1e-15)
        if len(differences) == 1:
            return  # scipy wants two
        other = stats.permutation_test(
            (differences, np.zeros(len(differences))),
            lambda a, b, axis: (a - b).sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert test.p_value == pytest.approx(min(1, other.pvalue), abs=1e-12)

    def test_five_draws_cannot_reach_five_percent(self):
        test = sign_flip_test(np.array([0.2, 0.3, 0.25, 0.4, 0.1]), seed=0)
        assert test.p_value == test.smallest_p == 1 / 16

    def test_draws_that_share_people_are_no_units(self):
        """Five draws of 3 of 11 people, methods equal on average: p <= 1/16 comes far too often over draws."""
        rng, trials, over_draws, over_people = np.random.default_rng(0), 1000, 0, 0
        for _ in range(trials):
            difference = rng.normal(size=11)
            draws = [rng.choice(11, 3, replace=False) for _ in range(5)]
            times = np.bincount(np.concatenate(draws), minlength=11)
            over_draws += sign_flip_test(np.array([difference[d].mean() for d in draws]), 0).p_value <= 1 / 16
            over_people += sign_flip_test(difference * times, 0).p_value <= 1 / 16
        assert 0.16 < over_draws / trials < 0.25
        assert abs(over_people / trials - 1 / 16) < 0.025

    def test_no_difference_at_all(self):
        test = sign_flip_test(np.zeros(7), seed=0)
        assert (test.p_value, test.smallest_p) == (1, 1)

    @pytest.mark.parametrize("patterns", [9_999, 1_999])
    def test_random_patterns_agree_with_all(self, patterns, monkeypatch):
        differences = np.random.default_rng(5).normal(0.35, 1, 18)
        exact = sign_flip_test(differences, seed=0).p_value
        assert 0.02 < exact < 0.5
        monkeypatch.setattr("utils.statistics._EXACT_UNITS", 17)
        monkeypatch.setattr("utils.statistics._CHUNK", 18 * 500)
        monkeypatch.setattr("utils.statistics._PATTERNS", patterns)
        test = sign_flip_test(differences, seed=0)
        assert test.smallest_p == 1 / (patterns + 1)
        assert test.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact / patterns))
        assert (test.p_value * (patterns + 1)) == pytest.approx(round(test.p_value * (patterns + 1)), abs=1e-6)

    def test_random_patterns_never_give_zero(self):
        assert sign_flip_test(np.ones(60), seed=0).p_value == 1 / 100_000


class TestCompare:
    @pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
    @pytest.mark.parametrize("seed", range(4))
    def test_is_the_swap_of_predictions(self, seed):
        """All 2^7 ways to swap the methods' predictions group by group, each scored by scikit-learn."""
        truth, a, b, groups = predictions(seed, groups=7, per_group=6)
        summands = balanced_accuracy_differences(truth, a, b, groups, 5)  # class 4 has no query and does not count

        def difference(swapped):
            swap = np.isin(groups, np.flatnonzero(swapped))
            score_a = balanced_accuracy_score(truth, np.where(swap, b, a))
            return score_a - balanced_accuracy_score(truth, np.where(swap, a, b))

        observed = difference(np.zeros(7))
        assert summands.sum() == pytest.approx(observed, abs=1e-12)
        swaps = [abs(difference(swapped)) for swapped in itertools.product((0, 1), repeat=7)]
        result = compare(truth, a, b, groups, 4, seed=0)
        assert result.difference == pytest.approx(observed, abs=1e-12)
        assert result.test.p_value == pytest.approx(np.mean(np.array(swaps) >= abs(observed) - 1e-12), abs=1e-15)

    def test_interval_is_of_the_difference(self):
        """A method that is right once more for everybody: people differ, the difference does not."""
        rng = np.random.default_rng(0)
        truth, groups = np.tile([0, 0, 1, 1], 10 * 8), np.repeat(np.arange(10), 32)
        right = rng.random(len(truth)) < np.repeat(rng.beta(2, 2, 10), 32)
        first = np.tile([True] * 4 + [False] * 28, 10)  # each person's first four windows
        a, b = np.where(right | first, truth, 1 - truth), np.where(right & ~first, truth, 1 - truth)
        result = compare(truth, a, b, groups, 2, seed=0)
        assert result.interval.low == pytest.approx(0.125) and result.interval.high == pytest.approx(0.125)
        assert result.test.p_value == result.test.smallest_p == 2**-9
        assert compare(truth, b, a, groups, 2, seed=0).difference == pytest.approx(-0.125)

    def test_p_values_of_equal_methods(self, monkeypatch):
        """Methods that favour people at random, none in general: p <= a at most in a share a; over windows, too often.

        A person's windows go right or wrong together, so that windows are no units of their own.
        """
        monkeypatch.setattr("utils.statistics._PATTERNS", 399)  # over windows; all are visited over people
        rng, trials, people, windows = np.random.default_rng(1), 600, 10, 12
        truth = np.tile([0, 1, 2], people * windows // 3)
        person = np.repeat(np.arange(people), windows)
        p_people, p_windows = [], []
        for _ in range(trials):
            skill = np.repeat(rng.beta(2, 2, (2, people)), windows, axis=1)
            a, b = np.where(rng.random((2, len(truth))) < skill, truth, (truth + 1) % 3)
            p_people.append(sign_flip_test(balanced_accuracy_differences(truth, a, b, person, 3), 0).p_value)
            one_each = balanced_accuracy_differences(truth, a, b, np.arange(len(truth)), 3)
            p_windows.append(sign_flip_test(one_each, 0).p_value)
        for level in (0.02, 0.05, 0.1, 0.2, 0.5):
            share, noise = np.mean(np.array(p_people) <= level), 3 * math.sqrt(level * (1 - level) / trials)
            assert level - noise - 0.01 <= share <= level + noise  # 0.01: ties make an exact test a little careful
        assert np.mean(np.array(p_windows) <= 0.05) > 0.2


class TestHolm:
    @staticmethod
    def oracle(p_values):
        """Closed testing: a hypothesis falls when Bonferroni rejects every set of hypotheses that holds it."""
        everyone = range(len(p_values))
        sets = [s for size in everyone for s in itertools.combinations(everyone, size + 1)]
        return [max(min(1, len(s) * min(p_values[i] for i in s)) for s in sets if own in s) for own in everyone]

    @pytest.mark.parametrize("seed", range(6))
    def test_is_closed_testing(self, seed):
        rng = np.random.default_rng(seed)
        p_values = np.round(rng.beta(0.4, 2, rng.integers(1, 9)), 2)  # rounded: some are equal, some 0
        adjusted = holm(p_values)
        assert adjusted == pytest.approx(self.oracle(p_values.tolist()), abs=1e-15)
        assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
        assert (adjusted >= p_values).all() and (adjusted <= 1).all()

    def test_worked_example(self):
        assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
        assert holm(np.array([0.9, 0.6])) == pytest.approx([1, 1])

    def test_none(self):
        assert holm(np.array([])).shape == (0,)
