"""Windows of a pretraining on several datasets: what is left out and held out of each."""

import pytest

from datasets.joined import JoinedWindows
from datasets.protocols.pretraining import datasets_of, pretraining_windows
from datasets.protocols.validation import hold_out
from datasets.windows import list_windows
from tests.prepared import write_dataset


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    first = write_dataset(root / "first", ["walking", "fall"] * 10, seconds=15, subjects=4)
    return first, write_dataset(root / "second", ["walking", "sitting"] * 5, seconds=15, video=False, simulated=False)


def listed(stores, classes=(), people=(), held_out=0.2, most=512, needs_video=False):
    return pretraining_windows(stores, needs_video, (classes, people), held_out, most, 0, window_s=5.0)


def test_each_dataset_is_held_out_by_itself(stores):
    training, kept = listed(stores, most=12)
    assert isinstance(training, JoinedWindows) and training.sizes == [60 - 6, 30 - 3]
    for own, held, store, most in zip(training.parts, kept, stores, (8, 4), strict=True):
        windows = list_windows(store)
        expected = [windows.subset(positions).ids() for positions in hold_out(windows, 0.2, most, 0)]
        assert [own.ids(), held.ids()] == expected and len(held) <= most
    assert datasets_of(training, [1, 1], kept) == [
        {"name": "first", "simulated": True, "accelerometer_only": False}
        | {"windows": 54, "windows_per_epoch": 41, "held_out": 6},
        {"name": "second", "simulated": False, "accelerometer_only": False}
        | {"windows": 27, "windows_per_epoch": 40, "held_out": 3},
    ]


def test_one_dataset_is_as_it_was(stores):
    training, (kept,) = listed(stores[:1], most=12)
    windows = list_windows(stores[0])
    expected = [windows.subset(positions).ids() for positions in hold_out(windows, 0.2, 12, 0)]
    assert [training.ids(), kept.ids()] == expected
    assert datasets_of(training, None, [kept])[0]["windows_per_epoch"] == len(training) == 48


def test_names_leave_out_where_they_are_known(stores):
    training, kept = listed(stores, ["fall", "sitting"], ["s3"])
    for own, held in zip(training.parts, kept, strict=True):
        assert {own.classes[k] for k in own.label} == {held.classes[k] for k in held.label} == {"walking"}
        assert "s3" not in {*own.subject, *held.subject}
    with pytest.raises(ValueError, match="exclude_classes: none of first, second has a class flying"):
        listed(stores, ["flying"])
    with pytest.raises(ValueError, match="exclude_subjects: none of first, second has a usable window of s9"):
        listed(stores, people=["s9", "s1"])


def test_video_is_needed_of_all_at_one_size(stores, tmp_path):
    with pytest.raises(ValueError, match="second has no usable 5 s window with video"):
        listed(stores, needs_video=True)
    small = write_dataset(tmp_path / "small", ["walking"] * 3, frame_size=16)
    with pytest.raises(ValueError, match=r"first, small: .* \[16, 32\] pixels: .*--frame_size"):
        listed((stores[0], small), needs_video=True)
