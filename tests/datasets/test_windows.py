"""Windows lie where they should, and the z-score is the one that was asked for."""

import numpy as np
import pytest

from datasets.recording import Segment
from datasets.windows import list_windows
from tests.prepared import write_dataset


def test_windows_tile_each_recording_without_overlap(tmp_path):
    windows = list_windows(write_dataset(tmp_path / "d", ["walking", "standing"], seconds=17))
    assert windows.recording.tolist() == [0, 0, 0, 1, 1, 1]
    assert windows.start.tolist() == [0, 250, 500] * 2
    assert [windows.classes[k] for k in windows.label] == ["walking"] * 3 + ["standing"] * 3
    assert windows.ids()[:2] == ["rec000@0", "rec000@5"]
    assert windows.subset(windows.label == 0).ids() == ["rec001@0", "rec001@5", "rec001@10"]


def test_a_window_needs_all_its_frames(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking"], seconds=15)
    store.recordings.loc[0, "frames"] = 149
    assert len(list_windows(store)) == 3
    assert len(list_windows(store, needs_video=True)) == 2


def test_segments_label_only_what_lies_inside(tmp_path):
    segments = (Segment(1.03, 11.5, "walking"), Segment(11.5, 20, "standing"))
    store = write_dataset(tmp_path / "d", ["walking"], seconds=20, segments=segments)
    labelled = list_windows(store, labelled=True)
    assert [(labelled.classes[k], s) for k, s in zip(labelled.label, labelled.start, strict=True)] == [
        ("walking", 55),  # the first sample after 1.03 s that coincides with a frame
        ("walking", 305),
        ("standing", 575),
    ]
    everything = list_windows(store)
    assert everything.start.tolist() == [0, 250, 500, 750]
    assert everything.label.tolist() == [-1, 0, -1, 1]  # classes are walking, standing


def test_only_the_classes_asked_for_in_that_order(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking", "standing", "fall"])
    windows = list_windows(store, classes=["walking", "fall"])
    assert windows.label.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="no class wlaking"):
        list_windows(store, classes=["wlaking"])


def test_nothing_usable_is_an_error(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking"], video=False)
    with pytest.raises(ValueError, match="no usable 5 s window with video"):
        list_windows(store, needs_video=True)


@pytest.mark.parametrize("normalize", ["recording", "dataset", "window", "none"])
def test_z_score_by_the_unit_asked_for(tmp_path, normalize):
    store = write_dataset(tmp_path / "d", ["walking", "standing"], seconds=16)
    windows = list_windows(store)
    signals = [store.imu(r).astype(np.float64) for r in range(2)]
    everything = np.concatenate(signals)
    for index in range(len(windows)):
        start = windows.start[index]
        own = signals[windows.recording[index]]
        window = own[start : start + 250]
        unit = {"recording": own, "dataset": everything, "window": window}.get(normalize)
        expected = window if unit is None else (window - unit.mean(0)) / unit.std(0)
        got = windows.imu(np.array([index]), normalize)[0]
        assert got.shape == (6, 250)
        np.testing.assert_allclose(got, expected.T, rtol=1e-4, atol=2e-5)  # float32


def test_parts_are_scaled_by_their_whole_recording(tmp_path):
    store = write_dataset(tmp_path / "d", ["standing", "walking", "walking"], seconds=16)
    store.recordings.loc[1, "source"] = "rec000"  # as a gap leaves them: two rows of one raw recording
    signals = [store.imu(r).astype(np.float64) for r in range(3)]
    whole = [np.concatenate(signals[:2])] * 2 + [signals[2]]
    windows = list_windows(store)
    got = windows.imu(np.arange(len(windows)), "recording")
    for index, (row, start) in enumerate(zip(windows.recording, windows.start, strict=True)):
        expected = (signals[row][start : start + 250] - whole[row].mean(0)) / whole[row].std(0)
        np.testing.assert_allclose(got[index], expected.T, rtol=1e-4, atol=2e-5)  # float32


def test_a_flat_channel_is_only_centred(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking"])
    flat = np.array(store.imu(0))
    flat[:, 4] = 3.5
    np.save(store.root / "imu" / "rec000.npy", flat)
    store.recordings.loc[0, ["mean_gyro_y", "std_gyro_y"]] = [3.5, 0.0]
    assert (list_windows(store).imu(np.array([0]), "recording")[0, 4] == 0).all()


def test_parts_of_a_split_recording_share_their_source(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking", "walking", "standing"])
    store.recordings.loc[1, "source"] = "rec000"  # as a gap leaves them: two rows of one raw recording
    sources = list_windows(store).sources()
    assert len(set(sources[:6])) == 1 and len(set(sources)) == 2


@pytest.mark.parametrize(("stride_s", "share"), [(5.0, 1.0), (1.0, 1.0), (1.0, 0.6), (2.5, 0.8), (5.0, 0.6)])
def test_overlapping_windows_have_the_label_that_covers_them(tmp_path, stride_s, share):
    segments = (Segment(0, 7.4, "walking"), Segment(7.4, 11, "freezing"), Segment(12, 20, "walking"))
    store = write_dataset(tmp_path / "d", ["freezing", "walking"], seconds=20, video=False, segments=segments)
    windows = list_windows(store, labelled=True, stride_s=stride_s, label_share=share)
    per_sample = np.full(1000, -1)  # oracle: every sample has a label, and a window counts them
    for segment in segments:
        number = ["freezing", "walking"].index(segment.label)
        per_sample[round(segment.start_s * 50) : round(segment.end_s * 50)] = number
    for start, label in zip(windows.start, windows.label, strict=True):
        assert (per_sample[start : start + 250] == label).sum() >= share * 250
        assert start % 5 == 0
    if share < 1:
        grid = range(0, 751, round(stride_s * 50))
        wanted = [s for s in grid if max(np.bincount(per_sample[s : s + 250] + 1, minlength=3)[1:]) >= share * 250]
        assert windows.start[windows.recording == 0].tolist() == wanted
        assert ("freezing" in np.array(store.classes)[windows.label]) == (share == 0.6 and stride_s == 1)
    elif stride_s == 1.0:
        assert windows.start[windows.recording == 0].tolist() == [0, 50, 100, 600, 650, 700, 750]
