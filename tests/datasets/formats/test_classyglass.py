"""ClassyGlass: units, clocks, people and labels, on made-up files and on the real ones."""

import gzip
import shutil

import numpy as np
import pytest

from datasets.formats import classyglass
from datasets.formats.classyglass import activity, read_labels, read_names
from datasets.formats.delimited import read_numbers
from datasets.preparation.signals import process
from datasets.recording import BadRecording

HEADER = "file,dataset,user,experiment,label,sensor,nominal_hz\n"


def write_sensor(path, first_ms, values, unit):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"epoch (ms),time (-13:00),elapsed (s),x-axis ({unit}),y-axis ({unit}),z-axis ({unit})"]
    rows += [f"{first_ms + 10 * k},t,{k / 100:.3f},{x},{y},{z}" for k, (x, y, z) in enumerate(values)]
    path.write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))


@pytest.fixture
def raw(tmp_path):
    lines = []
    for dataset, user, experiment, label in (
        ("Dataset_1A", "User1", "1", "reading"),
        ("Dataset_1A", "User1", "12", "reading"),
        ("Dataset_2", "User1", "1", "tug"),
    ):
        for sensor, unit, value in (("acc", "g", [0, 1, 0]), ("gyro", "deg/s", [180, 0, -90])):
            name = f"{dataset}/{user}/{experiment}_{sensor}.csv.gz"
            write_sensor(tmp_path / name, 1568482903468 + (137 if sensor == "gyro" else 0), [value] * 700, unit)
            lines.append(f"{name},{dataset},{user},{experiment},{label},{sensor},100.000\n")
    (tmp_path / "labels.csv").write_text(HEADER + "".join(lines))
    return tmp_path


def test_units_clock_and_names(raw):
    found = classyglass.find(raw, None)
    assert [source.id for source in found.sources] == [
        "Dataset_1A-User1-001", "Dataset_1A-User1-012", "Dataset_2-User1-001"
    ]  # fmt: skip
    assert found.classes == ("reading", "tug")
    recording = found.sources[0].parse()
    assert (recording.subject, recording.session, recording.label) == (
        "Dataset_1A-User1", "Dataset_1A_User1_1", "reading"
    )  # fmt: skip
    np.testing.assert_allclose(recording.acc[0], [0, 9.80665, 0])
    np.testing.assert_allclose(recording.gyro[0], [np.pi, 0, -np.pi / 2])
    assert recording.acc_time_s[0] == pytest.approx(-0.137) and recording.gyro_time_s[0] == 0
    part = process(recording).parts[0]
    assert part.start_s == 0 and len(part.imu) == int((6.99 - 0.137) * 50) + 1  # where both run


def test_subset_takes_its_classes_only(raw):
    found = classyglass.find(raw, ["Dataset_2"])
    assert [source.id for source in found.sources] == ["Dataset_2-User1-001"] and found.classes == ("tug",)
    with pytest.raises(ValueError, match="Dataset_3 is not in .*Dataset_1A, Dataset_2"):
        classyglass.find(raw, ["Dataset_3"])


def test_a_missing_sensor_is_rejected_by_name(raw):
    (raw / "Dataset_2/User1/1_gyro.csv.gz").unlink()
    (rejection,) = classyglass.find(raw, None).rejected
    assert (rejection.id, rejection.reason) == ("Dataset_2-User1-001", "missing_gyro")


def test_another_unit_is_refused(raw):
    write_sensor(raw / "Dataset_2/User1/1_acc.csv.gz", 0, [[0, 9.8, 0]] * 10, "m/s^2")
    source = next(s for s in classyglass.find(raw, ["Dataset_2"]).sources)
    with pytest.raises(BadRecording, match=r"missing_column: .*x-axis \(g\).*x-axis \(m/s\^2\)"):
        source.parse()


def test_a_folder_without_either_is_named(tmp_path, raw):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        classyglass.find(tmp_path / "nowhere", None)
    (raw / "labels.csv").unlink()  # the made-up names say no activity
    shutil.rmtree(raw / "Dataset_1A")
    shutil.rmtree(raw / "Dataset_2")
    with pytest.raises(FileNotFoundError, match=r"neither labels\.csv nor.*--raw"):
        classyglass.find(raw, None)


def test_a_table_without_a_column_is_named(raw):
    (raw / "labels.csv").write_text("file,dataset,user,experiment,activity,sensor\n")
    with pytest.raises(ValueError, match=r"labels\.csv: .*label"):
        classyglass.find(raw, None)


# ------------------------------------------------------------- as published: no labels.csv


@pytest.mark.parametrize(
    "dataset, experiment, label",
    [
        ("Dataset_1A", 1, "reading"), ("Dataset_1A", 11, "stairs"), ("Dataset_1A", 12, "reading"),
        ("Dataset_1B", 133, "reading"), ("Dataset_1B", 142, "running"), ("Dataset_1B", 147, "pick_up_floor_standing"),
        ("Dataset_1B", 148, "reading"), ("Dataset_1B", 132, "pick_up_floor_standing"),
        ("Dataset_2", 6, "tug"), ("Dataset_2", 7, "reading"), ("Dataset_2", 71, "pick_up_floor_standing"),
    ],
)  # fmt: skip
def test_the_number_tells_the_activity(dataset, experiment, label):
    assert activity(dataset, experiment) == label


def publish(folder, experiment, start="MetaWear_2019-09-14T13.41.43.335_F1E5", sensors=("Accelerometer", "Gyroscope")):
    """Files as the repository names them; 7 s each."""
    for sensor in sensors:
        unit, value = {"Accelerometer": ("g", [0, 1, 0]), "Gyroscope": ("deg/s", [9, 0, 9])}.get(sensor, ("T", [1] * 3))
        write_sensor(
            folder / f"{experiment}_{start}_{sensor}_100.000Hz_1.4.5.csv.gz", 1568482903468, [value] * 700, unit
        )


def ids(found):
    return {source.id: source.parse.args[3]["label"] for source in found.sources}, {
        r.id: r.reason for r in found.rejected
    }


def test_the_published_layout_is_read_by_names(tmp_path):
    publish(tmp_path / "Datasets/Dataset_1A/User1", 1, sensors=("Accelerometer", "Gyroscope", "Magnetometer"))
    publish(tmp_path / "Datasets/Dataset_2/SensorData/User12", 72, "Werable1_2021-11-03T10.30.25.133_EB94")
    (tmp_path / "Datasets/Dataset_1A/notes.csv").write_text("a,b\n")
    found = classyglass.find(tmp_path, None)
    assert ids(found) == ({"Dataset_1A-User1-001": "reading", "Dataset_2-User12-072": "tug"}, {})
    assert found.classes == ("reading", "tug")
    recording = found.sources[1].parse()
    assert (recording.subject, recording.session) == ("Dataset_2-User12", "Dataset_2_User12_72")
    assert ids(classyglass.find(tmp_path, ["Dataset_2"]))[0] == {"Dataset_2-User12-072": "tug"}


EARLY, LATE = "MetaWear_2019-09-14T13.41.43.335_F1E5", "MetaWear_2019-09-14T13.49.00.001_F1E5"


def test_a_restarted_experiment_gives_what_is_whole(tmp_path):
    user = tmp_path / "Dataset_1A" / "User1"
    publish(user, 1, EARLY)
    publish(user, 1, LATE)
    publish(user, 2, EARLY, ["Accelerometer"])
    publish(user, 2, LATE)
    publish(user, 3, EARLY, ["Accelerometer"])
    publish(user, 3, LATE, ["Gyroscope"])  # one of each: nothing else could belong to them
    assert ids(classyglass.find(tmp_path, None)) == (
        {
            "Dataset_1A-User1-001": "reading", "Dataset_1A-User1-001-2": "reading",
            "Dataset_1A-User1-002-2": "writing", "Dataset_1A-User1-003": "typing",
        },
        {"Dataset_1A-User1-002": "missing_gyro"},
    )  # fmt: skip


def test_names_alone_say_what_the_table_says(real_data):
    """Of all 423 files: dataset, person, experiment, start, activity and sensor."""
    raw = real_data / "classyglass"
    by_name, odd = read_names(raw)
    by_table, bad = read_labels(raw, raw / "labels.csv")
    assert len(by_name) == 423 and set(by_name) == set(by_table) and not odd and not bad


def test_the_liveliest_of_fifteen_is_running(real_data):
    """What tells that Dataset_1B counts from 133: of every person, running moves the head most."""
    files, _ = read_names(real_data / "classyglass")
    swing = {}
    for file in files:
        if file.dataset == "Dataset_1B" and file.sensor == "acc" and file.user in ("User13", "User16"):
            values = read_numbers(file.path, ["x-axis (g)", "y-axis (g)", "z-axis (g)"])[0].to_numpy()
            swing[file.user, file.label] = np.linalg.norm(values, axis=1).std()
    for user in ("User13", "User16"):
        assert max((label for u, label in swing if u == user), key=lambda label: swing[user, label]) == "running"


def test_the_real_people(real_data):
    found = classyglass.find(real_data / "classyglass", None)
    assert len(found.sources) == 211 and [r.id for r in found.rejected] == ["Dataset_1B-User15-173"]
    assert len({source.parse.args[3]["subject"] for source in found.sources}) == 23
    classes = {
        d: classyglass.find(real_data / "classyglass", [d]).classes for d in ("Dataset_1A", "Dataset_1B", "Dataset_2")
    }
    assert [len(names) for names in classes.values()] == [11, 15, 6]
    at_rest = [source for source in found.sources if source.parse.args[3]["label"] == "reading"]
    for source in at_rest[::6]:
        done = process(source.parse())
        assert done.acc.rate_hz == pytest.approx(100, abs=0.5) and len(done.parts) == 1
        assert np.median(np.linalg.norm(done.parts[0].imu[:, :3], axis=1)) == pytest.approx(9.8, abs=0.6)
        assert np.abs(done.parts[0].imu[:, 3:]).max() < 35  # 2000 deg/s in rad/s
