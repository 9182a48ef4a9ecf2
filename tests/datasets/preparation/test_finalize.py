"""Closing and opening a dataset: what finish removes, what it leaves alone, and when it refuses."""

import errno
import json

import numpy as np
import pytest

from datasets.preparation.finalize import finish
from datasets.preparation.journal import PreparedRecording, known_sources, write_source
from datasets.store import Store, imu_path
from tests.prepared import write_dataset


@pytest.fixture
def store(tmp_path):
    return write_dataset(tmp_path / "demo", ["walking", "standing"], seconds=11)


def close_again(store, *source_ids, known=()):
    info = {key: store.info[key] for key in ("name", "simulated", "frame_size", "settings", "versions")}
    finish(store.root, source_ids, [], store.classes, info, known=known)
    return Store(store.root)


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"of a process that is at work")
    return [root / name for name in names]


def recording(root, name, source=None):
    prepared = PreparedRecording(name, source or name, np.zeros((250, 6), np.float32), "", "x", "", 50.0, "0")
    write_source(root, source or name, "f", [prepared])


def test_a_source_that_vanished_takes_its_files_along(store):
    recording(store.root, "gone")
    left = touched(store.root, "imu/gone_part2.npy", "frames/gone.idx.npy.1-a.tmp")
    left += [imu_path(store.root, "gone"), store.root / ".journal/gone.json"]
    known = known_sources(store.root)
    assert known == {"rec000", "rec001", "gone"}
    (at_work,) = touched(store.root, ".journal/gone.started")  # by a call that does not know it yet
    close_again(store, "rec000", "rec001", known=known)
    assert all(path.exists() for path in left)
    at_work.unlink()
    again = close_again(store, "rec000", "rec001", known=known)
    assert again.recordings["id"].tolist() == ["rec000", "rec001"]
    assert not [path for path in left if path.exists()]


@pytest.mark.parametrize("ended", [False, True])
def test_closing_leaves_alone_what_another_call_has_prepared_of_a_source_unknown_here(store, ended):
    """It has come since this call listed the raw folder, and its files have their names already."""
    known = known_sources(store.root)
    files = touched(store.root, "frames/new.mjpeg", "frames/new.idx.npy", "frames/new_part2.mjpeg")
    (store.root / ".journal/new.started").write_text(".")
    if ended:
        recording(store.root, "new")
        entry = json.loads((store.root / ".journal/new.json").read_text())
        entry["files"] += [{"file": path.relative_to(store.root).as_posix()} for path in files]
        (store.root / ".journal/new.json").write_text(json.dumps(entry))
        (store.root / ".journal/new.started").unlink()
        files += [imu_path(store.root, "new"), store.root / ".journal/new.json"]
    close_again(store, "rec000", "rec001", known=known)
    assert all(path.is_file() for path in files)


def test_files_that_no_journal_names_go_unless_their_source_is_at_work(store):
    strays = touched(store.root, "imu/rec000_part2.npy", "frames/rec001_part3.mjpeg", "quality/a b.npy", "imu/x.npy")
    live = touched(store.root, ".journal/rec001.started", "imu/rec000.npy.1-a.tmp", ".journal/.probe")
    close_again(store, "rec000", "rec001", known=known_sources(store.root))
    assert [path.exists() for path in strays] == [False, True, False, False]
    assert all(path.exists() for path in live)


def test_a_dataset_of_which_a_file_is_gone_is_not_opened(store):
    imu_path(store.root, "rec001").unlink()
    (store.root / "dataset.json").unlink()
    with pytest.raises(ValueError, match=r"imu/rec001\.npy: was prepared and is gone \(1 such files\).*same command"):
        close_again(store, "rec000", "rec001")
    assert not (store.root / "dataset.json").exists()


def test_a_full_disk_at_the_end_leaves_the_open_dataset_whole(store, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    monkeypatch.setattr("datasets.preparation.finalize.write_temporary", full)
    with pytest.raises(OSError, match="No space"):
        finish(store.root, ["rec000"], [], [], {"name": "demo"})  # rec001 has vanished
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before
