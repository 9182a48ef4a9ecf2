"""Planted leaks are found: a copy under another name, a person on both sides, recordings that pretraining has seen."""

from dataclasses import replace

import numpy as np
import pytest

from configs.evaluation import FeaturesConfig
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, read_journal, write_source
from datasets.protocols.few_shot import build_task
from datasets.protocols.leakage import copies_on_both_sides, refuse_leaks, seen_in_pretraining, true_recordings
from datasets.store import joint_fingerprint, open_store
from datasets.windows import list_windows
from tests.datasets.protocols.test_splits import by_window
from tests.prepared import write_dataset

CLASSES = ["fall", "walking"]


def with_a_copy(root, subject):
    """Twelve recordings of six people, and the first one again under another name, said to be somebody else's."""
    store = write_dataset(root, CLASSES * 6, seconds=20, video=False, subjects=6)
    row = store.recordings.iloc[0]
    copy = PreparedRecording(
        id="copy",
        source="copy",
        imu=np.array(store.imu(0)),
        subject=subject,
        session="another day",
        label=row["label"],
        source_rate_hz=100.0,
        source_hash="another file",
    )
    write_source(root, "copy", "fingerprint", [copy])
    sources = [*store.recordings["id"], "copy"]
    assert all(read_journal(root, source) for source in sources)
    finalize(
        root, sources, [], CLASSES, {key: store.info[key] for key in ("name", "simulated", "frame_size", "settings")}
    )
    return open_store(root.parent, root.name)


def config(root, **changes):
    settings = {"dataset": root.name, "data_root": root.parent, "shots": [12], "val_samples": 4, "draws": 20}
    return FeaturesConfig(**settings | changes)


def test_a_renamed_copy_is_refused_by_group_and_named_by_window(tmp_path):
    with_a_copy(tmp_path / "toy", "somebody else")
    with pytest.raises(ValueError, match="hold the same samples .*rec000@.* = copy@|copy@.* = rec000@"):
        build_task(config(tmp_path / "toy", split="group"))
    with pytest.raises(ValueError, match="prepare the dataset again"):
        build_task(config(tmp_path / "toy", split="leave_one_group_out"))
    found = build_task(config(tmp_path / "toy", split="window")).copies
    assert found and all({a.split("@")[0], b.split("@")[0]} == {"rec000", "copy"} for a, b in found)
    assert all(a.split("@")[1] == b.split("@")[1] for a, b in found)


def test_a_copy_of_the_same_person_stays_on_one_side(tmp_path):
    with_a_copy(tmp_path / "toy", "s0")
    assert build_task(config(tmp_path / "toy", split="group", shots=[3])).copies == []


def test_recordings_that_share_a_window_count_as_one(tmp_path):
    """By what they hold, whatever dataset and name; recordings without a copy keep theirs."""
    windows = list_windows(with_a_copy(tmp_path / "toy", "s0"), labelled=True)
    other = list_windows(write_dataset(tmp_path / "other", CLASSES, seconds=20, video=False, seed=5), labelled=True)
    again = list_windows(write_dataset(tmp_path / "again", CLASSES, seconds=10, video=False, seed=5), labelled=True)
    mine, others, agains = true_recordings(windows, other, again)
    names = windows.store.recordings["id"].to_numpy()[windows.recording]
    assert set(mine[names == "copy"]) == set(mine[names == "rec000"]) and len(set(mine)) == 12
    alone = ~np.isin(names, ["copy", "rec000"])
    assert (mine[alone] == windows.sources()[alone]).all()
    # the noise of the first recording begins alike in both; a shorter second one has noise of its own
    assert set(agains) & set(others) == {min(set(other.sources()[:4]) | set(again.sources()[:2]))}
    assert len(set(agains)) == len(set(others)) == 2
    # two that have nothing in common are one if a third holds windows of both
    halves = {"a": (1, 5), "b": (2, 6), "both": (1, 2)}
    three = [list_windows(_two_halves(tmp_path / name, seeds), labelled=True) for name, seeds in halves.items()]
    assert len({name for one in true_recordings(*three) for name in one}) == 1
    assert len({name for one in true_recordings(*three[:2]) for name in one}) == 2


def _two_halves(root, seeds):
    """One recording of two windows, each of noise that its seed alone decides."""
    imu = np.concatenate([np.random.default_rng(seed).standard_normal((250, 6)) for seed in seeds]).astype(np.float32)
    recording = PreparedRecording("x", "x", imu, "s", "d", "fall", 100.0, root.name)
    write_source(root, "x", "fingerprint", [recording])
    finalize(root, ["x"], [], CLASSES, {"name": root.name, "simulated": True, "frame_size": 32, "settings": {}})
    return open_store(root.parent, root.name)


def test_a_person_on_both_sides_is_refused_whoever_drew(tmp_path):
    windows = list_windows(write_dataset(tmp_path / "toy", CLASSES * 6, seconds=20, video=False), labelled=True)
    draws = by_window(windows.label, windows.classes, shots=8, held_out=8, draws=1, seed=0)
    with pytest.raises(ValueError, match="draw 0: s0, s1, s2 would be on both sides"):
        refuse_leaks(draws, windows.subject, [])
    assert copies_on_both_sides(draws, windows) == []


def test_recordings_that_pretraining_has_seen(tmp_path):
    store = write_dataset(tmp_path / "toy", CLASSES * 6, seconds=20, video=False)
    windows = list_windows(store, labelled=True)

    def seen(pretraining, excluded=(), of=windows, people=()):
        return seen_in_pretraining(pretraining, excluded, of, tmp_path, people)

    assert seen(store.fingerprint()) == {
        **{"seen": True, "windows": 48, "why": "the encoder was pretrained on this dataset (toy)"}
    }
    assert seen(store.fingerprint(), ["fall"])["windows"] == 24
    assert not seen(store.fingerprint(), CLASSES)["seen"]
    assert not seen(store.fingerprint(), people=["s*"])["seen"]  # as train.py --exclude_subjects takes them
    other = write_dataset(tmp_path / "other", CLASSES, seconds=20, video=False)
    assert seen(other.fingerprint()) == {"seen": False, "windows": 0, "why": ""}
    # another dataset, one of whose raw files is among ours
    row = store.recordings.iloc[0]
    shared = PreparedRecording("x", "x", np.array(store.imu(0)), "s", "d", "fall", 100.0, row["source_hash"])
    write_source(tmp_path / "third", "x", "fingerprint", [shared])
    finalize(
        tmp_path / "third", ["x"], [], CLASSES, {"name": "third", "simulated": True, "frame_size": 32, "settings": {}}
    )
    third = open_store(tmp_path, "third").fingerprint()
    found = seen(third)
    same_files = (store.recordings["source_hash"] == row["source_hash"]).to_numpy()[windows.recording].sum()
    assert found["seen"] and found["windows"] == same_files and "recordings of third" in found["why"]
    assert not seen(third, ["fall"])["seen"]  # the shared recording is a fall
    assert seen(store.fingerprint(), people=["s0", "s2"])["windows"] == 16  # of three people
    assert not seen(third, people=["s"])["seen"] and seen(third, people=["s0"])["seen"]  # who is s there
    older = seen(third | {"sha256": "older"})
    assert not older["seen"] and "prepared again" in older["why"]
    assert seen(third | {"name": "gone"})["windows"] is None
    assert seen(third, of=replace(windows, label=windows.label))["seen"]


def test_every_dataset_of_pretraining_is_looked_at(tmp_path):
    store = write_dataset(tmp_path / "toy", CLASSES * 6, seconds=20, video=False)
    windows = list_windows(store, labelled=True)
    other = write_dataset(tmp_path / "other", CLASSES, seconds=20, video=False)
    third = write_dataset(tmp_path / "third", CLASSES, seconds=20, video=False, seed=1)

    def seen(*stores, **changes):
        facts = joint_fingerprint(stores)
        parts = [part | changes.get(part["name"], {}) for part in facts["parts"]]
        return seen_in_pretraining(facts | {"parts": parts}, [], windows, tmp_path)

    assert seen(other, third) == {"seen": False, "windows": 0, "why": ""}
    found = seen(other, store)
    assert found["seen"] and found["windows"] == 48 and "toy" in found["why"] and "other" not in found["why"]
    half = seen(other, third, third={"sha256": "older"})
    assert half["windows"] is None and "third, prepared again since" in half["why"]
    assert seen(store, third, third={"sha256": "older"})["windows"] == 48
