"""Draws by groups: nobody on both sides, each group held out once, the same people whatever the number of shots."""

import numpy as np
import pytest

from tests.datasets.protocols.test_splits import CLASSES, by_group, check, first, in_turn, same, windows


@pytest.mark.parametrize("seed", range(10))
def test_no_group_on_both_sides(seed):
    labels, groups = windows((120, 110, 100), num_groups=8, seed=seed)
    draws = by_group(labels, groups, CLASSES, shots=20, held_out=15, draws=5, seed=seed)
    for draw in draws:
        check(draw, labels, 20, 15)
        train, test = set(groups[draw.train(20)]), set(groups[draw.test])
        assert not train & test
        assert test <= set(draw.held_out_groups) and not train & set(draw.held_out_groups)
        assert len(draw.held_out_groups) == 2  # a quarter of eight: these windows allow it
    assert len({draw.held_out_groups for draw in draws}) > 1


def test_windows_are_drawn_at_random_within_a_division():
    labels, groups = windows(num_groups=2)
    draws = by_group(labels, groups, CLASSES, shots=5, held_out=5, draws=12, seed=0)
    assert len({draw.held_out_groups for draw in draws}) == 2  # only two divisions there are
    assert len({tuple(draw.test) for draw in draws}) == len({tuple(draw.train(5)) for draw in draws}) == 12


def test_group_split_finds_the_only_division_there_is():
    # fall: 4 windows in group a, 4 in b, nobody else; standing only fits if a is held out
    labels = np.repeat([0, 1, 1, 2, 2], [40, 4, 4, 3, 30])
    groups = np.repeat(["c", "a", "b", "a", "b"], [40, 4, 4, 3, 30])
    groups[:20] = "a"
    (draw,) = by_group(labels, groups, CLASSES, shots=4, held_out=3, draws=1, seed=0)
    assert draw.held_out_groups == ("a",)


def test_group_split_refuses_what_is_impossible_and_says_why():
    labels, groups = windows()
    groups[labels == 1] = "subject 4"
    groups[np.flatnonzero(labels == 1)[:3]] = "subject 5"  # 37 and 3: neither side of 10 and 10
    with pytest.raises(ValueError, match=r"lacks 7 windows, most of them of fall \(.*: 37, 3\)"):
        by_group(labels, groups, CLASSES, shots=10, held_out=10, draws=1, seed=0)


def test_the_same_people_are_held_out_for_all_shots():
    # a quarter of the people would leave 97 windows of a class: too few for 100 shots, plenty for 10
    labels, groups = windows((130, 130, 130), num_groups=12)
    many = by_group(labels, groups, CLASSES, shots=100, held_out=10, draws=6, seed=2)
    for shots in (1, 10, 40):
        few = by_group(labels, groups, CLASSES, shots=shots, held_out=10, draws=3, seed=2)
        for a, b in zip(few, many, strict=False):
            assert a.held_out_groups == b.held_out_groups
            assert same(a.held_out, b.held_out) and same(a.shots, first(b.shots, shots))
    assert len({draw.held_out_groups for draw in many}) > 2


def test_windows_to_select_by_come_from_the_training_side():
    labels, groups = windows((120, 110, 100), num_groups=8)
    for draw in by_group(labels, groups, CLASSES, shots=10, held_out=10, draws=3, seed=0, select=6):
        chosen = np.concatenate(draw.select)
        assert list(map(len, draw.select)) == [6] * 3 and not set(chosen) & set(draw.train(10))
        assert not set(groups[chosen]) & set(draw.held_out_groups)


def test_every_group_is_held_out_once_with_all_its_windows():
    labels, groups = windows((60, 40, 50), num_groups=5)
    groups[(groups == "subject 3") & (labels == 1)] = "subject 4"  # one group lacks a class
    draws = in_turn(labels, groups, CLASSES, shots=7, draws=3, seed=1, select=2)
    assert [draw.number for draw in draws] == [n for n in range(3) for _ in range(5)]
    for number in range(3):
        folds = [draw for draw in draws if draw.number == number]
        held_out = np.concatenate([fold.test for fold in folds])
        assert sorted(held_out.tolist()) == list(range(len(labels)))  # every window is asked about once
        assert sorted(fold.held_out_groups for fold in folds) == [(f"subject {g}",) for g in range(5)]
        for fold in folds:
            assert set(groups[fold.test]) == set(fold.held_out_groups)
            learnt = fold.learnt_from
            assert len(set(learnt.tolist())) == 3 * 9 and not set(groups[learnt]) & set(fold.held_out_groups)
            assert all((labels[fold.shots[k]] == k).all() and (labels[fold.held_out[k]] == k).all() for k in range(3))
    again = in_turn(labels, groups, CLASSES, shots=3, draws=1, seed=1)
    assert all(same(a.shots, first(b.shots, 3)) for a, b in zip(again, draws, strict=False))  # nested
    assert not same(draws[0].shots, draws[5].shots)
