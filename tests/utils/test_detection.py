"""Sensitivity against false alarms, by walking through the windows at every threshold."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from utils import detection
from utils.detection import (
    Stretches,
    average_precision,
    count_at_thresholds,
    detection_chance,
    detection_facts,
    detection_scores,
    sensitivity_at,
)


def world(seed, people=6, ties=True):
    """Recordings of several people, some with a gap between windows, and scores of which many are equal."""
    rng = np.random.default_rng(seed)
    is_event = np.r_[rng.random(4 * people) < 0.4, True, False]
    group = np.r_[np.arange(4 * people) % people, 0, 1]
    sizes = rng.integers(1, 9, len(is_event))
    number = np.repeat(np.arange(len(sizes)), sizes)
    follows = (np.diff(number, prepend=-1) == 0) & (rng.random(len(number)) < 0.9)
    names = np.array([f"person {k}" for k in group])
    stretches = Stretches(np.arange(len(number)), number, follows, is_event, rng.uniform(0.05, 0.2, len(sizes)), names)
    score = rng.standard_normal(len(number)) + 0.8 * is_event[number]
    return stretches, np.round(score, 1) if ties else score, group


def alarms(score, stretches, threshold, times):
    """False alarms of people who each count so many times, one window after the other."""
    count, before = 0, False
    for i, (value, number) in enumerate(zip(score, stretches.number, strict=True)):
        fires = not stretches.is_event[number] and value >= threshold
        if fires and not (before and stretches.follows[i]):
            count += times[number]
        before = fires
    return count


def oracle(rate, score, stretches, times=None):
    """The threshold comes down one score at a time until there are too many false alarms."""
    times = np.ones(len(stretches.is_event), int) if times is None else times
    best = [max(score[stretches.number == s]) for s in range(len(stretches.is_event))]
    events = [s for s in range(len(best)) if stretches.is_event[s]]
    hours = sum(stretches.hours[s] * times[s] for s in range(len(best)) if s not in events)
    sensitivity = 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        if alarms(score, stretches, threshold, times) > rate * hours:
            break
        found = sum(times[s] for s in events if best[s] >= threshold)
        sensitivity = found / sum(times[s] for s in events)
    return sensitivity


def totals(stretches, score):
    counts = count_at_thresholds(score, stretches, np.zeros(len(stretches.is_event), int), 1)[0]
    return counts, stretches.is_event.sum(), np.float64(stretches.other_hours)


@pytest.mark.parametrize("seed", range(6))
def test_sensitivity_at_every_rate(seed):
    for ties in (True, False):
        stretches, score, _ = world(seed, ties=ties)
        for rate in (0.01, 1.0, 3.0, 7.5, 20.0, 1000.0):
            expected = oracle(rate, score, stretches)
            assert sensitivity_at(rate, *totals(stretches, score)) == pytest.approx(expected, abs=1e-12)
    assert sensitivity_at(1000.0, *totals(stretches, score)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_scikit_learn(seed):
    stretches, score, _ = world(seed)
    best = stretches.highest(score)
    counts, events, _ = totals(stretches, score)
    assert average_precision(counts, events) == pytest.approx(average_precision_score(stretches.is_event, best))


def test_equal_scores_are_alarmed_together():
    """A head that says the same of everything finds nothing before it alarms everywhere."""
    stretches, score, _ = world(0)
    constant = totals(stretches, np.zeros(len(score)))
    assert sensitivity_at(1.0, *constant) == 0
    assert average_precision(*constant[:2]) == pytest.approx(stretches.is_event.mean())


def test_alarms_that_merge_do_not_come_cheaper():
    """Three short alarms become one that lasts the whole recording: the threshold has stopped above it."""
    number, is_event = np.repeat([0, 1, 2, 3], [5, 1, 1, 1]), np.array([False, True, True, True])
    follows = np.array([False, True, True, True, True, False, False, False])
    stretches = Stretches(np.arange(8), number, follows, is_event, np.ones(4), None)
    score = np.array([0.9, 0.1, 0.8, 0.1, 0.7, 0.75, 0.05, 0.04])
    counts, events, hours = totals(stretches, score)
    assert counts[-1, detection.ALARMS] == 1 and counts[:, detection.ALARMS].max() == 3
    assert sensitivity_at(1.0, counts, events, hours) == 0 and sensitivity_at(3.0, counts, events, hours) == 1


def test_scores_that_are_not_finite_are_refused():
    stretches, score, group = world(0)
    score[3] = np.nan
    with pytest.raises(ValueError, match="1 of .* not finite"):
        count_at_thresholds(score, stretches, group, 6)


def test_chance_is_what_random_scores_give():
    sizes = np.repeat([10, 8], [100, 50])
    number = np.repeat(np.arange(150), sizes)
    follows = np.diff(number, prepend=-1) == 0
    stretches = Stretches(np.arange(len(number)), number, follows, sizes == 8, np.full(150, 0.045), None)
    rng = np.random.default_rng(0)
    found = [sensitivity_at(1.0, *totals(stretches, rng.random(len(number)))) for _ in range(1000)]
    chance = detection_chance(stretches)
    assert chance["sensitivity_at_1_per_h"] == pytest.approx(np.mean(found), rel=0.05)
    assert chance["auprc"] == pytest.approx(1 / 3)
    facts = detection_facts(stretches)
    assert (facts["events"], facts["other_recordings"]) == (50, 100)
    assert facts["hours"] == pytest.approx(4.5) and facts["least_rate_per_h"] == pytest.approx(1 / 4.5)


def test_draws_intervals_and_curve(monkeypatch):
    """An interval resamples people with all their recordings, each in every draw."""
    stretches, first, group = world(1)
    second, asked = world(2)[1], []
    second = np.random.default_rng(5).permutation(first)

    def kept(tables, statistic, seed, replicates):
        asked.append((tables, statistic))
        return bootstrap(tables, statistic, seed, replicates)

    bootstrap = detection.bootstrap_interval
    monkeypatch.setattr(detection, "bootstrap_interval", kept)
    found = detection_scores([first, second], stretches, seed=0)
    assert found["sensitivity_at_1_per_h"]["values"] == pytest.approx(
        [oracle(1.0, s, stretches) for s in (first, second)]
    )
    times = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 1, 3, 0, 0], [0, 1, 0, 0, 4, 1]])
    (people, sensitivity), (_, area) = asked
    assert np.array_equal(people, np.eye(6))
    for own, ours, precision in zip(times, sensitivity(times), area(times), strict=True):
        weight = own[group]
        expected = [oracle(1.0, s, stretches, weight) for s in (first, second)]
        assert ours == pytest.approx(np.mean(expected))
        best = [stretches.highest(s) for s in (first, second)]
        areas = [average_precision_score(stretches.is_event, b, sample_weight=weight) for b in best]
        assert precision == pytest.approx(np.mean(areas))
    for name in ("sensitivity_at_1_per_h", "auprc"):
        assert found["interval"][name]["low"] <= found[name]["mean"] <= found["interval"][name]["high"]
        assert found["interval"][name]["groups"] == 6
    curve = found["curve"]
    expected = [np.mean([oracle(r, s, stretches) for s in (first, second)]) for r in curve["false_alarms_per_h"]]
    assert curve["sensitivity"] == pytest.approx(expected)


def test_few_people_with_events_have_no_interval():
    stretches, score, group = world(1)
    few = detection_scores([score], Stretches(**vars(stretches) | {"is_event": stretches.is_event & (group < 3)}), 0)
    note = few["interval"]["auprc"]["note"]
    assert few["interval"]["auprc"]["low"] is None and "of 6 groups have an event" in note
    unknown = detection_scores([score], Stretches(**vars(stretches) | {"group": None}), 0)
    assert "neither subject nor session" in unknown["interval"]["auprc"]["note"]
