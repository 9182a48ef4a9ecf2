"""Frame files that cannot be read, met by a whole run."""

import json
import logging

import pytest

import train
from datasets.frames import FrameError
from datasets.protocols.validation import hold_out
from datasets.store import Store
from datasets.windows import list_windows
from tests.training import command, losses, make_data


def damage(data, recording: str) -> None:
    """Overwrite the pictures of the recording; its index stays."""
    path = data / "tiny" / "frames" / f"{recording}.mjpeg"
    path.write_bytes(b"\x55" * path.stat().st_size)


def test_an_unreadable_file_is_named_once_and_replaced_alike(tmp_path, caplog):
    data = make_data(tmp_path / "data")
    damage(data, "rec003")
    found = []
    for name, threads in (("a", "1"), ("b", "3")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert train.main(command(data, tmp_path, name, "--held_out", "0", "--num_workers", threads)) == 0
        assert caplog.text.count("rec003.mjpeg") == 1
        assert "its unreadable windows are replaced by others in training" in caplog.text
        found.append(losses(tmp_path / name))
    assert len(found[0]) == 12
    assert found[0] == found[1]


def test_an_unreadable_held_out_file_costs_only_its_windows(tmp_path, caplog):
    data = make_data(tmp_path / "data")
    held_out = ["--held_out", "0.3", "--epochs", "1"]
    train.main(command(data, tmp_path, "whole", *held_out))
    windows = list_windows(Store(data / "tiny"), needs_video=True)
    kept = hold_out(windows, 0.3, 512, seed=0)[1]
    assert len(kept) == 6  # a recording of each class
    damage(data, windows.ids(kept)[0].split("@")[0])
    with caplog.at_level(logging.INFO):
        assert train.main(command(data, tmp_path, "damaged", *held_out)) == 0
    assert caplog.text.count("its unreadable windows are left out of the report") == 1
    assert "held out, 1 of 3:" in caplog.text
    assert losses(tmp_path / "damaged") == losses(tmp_path / "whole")
    results = json.loads((tmp_path / "damaged" / "results.json").read_text())
    assert results["held_out"] == 3 and results["chance"]["r@1"] == pytest.approx(1 / 3) and results["retrieval"]


def test_more_unreadable_windows_than_may_be_end_the_run(tmp_path):
    data = make_data(tmp_path / "data")
    damage(data, "rec003")
    damage(data, "rec005")
    with pytest.raises(FrameError, match=r"of 24 windows cannot be read, 3 may be: rec00[35].*rec00[35]"):
        train.main(command(data, tmp_path, "a", "--held_out", "0"))
