"""One odd row, name, id or file of each format costs at most its recording: the whole command, tiny raw folders.

A format's entry in ``PLANTS`` writes good recordings and odd things into a folder, and says what must become of them.
"""

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.store import Store
from scripts import prepare
from tests.datasets.formats import test_ego4d
from tests.mmea import write_mmea
from tests.videos import write_video

CHANNELS = "acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
BYTES = bytes(range(128, 256))  # no UTF-8
IMU = np.random.default_rng(0).standard_normal((300, 6)) * 0.2 + [0, 9.81, 0, 0, 0, 0]
ODD_NAME = os.fsdecode(b"\xdcbung")  # as a Windows machine wrote it


def table(times=None, **columns):
    """6 s at 50 Hz; more columns hold one text in every row."""
    times = np.arange(300) / 50 if times is None else times
    lines = [f"time,{CHANNELS}" + "".join(f",{name}" for name in columns)]
    for time, row in zip(times, IMU, strict=True):
        lines.append(",".join([f"{time:g}", *(f"{x:.4f}" for x in row), *columns.values()]))
    return "\n".join(lines) + "\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def odd_tables(folder: Path, **columns: str) -> dict[str, set[str]]:
    """Tables that cannot be read, and what each is left out for."""
    good = table(**columns)
    contents = {
        "bytes": (BYTES, "unreadable_csv"),
        "quotes": (good.replace("9.8", '"9.8', 1), "unreadable_csv"),
        "empty": ("", "empty_csv"),
        "zeros": (b"\0" * 999, "empty_csv"),
        "word": (good.replace("9.8", "n.a.", 1), "text_cell"),
        "row": (good.replace("\n1,", "\n1,1,", 1), "long_row"),
        "gone": (None, "unreadable_file"),
    }
    for name, (content, _) in contents.items():
        path = folder / f"{name}.csv"
        if content is None:
            path.symlink_to(folder / "nowhere")
        else:
            write(path, content)
    return {name: {reason} for name, (_, reason) in contents.items()}


def plant_ego4d(raw: Path, request) -> tuple[list[str], list[str], dict[str, set[str]]]:
    video = write_video(raw.parent / "v.mp4", 150, 25)
    entries, odd = [], {}

    def add(uid, reason=None, content=None, **entry):
        entries.append({"video_uid": uid, "has_imu": True, "video_source": "uni", "fb_participant_id": 7} | entry)
        test_ego4d.write_table(raw / f"v2/imu/{uid}.csv")
        if content is not None:
            (raw / f"v2/imu/{uid}.csv").write_bytes(content)
        shutil.copy(video, write(raw / f"v2/full_scale/{uid}.mp4", b""))
        if reason is not None:
            odd[uid] = {reason}

    add("good-1", video_metadata={"video_duration_sec": 6.0})
    add("good-2", video_metadata=None, fb_participant_id=None, video_source=None)
    for name, values in {
        "fb_participant_id": ["7", float("nan"), float("inf"), True, [7], {}, 10**400],
        "video_source": [7, "\ud800", "a\nb"],
        "video_metadata": ["6 s", [6.0]] + [{"video_duration_sec": x} for x in ("6", -6.0, 0, float("nan"), [])],
        "has_imu": ["yes", None, 1],
    }.items():
        for number, value in enumerate(values):
            add(f"{name}-{number}", "bad_index_entry", **{name: value})
    add("bytes", "unreadable_csv", BYTES)
    add("quotes", "unreadable_csv", (raw / "v2/imu/good-1.csv").read_bytes().replace(b"9.8", b'"9.8', 1))
    add("empty", "empty_csv", b"")
    add("folder", "missing_csv")
    (raw / "v2/imu/folder.csv").unlink()
    (raw / "v2/imu/folder.csv").mkdir()
    add("good-1_part2", "same_id")
    uids = (None, 7, "", "../a", "a/b", "a" * 300, [], "ä")
    strange = [None, "good-1", [], {}, *({"video_uid": uid} for uid in uids)]
    odd |= {f"video_{len(entries) + k}": {"bad_index_entry"} for k in range(1, len(strange) + 1)}
    entries += [*strange, entries[0] | {"has_imu": False}]
    odd["good-1"] = {"same_id"}
    write(raw / "ego4d.json", json.dumps({"videos": entries}))
    return [], ["good-1", "good-2"], odd


def plant_mmea(raw: Path, request) -> tuple[list[str], list[str], dict[str, set[str]]]:
    write_mmea(raw, 14)
    stems = sorted(path.stem for path in raw.glob("sensor/*/*.csv"))  # 7 of each class
    up, down = stems[:7], stems[7:]
    sensor = {stem: next(raw.glob(f"sensor/*/{stem}.csv")) for stem in stems}
    odd = {}

    def spoil(stem, reason, content):
        sensor[stem].write_bytes(content)
        odd[stem] = {reason}

    counts = sensor[up[0]].read_bytes()
    spoil(up[1], "unreadable_csv", BYTES)
    spoil(up[2], "unreadable_csv", b'"' + counts)
    spoil(up[3], "empty_csv", b"")
    spoil(up[4], "text_cell", counts.replace(b",", b",x", 1))
    sensor[up[5]].unlink()
    sensor[up[5]].mkdir()
    odd[up[5]] = {"unreadable_file"}

    def beside(name, folder="1_upstairs", of=up[0]):
        for kind, suffix in (("sensor", "csv"), ("video", "mp4")):
            (raw / kind / folder).mkdir(exist_ok=True)
            shutil.copy(next(raw.glob(f"{kind}/*/{of}.{suffix}")), raw / kind / folder / f"{name}.{suffix}")

    beside(f"{up[0]}_part2")
    beside("a b")
    beside("a(b")  # a_b, too
    beside(ODD_NAME)
    beside("two\nlines")
    beside("x" * 220)
    beside(down[0], "1_upstairs")  # a copy that was put into the wrong folder
    beside("y", "upstairs")
    odd |= {f"{up[0]}_part2": {"same_id"}, "a_b": {"same_id"}, "two_lines": {"unreadable_name"}, down[0]: {"same_id"}}
    odd |= {"r_bung": {"unreadable_name"}, "x" * 200: {"long_id"}, "y": {"unknown_class"}}
    rows = [f"d/1_upstairs/{up[0]} 1 1 0", f"d/2_downstairs/{down[1]} 1 1 7", f"d/2_downstairs/{down[2]} 1 1 ²", "/"]
    rows += [f"d/2_downstairs/{down[3]} 1", f"{down[4]} 1 1 9", f"{down[5]} 1 1 1"]
    odd |= dict.fromkeys([*down[1:6], "val_4", "far_away"], {"bad_list_row"})
    write(raw / "val.txt", "\n".join(rows).encode() + b"\nfar\xff\xffaway 1 1 1\n")
    write(raw / "test.txt", f"{down[5]} 1 1 1\n")
    return [], sorted([up[0], up[6], "a_b", down[0], down[6]]), odd


def plant_pd(raw: Path, request) -> tuple[list[str], list[str], dict[str, set[str]]]:
    folder = raw / "P1" / "walking"
    for name in ("good", "b b", "b_b", "good_part2", ODD_NAME, "two\nlines", "x" * 200):
        write(folder / f"{name}.csv", table())
    write(raw / "P1" / "good.csv", table())
    write(raw / ODD_NAME / "walking" / "good.csv", table())
    write(folder / "folder.csv" / "in.csv", table())
    write(folder / "seconds.csv", table(np.arange(300) // 50))
    write(folder / "date.csv", table().replace("\n0.02,", "\n99:00,", 1))
    odd = odd_tables(folder) | dict.fromkeys(("b_b", "good_part2"), {"same_id"})
    odd |= dict.fromkeys(("_bung", "two_lines"), {"unreadable_name"})
    odd |= {"folder": {"unreadable_file"}, "seconds": {"whole_seconds"}, "date": {"text_cell"}}
    odd = {f"P1-walking-{name}": reasons for name, reasons in odd.items()}
    odd |= {"P1-good": {"unexpected_place"}, "P1-walking-folder.csv-in": {"unexpected_place"}}
    odd |= {"r_bung-walking-good": {"unreadable_name"}, f"P1-walking-{'x' * 200}"[:200]: {"long_id"}}
    return [], ["P1-walking-b_b", "P1-walking-good"], odd


def plant_stanford_fog(raw: Path, request) -> tuple[list[str], list[str], dict[str, set[str]]]:
    """Copies of two real trials, one of them spoilt in many ways."""
    folder = request.getfixturevalue("real_data") / "stanford_fog" / "csv_chest_head"
    good = ["pt3_visit_12.1_tbc_walklr_1_trial_2", "pt5_visit_6_tbc_walklr_0_trial_1"]
    raw.mkdir()
    for name in good:
        shutil.copy(folder / f"{name}.csv.gz", raw)
    packed = (raw / f"{good[0]}.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()[:1000]
    header = lines[0].split(",")

    def changed(column, value, rows=slice(500, 501)):
        cells = [line.split(",") for line in lines]
        for row in cells[1:][rows]:
            row[header.index(column)] = value
        return "\n".join(map(",".join, cells)) + "\n"

    contents = {
        "label": (changed("freeze_label", "2"), "unknown_label"),
        "word": (changed("imu_chest_az", "none"), "text_cell"),
        "row": (changed("imu_chest_az", "1,2"), "long_row"),
        "quotes": (changed("imu_chest_az", '"1'), "unreadable_csv"),
        "not_worn": (changed("imu_chest_az", "", slice(None)), "not_worn"),
        "no_time": (changed("time", "", slice(None)), "missing_time"),
        "column": ("\n".join(lines).replace("imu_chest_ax", "chest_ax"), "missing_column"),
        "bytes": (BYTES, "unreadable_csv"),
    }
    odd = {}
    for name, (content, reason) in contents.items():
        write(raw / f"pt9_visit_1_{name}.csv", content)
        odd[f"pt9_visit_1_{name}"] = {reason}
    for name, content in (("cut", packed[:9999]), ("plain", "\n".join(lines).encode())):
        write(raw / f"pt9_visit_1_{name}.csv.gz", content)
        odd[f"pt9_visit_1_{name}"] = {"unreadable_csv"}
    write(raw / f"{good[0]}.csv", "\n".join(lines))  # comes first; the packed one gives way
    shutil.copy(raw / f"{good[1]}.csv.gz", write(raw / "copies" / f"{good[1]}.csv.gz", b""))
    odd |= dict.fromkeys(good, {"same_id"})
    write(raw / "notes.txt", "a\n")  # files of other names are none of the description's
    write(raw / f"pt9_visit_1_{ODD_NAME}.csv", "\n".join(lines))
    odd["pt9_visit_1__bung"] = {"unreadable_name"}
    return [], good, odd


def plant_table(raw: Path, request) -> tuple[list[str], list[str], dict[str, set[str]]]:
    more = {"who": "A", "what": "walk"}
    write(raw / "good.csv", table(**more))
    shutil.copy(raw / "good.csv", raw / "good_part3.csv")
    write(raw / "good.csv.gz", gzip.compress(table(**more).encode()))  # good, too
    write(raw / f"{ODD_NAME}.csv", table(**more))
    write(raw / "label.csv", table(**more | {"what": "fly"}))
    write(raw / "people.csv", table(**more).replace(",A,", ",B,", 9))
    write(raw / "no_time.csv", table(np.full(300, np.nan), **more))
    (raw / "folder.csv").mkdir()  # no file, and so no recording
    odd = odd_tables(raw, **more)
    odd |= {"good": {"same_id"}, "good_part3": {"same_id"}, "r_bung": {"unreadable_name"}, "label": {"unknown_label"}}
    odd |= {"people": {"several_subjects"}, "no_time": {"missing_time"}}
    how = write(
        raw.parent / "how.yaml",
        "files: '*.csv*'\nacc: [acc_x, acc_y, acc_z]\ngyro: [gyro_x, gyro_y, gyro_z]\nacc_unit: m/s2\n"
        "gyro_unit: rad/s\ntime: time\ntime_unit: s\nsubject: who\nlabel: what\nlabels: {walk: walking}\n",
    )
    return ["--table", str(how)], ["good"], odd


PLANTS = {
    "ego4d": plant_ego4d,
    "mmea": plant_mmea,
    "pd": plant_pd,
    "stanford_fog": plant_stanford_fog,
    "table": plant_table,
}


@pytest.mark.parametrize("format", PLANTS)
def test_odd_rows_cost_their_recording(format, tmp_path, request):
    flags, good, odd = PLANTS[format](tmp_path / "raw", request)
    words = ["--format", format, "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--frame_size", "64"]
    prepare.main([*words, "--num_workers", "1", "--max_rejected_share", "1", *flags])
    store = Store(tmp_path / "out")
    assert store.recordings["source"].tolist() == good
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv", dtype=str, keep_default_na=False)
    assert {name: set(rows["reason"]) for name, rows in rejected.groupby("id")} == odd
    assert str(tmp_path) not in "".join(rejected["detail"]) and rejected["detail"].ne("").all()
