"""One odd row, name or file costs its recording, and never the preparation of the others: ClassyGlass and GoPro."""

import numpy as np
import pandas as pd
import pytest

from datasets.store import Store
from scripts import prepare
from tests.datasets.formats.test_classyglass import EARLY, HEADER, LATE, publish
from tests.datasets.formats.test_gopro import add_telemetry, frame_stream, motion, nest, payload, record, stream, text
from tests.videos import write_video


def run(format, raw, out):
    """Prepare; ids that came out, and the reason for every other."""
    words = ["--format", format, "--raw", str(raw), "--out", str(out), "--num_workers", "1", "--frame_size", "64"]
    prepare.main([*words, "--max_rejected_share", "1"])
    rejected = pd.read_csv(out / "rejected.csv", keep_default_na=False)
    return set(Store(out).recordings["id"]), dict(zip(rejected["id"], rejected["reason"], strict=True))


USER = "Dataset_1A/User1"


def test_classyglass_by_names(tmp_path):
    user = tmp_path / "raw" / USER
    for experiment in (1, 2, 3, 4, 5, 6):
        publish(user, experiment, EARLY)
    publish(user, 2, LATE)  # restarted
    publish(user, 3, LATE, ["Gyroscope"])  # restarted, and given up
    accelerometer = next(user.glob("4_*_Accelerometer_*"))
    (user / accelerometer.name.removesuffix(".gz")).write_text("a copy, unpacked")
    next(user.glob("5_*_Gyroscope_*")).write_bytes(b"cut off")
    publish(user, "six", EARLY)
    publish(tmp_path / "raw" / "Dataset_3" / "User1", 1)
    publish(tmp_path / "raw" / "Dataset_1A" / "somebody", 1, sensors=["Accelerometer"])
    prepared, rejected = run("classyglass", tmp_path / "raw", tmp_path / "out")
    assert prepared == {f"Dataset_1A-User1-{n}" for n in ("001", "002", "002-2", "003", "006")}
    name = "MetaWear_2019-09-14T13.41.43.335_F1E5_{}_100.000Hz_1.4.5.csv.gz"
    acc, gyro = (name.format(sensor) for sensor in ("Accelerometer", "Gyroscope"))
    assert rejected == {
        "Dataset_1A-User1-003-2": "missing_acc",
        "Dataset_1A-User1-004": "several_files",
        "Dataset_1A-User1-005": "unreadable_csv",
        f"Dataset_1A-User1-six_{acc}": "unexpected_name",
        f"Dataset_1A-User1-six_{gyro}": "unexpected_name",
        f"Dataset_3-User1-1_{acc}": "unexpected_place",
        f"Dataset_3-User1-1_{gyro}": "unexpected_place",
        f"Dataset_1A-somebody-1_{acc}": "unexpected_place",
    }


def listed(experiment, label="reading", sensors=("Accelerometer", "Gyroscope"), start=EARLY):
    """Lines of ``labels.csv``."""
    names = {"Accelerometer": "acc", "Gyroscope": "gyro"}
    file = f"{USER}/{{}}_{start}_{{}}_100.000Hz_1.4.5.csv.gz"
    return [
        f"{file.format(experiment, sensor)},Dataset_1A,User1,{experiment},{label},{names[sensor]},100"
        for sensor in sensors
    ]


# name: (lines of experiment n, what is rejected of it, ids that come out of it)
ODD = {
    "good": (listed, [], ["{}"]),
    "too_few_fields": (lambda n: ["a.csv,Dataset_1A"], ["bad_list_row"], []),
    "too_many_fields": (lambda n: [listed(n)[0] + ",1,2"], ["bad_list_row"], []),
    "stray_quote": (lambda n: ['"' + listed(n)[0]], ["bad_list_row"], []),
    "empty_cell": (lambda n: [listed(n, label="")[0], listed(n)[1]], ["bad_list_row", "missing_acc"], []),
    "outside": (lambda n: [f"../a.csv,Dataset_1A,User1,{n},reading,acc,100"], ["bad_list_row"], []),
    "absolute": (lambda n: [f"/etc/a.csv,Dataset_1A,User1,{n},reading,acc,100"], ["bad_list_row"], []),
    "no_utf8": (lambda n: listed(n, "caf\udce9"), ["bad_list_row"] * 2, []),
    "two_labels": (lambda n: [listed(n)[0], listed(n, "running")[1]], ["label_conflict"], []),
    "one_sensor": (lambda n: listed(n)[:1], ["missing_gyro"], []),
    "file_not_there": (lambda n: listed(f"{n}9"), ["missing_acc"], []),
    "no_number": (lambda n: [line.replace(f",{n},", f",x{n},") for line in listed(n)], [], ["x{}"]),
    "leading_zero": (lambda n: [listed(n)[0], listed(n)[1].replace(f",{n},", f",0{n},")], [], ["{}"]),
    "listed_twice": (lambda n: listed(n) + listed(n), [], ["{}"]),
    "another_sensor": (lambda n: [*listed(n), listed(n)[0].replace(",acc,", ",magnetometer,")], [], ["{}"]),
    "restarted": (lambda n: listed(n) + listed(n, start=LATE), [], ["{}", "{}-2"]),
    "blank_line": (lambda n: [""], [], []),
    "good_again": (listed, [], ["{}"]),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """All of them in one ``labels.csv``, prepared once; experiments and lines of each."""
    folder = tmp_path_factory.mktemp("table")
    raw, lines, place = folder / "raw", [], {}
    for experiment, (name, (make, *_)) in enumerate(ODD.items(), start=100):
        publish(raw / USER, experiment)
        if name == "restarted":
            publish(raw / USER, experiment, LATE)
        first = len(lines) + 2
        lines += make(experiment)
        place[name] = str(experiment), {f"labels-line{n}" for n in range(first, len(lines) + 2)}
    (raw / "labels.csv").write_text(HEADER + "\n".join(lines) + "\n", errors="surrogateescape")
    return *run("classyglass", raw, folder / "out"), place


@pytest.mark.parametrize("name", ODD)
def test_classyglass_by_the_table(name, table):
    prepared, rejected, place = table
    (experiment, lines), (_, reasons, ids) = place[name], ODD[name]
    mine = [why for i, why in rejected.items() if i in lines or i.startswith(f"Dataset_1A-User1-{experiment}")]
    assert sorted(mine) == reasons
    assert {i for i in prepared if experiment in i} == {f"Dataset_1A-User1-{i.format(experiment)}" for i in ids}


# ------------------------------------------------------------- GoPro

SECONDS, RATE_HZ = 7, 200


def payloads(**stated):
    """Telemetry of 7 s at 200 Hz."""
    given = {"orin": "XYZ"} | stated
    found = []
    for second in range(SECONDS):
        raw = np.round(motion(second + np.arange(RATE_HZ) / RATE_HZ) * 3000)
        found.append(payload(*(stream(key, raw, (3000,), **given) for key in (b"ACCL", b"GYRO"))))
    return found


def changed(number, other):
    """One payload is another."""
    found = payloads()
    found[number] = other
    return found


EMPTY_SENSOR = nest(b"STRM", text(b"ORIN", "XYZ"), record(b"ACCL", b"s", 6, 0, b""))
ACC_ALONE = payload(stream(b"ACCL", [[0, 0, 9]], orin="XYZ"))
ODD_CLIPS = {  # name: (telemetry or the whole file, what is said of it; none: it is prepared)
    "good": (payloads(), None),
    "two words": (payloads(), None),
    "empty": (b"", "empty_video"),
    "page": (b"<html>404</html>" * 99, "unreadable_video"),
    "silent": ([], "no_telemetry"),
    "unit": (payloads(unit="g"), "unknown_unit"),
    "axes": (payloads(orin=None), "unknown_axes"),
    "scale": (changed(3, payload(stream(b"ACCL", [[0, 0, 9]], (0,), orin="XYZ"))), "damaged_telemetry"),
    "broken": (changed(3, payloads()[3][:-10] + bytes(10)), None),  # the last values are 0
    "torn": (changed(3, payloads()[3][:-10]), "damaged_telemetry"),
    "nothing": ([bytes(8)] * SECONDS, "missing_acc"),
    "no_gyro": ([ACC_ALONE] * SECONDS, "missing_gyro"),
    "no_values": ([payload(EMPTY_SENSOR)] * SECONDS, "missing_acc"),
    "gap": (changed(3, payload(frame_stream(b"CORI", 3.0))), "too_short"),
    "stamp": (payloads(stamp_s=1e9), None),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, (content, _) in ODD_CLIPS.items():
        path = folder / "raw" / "card" / f"{name}.MP4"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            continue
        write_video(path, 25 * SECONDS)
        if content:
            add_telemetry(path, content)
    (folder / "raw" / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "raw" / "folder.mp4").mkdir()
    return run("gopro", folder / "raw", folder / "out")


@pytest.mark.parametrize("name", ODD_CLIPS)
def test_a_gopro_clip(name, clips):
    prepared, rejected = clips
    recording_id, reason = f"card-{name.replace(' ', '_')}", ODD_CLIPS[name][1]
    assert rejected.get(recording_id) == reason and (recording_id in prepared) == (reason is None)


def test_a_link_that_leads_nowhere_is_named(clips):
    assert clips[1]["gone"] == "unreadable_file"
