"""The prepared dataset: tables agree with files, and what is wrong is named."""

import json
import shutil

import numpy as np
import pytest

from datasets.store import Store, imu_path, open_store, pool_moments
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


def test_pooled_moments_are_those_of_the_joined_signals():
    rng = np.random.default_rng(0)
    signals = [
        rng.normal(rng.normal(0, 50, 6), rng.uniform(0, 3, 6), (length, 6)) for length in (251, 4000, 300, 777, 250)
    ]
    unit = np.array([2, 0, 2, 1, 0])
    moments = [(len(s), s.mean(0), s.std(0)) for s in signals]
    means, stds = pool_moments(*(np.array(values) for values in zip(*moments, strict=True)), unit)
    for number in range(3):
        joined = np.concatenate([s for s, u in zip(signals, unit, strict=True) if u == number])
        np.testing.assert_allclose(means[number], joined.mean(0), rtol=1e-12)
        np.testing.assert_allclose(stds[number], joined.std(0), rtol=1e-12)


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


def test_the_fingerprint_follows_the_content(tmp_path):
    first, same = (write_dataset(tmp_path / name / "d", ["walking"], seed=0).fingerprint() for name in "ab")
    other = write_dataset(tmp_path / "c" / "d", ["walking"], seed=1).fingerprint()
    assert first == same
    assert first["sha256"] != other["sha256"]
