"""The end of a preparation: what finalize removes, and when it refuses."""

import errno

import numpy as np
import pytest

from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.preparation.lock import locked
from datasets.store import Store, imu_path
from tests.prepared import write_dataset


@pytest.fixture
def store(tmp_path):
    return write_dataset(tmp_path / "demo", ["walking", "standing"], seconds=11)


def finalize_again(store, *source_ids):
    info = {key: store.info[key] for key in ("name", "simulated", "frame_size", "settings", "versions")}
    finalize(store.root, source_ids, [], store.classes, info)
    return Store(store.root)


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"of nobody")
    return [root / name for name in names]


def recording(root, name, source=None):
    prepared = PreparedRecording(name, source or name, np.zeros((250, 6), np.float32), "", "x", "", 50.0, "0")
    write_source(root, source or name, "f", [prepared])


def test_a_source_that_vanished_takes_its_files_along(store):
    recording(store.root, "gone")
    left = touched(store.root, "imu/gone_part2.npy", "frames/gone.idx.npy.1-a.tmp")
    left += [imu_path(store.root, "gone"), store.root / ".journal/gone.json"]
    again = finalize_again(store, "rec000", "rec001")
    assert again.recordings["id"].tolist() == ["rec000", "rec001"]
    assert not [path for path in left if path.exists()]


def test_files_that_no_journal_entry_names_go(store):
    left = touched(store.root, "imu/rec000_part2.npy", "quality/a b.npy", "imu/x.npy", "imu/rec000.npy.1-a.tmp")
    kept = {path for path in store.root.rglob("*") if path.is_file()} - set(left)
    with locked(store.root):
        finalize_again(store, "rec000", "rec001")
    there = {path for path in store.root.rglob("*") if path.is_file()}
    assert there == kept | {store.root / ".journal/lock", store.root / ".journal/workers"}


def test_a_dataset_of_which_a_file_is_gone_is_not_opened(store):
    imu_path(store.root, "rec001").unlink()
    (store.root / "dataset.json").unlink()
    with pytest.raises(ValueError, match=r"imu/rec001\.npy: was prepared and is missing \(1 such files\).*same"):
        finalize_again(store, "rec000", "rec001")
    assert not (store.root / "dataset.json").exists()


def test_a_full_disk_at_the_end_leaves_the_open_dataset_whole(store, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    monkeypatch.setattr("datasets.preparation.finalize.replacing", full)
    with pytest.raises(OSError, match="No space"):
        finalize(store.root, ["rec000"], [], [], {"name": "demo"})  # rec001 has vanished
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before
