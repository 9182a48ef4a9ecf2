"""Held-out windows share no unit with those that are trained on, and none is held out for nobody."""

import numpy as np
import pytest

from datasets.protocols.validation import exclude_classes, hold_out
from datasets.recording import Segment
from datasets.windows import list_windows
from tests.prepared import write_dataset


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """60 windows of 20 recordings, each a session of its own, without labels."""
    return list_windows(
        write_dataset(tmp_path_factory.mktemp("d") / "tiny", [""] * 20, seconds=15, video=False, subjects=4)
    )


def without(windows, *columns):
    """The same windows, as if these columns were not known."""
    blank = windows.subset(np.arange(len(windows)))
    for column in columns:
        getattr(blank, column)[:] = ""
    return blank


@pytest.mark.parametrize(
    "unknown, column, most",
    [((), "session", 12), (("session",), "subject", 15), (("session", "subject"), "recording", 12)],
)
@pytest.mark.parametrize("seed", range(5))
def test_no_unit_is_on_both_sides(windows, unknown, column, most, seed):
    known = without(windows, *unknown)
    train, held_out = hold_out(known, fraction=0.2, most=1000, seed=seed)
    units = getattr(known, column)
    assert not set(units[train]) & set(units[held_out])
    assert sorted([*train, *held_out]) == list(range(len(known)))
    assert len(held_out) == most  # of 60; a subject has 15, and one is held out though 12 were wanted


def test_the_seed_decides(windows):
    first, again, other = (hold_out(windows, 0.2, 1000, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("most, held", [(7, 6), (9, 9), (3, 3), (1000, 30)])
def test_no_more_is_held_out_than_is_read(windows, most, held):
    train, held_out = hold_out(windows, 0.5, most, seed=0)
    assert (len(train), len(held_out)) == (60 - held, held)
    assert (np.diff(held_out) > 0).all()


def test_of_units_above_the_limit_the_smallest_is_held_out(windows):
    uneven = windows.subset(windows.recording % 5 < 4)
    uneven.session[:] = np.array(["a", "b", "c", "d"])[uneven.recording % 4]
    uneven = uneven.subset((uneven.session != "c") | (uneven.start == 0))  # 4 windows; the others have 12
    train, held_out = hold_out(uneven, 0.5, 2, seed=0)
    assert set(uneven.session[held_out]) == {"c"} and len(held_out) == 2
    assert "c" not in uneven.session[train] and len(train) == len(uneven) - 4


@pytest.mark.parametrize("share, most", [(0.1, 1000), (0.05, 1000), (0.5, 24)])
def test_no_class_loses_more_than_its_share(tmp_path, share, most):
    """As in MMEA: recordings of one to seven windows, a class recorded on one or two days, subjects unknown."""
    rng = np.random.default_rng(0)
    store = write_dataset(tmp_path / "d", list("abcd") * 40, seconds=35, video=False, subjects=0)
    windows = list_windows(store)
    length = rng.integers(1, 8, len(store.recordings))
    windows = windows.subset(windows.start < 250 * length[windows.recording])
    windows.session[:] = np.char.add("day ", windows.label.astype(str))
    windows.session[(windows.label == 0) & (windows.recording % 8 == 0)] = "day 7"
    train, held_out = hold_out(windows, share, most, seed=0)
    assert not set(windows.recording[train]) & set(windows.recording[held_out])
    assert sorted([*train, *held_out]) == list(range(len(windows)))
    wanted = min(share, most / len(windows))
    for label in range(4):
        lost = (windows.label[held_out] == label).sum() / (windows.label == label).sum()
        assert 0.8 * wanted - 0.01 < lost <= wanted
    assert len(held_out) <= most


def test_parts_of_a_recording_stay_together(tmp_path):
    store = write_dataset(tmp_path / "d", ["a"] * 12, seconds=15, video=False)
    store.recordings["source"] = [f"rec{k // 2 * 2:03d}" for k in range(12)]  # two parts each
    store.recordings["source_hash"] = "same"
    windows = list_windows(store)
    for seed in range(5):
        train, held_out = hold_out(windows, 0.4, 1000, seed)
        assert len(held_out) == 12
        assert not set(windows.sources()[train]) & set(windows.sources()[held_out])


def test_nothing_is_held_out_of_one_session_or_for_a_share_of_0(windows):
    assert len(hold_out(windows, 0.0, 100, seed=0)[1]) == 0
    one = windows.subset(windows.recording == 0)
    train, held_out = hold_out(one, 0.5, 100, seed=0)
    assert (len(train), len(held_out)) == (3, 0)
    two = windows.subset(windows.recording < 2)
    train, held_out = hold_out(two, 0.99, 100, seed=0)
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


def test_excluding_names_what_is_not_there(tmp_path):
    windows = list_windows(write_dataset(tmp_path / "d", ["a", "b"], seconds=15, video=False))
    with pytest.raises(ValueError, match=r"exclude_classes: .* has no class fly: it has a, b"):
        exclude_classes(windows, ["fly"])
    with pytest.raises(ValueError, match=r"without a, b no window .* is left"):
        exclude_classes(windows, ["a", "b"])
