"""From a prepared dataset to the card: pinned buffers that are used again, copies beside the computation."""

import torch

from datasets.loader import LoaderSettings, PairLoader
from datasets.store import open_store
from datasets.windows import list_windows
from tests.gpu.running import DEVICE, within


def batches(data, device, **settings):
    """An epoch on a device, and the rows of each batch; every batch is used before the next is asked for."""
    windows = list_windows(open_store(data, "sim_ego4d"), needs_video=True)
    loader = PairLoader(windows, LoaderSettings(16, 10, "dataset", num_threads=4, **settings))
    busy = torch.ones(2048, 2048, device=device)
    found = []
    for batch in loader.epoch(1):
        (busy @ busy).sum()  # the card has other work when the copy is asked for
        found.append((batch.index.clone(), *(tensor.clone() for tensor in batch.to(device))))
    return [(index, imu.cpu(), video.cpu()) for index, imu, video in found]


@within(150)
def test_batches_arrive_whole(data, device, record_property):
    """The buffers of four batches serve the whole epoch; none may be filled again before its copy has ended."""
    expected = batches(data, torch.device("cpu"))
    found = batches(data, device, pin=DEVICE == "cuda")
    record_property("batches", len(found))
    assert len(found) > 8
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
