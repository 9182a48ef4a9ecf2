"""Draws by recordings: none on both sides, nested, and independent of shots, selection and the other classes."""

import math

import numpy as np
import pytest

from datasets.protocols.leakage import siblings_share
from tests.datasets.protocols.test_splits import by_group, by_recording, by_window, first, in_turn, same

MMEA5 = (11, 19, 28, 1, 3)  # standing, walking, sit_stand, downstairs, fall: 0-based labels of the published lists


def world(rng, per_class, share_recordings):
    """Labels, recordings: clips of 1 to 6 windows; where shared, a clip goes through several classes."""
    labels, recordings = [], []
    for k, clips in enumerate(per_class):
        for clip in range(clips):
            size = int(rng.integers(1, 7))
            labels += [k] * size
            recordings += [f"clip {clip}" if share_recordings and clip % 2 else f"{k} clip {clip}"] * size
    order = rng.permutation(len(labels))
    return np.array(labels)[order], np.array(recordings)[order]


def names(classes):
    return [f"class {k}" for k in range(classes)]


@pytest.mark.parametrize("seed", range(60))
def test_no_recording_on_both_sides(seed):
    """One window at a time, over random worlds, numbers of shots, of held-out windows and of those to select by."""
    rng = np.random.default_rng(seed)
    per_class, shared, shorten = rng.integers(8, 30, rng.integers(2, 6)), seed % 2 == 1, seed % 3 == 0
    labels, recordings = world(rng, per_class, shared)
    shots, held_out, select = (int(n) for n in (rng.integers(1, 60), rng.integers(1, 8), rng.integers(0, 4)))
    shorten = shorten or bool(min(np.bincount(labels)) < held_out + select + shots)
    settings = {"draws": 2, "seed": seed, "select": select, "shorten": shorten}
    draws = by_recording(labels, recordings, names(len(per_class)), shots, held_out, **settings)
    for draw in draws:
        for k, (learnt, measured, chosen) in enumerate(zip(draw.shots, draw.held_out, draw.select, strict=True)):
            assert len(measured) == held_out and len(chosen) == select
            assert 1 <= len(learnt) <= shots and (len(learnt) == shots or shorten)
            assert all(labels[i] == k for i in (*learnt, *measured, *chosen))
        used = [*draw.learnt_from.tolist(), *draw.test.tolist()]
        assert len(set(used)) == len(used)
        for i in draw.learnt_from:
            for j in draw.test:
                assert recordings[i] != recordings[j]
    assert siblings_share(draws, recordings) == 0


def clips(per_class, size=3):
    """Labels and recordings, clip by clip."""
    labels = np.concatenate([np.repeat(k, size * n) for k, n in enumerate(per_class)])
    recordings = np.concatenate([[f"{k} {i // size}" for i in range(size * n)] for k, n in enumerate(per_class)])
    return labels, recordings


@pytest.mark.parametrize("size", [1, 3])
def test_a_draw_does_not_hang_on_what_else_is_asked(size):
    labels, recordings = clips((111 // size, 126 // size, 200 // size), size)  # a quarter would leave too few
    settings = {"held_out": 15, "seed": 4}
    many = by_recording(labels, recordings, names(3), shots=90, draws=4, **settings)
    assert len({tuple(draw.test) for draw in many}) == 4
    for shots, draws, select in ((1, 2, 0), (10, 3, 2), (90, 4, 3), (80, 1, 10)):
        few = by_recording(labels, recordings, names(3), shots=shots, draws=draws, select=select, **settings)
        for a, b in zip(few, many, strict=False):
            assert same(a.shots, first(b.shots, shots)) and same(a.held_out, b.held_out)
            assert a.held_out_groups == b.held_out_groups


def test_a_class_does_not_hang_on_the_others():
    labels, recordings = clips((40, 50, 60))
    keep = (labels != 1) | (np.arange(len(labels)) % 2 == 0)  # half of the second class is gone
    place = np.flatnonzero(keep)
    whole, less = (
        by_recording(labels[own], recordings[own], names(3), shots=30, held_out=10, draws=3, seed=0)
        for own in (np.arange(len(labels)), place)
    )
    for a, b in zip(whole, less, strict=True):
        for k in (0, 2):
            assert np.array_equal(a.shots[k], place[b.shots[k]])
            assert np.array_equal(a.held_out[k], place[b.held_out[k]])
    alone = by_recording(labels[labels < 2], recordings[labels < 2], names(2), 30, 10, draws=3, seed=0)
    for a, b in zip(whole, alone, strict=True):
        assert same(a.shots[:2], b.shots) and same(a.held_out[:2], b.held_out)


def test_a_quarter_of_the_recordings_where_there_are_many():
    labels, recordings = clips((200, 100))
    for draw in by_recording(labels, recordings, names(2), shots=100, held_out=20, draws=3, seed=0):
        held_out = [sum(name.startswith(f"{k} ") for name in draw.held_out_groups) for k in range(2)]
        assert held_out == [50, 25]


def test_recordings_too_few_are_refused_with_counts():
    labels, recordings = clips((20, 20))
    recordings[labels == 1] = "one"
    recordings[np.flatnonzero(labels == 1)[:4]] = "two"
    with pytest.raises(ValueError, match=r"lacks 1 windows, most of them of class 1 \(.*recording.*: 56, 4\)"):
        by_recording(labels, recordings, names(2), 5, 5, draws=1, seed=0)


@pytest.mark.parametrize("by", ["recording", "group", "leave_one_group_out"])
def test_short_classes_keep_what_is_held_out(by):
    labels, recordings = clips((60, 10, 60))  # 30 windows of the second
    groups = recordings if by == "recording" else np.array([f"p{i % 6}" for i in range(len(labels))])
    if by == "leave_one_group_out":
        draw = lambda shots: in_turn(labels, groups, names(3), shots, 2, 0, 2, shorten=True)  # noqa: E731
    else:
        divide = by_recording if by == "recording" else by_group
        draw = lambda shots: divide(labels, groups, names(3), shots, 10, 2, 0, 2, shorten=True)  # noqa: E731
    for many, few in zip(draw(100), draw(8), strict=True):
        left = len(many.shots[1])
        assert 10 <= left <= 23 and len(many.shots[0]) == len(many.shots[2]) == 100
        assert by == "leave_one_group_out" or [len(own) for own in many.held_out] == [10] * 3
        assert same(first(many.shots, 8), few.shots) and same(many.held_out, few.held_out)
        assert [len(own) for own in many.select] == [2] * 3
        assert not set(groups[many.learnt_from]) & set(groups[many.test])


def test_a_class_that_no_division_leaves_enough_of_is_short():
    labels, recordings = clips((16, 40), size=7)  # two clips of 7 are held out: 98 of 112 are left
    with pytest.raises(ValueError, match="split recording: none of .* leaves 100 .* lacks 2 .*shorten"):
        by_recording(labels, recordings, names(2), 100, 10, draws=2, seed=0)
    for draw in by_recording(labels, recordings, names(2), 100, 10, draws=2, seed=0, shorten=True):
        assert [len(own) for own in draw.shots] == [98, 100] and [len(own) for own in draw.held_out] == [10, 10]


def test_siblings_are_counted_window_by_window():
    rng = np.random.default_rng(0)
    labels, recordings = world(rng, (20, 30), False)
    draws = by_window(labels, names(2), shots=15, held_out=10, draws=3, seed=0)
    found = []
    for draw in draws:
        for i in draw.test:
            found.append(any(recordings[i] == recordings[j] for own in draw.shots for j in own))
    assert siblings_share(draws, recordings) == sum(found) / len(found) > 0


def chance_of_a_sibling(recordings, shots):
    """1 - C(N - w, S) / C(N - 1, S) for a window of a clip of w windows, S drawn from the N - 1 others; its mean."""
    number = len(recordings)
    sizes = [np.count_nonzero(recordings == name) for name in recordings]
    return np.mean([1 - math.comb(number - w, shots) / math.comb(number - 1, shots) for w in sizes])


@pytest.mark.parametrize("chosen", [range(32), MMEA5])
def test_what_a_window_split_leaks_on_mmea(real_data, chosen):
    """The published list holds a tenth of the clips: ten of each stand for all, 5 s at 25 frames a second a window."""
    rows = [row.split() for row in (real_data / "mmea_ego4d_lists/UESTC-MMEA-CL/val.txt").read_text().splitlines()]
    labels, recordings = [], []
    for label, frames, name in ((int(row[3]), int(row[1]), row[0]) for row in rows):
        if label in chosen:
            for copy in range(10):
                labels += [list(chosen).index(label)] * (frames // 125)
                recordings += [f"{name} {copy}"] * (frames // 125)
    labels, recordings = np.array(labels), np.array(recordings)
    settings = {"shots": 100, "held_out": 20, "draws": 20, "seed": 0}
    found = siblings_share(by_window(labels, names(len(chosen)), **settings), recordings)
    expected = np.mean([chance_of_a_sibling(recordings[labels == k], 100) for k in range(len(chosen))])
    assert 0.30 <= round(expected, 2) <= 0.34
    # 20 draws of 20 windows of each class; those of a draw differ a little less than independent ones
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / (400 * len(chosen))))
    apart = by_recording(labels, recordings, names(len(chosen)), **settings)
    assert siblings_share(apart, recordings) == 0
