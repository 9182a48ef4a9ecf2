"""The loader: right pairs, the same whatever threads, ranks or interruptions."""

import os
import time
from collections import Counter

import numpy as np
import pytest
import torch

from datasets.frames import FrameError, FrameStream
from datasets.loader import LoaderSettings, PairLoader
from datasets.windows import list_windows
from tests.prepared import write_dataset


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    store = write_dataset(tmp_path_factory.mktemp("data") / "d", ["walking", "standing", "fall"], seconds=50)
    return list_windows(store, needs_video=True)  # 30 windows


def load(windows, *settings, **more):
    """A loader with the settings in their order, or by name."""
    return PairLoader(windows, LoaderSettings(*settings, **more))


def collect(loader, epoch=0, start=0):
    return [(b.imu.clone(), b.video.clone(), b.index.clone()) for b in loader.epoch(epoch, start)]


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(x, y) for a, b in zip(first, second, strict=True) for x, y in zip(a, b, strict=True)
    )


def test_imu_and_frames_belong_to_the_window(windows):
    for imu, video, index in collect(load(windows, 4, 10, "none")):
        np.testing.assert_array_equal(imu, windows.imu(index.numpy(), "none"))
        for row, position in enumerate(index.tolist()):
            first = windows.start[position] // 5
            brightness = video[row].float().mean((1, 2, 3)).numpy()
            for chunk, value in enumerate(brightness):
                allowed = [5 * (first + 5 * chunk + k) % 250 for k in range(5)]
                assert min(abs(value - a) for a in allowed) < 1.5


def test_threads_do_not_change_what_is_read(windows):
    one = collect(load(windows, 4, 10, "recording", seed=3, num_threads=1), epoch=2)
    three = collect(load(windows, 4, 10, "recording", seed=3, num_threads=3), epoch=2)
    assert same(one, three)
    assert not same(one, collect(load(windows, 4, 10, "recording", seed=4), epoch=2))
    assert not same(one, collect(load(windows, 4, 10, "recording", seed=3), epoch=1))


def test_an_epoch_can_begin_anywhere(windows):
    loader = load(windows, 4, 10, "recording", seed=3)
    assert same(collect(loader, 1)[3:], collect(loader, 1, start=3))


def test_ranks_share_the_batch_of_one_process(windows):
    one = collect(load(windows, 6, 4, "recording", seed=1), epoch=1)
    ranks = [collect(load(windows, 2, 4, "recording", seed=1, rank=r, world_size=3), epoch=1) for r in range(3)]
    assert len(one) == len(ranks[0]) == 5
    for k, whole in enumerate(one):
        for part in range(3):
            assert torch.equal(whole[part], torch.cat([rank[k][part] for rank in ranks]))


def test_training_sees_each_window_once_and_drops_an_uneven_end(windows):
    seen = torch.cat([index for _, _, index in collect(load(windows, 8, 0, "none"))])
    assert len(seen) == 24
    assert len(set(seen.tolist())) == 24


def test_evaluation_keeps_order_middle_frames_and_last_batch(windows):
    batches = collect(load(windows, 8, 10, "none", train=False))
    assert torch.cat([index for _, _, index in batches]).tolist() == list(range(30))
    assert batches[-1][1].shape == (6, 10, 32, 32, 3)
    first = batches[0][1][0].float().mean((1, 2, 3))
    assert torch.allclose(first, 5.0 * torch.arange(2, 50, 5), atol=1.5)


@pytest.mark.parametrize("train", [True, False])
def test_unused_frames_are_not_read(windows, monkeypatch, train):
    used, read, original = [5, 6], [], FrameStream.read_into
    whole = collect(load(windows, 4, 10, "recording", seed=3, train=train), epoch=2)
    monkeypatch.setattr(FrameStream, "read_into", lambda *a: (read.append(len(a[1])), original(*a)))
    some = collect(load(windows, 4, 10, "recording", seed=3, train=train, frames_used=used), epoch=2)
    assert read == [2] * sum(len(index) for _, _, index in some)
    assert same(some, [(imu, video[:, used], index) for imu, video, index in whole])


@pytest.mark.parametrize("clip_len", [0, 4])
def test_a_rank_without_windows_gets_an_empty_last_batch(windows, clip_len):
    first, second = (collect(load(windows, 20, clip_len, "none", train=False, rank=r, world_size=2)) for r in (0, 1))
    assert [len(batch[2]) for batch in first + second] == [20, 10]
    (empty,) = collect(load(windows, 30, clip_len, "none", train=False, rank=1, world_size=2))
    assert [part.shape for part in empty] == [(0, 6, 250), (0, clip_len, 32, 32, 3), (0,)]


def test_without_video_no_frame_is_read(tmp_path):
    store = write_dataset(tmp_path / "d", ["walking"], video=False, seconds=30)
    windows = list_windows(store)
    loader = load(windows, 3, 0, "recording", seed=2)
    batches = collect(loader, 4)
    order = np.arange(6)
    np.random.default_rng([2, 4]).shuffle(order)
    for number, (imu, video, index) in enumerate(batches):
        assert video.shape == (3, 0, 32, 32, 3)
        assert index.tolist() == order[3 * number : 3 * number + 3].tolist()
        np.testing.assert_array_equal(imu, windows.imu(index.numpy(), "recording"))
    assert same(batches[1:], collect(loader, 4, start=1))


def test_buffers_are_reused_but_never_while_a_batch_is_in_use(windows):
    loader = load(windows, 4, 10, "recording", seed=3)
    expected = collect(load(windows, 4, 10, "recording", seed=3), epoch=1)
    for _ in loader.epoch(0):
        break  # an epoch that is left early gives its buffers back too
    kept = [slot.video.data_ptr() for slot in loader._slots]
    seen = set()
    other = loader.epoch(0)  # a second iterator at the same time has buffers of its own
    next(other)
    for batch, (imu, video, index) in zip(loader.epoch(1), expected, strict=True):
        seen.add(batch.video.data_ptr())
        assert torch.equal(batch.imu, imu) and torch.equal(batch.video, video) and torch.equal(batch.index, index)
        next(other, None)
    other.close()
    assert len(kept) == 4
    assert len(seen) <= 4


class Unreadable:
    """A dataset of 40 windows in 8 recordings, some of which lose their frames."""

    def __init__(self, root, *lost):
        store = write_dataset(root, list("abcdefgh"), seconds=25)
        self.windows = list_windows(store, needs_video=True)
        self.lost = [f"rec{number:03d}.mjpeg" for number in lost]
        for name in self.lost:
            (store.root / "frames" / name).write_bytes(b"")
        self.bad = {k for k in range(40) if self.windows.recording[k] in lost}

    def loader(self, batch_size=5, max_unreadable=0.3, **more):
        return load(self.windows, batch_size, 10, "recording", seed=3, max_unreadable=max_unreadable, **more)


def test_an_unreadable_window_is_replaced_reproducibly(tmp_path, caplog):
    data = Unreadable(tmp_path / "d", 2, 5)
    loader = data.loader(num_threads=1)
    batches = collect(loader, epoch=1)
    order = np.arange(40)
    np.random.default_rng([3, 1]).shuffle(order)
    for number, (imu, video, index) in enumerate(batches):
        planned = order[5 * number : 5 * number + 5]
        for row, (now, before) in enumerate(zip(index.tolist(), planned.tolist(), strict=True)):
            assert now not in data.bad
            if before in data.bad:
                # oracle: the same row of the next batch, of the one after it, ... round the end, that is readable
                walk = [5 * ((number + k) % 8) + row for k in range(1, 8)]
                assert now == next(order[w] for w in walk if order[w] not in data.bad)
            else:
                assert now == before
            np.testing.assert_array_equal(imu[row], data.windows.imu(np.array([now]), "recording")[0])
            first = data.windows.start[now] // 5
            for chunk, value in enumerate(video[row].float().mean((1, 2, 3)).tolist()):
                assert min(abs(value - 5 * (first + 5 * chunk + k) % 250) for k in range(5)) < 1.5
    # each file is named once, each window counted
    assert [sum(name in record.message for record in caplog.records) for name in data.lost] == [1, 1]
    assert Counter(path.name for path in loader.unreadable.files.values()) == dict.fromkeys(data.lost, 5)
    # neither threads, nor ranks, nor the place where an epoch begins change what replaces what
    assert same(batches, collect(data.loader(num_threads=3), epoch=1))
    assert same(batches[3:], collect(data.loader(), epoch=1, start=3))
    ranks = [collect(data.loader(batch_size=1, rank=rank, world_size=5), epoch=1) for rank in range(5)]
    for number, whole in enumerate(batches):
        assert torch.equal(whole[2], torch.cat([rank[number][2] for rank in ranks]))
        assert torch.equal(whole[1], torch.cat([rank[number][1] for rank in ranks]))


@pytest.mark.parametrize("batch_size, lost", [(12, [0]), (4, [1, 4, 6])])
def test_no_window_is_twice_in_a_global_batch(tmp_path, batch_size, lost):
    """Neither beside a window that it replaces, nor for two of them."""
    data = Unreadable(tmp_path / "d", *lost)
    for epoch in range(12):
        for _, _, index in collect(data.loader(batch_size=batch_size, max_unreadable=0.5), epoch):
            assert len(set(index.tolist())) == batch_size


def test_too_many_unreadable_windows_are_an_error_with_files(tmp_path):
    data = Unreadable(tmp_path / "d", 1, 4)
    with pytest.raises(
        FrameError, match=r"9 of 40 windows cannot be read, 8 may be: rec.*\(\d\), rec.*\(\d\)"
    ) as raised:
        collect(data.loader(max_unreadable=0.2, num_threads=1))
    assert all(name in str(raised.value) for name in data.lost)
    with pytest.raises(FrameError, match="4 of 40 windows cannot be read, 3 may be"):  # three always may
        collect(data.loader(max_unreadable=0.0, num_threads=1))


def test_nothing_is_left_to_replace_an_unreadable_window(tmp_path):
    data = Unreadable(tmp_path / "d", 6)
    with pytest.raises(FrameError, match="no readable window is left to replace it: use a smaller batch_size"):
        collect(data.loader(batch_size=40))


def test_evaluation_never_replaces_an_unreadable_window(tmp_path):
    data = Unreadable(tmp_path / "d", 7)
    with pytest.raises(FrameError, match=r"rec007\.mjpeg"):
        collect(data.loader(train=False))


def test_a_report_leaves_unreadable_windows_out_and_counts_them(tmp_path, caplog):
    """Whole batches of them too; the others come as they would have."""
    data = Unreadable(tmp_path / "d", 3, 7)
    batches = data.loader(batch_size=3, train=False, leave_out=True)
    found = [(b.imu.clone(), b.to(torch.device("cpu"))[1].clone(), b.index.clone()) for b in batches.epoch(0)]
    good = [k for k in range(40) if k not in data.bad]
    assert torch.cat([index for _, _, index in found]).tolist() == good
    assert all(len(index) for _, _, index in found)
    readable = load(data.windows.subset(np.array(good)), 30, 10, "recording", train=False)
    ((imu, video, _),) = collect(readable)
    assert torch.equal(torch.cat([part[0] for part in found]), imu)
    assert torch.equal(torch.cat([part[1] for part in found]), video)
    assert len(batches.unreadable.files) == 10
    assert caplog.text.count("its unreadable windows are left out of the report") == 2
    with pytest.raises(FrameError, match=r"(9|10) of 40 windows cannot be read, 8 may be"):  # two threads count
        collect(data.loader(train=False, leave_out=True, max_unreadable=0.2))
    nothing = Unreadable(tmp_path / "nothing", *range(8))
    nothing.windows = nothing.windows.subset(np.arange(3))
    with pytest.raises(FrameError, match="3 of 3 windows cannot be read, 2 may be"):
        collect(nothing.loader(train=False, leave_out=True))


def test_a_read_that_hangs_ends_in_an_error_that_names_it(tmp_path):
    """Opening a pipe that nobody writes to blocks as a lost network share does."""
    store = write_dataset(tmp_path / "d", ["walking", "fall"])
    pipe = store.root / "frames" / "rec001.mjpeg"
    pipe.unlink()
    os.mkfifo(pipe)
    loader = load(list_windows(store, needs_video=True), 3, 10, "none", num_threads=2, timeout_s=0.5)
    begun = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match=r"no window was read within 0.5 s; still reading rec001@\d+ \(.*rec001"):
            collect(loader)
        assert time.monotonic() - begun < 10
        assert loader._slots == []  # a hung thread may still write to them
    finally:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))  # lets the threads go


def test_a_slow_read_is_waited_for(windows):
    loader = load(windows, 4, 10, "recording", seed=3, num_threads=1, timeout_s=1.0)
    read = loader.read_video
    loader.read_video = lambda *words: (time.sleep(0.4), read(*words))  # a batch takes longer than the limit
    epoch = loader.epoch(0)
    index = next(epoch).index
    epoch.close()
    assert torch.equal(index, collect(load(windows, 4, 10, "recording", seed=3))[0][2])


def test_too_few_windows_for_a_batch_is_an_error(windows):
    with pytest.raises(ValueError, match="30 windows do not fill one batch of 16 x 2 ranks"):
        load(windows, 16, 10, "none", world_size=2)
