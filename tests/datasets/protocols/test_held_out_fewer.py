"""Held-out windows of a class that has too few: fewer of them, at least five, and no draw that was possible changes."""

import hashlib
import json

import numpy as np
import pytest

from datasets.protocols.splits import LEAST, DrawSettings, draw_windows, small_classes
from tests.datasets.protocols.test_splits import by_group, by_recording, by_window, first, same

NAMES = ("walk", "turn", "seated")
SEATED = (2, 11, 3, 2, 1, 0, 1)  # of seven people; of the others see ``people``
DRAWERS = {
    "window": lambda labels, groups, *numbers, **settings: by_window(labels, NAMES, *numbers, **settings),
    "group": lambda labels, groups, *numbers, **settings: by_group(labels, groups, NAMES, *numbers, **settings),
    "recording": lambda labels, groups, *numbers, **settings: by_recording(labels, groups, NAMES, *numbers, **settings),
}


def people(*of_classes):
    """Labels and groups of windows: for each class how many each person has."""
    labels = np.concatenate([np.repeat(k, sum(own)) for k, own in enumerate(of_classes)])
    groups = np.concatenate([np.repeat([f"s{p}" for p in range(len(own))], own) for own in of_classes])
    order = np.random.default_rng(0).permutation(len(labels))
    return labels[order], groups[order]


def digest(draws):
    sides = [[[own.tolist() for own in side] for side in (d.shots, d.held_out, d.select)] for d in draws]
    return hashlib.sha256(json.dumps([sides, [d.held_out_groups for d in draws]]).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "split, few, expected",
    [
        ("window", 3, "88e5ef6f5f983f04"),
        ("group", 3, "1b8af98abbc0bc3d"),
        ("recording", 3, "b3b8cd93bb5bf074"),
        ("window", 9, "ad6319d96e6d9cf7"),
        ("group", 9, "98e7d8e266078916"),
        ("recording", 9, "2d7f9a93d8ebdd63"),
    ],
)
def test_possible_draws_are_as_they_were(split, few, expected):
    """Digests of the code that never held out fewer; the third class is short of 50 shots, or of none."""
    labels, groups = people([20] * 12, [15] * 12, [few] * 12)
    if split == "recording":
        groups = np.char.add(groups, labels.astype(str))  # each class is divided by itself
    draws = DRAWERS[split](labels, groups, 50, 20, draws=4, seed=3, select=2, shorten=True)
    assert digest(draws) == expected
    assert {len(own) for draw in draws for own in draw.held_out} == {20}


@pytest.mark.parametrize("split", DRAWERS)
@pytest.mark.parametrize("select", [0, 3])
def test_a_class_too_small_has_both_sides(split, select):
    """Window by window; the other classes keep 20, and neither number hangs on the shots."""
    seated = [SEATED[0] + select, *SEATED[1:]]
    labels, groups = people([60] * 7, [9, 7, 11, 12, 40, 5, 14], seated)
    settings = {"draws": 6, "seed": 1, "select": select, "shorten": True}
    many, few = (DRAWERS[split](labels, groups, shots, 20, **settings) for shots in (50, 3))
    for draw, other in zip(many, few, strict=True):
        assert [len(own) for own in draw.held_out[:2]] == [20, 20]
        measured, learnt = len(draw.held_out[2]), len(draw.shots[2])
        assert measured >= LEAST and learnt >= LEAST and measured + learnt + select <= sum(seated)
        assert all(labels[i] == k for side in (draw.shots, draw.held_out) for k in range(3) for i in side[k])
        used = [*draw.learnt_from.tolist(), *draw.test.tolist()]
        assert len(set(used)) == len(used)
        if split != "window":
            assert not {groups[i] for i in draw.learnt_from} & {groups[i] for i in draw.test}
            there = sum(groups[i] in draw.held_out_groups and labels[i] == 2 for i in range(len(labels)))
            assert measured == min(20, there)  # all that the held-out people have
        assert same(draw.held_out, other.held_out) and same(first(draw.shots, 3), other.shots)
    if split != "window":
        assert len({draw.held_out_groups for draw in many}) > 1 < len({len(draw.held_out[2]) for draw in many})


def test_people_who_cannot_be_divided_hold_out_fewer():
    """Windows enough, but two people have all of them, neither 20."""
    labels, groups = people([30] * 8, [30] * 8, [19, 0, 0, 19, 0, 0, 0, 0])
    with pytest.raises(
        ValueError, match="leaves 10 .* and 20 on the other; .* lacks .* seated .*small_classes shorten"
    ):
        by_group(labels, groups, NAMES, 10, 20, draws=2, seed=0)
    for draw in by_group(labels, groups, NAMES, 10, 20, draws=1, seed=0, shorten=True):
        assert [len(own) for own in (*draw.shots, *draw.held_out)] == [10, 10, 10, 20, 20, 19]


@pytest.mark.parametrize(
    "windows, held_out, select, expected",
    [
        (20, 20, 0, None),
        (10, 20, 0, None),
        (9, 20, 0, "9 windows, 10 are needed"),
        (12, 20, 3, "12 windows, 13 are needed"),
        (8, 7, 0, None),
        (7, 7, 0, "7 windows, 8 are needed"),
    ],
)
def test_the_least_that_a_class_must_have(windows, held_out, select, expected):
    labels = np.repeat([0, 1], [100, windows])
    settings = DrawSettings(5, held_out, 2, 0, select, shorten=True)
    found = small_classes(labels, None, NAMES[:2], settings)
    assert found == ({} if expected is None else {"turn": expected})
    if expected is None:
        for draw in draw_windows(labels, 2, settings):
            assert len(draw.held_out[0]) == held_out and len(draw.shots[1]) >= 1
            assert len(draw.held_out[1]) == (held_out if windows > held_out else windows // 2)


def test_one_who_has_all_of_a_class_is_refused():
    labels, groups = people([30] * 7, [30] * 7, [17, 1, 1, 1, 0, 0, 0])
    with pytest.raises(
        ValueError, match=r"leaves 5 .* and 5 to 20 on .* lacks 2 .* seated .*: 17, 1, 1, 1\).*val_samples"
    ):
        by_group(labels, groups, NAMES, 5, 20, draws=1, seed=0, shorten=True)
    by_group(labels, groups, NAMES, 5, 3, draws=1, seed=0, shorten=True)  # what the message says
