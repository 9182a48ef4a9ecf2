"""Where a clock has begun again, and what is only out of order."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.clock_restart import refuse_restarts, restarts
from datasets.recording import BadRecording, Recording

RATE_HZ = 50


def even(begin_s, end_s):
    return np.arange(round(begin_s * RATE_HZ), round(end_s * RATE_HZ)) / RATE_HZ


def oracle(time_s):
    """Every run against every run of another stretch, Python floats; NaN are passed over."""
    stretches, jumps, before = [[]], [], None
    for row, t in enumerate(time_s.tolist()):
        if np.isnan(t):
            continue
        if before is not None and t - before < -1:
            stretches.append([])
            jumps.append(row)
        stretches[-1].append(t)
        before = t
    runs = []
    for number, stretch in enumerate(stretches):
        ordered = sorted(stretch)
        for k, t in enumerate(ordered):
            if k and t - ordered[k - 1] <= 0.1:
                runs[-1][2] = t
            else:
                runs.append([number, t, t])
    twice = any(a != b and min(e, f) - max(s, t) > 1 for a, s, e in runs for b, t, f in runs)
    return jumps if twice else []


def packets(*spans):
    return np.concatenate([even(*span) for span in spans])


REAL = packets((0, 60), (0, 30))
CASES = {
    "steady": (packets((0, 30)), []),
    "a restart": (REAL, [3000]),
    "a restart of a short recording": (packets((0, 5), (0, 4)), [250]),
    "times set back by two seconds": (packets((0, 30), (28, 60)), [1500]),
    "a restart at other fractions of a second": (np.append(even(0, 60), even(0, 30) + 0.013), [3000]),
    "two restarts": (packets((0, 20), (0, 10), (0, 15)), [1000, 1500]),
    "jitter": (even(0, 30)[np.arange(1500) ^ 1], []),
    "a packet that comes late": (packets((0, 10), (12, 16), (10, 12), (16, 30)), []),
    "not quite a second that comes again": (packets((0, 10), (9, 20)), []),
    "halves in another order": (packets((30, 60), (0, 30)), []),
    "a stray stamp ahead": (np.insert(even(0, 30), 700, 1e6), []),
    "a stray stamp behind": (np.insert(even(0, 30), 700, -5.0), []),
    "stamps of 0": (np.insert(even(0, 30), 700, np.zeros(200)), []),
    "backwards": (even(0, 30)[::-1], []),
    "no time": (np.full(9, np.nan), []),
    "nothing": (np.zeros(0), []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_a_restart(name):
    time_s, rows = CASES[name]
    assert restarts(time_s).tolist() == rows == oracle(time_s)


def test_samples_without_a_time_are_passed_over():
    time_s = np.insert(REAL, [10, 3000, 3000], np.nan)
    assert restarts(time_s).tolist() == [3003] == oracle(time_s)


@pytest.mark.parametrize("seed", range(30))
def test_restarts_match_their_definition(seed):
    """Stretches anywhere, with holes and jitter, some behind the others."""
    rng = np.random.default_rng(seed)
    begins = rng.uniform(0, 12, 4)
    time_s = np.concatenate([even(a, a + rng.uniform(0.5, 4)) for a in begins])
    time_s = (time_s + rng.uniform(0, 0.03, len(time_s)))[rng.random(len(time_s)) > 0.1]
    time_s[rng.random(len(time_s)) < 0.02] = np.nan
    assert restarts(time_s).tolist() == oracle(time_s)


def test_a_stretch_that_stands_twice_in_a_file_is_no_restart():
    values = np.random.default_rng(0).normal(size=(1000, 3))
    time_s, twice = np.tile(even(0, 20), 2), np.tile(values, (2, 1))
    assert restarts(time_s, twice).tolist() == []
    twice[1000:] += 0.01
    assert restarts(time_s, twice).tolist() == [1000]


def test_only_samples_with_values_count():
    """A row of the accelerometer for each time, then one of the gyroscope."""
    time_s, values = np.tile(even(0, 20), 2), np.zeros((2000, 3))
    values[:1000, 1] = np.nan
    assert restarts(time_s, values).tolist() == []


def recording(acc_time_s, gyro_time_s):
    acc, gyro = np.random.default_rng(0).normal(size=(2, 6000, 3))
    return Recording("a", acc_time_s, acc[: len(acc_time_s)], gyro_time_s, gyro[: len(gyro_time_s)])


@pytest.mark.parametrize("sensor", ["acc", "gyro"])
def test_a_restart_is_refused_with_file_row_and_times(tmp_path, sensor):
    fine = recording(even(0, 60), even(0, 60))
    refuse_restarts(fine, tmp_path / "walk.csv")
    values = np.random.default_rng(0).normal(size=(len(REAL), 3))
    again = replace(fine, **{f"{sensor}_time_s": REAL, sensor: values})
    with pytest.raises(BadRecording) as caught:
        refuse_restarts(again, tmp_path / "walk.csv")
    assert caught.value.reason == "clock_back"
    for word in ("walk.csv", sensor, "row 3001", "59.98 s", "0.00 s"):
        assert word in caught.value.message


def test_many_jumps_are_counted_and_three_are_shown(tmp_path):
    time_s = np.tile(even(0, 10), 6)
    with pytest.raises(BadRecording, match=r"row 1501 .* and 2 more"):
        refuse_restarts(recording(time_s, time_s), tmp_path / "walk.csv")
