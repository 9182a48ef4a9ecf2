"""The loader: right pairs, the same whatever threads, ranks or interruptions."""

import numpy as np
import pytest
import torch

from datasets.frames import FrameError
from datasets.pairs import PairLoader
from datasets.windows import list_windows
from tests.prepared import write_dataset


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    store = write_dataset(tmp_path_factory.mktemp("data") / "d", ["walking", "standing", "fall"], seconds=50)
    return list_windows(store, needs_video=True)  # 30 windows


def collect(loader, epoch=0, start=0):
    return [(b.imu.clone(), b.video.clone(), b.index.clone()) for b in loader.epoch(epoch, start)]


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(x, y) for a, b in zip(first, second, strict=True) for x, y in zip(a, b, strict=True)
    )


def test_imu_and_frames_belong_to_the_window(windows):
    for imu, video, index in collect(PairLoader(windows, 4, 10, "none")):
        np.testing.assert_array_equal(imu, windows.imu(index.numpy(), "none"))
        for row, position in enumerate(index.tolist()):
            first = windows.start[position] // 5
            brightness = video[row].float().mean((1, 2, 3)).numpy()
            for chunk, value in enumerate(brightness):
                allowed = [5 * (first + 5 * chunk + k) % 250 for k in range(5)]
                assert min(abs(value - a) for a in allowed) < 1.5


def test_threads_do_not_change_what_is_read(windows):
    one = collect(PairLoader(windows, 4, 10, "recording", seed=3, num_threads=1), epoch=2)
    three = collect(PairLoader(windows, 4, 10, "recording", seed=3, num_threads=3), epoch=2)
    assert same(one, three)
    assert not same(one, collect(PairLoader(windows, 4, 10, "recording", seed=4), epoch=2))
    assert not same(one, collect(PairLoader(windows, 4, 10, "recording", seed=3), epoch=1))


def test_an_epoch_can_begin_anywhere(windows):
    loader = PairLoader(windows, 4, 10, "recording", seed=3)
    assert same(collect(loader, 1)[3:], collect(loader, 1, start=3))


def test_ranks_share_the_batch_of_one_process(windows):
    one = collect(PairLoader(windows, 6, 4, "recording", seed=1), epoch=1)
    ranks = [collect(PairLoader(windows, 2, 4, "recording", seed=1, rank=r, world_size=3), epoch=1) for r in range(3)]
    assert len(one) == len(ranks[0]) == 5
    for k, whole in enumerate(one):
        for part in range(3):
            assert torch.equal(whole[part], torch.cat([rank[k][part] for rank in ranks]))


def test_training_sees_each_window_once_and_drops_an_uneven_end(windows):
    seen = torch.cat([index for _, _, index in collect(PairLoader(windows, 8, 0, "none"))])
    assert len(seen) == 24
    assert len(set(seen.tolist())) == 24


def test_evaluation_keeps_order_middle_frames_and_the_last_batch(windows):
    batches = collect(PairLoader(windows, 8, 10, "none", train=False))
    assert torch.cat([index for _, _, index in batches]).tolist() == list(range(30))
    assert batches[-1][1].shape == (6, 10, 32, 32, 3)
    first = batches[0][1][0].float().mean((1, 2, 3))
    assert torch.allclose(first, 5.0 * torch.arange(2, 50, 5), atol=1.5)


def test_without_video_no_frame_is_read(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking"], video=False)
    (batch,) = collect(PairLoader(list_windows(store), 3, 0, "recording"))
    assert batch[1].shape == (3, 0, 32, 32, 3)


def test_a_damaged_frame_reaches_the_caller_by_name(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking"])
    (store.root / "frames" / "rec000.mjpeg").write_bytes(b"")
    with pytest.raises(FrameError, match=r"rec000\.mjpeg"):
        collect(PairLoader(list_windows(store, needs_video=True), 3, 10, "recording"))


def test_too_few_windows_for_a_batch_is_an_error(windows):
    with pytest.raises(ValueError, match="30 windows do not fill one batch of 16 x 2 ranks"):
        PairLoader(windows, 16, 10, "none", world_size=2)
