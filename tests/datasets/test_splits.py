"""Draws: enough of every class, nested, reproducible, and no group on both sides."""

import numpy as np
import pytest

from datasets.group_splits import draw_by_group
from datasets.splits import SplitError, draw_windows, groups_of, resolve_classes, small_classes

CLASSES = ("walking", "fall", "standing")


def windows(per_class=(60, 40, 50), num_groups=6, seed=0):
    """Labels and group names, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(per_class)), per_class))
    return labels, np.array([f"subject {g}" for g in rng.integers(0, num_groups, len(labels))])


def check(draw, labels, shots, held_out):
    assert draw.shots.shape == (3, shots) and draw.held_out.shape == (3, held_out)
    for k in range(3):
        assert (labels[draw.shots[k]] == k).all() and (labels[draw.held_out[k]] == k).all()
    used = np.concatenate([draw.shots.ravel(), draw.test])
    assert len(set(used.tolist())) == len(used)


def test_window_draws_hold_every_class_once_and_differ():
    labels, _ = windows()
    draws = draw_windows(labels, CLASSES, shots=15, held_out=20, draws=5, seed=3)
    for draw in draws:
        check(draw, labels, 15, 20)
    assert len({tuple(draw.test) for draw in draws}) == 5
    again = draw_windows(labels, CLASSES, shots=15, held_out=20, draws=5, seed=3)
    assert all(
        (a.shots == b.shots).all() and (a.held_out == b.held_out).all() for a, b in zip(draws, again, strict=True)
    )
    other = draw_windows(labels, CLASSES, shots=15, held_out=20, draws=5, seed=4)
    assert not (other[0].held_out == draws[0].held_out).all()


def test_every_window_is_drawn_equally_often():
    labels, _ = windows()
    draws = draw_windows(labels, CLASSES, shots=10, held_out=10, draws=4000, seed=0)
    for name, chosen in (("shots", [d.shots for d in draws]), ("held out", [d.held_out for d in draws])):
        for k, size in enumerate((60, 40, 50)):
            times = np.bincount(np.stack(chosen)[:, k].ravel(), minlength=len(labels))[labels == k]
            expected = 4000 * 10 / size
            assert np.abs(times - expected).max() < 5 * np.sqrt(expected), name  # five standard deviations, at least


@pytest.mark.parametrize("split", ["window", "group"])
def test_shots_are_nested_whatever_the_largest_number(split):
    labels, groups = windows()

    def draw(shots, draws):
        if split == "window":
            return draw_windows(labels, CLASSES, shots, 10, draws, seed=1)
        return draw_by_group(labels, groups, CLASSES, shots, 4, draws, seed=1)

    large = draw(20, 3)
    small = draw(5, 2)
    for a, b in zip(small, large, strict=False):
        assert set(b.train(5)) < set(b.train(10)) < set(b.train(20))
        assert (a.shots == b.shots[:, :5]).all() and (a.held_out == b.held_out).all()
        assert a.held_out_groups == b.held_out_groups


@pytest.mark.parametrize("group", [False, True])
def test_too_few_windows_names_counts_and_remedy(group):
    labels, groups = windows()
    with pytest.raises(SplitError, match="fall has 40; .* need 45 of each class: use at most --shots 20, or leave"):
        if group:
            draw_by_group(labels, groups, CLASSES, 25, 20, 1, 0)
        else:
            draw_windows(labels, CLASSES, 25, 20, 1, 0)
    with pytest.raises(SplitError, match="use --val_samples below 40"):
        draw_windows(labels, CLASSES, 1, 40, 1, 0)


def test_groups_are_subjects_else_sessions():
    subject, session = np.array(["p1", "p1", "p2"]), np.array(["1", "2", "1"])
    names, what = groups_of(subject, session)
    assert what == "subject" and names[0] == names[1] != names[2]
    nobody = np.array(["", "", ""])
    names, what = groups_of(nobody, session)
    assert what == "session" and names[0] == names[2] != names[1]
    mixed, what = groups_of(np.array(["p1", "", "2"]), session)  # a subject called like a session is not that session
    assert what == "subject, session where unknown" and len(set(mixed)) == 3
    with pytest.raises(SplitError, match="1 of 3 windows have neither subject nor session.*--split window"):
        groups_of(np.array(["p1", "", "p2"]), np.array(["1", "", "2"]))


def test_class_sets_and_near_misses():
    available = ("upstairs", "downstairs", "fall", "standing", "walking", "sit_stand")
    assert resolve_classes(None, available) == available
    assert resolve_classes(["mmea5"], available) == ("standing", "walking", "sit_stand", "downstairs", "fall")
    assert resolve_classes(["walking", "fall"], available) == ("walking", "fall")
    with pytest.raises(SplitError, match="no 'waking'; did you mean walking"):
        resolve_classes(["waking"], available)
    with pytest.raises(SplitError, match="no 'turning'.*It has upstairs"):
        resolve_classes(["pd"], available)
    with pytest.raises(SplitError, match="names a class twice"):
        resolve_classes(["mmea5", "fall"], available)
    with pytest.raises(SplitError, match="at least two"):
        resolve_classes(["fall"], available)


def test_windows_to_select_by_are_apart_and_change_no_shot():
    labels, _ = windows()
    plain = draw_windows(labels, CLASSES, shots=10, held_out=8, draws=2, seed=0)
    draws = draw_windows(labels, CLASSES, shots=10, held_out=8, draws=2, seed=0, select=5)
    for a, b in zip(plain, draws, strict=True):
        assert (a.shots == b.shots).all() and (a.held_out == b.held_out).all() and a.select.shape == (3, 0)
        assert b.select.shape == (3, 5) and all((labels[b.select[k]] == k).all() for k in range(3))
        assert not set(b.select.ravel()) & (set(b.shots.ravel()) | set(b.test))
        assert "select" in b.named(CLASSES, list(map(str, range(len(labels))))) and "select" not in a.named(
            CLASSES, "x" * 150
        )
    with pytest.raises(SplitError, match="10 shots and 20 held-out windows and 11 windows to select by need 41"):
        draw_windows(labels, CLASSES, shots=10, held_out=20, draws=1, seed=0, select=11)


def test_small_classes_are_named_with_their_reason():
    labels = np.repeat([0, 1, 2], [30, 9, 20])
    groups = np.array(["a", "b"])[np.arange(59) % 2]
    groups[-20:] = "b"
    assert small_classes(labels, None, CLASSES, needed=10, whole_group=False) == {"fall": "9 windows, 10 are needed"}
    assert small_classes(labels, groups, CLASSES, needed=5, whole_group=False) == {"standing": "only b has it"}
    whole = small_classes(labels, groups, CLASSES, needed=5, whole_group=True)
    assert whole == {"fall": "4 windows without a, 5 are needed", "standing": "0 windows without b, 5 are needed"}
