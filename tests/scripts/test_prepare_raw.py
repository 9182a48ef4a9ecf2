"""``--store raw``: pixels instead of JPEG, from the raw folder to two steps of training."""

import numpy as np
import pandas as pd
import pytest
import torch

import train
from datasets.loader import PairLoader
from datasets.raw_frames import RawFrameStream
from datasets.store import Store
from datasets.windows import list_windows
from scripts import describe, prepare
from tests.mmea import contents, write_mmea
from tests.training import SIZES, losses

SIDE = 16


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_mmea(tmp_path_factory.mktemp("store") / "raw", 6, frames=260)


def run(raw, out, store):
    prepare.main(
        [*"--format mmea --num_workers 1 --jpeg_quality 100 --raw".split(), str(raw), "--out", str(out)]
        + ["--frame_size", str(SIDE), "--store", store]
    )
    return Store(out)


@pytest.fixture(scope="module")
def stores(raw):
    return {store: run(raw, raw.parent / "data" / store, store) for store in ("jpeg", "raw")}


def test_both_hold_the_same_pictures(stores):
    assert stores["raw"].info["store"] == "raw" and isinstance(stores["raw"].frames(0), RawFrameStream)
    columns = ["id", "frames", "samples", "source_hash"]
    pd.testing.assert_frame_equal(stores["raw"].recordings[columns], stores["jpeg"].recordings[columns])
    batches = {}
    for name, store in stores.items():
        loader = PairLoader(list_windows(store, needs_video=True), 4, 10, "recording", train=True)
        batches[name] = next(loader.epoch(3))
    assert torch.equal(batches["raw"].imu, batches["jpeg"].imu) and batches["raw"].video.float().std() > 5
    difference = (batches["raw"].video.float() - batches["jpeg"].video.float()).abs()
    assert 0 < difference.mean() < 8  # what JPEG loses


def test_raw_frames_train_two_steps(stores, raw, tmp_path):
    words = ["--dataset", "raw", "--data_root", str(raw.parent / "data"), "--runs_root", str(tmp_path)]
    words += ["--run_name", "a", *SIZES, *"--batch_size 4 --epochs 1 --max_steps 2 --device cpu".split()]
    assert train.main([*words, "--log_interval", "1"]) == 0
    assert len(losses(tmp_path / "a")) == 2


def test_the_page_of_a_raw_dataset_shows_its_frames_and_their_size(stores, tmp_path):
    describe.main([str(stores["raw"].root), "--out", str(tmp_path / "page.html")])
    assert "data:image" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_another_store_replaces_the_frames(raw, stores, tmp_path):
    out = tmp_path / "raw"
    run(raw, out, "jpeg")
    assert any(name.endswith(".mjpeg") for name in contents(out))
    store = run(raw, out, "raw")
    assert contents(out) == contents(stores["raw"].root)
    np.testing.assert_array_equal(store.frames(1).read(np.arange(5)), stores["raw"].frames(1).read(np.arange(5)))
