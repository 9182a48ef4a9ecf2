"""Frames decoded after they were read, all of a batch at once: here by the CPU, asked as a GPU would be."""

import numpy as np
import pytest
import torch

import train
from datasets.device_frames import decode_frames, frame_decoder
from datasets.frames import FrameError, FrameWriter
from datasets.loader import PairLoader
from datasets.store import frames_path
from datasets.windows import list_windows
from tests.prepared import write_dataset
from tests.training import command, make_data

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = write_dataset(tmp_path_factory.mktemp("device") / "d", ["a", "b"] * 3, frame_size=32)
    rng = np.random.default_rng(0)
    for recording in store.recordings["id"]:
        with FrameWriter(frames_path(store.root, recording), quality=90) as writer:
            for _ in range(150):
                coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                writer.write(coarse.repeat(4, 0).repeat(4, 1))
    return store


@pytest.mark.parametrize("train, used", [(True, None), (False, None), (True, [5])])
def test_batches_are_those_that_threads_decode(store, train, used):
    windows = list_windows(store, needs_video=True)
    settings = {"seed": 3, "train": train, "frames_used": used}
    ours, theirs = (PairLoader(windows, 4, 10, "recording", **settings, decode_on=device) for device in (CPU, None))
    for one, other in zip(ours.epoch(1), theirs.epoch(1), strict=True):
        imu, video = one.to(CPU)
        assert torch.equal(one.index, other.index) and torch.equal(imu, other.imu)
        assert video.dtype == torch.uint8 and video.shape == other.video.shape
        assert (video.int() - other.video.int()).abs().max() <= 3  # two builds of the same library


def test_a_damaged_frame_is_an_error_that_names_its_window(store, tmp_path):
    damaged = write_dataset(tmp_path / "d", ["a", "b"], frame_size=32)
    path = frames_path(damaged.root, "rec001")
    path.write_bytes(bytes(path.stat().st_size))
    loader = PairLoader(list_windows(damaged, needs_video=True), 4, 10, "none", train=False, decode_on=CPU)
    with pytest.raises(FrameError, match=r"cannot decode .*rec001@0.*--decode_device cpu names the file"):
        for batch in loader.epoch(0):
            batch.to(CPU)


def test_frames_of_another_size_are_refused(store):
    files = [store.frames(0).read_encoded(np.arange(2))]
    assert decode_frames(files, 32, CPU).shape == (1, 2, 32, 32, 3)
    with pytest.raises(RuntimeError, match="want 3 x 64 x 64"):
        decode_frames(files, 64, CPU)


def test_without_a_gpu_the_setting_is_refused(tmp_path):
    assert frame_decoder("cpu", CPU) is None
    assert frame_decoder("cuda", torch.device("cuda", 1)) == torch.device("cuda", 1)
    with pytest.raises(ValueError, match=r"decode_device cuda: .*on cpu.*use --decode_device cpu"):
        frame_decoder("cuda", CPU)
    with pytest.raises(ValueError, match="decode_device cuda"):
        train.main(command(make_data(tmp_path), tmp_path / "runs", "a", "--decode_device", "cuda"))
