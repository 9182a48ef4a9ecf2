"""Draws: enough of every class, nested, reproducible, and no group on both sides."""

import numpy as np
import pytest

from datasets.protocols.classes import resolve_classes
from datasets.protocols.group_splits import draw_apart, draw_leaving_one_group_out
from datasets.protocols.splits import DrawSettings, centre_windows, draw_windows, groups_of, small_classes

CLASSES = ("walking", "fall", "standing")


def by_window(labels, classes, *numbers, **settings):
    return draw_windows(labels, len(classes), DrawSettings(*numbers, **settings))


def by_group(labels, groups, classes, *numbers, **settings):
    return draw_apart("group", labels, groups, classes, DrawSettings(*numbers, **settings))


def by_recording(labels, recordings, classes, *numbers, **settings):
    return draw_apart("recording", labels, recordings, classes, DrawSettings(*numbers, **settings))


def in_turn(labels, groups, classes, shots, *numbers, **settings):
    return draw_leaving_one_group_out(labels, groups, len(classes), DrawSettings(shots, None, *numbers, **settings))


def windows(per_class=(60, 40, 50), num_groups=6, seed=0):
    """Labels and group names, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(per_class)), per_class))
    return labels, np.array([f"subject {g}" for g in rng.integers(0, num_groups, len(labels))])


def check(draw, labels, shots, held_out):
    assert list(map(len, draw.shots)) == [shots] * 3 and list(map(len, draw.held_out)) == [held_out] * 3
    for k in range(3):
        assert (labels[draw.shots[k]] == k).all() and (labels[draw.held_out[k]] == k).all()
    used = np.concatenate([draw.learnt_from, draw.test])
    assert len(set(used.tolist())) == len(used)


def same(a, b):
    """Whether two sides hold the same windows of every class in the same order."""
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def first(side, shots):
    return [own[:shots] for own in side]


def test_window_draws_hold_every_class_once_and_differ():
    labels, _ = windows()
    draws = by_window(labels, CLASSES, shots=15, held_out=20, draws=5, seed=3)
    for draw in draws:
        check(draw, labels, 15, 20)
    assert len({tuple(draw.test) for draw in draws}) == 5
    again = by_window(labels, CLASSES, shots=15, held_out=20, draws=5, seed=3)
    assert all(same(a.shots, b.shots) and same(a.held_out, b.held_out) for a, b in zip(draws, again, strict=True))
    other = by_window(labels, CLASSES, shots=15, held_out=20, draws=5, seed=4)
    assert not same(other[0].held_out, draws[0].held_out)


def test_every_window_is_drawn_equally_often():
    labels, _ = windows()
    draws = by_window(labels, CLASSES, shots=10, held_out=10, draws=4000, seed=0)
    for name, chosen in (("shots", [d.shots for d in draws]), ("held out", [d.held_out for d in draws])):
        for k, size in enumerate((60, 40, 50)):
            times = np.bincount(np.concatenate([own[k] for own in chosen]), minlength=len(labels))[labels == k]
            expected = 4000 * 10 / size
            assert np.abs(times - expected).max() < 5 * np.sqrt(expected), name  # five standard deviations, at least


@pytest.mark.parametrize("split", ["window", "group"])
def test_shots_are_nested_whatever_the_largest_number(split):
    labels, groups = windows()

    def draw(shots, draws):
        if split == "window":
            return by_window(labels, CLASSES, shots, 10, draws, seed=1)
        return by_group(labels, groups, CLASSES, shots, 4, draws, seed=1)

    large = draw(20, 3)
    small = draw(5, 2)
    for a, b in zip(small, large, strict=False):
        assert set(b.train(5)) < set(b.train(10)) < set(b.train(20))
        assert same(a.shots, first(b.shots, 5)) and same(a.held_out, b.held_out)
        assert a.held_out_groups == b.held_out_groups


def test_groups_are_subjects_else_sessions():
    subject, session = np.array(["p1", "p1", "p2"]), np.array(["1", "2", "1"])
    names, what = groups_of(subject, session)
    assert what == "subject" and names[0] == names[1] != names[2]
    nobody = np.array(["", "", ""])
    names, what = groups_of(nobody, session)
    assert what == "session" and names[0] == names[2] != names[1]
    mixed, what = groups_of(np.array(["p1", "", "2"]), session)  # a subject called like a session is not that session
    assert what == "subject, session where unknown" and len(set(mixed)) == 3
    assert groups_of(np.array(["p1", "", "p2"]), np.array(["1", "", "2"]))[0] is None


def test_class_sets_and_near_misses():
    available = ("upstairs", "downstairs", "fall", "standing", "walking", "sit_stand")
    assert resolve_classes(None, available) == available
    assert resolve_classes(["mmea5"], available) == ("standing", "walking", "sit_stand", "downstairs", "fall")
    assert resolve_classes(["walking", "fall"], available) == ("walking", "fall")
    with pytest.raises(ValueError, match="no 'waking'; did you mean walking"):
        resolve_classes(["waking"], available)
    with pytest.raises(ValueError, match="no 'turning'.*it has upstairs"):
        resolve_classes(["pd"], available)
    with pytest.raises(ValueError, match="names a class twice"):
        resolve_classes(["mmea5", "fall"], available)
    with pytest.raises(ValueError, match="at least two"):
        resolve_classes(["fall"], available)


def test_windows_to_select_by_are_apart_and_change_no_shot():
    labels, _ = windows()
    plain = by_window(labels, CLASSES, shots=10, held_out=8, draws=2, seed=0)
    draws = by_window(labels, CLASSES, shots=10, held_out=8, draws=2, seed=0, select=5)
    for a, b in zip(plain, draws, strict=True):
        assert same(a.shots, b.shots) and same(a.held_out, b.held_out) and not any(map(len, a.select))
        assert all((labels[b.select[k]] == k).all() and len(b.select[k]) == 5 for k in range(3))
        assert not set(np.concatenate(b.select)) & (set(np.concatenate(b.shots)) | set(b.test))
        assert "select" in b.named(CLASSES, list(map(str, range(len(labels))))) and "select" not in a.named(
            CLASSES, "x" * 150
        )


@pytest.mark.parametrize(
    "by_groups, numbers, expected",
    [
        (False, {"shots": 6, "held_out": 4}, {"fall": "9 windows, 10 are needed"}),
        (False, {"shots": 6, "held_out": 3}, {}),
        (False, {"shots": 6, "held_out": 8, "shorten": True}, {}),
        (False, {"shots": 6, "held_out": 8, "select": 1, "shorten": True}, {"fall": "9 windows, 10 are needed"}),
        (True, {"shots": 2, "held_out": 2, "select": 1}, {"standing": "only b has it"}),
        (
            *(True, {"shots": 4, "held_out": None, "select": 1}),
            {"fall": "4 windows without a, 5 are needed", "standing": "0 windows without b, 5 are needed"},
        ),
        (True, {"shots": 9, "held_out": None, "shorten": True}, {"standing": "0 windows without b, 1 are needed"}),
    ],
)
def test_small_classes_are_named_with_their_reason(by_groups, numbers, expected):
    labels = np.repeat([0, 1, 2], [30, 9, 20])
    groups = np.array(["a", "b"])[np.arange(59) % 2]
    groups[-20:] = "b"
    settings = DrawSettings(draws=1, seed=0, **numbers)
    assert small_classes(labels, groups if by_groups else None, CLASSES, settings) == expected


def test_a_short_class_learns_from_what_is_left():
    labels, _ = windows((60, 26, 50))
    whole = by_window(labels, CLASSES, shots=6, held_out=20, draws=2, seed=0)
    for select, left in ((0, 6), (2, 4)):
        draws = by_window(labels, CLASSES, shots=30, held_out=20, draws=2, seed=0, select=select, shorten=True)
        for a, b in zip(draws, whole, strict=True):
            assert [len(own) for own in a.shots] == [30, left, 30 - select] and same(a.held_out, b.held_out)
            assert same(first(a.shots, left), first(b.shots, left))
            assert [len(own) for own in a.select] == [select] * 3
            everything = np.r_[a.learnt_from, a.test]
            assert len(set(everything.tolist())) == len(everything) and len(a.train(5)) == 10 + min(5, left)


@pytest.mark.parametrize("seed", range(20))
def test_the_centre_window_of_each_recording(seed):
    rng = np.random.default_rng(seed)
    number = 80
    recordings, labels = rng.integers(0, 9, number), rng.integers(0, 3, number)
    part, start = rng.integers(0, 3, number), rng.permutation(number) * 250
    chosen = centre_windows(np.char.add("r", recordings.astype(str)), labels, part, start).tolist()
    expected = []
    for recording in range(9):
        for label in range(3):
            own = [i for i in range(number) if recordings[i] == recording and labels[i] == label]
            own.sort(key=lambda i: (part[i], start[i]))
            if own:
                before, after = (len(own) - 1) // 2, len(own) // 2
                assert before + 1 >= len(own) - before - 1 >= before and after - before in (0, 1)
                expected.append(own[before])
    assert chosen == sorted(expected)
