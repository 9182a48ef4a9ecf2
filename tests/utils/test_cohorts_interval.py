"""The interval of a mean over cohorts against resampling one person at a time, and against all resamples."""

import itertools

import numpy as np
import pytest

from utils.cohorts_interval import cohorts_interval
from utils.metrics import balanced_accuracy
from utils.statistics import class_counts


def cohort(seed, people, classes=3, per_person=12):
    """(people, classes, 3) counts of people whose skill differs."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, people * per_person)
    right = rng.random(len(truth)) < np.repeat(rng.uniform(0.2, 0.9, people), per_person)
    return class_counts(
        truth, np.where(right, truth, (truth + 1) % classes), np.arange(len(truth)) // per_person, classes
    )


def oracle(tables, people, parts, replicates):
    """Draws people of each part of the cohorts one at a time, one fewer than there are, and adds up their counts."""
    rng, values = np.random.default_rng(5), []
    for _ in range(replicates):
        of_cohorts = []
        drawn = [
            [part[k] for k in rng.integers(0, len(part), len(part) - 1)] if len(part) > 2 else part for part in parts
        ]
        for table, names in zip(tables, people, strict=True):
            rows = [table[names.index(name)] for part in drawn for name in part if name in names]
            of_cohorts.append(balanced_accuracy(np.sum(rows, axis=0)) if rows else np.nan)
        values.append(np.mean(of_cohorts))
    return np.nanquantile(values, [0.025, 0.975])


@pytest.mark.parametrize(
    ("people", "parts"),
    [
        (["abcdef", "ghijk"], ["abcdef", "ghijk"]),
        (["abcdef", "ghijk", "abcdef"], ["abcdef", "ghijk"]),  # the first people are in two cohorts
        (["abcdef", "xy", "defgh", "z"], ["abcdefgh", "xy", "z"]),  # some of them; and two people, and one, who stay
    ],
)
def test_ends_are_those_of_drawing_one_by_one(people, parts):
    tables = [cohort(seed, len(names)) for seed, names in enumerate(people)]
    found = cohorts_interval(tables, people, balanced_accuracy, seed=0, replicates=20_000)
    # noise of 4,000 replicates at the 2.5 % tail: about 0.004 of values that spread over 0.05
    assert (found.low, found.high) == pytest.approx(tuple(oracle(tables, people, parts, 4000)), abs=0.008)
    assert found.groups == len(set("".join(people))) and found.note == ""


def test_shared_people_are_drawn_in_all_their_cohorts():
    """One cohort twice is that cohort; the same tables of other people have a narrower mean."""
    table = cohort(0, 6)
    one = cohorts_interval([table], ["abcdef"], balanced_accuracy, seed=0)
    same = cohorts_interval([table, table], ["abcdef", "abcdef"], balanced_accuracy, seed=0)
    others = cohorts_interval([table, table], ["abcdef", "ghijkl"], balanced_accuracy, seed=0)
    assert (same.low, same.high) == pytest.approx((one.low, one.high), rel=1e-12)
    assert others.high - others.low < 0.85 * (one.high - one.low)
    order = [5, 0, 3, 1, 4, 2]  # of the rows makes no difference, only whose they are
    turned = cohorts_interval([table, table[order]], ["abcdef", "fadbec"], balanced_accuracy, seed=0)
    assert (turned.low, turned.high) == pytest.approx((one.low, one.high), rel=1e-12)


def test_a_constant_difference_has_no_width():
    """Both methods are drawn on the same people: one that is right once more for each person gains the same always."""
    counts = np.tile(np.array([[5, 10, 10]]), (6, 2, 1))  # six people, two classes
    counts[:, :, 0] += np.arange(6)[:, None] % 4
    better = counts.copy()
    better[..., 0] += 1
    both = np.stack([better, counts], axis=1)
    names = ["abcdef", "ghijkl"]
    found = cohorts_interval(
        [both, both], names, lambda s: balanced_accuracy(s[:, 0]) - balanced_accuracy(s[:, 1]), seed=0
    )
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))
    assert cohorts_interval([counts, counts], names, balanced_accuracy, seed=0).low < 0.64


def test_five_people_have_the_ends_of_all_resamples():
    """4 of 5 people are drawn in 625 equally likely ways."""
    table = cohort(3, 5)
    found = cohorts_interval([table], ["abcde"], balanced_accuracy, seed=0, replicates=100_000)
    values = np.array([balanced_accuracy(table[list(k)].sum(0)) for k in itertools.product(range(5), repeat=4)])
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        assert (values < end - 1e-9).mean() <= share + 0.003 and (values <= end + 1e-9).mean() >= share - 0.003


@pytest.mark.parametrize(
    ("people", "word"), [(["abcd"], "4 people"), (["abc", "de"], "5 people, too few for 2"), (["abc", "def"], "")]
)
def test_few_people_have_no_interval(people, word):
    found = cohorts_interval([cohort(0, len(p)) for p in people], people, balanced_accuracy, seed=0)
    assert word in found.note and (found.low is None) == bool(word) == bool(found.note)


def test_draws_are_seeded():
    tables, people = [cohort(0, 6), cohort(1, 5)], ["abcdef", "ghijk"]
    first, again, other = (cohorts_interval(tables, people, balanced_accuracy, seed) for seed in (0, 0, 1))
    assert first == again != other
