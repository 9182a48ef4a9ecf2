"""UESTC-MMEA-CL: pairs, lists, and the accelerometer's scale."""

import re

import numpy as np
import pytest

from datasets.formats import mmea
from datasets.formats.common import NOT_ON_DISK
from datasets.recording import BadRecording

STAMP = "2021_01_13_15_02_{:02d}"


def write_table(path, lsb_per_g=16384, rows=180, restless=0.0, seed=0):
    """Gravity on y, a slow turn about z; ``restless`` in g."""
    rng = np.random.default_rng(seed)
    acc = np.array([0, 1, 0]) + restless * rng.standard_normal((rows, 3)) + 0.002 * rng.standard_normal((rows, 3))
    gyro = np.tile([0, 0, 10], (rows, 1))
    counts = np.round(np.concatenate([acc * lsb_per_g, gyro * 16.4], axis=1)).clip(-32768, 32767).astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in counts))


@pytest.fixture
def raw(tmp_path):
    for number, name in ((4, "fall"), (12, "standing"), (2, "downstairs")):
        for second in range(3):
            stem = f"{number}_{name}/{number}_{name}_{STAMP.format(second)}"
            write_table(tmp_path / "sensor" / f"{stem}.csv", restless=0.6 if name == "fall" else 0.0)
            (tmp_path / "video" / stem).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "video" / f"{stem}.mp4").write_bytes(b"")
    return tmp_path


def write_list(raw, split, lines):
    (raw / f"{split}.txt").write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def test_find_reads_classes_in_the_order_of_their_numbers(raw):
    found = mmea.find(raw)
    assert found.classes == ("downstairs", "fall", "standing") and len(found.sources) == 9 and not found.rejected
    recording = next(s for s in found.sources if s.id.startswith("4_fall")).parse()
    assert (recording.label, recording.session, recording.subject) == ("fall", "2021_01_13", "")
    assert recording.video.name == f"{recording.id}.mp4"


@pytest.mark.parametrize("lsb_per_g", [8192, 16384])
def test_the_scale_is_decided_by_gravity_at_rest(raw, lsb_per_g):
    for number, path in enumerate(sorted((raw / "sensor").glob("*/*.csv"))):
        write_table(path, lsb_per_g, restless=0.6 if "fall" in path.name else 0.0, seed=number)
    found = mmea.find(raw)
    assert found.notes["acc_lsb_per_g"] == lsb_per_g
    recording = next(s for s in found.sources if "standing" in s.id).parse()
    assert recording.notes["acc_lsb_per_g"] == lsb_per_g
    assert np.linalg.norm(recording.acc, axis=1).mean() == pytest.approx(9.80665, rel=0.01)
    np.testing.assert_allclose(recording.gyro[:, 2], np.radians(10))
    np.testing.assert_allclose(np.diff(recording.acc_time_s), 1 / 25)


def test_a_scale_that_nobody_knows_is_an_error(raw):
    for path in (raw / "sensor").glob("*/*.csv"):
        write_table(path, 11585)  # halfway between 8192 and 16384
    with pytest.raises(ValueError, match="reads 115.. at rest"):
        mmea.find(raw)


def test_lists_give_the_split_and_may_end_in_crlf(raw):
    stems = sorted(path.stem for path in (raw / "sensor").glob("*/*.csv"))
    number = {"fall": 3, "standing": 11, "downstairs": 1}
    lines = [f"yourdataset_path/data/{s.rsplit('_', 6)[0]}/{s} 180 180 {number[s.split('_')[1]]}" for s in stems]
    for split, part in (("train", lines[:5]), ("val", lines[5:7]), ("test", [*lines[7:8], ""])):
        write_list(raw, split, part)
    splits = {s.id: s.parse().notes.get("split", "") for s in mmea.find(raw).sources}
    assert [splits[stem] for stem in stems] == ["train"] * 5 + ["val"] * 2 + ["test", ""]


FALL = f"4_fall_{STAMP.format(0)}"


@pytest.mark.parametrize(
    "lines, stem, says",
    [
        # counted from 1: not these lists. Checked against the folder on the disk, and in the list's own path
        (["", f"a/{FALL} 180 180 4"], FALL, r"val\.txt: line 2: 4_fall_.* has the label 4, want 3"),
        (["", "", "data/9_writing/9_writing_x 180 180 9"], "9_writing_x", r"val\.txt: line 3: .* label 9, want 8"),
        ([f"a/{FALL} 180"], FALL, "line 1"),
        ([f"a/{FALL} 180 180 three"], FALL, "line 1"),
        ([f"a/{FALL} 180 180 ²"], FALL, "line 1"),
        (["/"], "val_1", "line 1"),
    ],
)
def test_a_list_row_that_cannot_be_costs_its_recording(raw, lines, stem, says):
    write_list(raw, "val", lines)
    found = mmea.find(raw)
    (rejection,) = found.rejected
    assert (rejection.id, rejection.reason) == (stem, "bad_list_row") and re.search(says, rejection.detail)
    assert stem not in {source.id for source in found.sources} and len(found.sources) == 9 - (stem == FALL)


def test_one_recording_in_two_lists_is_left_out(raw):
    for split in ("train", "test"):
        write_list(raw, split, [f"a/{FALL} 180 180 3"])
    found = mmea.find(raw)
    (rejection,) = found.rejected
    assert (rejection.id, rejection.reason) == (FALL, "bad_list_row") and "in train.txt too" in rejection.detail
    assert len(found.sources) == 8


def test_what_has_no_partner_is_rejected(raw):
    (raw / "video/4_fall" / f"4_fall_{STAMP.format(0)}.mp4").unlink()
    (raw / "sensor/4_fall" / f"4_fall_{STAMP.format(1)}.csv").unlink()
    write_list(raw, "val", ["a/9_writing_2021_01_13_15_02_01 180 180 8"])
    write_table(raw / "sensor" / "extra" / "x.csv")
    assert {r.id: r.reason for r in mmea.find(raw).rejected} == {
        f"4_fall_{STAMP.format(0)}": "missing_video",
        f"4_fall_{STAMP.format(1)}": "missing_csv",
        "9_writing_2021_01_13_15_02_01": NOT_ON_DISK,
        "x": "unknown_class",
    }


def test_dirty_tables_are_refused_one_by_one(raw):
    path = raw / "sensor/12_standing" / f"12_standing_{STAMP.format(1)}.csv"
    for content, reason in (
        ("", "empty_csv"),
        ("1,2,3,4,5,6\n1,2\n1,2,3,4,5,6\n", "short_row"),
        ("1,2,3,4,5,six\n", "text_cell"),
    ):
        path.write_text(content)
        source = next(s for s in mmea.find(raw).sources if s.id == path.stem)
        with pytest.raises(BadRecording, match=reason):
            source.parse()


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mmea.find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="video"):
        mmea.find(tmp_path)


def test_the_real_list(real_data, raw):
    """The published validation list: its labels fit the folders, and everything in it is missing here."""
    published = (real_data / "mmea_ego4d_lists/UESTC-MMEA-CL/val.txt").read_bytes()
    assert published.count(b"\r\n") == 652
    (raw / "val.txt").write_bytes(published)
    found = mmea.find(raw)
    assert sum(r.reason == NOT_ON_DISK for r in found.rejected) == 653
    lines = published.split(b"\r\n")
    lines[499] = lines[499][: lines[499].rindex(b" ")] + b" 31"
    (raw / "val.txt").write_bytes(b"\r\n".join(lines))
    (odd,) = [r for r in mmea.find(raw).rejected if r.reason == "bad_list_row"]
    assert re.search(r"val\.txt: line 500: .*has the label 31, want", odd.detail)


def test_a_listed_recording_that_is_there_has_its_real_split(real_data, raw):
    published = (real_data / "mmea_ego4d_lists/UESTC-MMEA-CL/val.txt").read_text().splitlines()
    path, _, _, label = published[0].split()
    folder, stem = path.split("/")[-2:]
    write_table(raw / "sensor" / folder / f"{stem}.csv")
    (raw / "video" / folder).mkdir(parents=True)
    (raw / "video" / folder / f"{stem}.mp4").write_bytes(b"")
    (raw / "val.txt").write_text("\n".join(published))
    found = mmea.find(raw)
    recording = next(source for source in found.sources if source.id == stem).parse()
    assert recording.notes["split"] == "val" and folder == f"{int(label) + 1}_{recording.label}"
    assert recording.session == "_".join(stem.split("_")[-6:-3])
