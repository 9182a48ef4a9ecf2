"""Held-out windows share no session with those that are trained on."""

import numpy as np
import pytest

from datasets.held_out import exclude_classes, hold_out_sessions
from datasets.recording import Segment
from datasets.windows import list_windows
from tests.prepared import write_dataset


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    store = write_dataset(tmp_path_factory.mktemp("d") / "tiny", ["a", "b"] * 10, seconds=15, video=False, subjects=4)
    return list_windows(store)


def without(windows, *columns):
    """The same windows, as if these columns were not known."""
    blank = windows.subset(np.arange(len(windows)))
    for column in columns:
        getattr(blank, column)[:] = ""
    return blank


@pytest.mark.parametrize(
    "unknown, column", [((), "session"), (("session",), "subject"), (("session", "subject"), "recording")]
)
@pytest.mark.parametrize("seed", range(5))
def test_no_session_subject_or_recording_is_on_both_sides(windows, unknown, column, seed):
    known = without(windows, *unknown)
    train, held_out = hold_out_sessions(known, share=0.2, most=1000, seed=seed)
    units = getattr(known, column)
    assert not set(units[train]) & set(units[held_out])
    assert sorted([*train, *held_out]) == list(range(len(known)))
    assert len(held_out) >= 0.2 * len(known)
    largest = np.unique(units, return_counts=True)[1].max()
    assert len(held_out) < 0.2 * len(known) + largest


def test_the_seed_decides(windows):
    first, again, other = (hold_out_sessions(windows, 0.2, 1000, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_limit_keeps_fewer_without_training_on_the_rest(windows):
    train, held_out = hold_out_sessions(windows, 0.5, most=7, seed=0)
    assert len(held_out) == 7
    assert len(train) == len(hold_out_sessions(windows, 0.5, 1000, seed=0)[0])
    assert (np.diff(held_out) > 0).all()


def test_nothing_is_held_out_of_one_session_or_for_a_share_of_0(windows):
    assert len(hold_out_sessions(windows, 0.0, 100, seed=0)[1]) == 0
    one = windows.subset(windows.recording == 0)
    train, held_out = hold_out_sessions(one, 0.5, 100, seed=0)
    assert (len(train), len(held_out)) == (3, 0)
    two = windows.subset(windows.recording < 2)
    train, held_out = hold_out_sessions(two, 0.99, 100, seed=0)
    assert (len(train), len(held_out)) == (3, 3)


def test_excluded_classes_leave_no_window(tmp_path):
    store = write_dataset(tmp_path / "d", ["a", "b", "c"] * 3, seconds=15, video=False)
    windows = list_windows(store)
    left = exclude_classes(windows, ["a", "c"])
    assert set(store.recordings["label"].to_numpy()[left.recording]) == {"b"}
    assert len(left) == 9
    assert len(exclude_classes(windows, [])) == 27


def test_a_window_that_touches_an_excluded_stretch_goes(tmp_path):
    stretches = (Segment(0.0, 7.0, "a"), Segment(7.0, 10.0, "b"), Segment(10.0, 15.0, "a"))
    store = write_dataset(tmp_path / "d", ["a", "b"], seconds=15, video=False, segments=stretches)
    left = exclude_classes(list_windows(store), ["b"])
    assert sorted(set((left.start / 50).tolist())) == [0, 10]  # the window from 5 to 10 s is neither one nor the other


def test_excluding_names_what_is_not_there(windows):
    with pytest.raises(ValueError, match=r"exclude_classes: .* has no class fly: it has a, b"):
        exclude_classes(windows, ["fly"])
    with pytest.raises(ValueError, match=r"without a, b no window .* is left"):
        exclude_classes(windows, ["a", "b"])
