"""What the formats share: labels of samples to stretches of time, and paths that say who and what."""

import fnmatch

import numpy as np
import pytest

from datasets.formats.common import fill, match_paths, sampling_times, segments_of
from datasets.recording import Segment

FILES = ["a/walk/1.csv", "a/walk/2.csv", "b/sit/1.csv", "b/sit/deep/1.csv", "b/notes.txt", "top.csv", "b/sit[1]/1.csv"]


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "a/walk/folder.csv").mkdir()
    return tmp_path


def names(folder, pattern):
    return [path.relative_to(folder).as_posix() for path, _ in match_paths(folder, pattern)]


@pytest.mark.parametrize("pattern", ["*.csv", "*/*/*.csv", "a/*/1.csv", "*/*.txt"])
def test_stars_are_those_of_the_shell(folder, pattern):
    assert names(folder, pattern) == sorted(
        name for name in FILES if fnmatch.fnmatch(name, pattern) and name.count("/") == pattern.count("/")
    )


def test_two_stars_are_any_folders(folder):
    assert names(folder, "**/*.csv") == sorted(name for name in FILES if name.endswith(".csv"))
    assert names(folder, "b/**/1.csv") == ["b/sit/1.csv", "b/sit/deep/1.csv", "b/sit[1]/1.csv"]


def test_names_are_read_off_the_path(folder):
    found = {path.relative_to(folder).as_posix(): parts for path, parts in match_paths(folder, "{who}/{what}/*.csv")}
    assert found["a/walk/2.csv"] == {"who": "a", "what": "walk"} and len(found) == 4


def test_brackets_are_letters(folder):
    assert names(folder, "b/sit[1]/*.csv") == ["b/sit[1]/1.csv"]


def test_a_name_twice_is_the_same_text_twice(tmp_path):
    for name in ("p1/p1_walk.csv", "p1/p2_walk.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    ((path, parts),) = match_paths(tmp_path, "{subject}/{subject}_{label}.csv")
    assert path.name == "p1_walk.csv" and parts == {"subject": "p1", "label": "walk"}


def test_a_part_can_say_what_it_looks_like(tmp_path):
    for name in ("D01_SA01_R01.txt", "F02_SE06_R05.txt.gz", "D01_XX01_R01.txt", "D01_SA01_Rx.txt", "Readme.txt"):
        (tmp_path / name).write_text("")
    found = match_paths(tmp_path, r"{label:[DF]\d+}_{subject:S[AE]\d+}_R{trial:\d+}.txt")
    assert [(path.name, *parts.values()) for path, parts in found] == [
        ("D01_SA01_R01.txt", "D01", "SA01", "01"),
        ("F02_SE06_R05.txt.gz", "F02", "SE06", "05"),
    ]


def test_names_go_into_other_patterns():
    assert fill("v/{a}/{b}.mp4", {"a": "x", "b": "y{a}"}) == "v/x/y{a}.mp4"


def oracle(time_s, labels):
    """One sample after the other, in order of time."""
    known = sorted((t, name) for t, name in zip(time_s, labels, strict=True) if not np.isnan(t))
    period = float(np.median([b[0] - a[0] for a, b in zip(known, known[1:], strict=False)]))
    found, begin = [], known[0][0]
    for number, (t, name) in enumerate(known):
        after = known[number + 1] if number + 1 < len(known) else (t + period, None)
        if after[1] != name:
            if name:
                found.append(Segment(begin, after[0], name))
            begin = after[0]
    return tuple(found)


@pytest.mark.parametrize("seed", range(20))
def test_stretches_are_those_of_the_samples(seed):
    rng = np.random.default_rng(seed)
    time_s = rng.permutation(np.arange(60) / 50) if seed % 2 else np.arange(60) / 50
    time_s[rng.integers(60, size=3)] = np.nan
    order = np.argsort(time_s)
    labels = np.empty(60, dtype=object)
    labels[order] = np.repeat(rng.choice(["walk", "sit", ""], 12), 5)
    assert segments_of(time_s, labels) == oracle(time_s, labels)


def test_one_label_is_one_stretch_to_the_end_of_the_last_sample():
    assert segments_of(np.arange(4) * 0.25, ["a"] * 4) == (Segment(0.0, 1.0, "a"),)


@pytest.mark.parametrize("time_s", [[], [1.0], [np.nan, np.nan]])
def test_without_two_times_there_is_no_stretch(time_s):
    assert segments_of(np.array(time_s), ["a"] * len(time_s)) == ()


def latest_possible(arrival_s, period_s):
    """One sample after the other: as late as those after it allow."""
    return [
        min(later - (j - k) * period_s for j, later in enumerate(arrival_s) if j >= k) for k in range(len(arrival_s))
    ]


def in_bursts(taken_s, rng):
    """Stamps of samples that are handed on late, several at once, for a few dozen milliseconds at a time."""
    arrival = taken_s + 0.001 * rng.random(len(taken_s))
    for start in rng.choice(len(taken_s) - 8, len(taken_s) // 40, replace=False):
        arrival[start : start + 6] = np.maximum(arrival[start : start + 6], arrival[start + 5])
    return np.round(arrival, 3)


def test_sampling_times_are_as_late_as_later_ones_allow():
    arrival = in_bursts(np.arange(300) / 102.4, np.random.default_rng(0))
    apart = 100
    period = 0.98 * float(np.median(arrival[apart:] - arrival[:-apart])) / apart
    np.testing.assert_allclose(sampling_times(arrival), latest_possible(arrival.tolist(), period), atol=1e-12)


def test_bursts_are_undone_and_gaps_stay():
    """Samples 500 to 579 were lost: no sample moves into their place."""
    taken = np.delete(np.arange(1500) / 102.4, slice(500, 580))
    arrival = in_bursts(taken, np.random.default_rng(1))
    error = sampling_times(arrival) - taken
    assert np.abs(arrival - taken).max() > 0.04 and np.abs(error).max() < 0.004
    assert np.diff(sampling_times(arrival)).max() == pytest.approx(81 / 102.4, abs=0.004)


def test_stamps_that_are_missing_stay_missing():
    arrival = in_bursts(np.arange(300) / 50, np.random.default_rng(2))
    holes = np.insert(arrival, [0, 100, 100, 300], np.nan)
    got = sampling_times(holes)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(holes))
    np.testing.assert_array_equal(got[np.isfinite(holes)], sampling_times(arrival))
    assert sampling_times(np.array([np.nan, 3.0])).tolist()[1] == 3.0


def test_a_clock_that_begins_again_moves_no_sample_before_it():
    rng = np.random.default_rng(3)
    first, second = in_bursts(np.arange(3000) / 102.4, rng), in_bursts(np.arange(1500) / 102.4, rng)
    got = sampling_times(np.concatenate([first, second]))
    np.testing.assert_array_equal(got[:3000], sampling_times(first))
    np.testing.assert_array_equal(got[3000:], sampling_times(second))
