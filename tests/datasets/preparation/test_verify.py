"""A dataset read again: sound ones pass, and every kind of damage is named."""

import errno

import numpy as np
import pytest

from datasets.frames import frame_writer, index_path
from datasets.masking import MEASURES
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.preparation.verify import verify
from datasets.store import frames_path, imu_path, quality_path
from scripts import prepare
from utils.atomic_io import sha256_of, write_text


@pytest.fixture
def root(tmp_path):
    """Two recordings with measures, one of them with video."""
    with frame_writer(frames_path(tmp_path, "a")) as writer:
        for k in range(50):
            writer.write(np.full((16, 16, 3), k, np.uint8))
    for name, frames in (("a", 50), ("b", 0)):
        imu, measures = np.ones((250, 6), np.float32), np.zeros((1, len(MEASURES)))
        recording = PreparedRecording(name, name, imu, "", "", "", 50.0, "", frames=frames, measures=measures)
        write_source(tmp_path, name, "", [recording])
    info = {"name": "d", "simulated": True, "frame_size": 16, "settings": {}, "versions": {}}
    finalize(tmp_path, ["a", "b"], [], [], info)
    return tmp_path


def flip(path, place=-9):
    """One bit of one byte; the length stays."""
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def test_a_sound_dataset_says_what_was_read(root, capsys):
    (root / "imu/stranger.npy").write_bytes(b"of nobody")
    assert verify(root) == (4 + 7, [])
    prepare.main(["--verify", str(root)])
    assert "read 11 files, none damaged" in capsys.readouterr().out


def test_damage_ends_the_command_with_1(root, capsys):
    flip(imu_path(root, "b"))
    with pytest.raises(SystemExit) as stop:
        prepare.main(["--verify", str(root)])
    shown = capsys.readouterr().out
    assert "remove the damaged files" in stop.value.code and "1 damaged\nimu/b.npy: holds other bytes" in shown


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda r: flip(imu_path(r, "a")), "imu/a.npy: holds other bytes"),
        (lambda r: flip(frames_path(r, "a"), 5000), "frames/a.mjpeg: holds other bytes"),
        (lambda r: flip(index_path(frames_path(r, "a"))), "frames/a.idx.npy: holds other bytes"),
        (lambda r: flip(quality_path(r, "b")), "quality/b.npy: holds other bytes"),
        (lambda r: imu_path(r, "a").write_bytes(b"short"), "imu/a.npy: holds other bytes"),
        (lambda r: imu_path(r, "a").unlink(), "imu/a.npy: cannot be read (No such file"),
        (lambda r: write_text(r / "recordings.csv", "nonsense\n"), "recordings.csv: holds other bytes"),
        (lambda r: (r / "segments.csv").unlink(), "segments.csv: cannot be read (No such file"),
    ],
)
def test_damaged_files_are_named(root, change, named):
    change(root)
    (line,) = verify(root)[1]
    assert line.startswith(named)


@pytest.mark.parametrize("name", ["dataset.json", "files.csv"])
def test_without_digests_there_is_no_verdict(root, name):
    write_text(root / name, "{")
    with pytest.raises(SystemExit, match=rf"{name}: .*give the same scripts.prepare command"):
        prepare.main(["--verify", str(root)])


def test_no_dataset_no_verdict(tmp_path):
    with pytest.raises(SystemExit, match="is not a prepared dataset, or its preparation has not ended"):
        prepare.main(["--verify", str(tmp_path)])


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
        if path.parent.name == "imu" and path.name == "a.npy":
            raise OSError(errno.EIO, "Input/output error")
        return sha256_of(path)

    monkeypatch.setattr("datasets.preparation.verify.sha256_of", read)
    flip(imu_path(root, "b"))
    assert verify(root)[1] == [
        "imu/a.npy: cannot be read (Input/output error)",
        "imu/b.npy: holds other bytes than were written (SHA-256 differs)",
    ]
