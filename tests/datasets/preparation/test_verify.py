"""A dataset read again: sound ones pass, and every kind of damage is named."""

import errno
import json

import numpy as np
import pandas as pd
import pytest

from datasets.frames import index_path
from datasets.masking import MEASURES
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.preparation.verify import verify
from datasets.recording import Segment
from datasets.store import Store, frames_path, imu_path, open_frame_writer, quality_path
from scripts import prepare
from tests.prepared import write_dataset
from utils.atomic_io import sha256_of, write_text


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "d", ["walk", "sit", "walk"], seconds=12, segments=(Segment(1, 11, "walk"),)).root


def damage(root):
    return verify(root).damage


def flip(path, place=-9):
    """One bit of one byte; the length stays."""
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:999])


def rewrite(root, name, change):
    """Edit a table as a person would."""
    table = pd.read_csv(root / name, dtype={"id": str})
    changed = change(table)
    (table if changed is None else changed).to_csv(root / name, index=False)


def drop(table, row):
    return table.drop(index=row)


def test_a_sound_dataset_says_what_was_read(root, capsys):
    report = verify(root)
    assert report.damage == [] and report.unchecked == []
    assert report.checked["recordings"] == 3 and report.checked["files"] == 9 and report.checked["tables"] == 5
    assert 20 <= report.checked["frames decoded"] <= 30
    with pytest.raises(SystemExit) as stop:
        prepare.main(["--verify", str(root)])
    assert stop.value.code == 0 and "sound; read 5 tables, 9 files, 3 recordings" in capsys.readouterr().out


def test_damage_ends_the_command_with_1(root, capsys):
    flip(imu_path(root, "rec001"))
    with pytest.raises(SystemExit) as stop:
        prepare.main(["--verify", str(root)])
    shown = capsys.readouterr().out
    assert stop.value.code == 1 and "1 damaged" in shown and "imu/rec001.npy: holds other bytes" in shown


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda r: flip(imu_path(r, "rec001")), "imu/rec001.npy: holds other bytes than were written"),
        (lambda r: flip(frames_path(r, "rec002"), 5000), "frames/rec002.mjpeg: holds other bytes"),
        (lambda r: flip(index_path(frames_path(r, "rec000"))), "frames/rec000.idx.npy: holds other bytes"),
        (lambda r: imu_path(r, "rec000").unlink(), "imu/rec000.npy: is missing"),
        (lambda r: index_path(frames_path(r, "rec000")).unlink(), "frames/rec000.idx.npy: is missing"),
        (lambda r: cut(frames_path(r, "rec001")), "frames/rec001.mjpeg: has 999 bytes"),
        (lambda r: imu_path(r, "stray").write_bytes(b"1"), "imu/stray.npy: is in no table"),
        (lambda r: write_text(r / "recordings.csv", "nonsense\n"), "tables: the dataset cannot be opened"),
        (lambda r: (r / "segments.csv").unlink(), "segments.csv: is missing"),
        (lambda r: write_text(r / "dataset.json", "{"), "dataset.json: is no JSON"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(root, change, named):
    change(root)
    assert any(line.startswith(named) for line in damage(root)), damage(root)


@pytest.mark.parametrize(
    "name, change, named",
    [
        ("recordings.csv", lambda t: t.__setitem__("subject", "anna"), "recordings.csv: was changed"),
        ("recordings.csv", lambda t: drop(t, 1), "recordings.csv: has 2 rows, dataset.json says 3"),
        ("recordings.csv", lambda t: t.__setitem__("id", "rec000"), "recordings.csv: rec000 stands there more"),
        ("recordings.csv", lambda t: t.__setitem__("label", "swim"), "recordings.csv: label 'swim' is not among"),
        ("recordings.csv", lambda t: t.__setitem__("source", "rec000"), "recordings.csv: parts of source rec000 have"),
        ("recordings.csv", lambda t: t.__setitem__("source", "../x"), "recordings.csv: source '../x' of rec000 is no"),
        ("recordings.csv", lambda t: t.__setitem__("samples", 601), "imu/rec000.npy: holds float32 (600, 6), the"),
        ("recordings.csv", lambda t: t.__setitem__("mean_acc_y", 1.0), "imu/rec000.npy: mean of acc_y is 9.8"),
        ("recordings.csv", lambda t: t.__setitem__("std_gyro_z", 9.0), "imu/rec000.npy: std of gyro_z is"),
        ("recordings.csv", lambda t: t.__setitem__("frames", 119), "frames/rec000.idx.npy: its 121 offsets do not cut"),
        ("segments.csv", lambda t: t.__setitem__("end_s", 12.5), "segments.csv: rec000: 1 to 12.5 s do not lie within"),
        ("segments.csv", lambda t: t.__setitem__("id", "who"), "segments.csv: who: there is no such recording"),
        ("rejected.csv", lambda t: drop(t, 0), "rejected.csv: has 0 rows, dataset.json says 1"),
        ("files.csv", lambda t: t.__setitem__("file", "../../x"), "../../x: lies outside the dataset"),
    ],
)  # fmt: skip
def test_edited_tables_are_named(root, name, change, named):
    rewrite(root, name, change)
    found = damage(root)
    assert any(line.startswith(f"{name}: was changed") for line in found)
    assert any(line.startswith(named) for line in found), found


@pytest.mark.parametrize(
    "row, named",
    [
        ("gone,0,5,clipped,1,0.05", "masked.csv: gone: there is no such recording"),
        ("rec000,5,13,clipped,1,0.05", "masked.csv: rec000: 5 to 13 s do not lie within its 12 s"),
        ("rec000,0,5,sunspots,1,0.05", "masked.csv: rec000: unknown reason 'sunspots'"),
    ],
)
def test_impossible_masks_are_named(root, row, named):
    write_text(root / "masked.csv", f"id,start_s,end_s,reason,value,threshold\n{row}\n")
    assert named in damage(root)


@pytest.mark.parametrize(
    "name, change",
    [
        ("recordings.csv", lambda t: t.assign(mean_acc_x="much")),
        ("segments.csv", lambda t: t.assign(end_s="e")),
        ("files.csv", lambda t: t.rename(columns={"bytes": "octets"})),
    ],
)
def test_incomparable_tables_do_not_hide_other_damage(root, name, change, capsys):
    rewrite(root, name, change)
    found = damage(root)
    assert found[0].startswith(f"{name}: was changed") and found[-1].startswith("tables: cannot be compared further (")
    with pytest.raises(SystemExit) as stop:
        prepare.main(["--verify", str(root)])
    assert stop.value.code == 1 and f"{name}: was changed" in capsys.readouterr().out


def without_digests(root):
    """The content is all that tells damage."""
    info = json.loads((root / "dataset.json").read_text())
    write_text(root / "dataset.json", json.dumps({k: v for k, v in info.items() if k != "tables"}))
    (root / "files.csv").unlink()


def test_without_digests_the_content_is_still_looked_at(root):
    without_digests(root)
    report = verify(root)
    assert report.damage == ["dataset.json: holds no digests of the tables"]
    signal = np.load(imu_path(root, "rec000"))
    signal[77, 4] = np.nan
    np.save(imu_path(root, "rec000"), signal)
    stream = Store(root).frames(1)
    offsets = np.load(index_path(stream.path))
    with open(stream.path, "r+b") as file:
        file.seek(offsets[0])
        file.write(bytes(int(offsets[1] - offsets[0])))
    frames_path(root, "rec002").write_bytes(frames_path(root, "rec002").read_bytes()[:-9])
    assert [line[:37] for line in damage(root)][1:] == [
        "imu/rec000.npy: 1 samples are NaN or ",
        "frames/rec001.mjpeg: frame 0 is damag",
        "frames/rec002.idx.npy: its 121 offset",
    ]


def test_no_dataset_no_verdict(tmp_path):
    with pytest.raises(SystemExit, match="is not a prepared dataset, or its preparation has not ended"):
        prepare.main(["--verify", str(tmp_path)])


def test_measures_are_read_too(tmp_path):
    with open_frame_writer(tmp_path, "a", jpeg_quality=90) as writer:
        for k in range(50):
            writer.write(np.full((16, 16, 3), k, np.uint8))
    imu, measures = np.ones((250, 6), np.float32), np.zeros((1, len(MEASURES)))
    recording = PreparedRecording("a", "a", imu, "", "", "", 50.0, "", frames=50, measures=measures)
    write_source(tmp_path, "a", "", [recording])
    info = {"name": "d", "simulated": True, "frame_size": 16, "settings": {}, "versions": {}}
    finalize(tmp_path, ["a"], [], [], info)
    report = verify(tmp_path)
    assert report.damage == [] and report.checked["files"] == 4 and report.checked["frames decoded"] >= 5
    flip(frames_path(tmp_path, "a"))
    flip(quality_path(tmp_path, "a"))
    assert [line.split(":")[0] for line in damage(tmp_path)] == ["frames/a.mjpeg", "quality/a.npy"]


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--verify", "d", "--raw", "r"], "verify reads a dataset that is prepared already: leave out raw"),
        (["--raw", "r"], "format is missing: give --format; out is missing: give --out"),
    ],
)
def test_flags_that_contradict_or_lack(flags, says, capsys):
    with pytest.raises(SystemExit) as stop:
        prepare.main(flags)
    assert stop.value.code == 2 and says in capsys.readouterr().err


def test_a_file_on_a_bad_disk_is_named_and_the_rest_is_read(root, monkeypatch):
    def read(path):
        if path.name in ("rec001.npy", "segments.csv"):
            raise OSError(errno.EIO, "Input/output error")
        return sha256_of(path)

    monkeypatch.setattr("datasets.preparation.verify.sha256_of", read)
    flip(imu_path(root, "rec002"))
    named = damage(root)
    assert "segments.csv: cannot be read (Input/output error)" in named
    assert "imu/rec001.npy: cannot be read (Input/output error)" in named
    assert "imu/rec002.npy: holds other bytes than were written (SHA-256 differs)" in named and len(named) == 3


def test_files_of_a_recording_in_work_are_no_damage(root):
    for name in ("frames/new.mjpeg", "frames/new_part2.mjpeg.12-a.tmp", "imu/new2.npy", "imu/old.npy"):
        (root / name).write_bytes(b"x")
    (root / ".journal/new.started").write_text(".")
    report = verify(root)
    assert report.damage == ["imu/new2.npy: is in no table", "imu/old.npy: is in no table"]
    assert report.unchecked == ["2 files are of recordings whose preparation was begun and has not ended"]
