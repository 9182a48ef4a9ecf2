"""Windows of any length: where they lie, what fills short ones, how training draws them anew; against slow oracles."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from datasets.frames import FrameStream
from datasets.loader import LoaderSettings, PairLoader
from datasets.masking import MASK_COLUMNS
from datasets.placing import place_anew
from datasets.protocols.validation import exclude_classes
from datasets.recording import Segment
from datasets.store import Store
from datasets.windows import NoWindowError, list_windows
from tests.prepared import write_dataset
from utils.atomic_io import write_text

SEGMENTS = (Segment(0.53, 17.2, "walking"), Segment(17.2, 19.9, "fall"), Segment(20, 37.1, "walking"))
MASKED = [(4.98, 5.02), (27.5, 28.0)]


def masked(store, *rows):
    table = pd.DataFrame([(*row, "gaps", 1.0, 0.5) for row in rows], columns=MASK_COLUMNS)
    write_text(store.root / "masked.csv", table.to_csv(index=False))
    return Store(store.root)


def segment_of_each(segments, samples):
    """The number of every sample's segment, one sample at a time; None outside."""
    numbers = []
    for k in range(samples):
        found = [n for n, s in enumerate(segments) if round(s.start_s * 50) <= k < round(s.end_s * 50)]
        numbers.append(found[0] if found else None)
    return numbers


def touches(start, end, stretches):
    return any(low * 50 < end and high * 50 > start for low, high in stretches)


@pytest.mark.parametrize("window_s", [2.5, 5.0, 15.0])
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_listing_is_the_slow_one(tmp_path, window_s, share):
    """38 s with segments and masked stretches: each start by itself, each sample's label by itself."""
    store = write_dataset(tmp_path / "d", ["fall", "walking"], seconds=38, video=False, segments=SEGMENTS)
    store = masked(store, *(("rec000", *stretch) for stretch in MASKED))
    length, numbers = round(window_s * 50), segment_of_each(SEGMENTS, 1900)
    for labelled in (False, True):
        windows = list_windows(store, labelled=labelled, window_s=window_s, label_share=share)
        assert (windows.samples, windows.frames, windows.window_s) == (length, round(window_s * 10), window_s)
        found = [(int(r), int(s), k) for r, s, k in zip(windows.recording, windows.start, windows.label, strict=True)]
        wanted = []
        for recording in range(2):
            if labelled and share == 1:
                starts = []
                for segment in SEGMENTS:
                    start = math.ceil(round(segment.start_s * 50) / 5) * 5
                    while start + length <= round(segment.end_s * 50):
                        starts.append(start)
                        start += length
            else:
                starts = [k * length for k in range(1900 // length)]
            for start in starts:
                inside = numbers[start : start + length]
                covering = [s.label for n, s in enumerate(SEGMENTS) if inside.count(n) >= share * length]
                label = store.classes.index(covering[0]) if covering else -1
                masks = MASKED if recording == 0 else []
                if not touches(start, start + length, masks) and (label >= 0 or not labelled):
                    wanted.append((recording, start, label))
        assert found == wanted and wanted
    assert all(name.endswith(f"+{window_s:g}") == (window_s != 5) for name in windows.ids())


def short_and_long(root):
    """Recordings of 2.0, 2.1, 2.9, 3.0 and 7.0 s, with video."""
    for number, seconds in enumerate((2.0, 2.1, 2.9, 3.0, 7.0)):
        store = write_dataset(root / f"part{number}", ["walking"], seconds=seconds, frame_size=16, seed=number)
        yield store


def test_short_recordings_give_one_window_or_none(tmp_path):
    for number, store in enumerate(short_and_long(tmp_path)):
        for needs_video in (False, True):
            kept = {"needs_video": needs_video, "window_s": 3.0}
            if number == 0:
                with pytest.raises(NoWindowError, match="no usable 3 s window.*1 recordings are too short"):
                    list_windows(store, min_coverage=0.7, **kept)
            else:
                windows = list_windows(store, min_coverage=0.7, **kept)
                assert windows.start.tolist() == ([0, 150] if number == 4 else [0]) and windows.too_short == 0
            if number < 3:
                with pytest.raises(NoWindowError):
                    list_windows(store, **kept)
    mixed = write_dataset(tmp_path / "mixed", ["walking", "fall"], seconds=6)
    mixed.recordings.loc[0, ["samples", "frames"]] = 100, 20
    np.save(mixed.root / "imu" / "rec000.npy", np.load(mixed.root / "imu" / "rec000.npy")[:100])
    windows = list_windows(mixed, window_s=3.0)
    assert windows.too_short == 1 and windows.describe_too_short() == "1 recording is too short for a window of 3 s"
    assert list_windows(mixed, window_s=3.0, classes=["fall"]).too_short == 0
    segmented = list_windows(mixed, window_s=3.0, min_coverage=0.6)
    assert segmented.too_short == 0 and segmented.ids() == ["rec000@0+3", "rec001@0+3", "rec001@3+3"]


@pytest.mark.parametrize("normalize", ["recording", "dataset", "window", "none"])
def test_the_end_is_repeated_and_no_moment_counts_it(tmp_path, normalize):
    store = list(short_and_long(tmp_path))[1]  # 105 samples, 21 frames
    windows = list_windows(store, needs_video=True, window_s=3.0, min_coverage=0.7)
    signal = store.imu(0).astype(np.float64)
    filled = np.array([signal[min(k, 104)] for k in range(150)])
    scaled = filled if normalize == "none" else (filled - signal.mean(0)) / signal.std(0)
    np.testing.assert_allclose(windows.imu(np.array([0]), normalize)[0], scaled.T, rtol=1e-4, atol=2e-5)  # float32
    out = np.empty((30, 16, 16, 3), dtype=np.uint8)
    windows.read_frames(0, np.arange(30), out)
    wanted = store.frames(0).read(np.minimum(np.arange(30), 20))
    np.testing.assert_array_equal(out, wanted)


def test_a_short_recording_is_labelled_by_what_covers_it(tmp_path):
    segments = (Segment(0, 2.4, "fall"), Segment(2.4, 4, "walking"))
    store = write_dataset(tmp_path / "d", ["fall", "walking"], seconds=4, video=False, segments=segments)
    with pytest.raises(NoWindowError):
        list_windows(store, labelled=True, min_coverage=0.8)
    windows = list_windows(store, labelled=True, min_coverage=0.8, label_share=0.6)
    assert windows.start.tolist() == [0, 0] and {windows.classes[k] for k in windows.label} == {"fall"}


# ------------------------------------------------------------- drawn anew


def drawn_by_hand(windows, index, seed, epoch, random_start, jitter):
    """Start and speed of one window, with Python numbers."""
    numbers = np.random.default_rng([seed, epoch, 0, 1]).random(2 * len(windows)).tolist()
    shift, stretch = numbers[index], numbers[len(windows) + index]
    store, recording = windows.store, int(windows.recording[index])
    row = store.recordings.iloc[recording]
    speed, grid = math.exp(jitter * (2 * stretch - 1)), int(windows.start[index])
    length = windows.samples * speed
    first, end = (int(edge) for edge in windows.bounds[index])
    start = grid
    if random_start:
        valid = [s for s in range(0, row["samples"], 5) if s >= first and s + length <= end]
        start = valid[int(shift * len(valid))] if valid else math.ceil(first / 5) * 5
    stretches = [(s.start_s, s.end_s) for s in store.masked[store.masked["id"] == row["id"]].itertuples()]
    if (start + length > end and end < row["samples"]) or touches(start, start + length, stretches):
        return grid, 1.0
    return start, speed


@pytest.mark.parametrize("random_start, jitter", [(True, 0.0), (False, 0.3), (True, 0.5)])
@pytest.mark.parametrize("window_s, coverage", [(2.5, 1.0), (5.0, 1.0), (15.0, 1.0), (20.0, 0.6)])
def test_draws_are_the_slow_ones(tmp_path, random_start, jitter, window_s, coverage):
    parts = [
        masked(write_dataset(tmp_path / "plain", ["walking"] * 2, seconds=17, video=False), ("rec000", 8.2, 8.3)),
        masked(
            write_dataset(tmp_path / "turns", ["fall", "walking"], seconds=38, video=False, segments=SEGMENTS),
            ("rec001", 27.5, 28.0),
        ),
    ]
    moved = stayed = 0
    for store in parts:
        try:
            windows = list_windows(store, window_s=window_s, min_coverage=coverage)
        except NoWindowError:
            assert window_s > 15 and store is parts[0]
            continue
        for epoch in range(1, 6):
            placed = place_anew(windows, 7, epoch, random_start, jitter)
            assert (placed.speed is None) == (jitter == 0)
            imu = placed.imu(np.arange(len(windows)), "none")
            for index in range(len(windows)):
                start, speed = drawn_by_hand(windows, index, 7, epoch, random_start, jitter)
                assert placed.start[index] == start and start % 5 == 0
                if jitter:
                    assert placed.speed[index] == pytest.approx(speed, rel=1e-14)
                signal = store.imu(int(windows.recording[index])).astype(np.float64)
                times = start + speed * np.arange(windows.samples)
                for channel in range(6):
                    wanted = np.interp(times, np.arange(len(signal)), signal[:, channel])
                    wanted *= speed if channel >= 3 else 1  # what is played faster turns faster
                    np.testing.assert_allclose(imu[index, channel], wanted, rtol=1e-6, atol=2e-6)  # float32
                same = start == windows.start[index] and speed == 1
                moved, stayed = moved + (not same), stayed + same
    assert moved and (stayed or not random_start)


@pytest.mark.parametrize("random_start", [True, False])
def test_draws_cover_all_but_what_they_must_avoid(tmp_path, random_start):
    segments = (Segment(0, 12, "walking"), Segment(12, 16, "fall"), Segment(16, 30, "walking"))
    store = write_dataset(tmp_path / "d", ["fall", "walking"], seconds=40, video=False, segments=segments)
    windows = exclude_classes(list_windows(masked(store, ("rec000", 34, 34.5)), window_s=2.0), ["fall"])
    places = {name: set() for name in ("walking", "")}
    for epoch in range(300 if random_start else 30):
        placed = place_anew(windows, 0, epoch, random_start, 0.2)
        ends = placed.start + 100 * placed.speed
        for recording, start, end, label, cut in zip(
            windows.recording, placed.start, ends, windows.label, windows.start, strict=True
        ):
            assert not (start < 800 and end > 600)  # the excluded class
            assert recording == 1 or not (start < 1725 and end > 1700)  # masked
            if label >= 0:  # within its segment
                assert (end <= 600) == (cut < 600) and end <= 1500
            places["walking" if label >= 0 else ""].add(int(start))
    assert not random_start or places["walking"] >= {0, 5, 495, 805, 1395} and max(places[""]) >= 1895


def loader(windows, **changes):
    settings = {"batch_size": 4, "clip_len": 6, "normalize": "recording", "seed": 3, "num_threads": 2} | changes
    return PairLoader(windows, LoaderSettings(**settings))


def collect(source, epoch, start=0):
    return [(b.imu.clone(), b.video.clone(), b.index.clone()) for b in source.epoch(epoch, start)]


@pytest.mark.parametrize("clip_len", [0, 6])
def test_batches_follow_from_seed_epoch_and_window_alone(tmp_path, clip_len):
    """Whatever the threads and ranks, and resumed in the middle; another epoch is another draw."""
    windows = list_windows(write_dataset(tmp_path / "d", ["a", "b"] * 3, seconds=13), needs_video=True, window_s=2.5)
    how = {"random_start": True, "speed_jitter": 0.2, "clip_len": clip_len}
    whole = collect(loader(windows, **how), 2)
    placed = place_anew(windows, 3, 2, True, 0.2)
    for imu, _, index in whole:
        np.testing.assert_array_equal(imu, placed.imu(index.numpy(), "recording"))
    for other in (
        collect(loader(windows, num_threads=1, **how), 2),
        collect(loader(windows, **how), 2, start=0),
        [
            tuple(map(lambda *parts: np.concatenate(parts), *ranks))
            for ranks in zip(
                *(collect(loader(windows, rank=r, world_size=2, **how | {"batch_size": 2}), 2) for r in range(2)),
                strict=True,
            )
        ],
    ):
        assert all(np.array_equal(a, b) for x, y in zip(whole, other, strict=True) for a, b in zip(x, y, strict=True))
    resumed = collect(loader(windows, **how), 2, start=3)
    assert all(np.array_equal(a, b) for x, y in zip(whole[3:], resumed, strict=True) for a, b in zip(x, y, strict=True))
    assert not np.array_equal(whole[0][0], collect(loader(windows, **how), 3)[0][0])


def test_frames_are_of_the_same_span(tmp_path, monkeypatch):
    """Frame k of a window that runs at speed v is the stored one nearest to v k after its first."""
    store = write_dataset(tmp_path / "d", ["a"] * 4, seconds=13)
    windows = list_windows(store, needs_video=True, window_s=2.5)
    read, original = [], FrameStream.read_into
    monkeypatch.setattr(FrameStream, "read_into", lambda *a: (read.append(a[1].tolist()), original(*a)))
    source = loader(windows, random_start=True, speed_jitter=0.5, num_threads=1)
    indices = [int(i) for _, _, index in collect(source, 1) for i in index]
    placed = place_anew(windows, 3, 1, True, 0.5)
    edges = [25 * k // 6 for k in range(7)]
    assert len(read) == len(indices)
    for index, frames in zip(indices, read, strict=True):
        rng = np.random.default_rng([3, 1, index])
        drawn = rng.integers(edges[:-1], edges[1:])
        first = placed.start[index] // 5
        assert frames == [min(first + math.floor(placed.speed[index] * k + 0.5), 129) for k in drawn]


def test_without_the_settings_nothing_is_drawn(tmp_path):
    """Bit-equal to windows read by hand, and evaluation never moves one."""
    windows = list_windows(write_dataset(tmp_path / "d", ["a", "b"] * 2, seconds=16), needs_video=True)
    for imu, _, index in collect(loader(windows), 1):
        for row, position in enumerate(index.tolist()):
            start, recording = windows.start[position], int(windows.recording[position])
            signal = windows.store.imu(recording)[start : start + 250]
            mean, std = (moment[recording].astype(np.float32) for moment in windows.store.source_moments)
            np.testing.assert_array_equal(imu[row].numpy(), ((signal - mean) / std).T)
    how = {"random_start": True, "speed_jitter": 0.3, "train": False}
    for a, b in zip(collect(loader(windows, **how), 1), collect(loader(windows, train=False), 1), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("window_s", [2.5, 5.0, 15.0])
def test_centred_windows_are_in_the_middle(tmp_path, window_s):
    store = write_dataset(tmp_path / "d", ["a", "b"], seconds=18.7, video=False)
    windows = list_windows(masked(store, ("rec001", 9, 9.5)), window_s=window_s) if window_s < 15 else None
    windows = windows or list_windows(store, window_s=window_s)
    centred = windows.centred()
    middle = math.floor((18.7 - window_s) / 2 * 10 + 1e-9) * 5
    whole = windows.recording == 0 if window_s < 15 else windows.recording >= 0
    assert set(centred.start[whole]) == {middle}
    np.testing.assert_array_equal(centred.start[~whole], windows.start[~whole])
    assert all(a <= b for a, b in pairwise(windows.start[windows.recording == 0]))
    short = list_windows(store, window_s=20.0, min_coverage=0.9)
    assert short.centred().start.tolist() == [0, 0]
