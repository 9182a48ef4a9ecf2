"""Prototypes, the queries they leave, bootstraps, and class maps."""

import numpy as np
import pytest

from datasets.protocols.zero_shot import bootstrap, draw_prototypes, prototype_classes

CLASSES = ("walking", "fall")


def windows(recordings_per_class=8, windows_each=3):
    recordings = np.repeat(np.arange(2 * recordings_per_class), windows_each)
    return recordings % 2, recordings


@pytest.mark.parametrize("leave_queries", [True, False])
@pytest.mark.parametrize("per_class", [1, 3, 4, 7, 12])
def test_prototypes_are_spread_over_recordings(per_class, leave_queries):
    labels, recordings = windows()
    chosen = draw_prototypes(labels, recordings, CLASSES, per_class, 0, leave_queries)
    assert len(set(chosen.tolist())) == 2 * per_class
    for k in range(2):
        own = chosen[k * per_class : (k + 1) * per_class]
        assert (labels[own] == k).all()
        times = np.bincount(recordings[own])
        times = times[times > 0]
        assert len(times) == min(per_class, 4 if leave_queries else 8)
        assert times.max() - times.min() <= 1
    left = np.flatnonzero(~np.isin(recordings, recordings[chosen]))
    if leave_queries:
        assert all((labels[left] == k).sum() >= 12 for k in range(2))  # half of the recordings, at least


def test_all_windows_of_the_recordings_that_may_serve():
    labels, recordings = windows()
    assert sorted(draw_prototypes(labels, recordings, CLASSES, None, 0, leave_queries=False)) == list(range(48))
    chosen = draw_prototypes(labels, recordings, CLASSES, None, 0, leave_queries=True)
    assert [len(set(recordings[chosen[labels[chosen] == k]])) for k in range(2)] == [4, 4]
    assert np.isin(recordings, recordings[chosen]).sum() == len(chosen) == 24


def test_every_recording_is_drawn_equally_often_and_seeded():
    labels, recordings = windows()
    draws = [draw_prototypes(labels, recordings, CLASSES, 2, seed, True) for seed in range(2000)]
    times = np.bincount(np.concatenate(draws), minlength=len(labels))
    assert np.abs(times - 2000 * 2 / 24).max() < 5 * np.sqrt(2000 * 2 / 24)
    assert (draw_prototypes(labels, recordings, CLASSES, 2, 7, True) == draws[7]).all()


def test_too_few_windows_names_counts_and_remedy():
    labels, recordings = windows()
    with pytest.raises(ValueError, match="walking has 12 windows in 4 of its 8 recordings.*prototypes_per_class"):
        draw_prototypes(labels, recordings, CLASSES, 13, 0, True)
    assert len(draw_prototypes(labels, recordings, CLASSES, 13, 0, False)) == 26
    with pytest.raises(ValueError, match="fall has 0 windows in 0 of its 1 recordings"):
        draw_prototypes(np.array([0, 0, 1]), np.array([0, 1, 2]), CLASSES, 1, 0, True)
    with pytest.raises(ValueError, match="fall has 0 windows in 0 of its 0 recordings"):
        draw_prototypes(np.array([0, 0]), np.array([0, 1]), CLASSES, 1, 0, False)


def test_bootstrap_takes_its_fraction_of_each_class():
    labels = np.repeat([0, 1, 2], [100, 7, 1])
    rounds = bootstrap(labels, 3, 0.8, 5, seed=0)
    assert len({tuple(r) for r in rounds}) == 5
    for chosen in rounds:
        assert len(set(chosen.tolist())) == len(chosen)
        assert np.bincount(labels[chosen]).tolist() == [80, 6, 1]
    assert all((a == b).all() for a, b in zip(rounds, bootstrap(labels, 3, 0.8, 5, seed=0), strict=True))
    times = np.bincount(np.concatenate(bootstrap(labels, 3, 0.8, 1000, seed=0)))[:100]
    assert np.abs(times - 800).max() < 5 * np.sqrt(1000 * 0.8 * 0.2)
    assert [len(r) for r in bootstrap(labels, 3, 1.0, 2, seed=0)] == [108, 108]


TARGET, SOURCE = ("walking", "sitting", "turning"), ("walking", "reading", "watch_TV")


def classes_of(tmp_path, text, classes=("walking", "sitting")):
    (tmp_path / "map.yaml").write_text(text)
    return prototype_classes(tmp_path / "map.yaml", classes, TARGET, SOURCE)


def test_class_map_gives_one_class_or_several(tmp_path):
    good = "walking: walking\nsitting: [reading, watch_TV]\n"
    expected = {"walking": ("walking",), "sitting": ("reading", "watch_TV")}
    assert classes_of(tmp_path, good) == expected
    assert classes_of(tmp_path, good + "turning: no such class\n") == expected | {"turning": ("no such class",)}
    assert prototype_classes(None, ("walking",), TARGET, SOURCE) == {"walking": ("walking",)}


@pytest.mark.parametrize(
    "text, message",
    [
        *((text, "map.yaml.*is not 'class: class'") for text in ("walking: 3", "walking: []", "walking: [a, 2]")),
        *((text, "map.yaml.*is not 'class: class'") for text in ("walking:", "3: walking")),
        ("waking: walking", "no class 'waking'; did you mean walking"),
        ("walking: walking\nsitting: watch_tv", r"no class 'watch_tv' \(for sitting\); did you mean watch_TV"),
        ("walking: walking", "no prototype class for sitting: add a line, or leave it out"),
        ("walking: walking\nsitting: walking", "walking and sitting both map to walking, so they cannot"),
    ],
)
def test_class_maps_that_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        classes_of(tmp_path, text)
