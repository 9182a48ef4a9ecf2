"""ClassyGlass: units, clocks, people and labels, on made-up files and on the real ones."""

import gzip

import numpy as np
import pytest

from datasets.formats import classyglass
from datasets.recording import BadRecording
from datasets.signals import process

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


def test_missing_folder_and_table_are_named(tmp_path, raw):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        classyglass.find(tmp_path / "nowhere", None)
    (raw / "labels.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"labels\.csv"):
        classyglass.find(raw, None)


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
        assert done.acc_rate_hz == pytest.approx(100, abs=0.5) and len(done.parts) == 1
        assert np.median(np.linalg.norm(done.parts[0].imu[:, :3], axis=1)) == pytest.approx(9.8, abs=0.6)
        assert np.abs(done.parts[0].imu[:, 3:]).max() < 35  # 2000 deg/s in rad/s
