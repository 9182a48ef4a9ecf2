"""The prepared dataset: tables agree with files, and what is wrong is named."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from datasets.store import (
    PreparedRecording,
    Store,
    finish,
    imu_path,
    known_sources,
    open_store,
    possible_sources,
    write_source,
)
from tests.prepared import write_dataset


@pytest.fixture
def store(tmp_path):
    return write_dataset(tmp_path / "demo", ["walking", "standing"], seconds=11)


def test_tables_and_files_agree(store):
    assert store.classes == ["standing", "walking"]
    assert store.info["recordings"] == 2
    assert store.info["rejected"] == 1
    assert store.recordings["samples"].tolist() == [550, 550]
    assert store.recordings["label"].tolist() == ["walking", "standing"]
    for recording in range(2):
        signal = store.imu(recording)
        np.testing.assert_allclose(store.means[recording], signal.astype(np.float64).mean(0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(store.stds[recording], signal.astype(np.float64).std(0), rtol=1e-12)
        assert len(store.frames(recording)) == 110


def test_empty_text_stays_empty(tmp_path):
    store = write_dataset(tmp_path / "demo", ["NA", "null"], subjects=0)
    assert store.recordings["subject"].tolist() == ["", ""]
    assert store.recordings["label"].tolist() == ["NA", "null"]  # not read as missing numbers


def test_missing_dataset_names_those_that_exist(store):
    with pytest.raises(FileNotFoundError, match=r"no dataset 'other'.*there is demo.*scripts\.prepare"):
        open_store(store.root.parent, "other")
    (store.root / "dataset.json").unlink()
    with pytest.raises(FileNotFoundError, match="demo: its preparation has not ended: give the same"):
        open_store(store.root.parent, "demo")
    shutil.rmtree(store.root / ".journal")
    with pytest.raises(FileNotFoundError, match=r"no dataset\.json"):
        open_store(store.root.parent, "demo")


def test_another_format_version_is_refused(store):
    info = json.loads((store.root / "dataset.json").read_text())
    (store.root / "dataset.json").write_text(json.dumps(info | {"format_version": 99}))
    with pytest.raises(ValueError, match="format version 99"):
        Store(store.root)


def test_a_damaged_signal_is_named(store):
    path = imu_path(store.root, "rec000")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"rec000\.npy"):
        store.imu(0)
    np.save(path, np.zeros((10, 6), np.float32))
    with pytest.raises(ValueError, match=r"rec000\.npy: holds float32 \(10, 6\), the table says 550"):
        store.imu(0)


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden"])
def test_an_id_cannot_leave_the_dataset(store, name):
    with pytest.raises(ValueError, match="not allowed"):
        imu_path(store.root, name)
    table = (store.root / "recordings.csv").read_text().replace("rec000", name or '""', 1)
    (store.root / "recordings.csv").write_text(table)
    with pytest.raises(ValueError, match="not allowed"):
        Store(store.root)


def test_no_object_is_unpickled(store):
    np.save(imu_path(store.root, "rec000"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read"):
        store.imu(0)


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


@pytest.mark.parametrize(
    "file, sources",
    [
        ("imu/a.npy", {"a"}),
        ("frames/a.idx.npy", {"a", "a.idx"}),
        ("frames/a_part12.mjpeg", {"a", "a_part12"}),
        ("frames/a_part2.idx.npy.12-0a1b.tmp", {"a", "a_part2", "a_part2.idx"}),
        (".journal/a.b.json.12-0a1b.tmp", {"a.b"}),
        ("imu/my own.npy", set()),
        (".journal/.probe", set()),
    ],
)
def test_the_sources_of_a_file_follow_from_its_name(file, sources):
    assert possible_sources(Path(file)) == sources


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
    monkeypatch.setattr("datasets.store._write_temporary", full)
    with pytest.raises(OSError, match="No space"):
        finish(store.root, ["rec000"], [], [], {"name": "demo"})  # rec001 has vanished
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before


def test_the_fingerprint_follows_the_content(tmp_path):
    first, same = (write_dataset(tmp_path / name / "d", ["walking"], seed=0).fingerprint() for name in "ab")
    other = write_dataset(tmp_path / "c" / "d", ["walking"], seed=1).fingerprint()
    assert first == same
    assert first["sha256"] != other["sha256"]
