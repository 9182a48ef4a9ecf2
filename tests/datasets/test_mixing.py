"""Several datasets in one epoch: the order of draws against a slow one, and batches that hold what they should."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from datasets.joined import JoinedWindows
from datasets.loader import LoaderSettings, PairLoader
from datasets.mixing import endless, mixed_order, windows_per_epoch
from datasets.windows import list_windows
from tests.prepared import write_dataset


def slow_counts(sizes, weights):
    """Largest remainders, in fractions."""
    exact = [Fraction(sum(sizes)) * Fraction(w) / sum(map(Fraction, weights)) for w in weights]
    counts = [math.floor(value) for value in exact]
    while sum(counts) < sum(sizes):
        k = max(range(len(sizes)), key=lambda k: (exact[k] - counts[k], -k))
        counts[k] += 1
    return counts


def slow_row(size, length, apart, seed, number):
    """The first numbers of an endless row of permutations."""
    row, cycle = [], 0
    while len(row) < length:
        drawn = np.random.default_rng([seed, cycle, 0, 2, number, 1]).permutation(size).tolist()
        recent = row[len(row) - apart :] if apart else []
        row += [k for k in drawn if k not in recent] + [k for k in drawn if k in recent]
        cycle += 1
    return row[:length]


def slow_order(sizes, weights, seed, epoch, apart):
    """One window at a time: that of the dataset whose next place comes first."""
    counts = list(sizes) if weights is None else slow_counts(sizes, weights)
    rows = [
        slow_row(size, (epoch + 1) * count, apart[k], seed, k)[epoch * count :]
        for k, (size, count) in enumerate(zip(sizes, counts, strict=True))
    ]
    offsets = [np.random.default_rng([seed, epoch, 0, 2, k]).random() for k in range(len(sizes))]
    taken, order = [0] * len(sizes), []
    while len(order) < sum(counts):
        places = {k: (taken[k] + offsets[k]) / counts[k] for k in range(len(sizes)) if taken[k] < counts[k]}
        k = min(places, key=places.get)
        order.append(sum(sizes[:k]) + rows[k][taken[k]])
        taken[k] += 1
    return order


@pytest.mark.parametrize(
    "sizes, weights",
    [((30, 20), None), ((30, 20), (1, 1)), ((90, 11, 40), (1, 0.5, 2)), ((33, 80, 7), (1, 1, 0.1))],
)
def test_the_order_is_the_slow_one(sizes, weights):
    counts = windows_per_epoch(sizes, weights)
    assert counts == (list(sizes) if weights is None else slow_counts(sizes, weights))
    most = [math.ceil(count * (4 + len(sizes)) / sum(sizes)) for count in counts]
    for epoch in range(4):
        expected = slow_order(sizes, weights, 5, epoch, [0] * len(sizes) if weights is None else most)
        assert mixed_order(sizes, weights, 5, epoch, 4).tolist() == expected


@pytest.mark.parametrize("apart", [0, 3, 10])
def test_all_others_come_before_a_window_comes_again(apart):
    row = np.concatenate([endless(20, 13 * part, 13, apart, (1, 0)) for part in range(40)])  # 26 times through
    assert row.tolist() == slow_row(20, 520, apart, 1, 0)
    assert (row.reshape(26, 20).argsort(axis=1) >= 0).all() and (np.sort(row.reshape(26, 20)) == np.arange(20)).all()
    last = {}
    for place, number in enumerate(row.tolist()):
        assert place - last.get(number, -100) > apart
        last[number] = place


def test_batches_hold_the_weights_and_no_window_twice():
    sizes, weights = (400, 60), (1, 1)
    for epoch in range(6):
        order = mixed_order(sizes, weights, 0, epoch, 24)
        for batch in order[: len(order) // 24 * 24].reshape(-1, 24):
            assert len(set(batch.tolist())) == 24
            assert abs((batch < 400).sum() - 12) <= 2
    seen = Counter(np.concatenate([mixed_order(sizes, weights, 0, epoch, 24) for epoch in range(6)]).tolist())
    small, large = ([seen[k] for k in part] for part in (range(400, 460), range(400)))
    assert set(small) == {23} and set(large) == {3, 4}  # 6 x 230 draws of 60, and of 400


def test_without_weights_every_window_comes_once():
    orders = [mixed_order((30, 12), None, 0, epoch, 8).tolist() for epoch in (1, 2)]
    assert all(sorted(order) == list(range(42)) for order in orders) and orders[0] != orders[1]


@pytest.mark.parametrize(
    "sizes, weights, words",
    [
        ((300, 10), (1, 1), "hold some of the 10 windows of dataset 2 twice"),
        ((300, 10), (1000, 1), "a dataset would have none"),
    ],
)
def test_weights_that_cannot_be_kept_are_refused(sizes, weights, words):
    with pytest.raises(ValueError, match=f"dataset_weights.*{words}"):
        mixed_order(sizes, weights, 0, 1, 32)


# ------------------------------------------------------------- batches


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    first = write_dataset(root / "first", ["walking", "fall"], seconds=50, seed=1)
    second = write_dataset(root / "second", ["sitting"] * 3, seconds=20, seed=2)
    return [list_windows(store, needs_video=True) for store in (first, second)]  # 20 and 12 windows


def collect(windows, epoch, start=0, **changes):
    settings = {"batch_size": 4, "clip_len": 5, "normalize": "dataset", "seed": 3, "weights": (2, 1)} | changes
    loader = PairLoader(windows, LoaderSettings(**settings))
    return [(b.imu.numpy().copy(), b.video.numpy().copy(), b.index.numpy()) for b in loader.epoch(epoch, start)]


def same(first, second):
    pairs = zip(first, second, strict=True)
    return all(np.array_equal(x, y) for a, b in pairs for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("more", [{}, {"clip_len": 0}, {"random_start": True, "speed_jitter": 0.2}])
def test_batches_follow_from_seed_and_epoch_alone(parts, more):
    """Whatever the threads and ranks, and resumed in the middle."""
    joined = JoinedWindows.of(*parts)
    whole = collect(joined, 2, **more)
    order = np.concatenate([index for *_, index in whole])
    assert order.tolist() == mixed_order((20, 12), (2, 1), 3, 2, 4).tolist()
    assert same(whole, collect(joined, 2, num_threads=1, **more))
    assert same(whole[5:], collect(joined, 2, start=5, **more))
    ranks = [collect(joined, 2, rank=rank, world_size=2, batch_size=2, **more) for rank in (0, 1)]
    assert same(whole, [tuple(map(np.concatenate, zip(*both, strict=True))) for both in zip(*ranks, strict=True)])
    assert not np.array_equal(whole[0][0], collect(joined, 3, **more)[0][0])


def test_each_window_is_its_datasets_own(parts):
    """Z-scored by the moments of its own dataset, with its own frames and name."""
    joined = JoinedWindows.of(*parts)
    for imu, video, index in collect(joined, 1):
        names = joined.ids(index)
        mean, std = joined.moments(index, "dataset")
        raw = joined.imu(index, "none")
        for row, position in enumerate(index.tolist()):
            part, own = (parts[0], position) if position < 20 else (parts[1], position - 20)
            np.testing.assert_array_equal(imu[row], part.imu(np.array([own]), "dataset")[0])
            np.testing.assert_array_equal(imu[row], (raw[row] - mean[row]) / std[row])
            assert names[row] == f"{part.store.name}/{part.ids()[own]}"
            first = part.start[own] // 5
            for chunk, value in enumerate(video[row].astype(float).mean((1, 2, 3))):
                assert min(abs(value - 5 * (first + 10 * chunk + k) % 250) for k in range(10)) < 1.5
    assert not np.allclose(*(part.store.dataset_moments[1] for part in parts))


def test_a_damaged_file_gives_way_to_no_window_of_its_batch(tmp_path):
    stores = [write_dataset(tmp_path / name, ["a"] * 4, seconds=30, seed=k) for k, name in enumerate("ab")]
    (stores[1].root / "frames" / "rec002.mjpeg").write_bytes(b"")
    joined = JoinedWindows.of(*(list_windows(store, needs_video=True) for store in stores))
    bad = {24 + k for k in range(24) if joined.parts[1].recording[k] == 2}
    replaced = 0
    for epoch in range(4):
        order = mixed_order((24, 24), (1, 3), 3, epoch, 4).reshape(-1, 4)
        found = collect(joined, epoch, weights=(1, 3), max_unreadable=0.5)
        for (*_, index), planned in zip(found, order, strict=True):
            kept = ~np.isin(planned, list(bad))
            assert (index[kept] == planned[kept]).all() and not bad & set(index.tolist())
            assert not set(index[~kept].tolist()) & set(planned.tolist())
            replaced += (~kept).sum()
    assert replaced
