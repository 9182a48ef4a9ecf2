"""Units: gravity and the gyroscope against motion that is worked out in closed form."""

import math
import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.preparation.units_check import at_rest, check_units, gyro_scale, report_units

G = 9.80665


def nodding(seconds=60, amplitude=0.4, walking=False, seed=0):
    """(T, 6): a head that nods, with noise; gravity and angular rate follow from the rotation itself."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(seconds * 50) / 50
    pitch = amplitude * np.sin(2 * np.pi * 0.3 * time_s) * (np.sin(2 * np.pi * time_s / 20) > 0)
    acc = Rotation.from_euler("x", pitch[:, None]).inv().apply([0, 0, G])
    gyro = np.stack([np.gradient(pitch, time_s), 0 * time_s, 0 * time_s], axis=1)
    steps = 3 * np.sin(2 * np.pi * 2 * time_s)[:, None] * [0.3, 0.2, 1] if walking else 0
    noise = rng.standard_normal((2, len(time_s), 3)) * np.array([0.05, 0.005])[:, None, None]
    return np.concatenate([acc + steps + noise[0], gyro + noise[1]], axis=1).astype(np.float32)


def still(seconds=60, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((seconds * 50, 6)) * np.repeat([0.03, 0.003], 3)
    return (np.array([0, 0, G, 0, 0, 0]) + noise).astype(np.float32)


def problems(imu, acc=1.0, gyro=1.0):
    return check_units((imu * np.repeat([acc, gyro], 3)).astype(np.float32)).get("units_problem", "")


@pytest.mark.parametrize("imu", [nodding(), nodding(walking=True), still()], ids=["nodding", "walking", "still"])
def test_right_units_raise_nothing(imu):
    assert problems(imu) == ""
    assert check_units(imu)["gravity_m_s2"] == pytest.approx(G, abs=0.4)


@pytest.mark.parametrize(
    "factor, cause",
    [
        (1 / G, "g taken for m/s²"),
        (G, "m/s² taken for g"),
        (2, r"another range \(2 times\)"),
        (0.5, r"another range \(0.5 times\)"),
        (4, r"another range \(4 times\)"),
        (1000 / G, "counts or mg"),
        (8192 / G, "counts or mg"),
        (1.35, "a wrong scale, or an axis that is missing"),
        (0.01, "gravity is missing"),
    ],
)
@pytest.mark.parametrize("imu", [nodding(), nodding(walking=True), still()], ids=["nodding", "walking", "still"])
def test_a_wrong_scale_of_the_accelerometer_is_named(imu, factor, cause):
    problem = problems(imu, acc=factor)
    assert re.search(cause, problem) and "want 9.8" in problem


def test_the_tolerance_is_a_metre_and_a_half():
    assert problems(still(), acc=(G + 1.4) / G) == "" and problems(still(), acc=(G - 1.4) / G) == ""
    assert problems(still(), acc=(G + 1.6) / G) and problems(still(), acc=(G - 1.6) / G)


@pytest.mark.parametrize("imu", [nodding(), nodding(walking=True)], ids=["nodding", "walking"])
def test_degrees_and_radians(imu):
    problem = problems(imu, gyro=180 / math.pi)
    assert "probably deg/s taken for rad/s; state deg/s" in problem
    if gyro_scale(imu[:, :3].astype(float), imu[:, 3:].astype(float)) > 0:
        problem = problems(imu, gyro=math.pi / 180)
        assert "probably rad/s taken for deg/s; state rad/s" in problem


def test_degrees_are_recognized_by_their_size():
    imu = nodding(amplitude=0.0)
    imu[:, 5] = 1.5 * np.sin(2 * np.pi * 2 * np.arange(len(imu)) / 50)  # about the vertical: gravity says nothing
    assert "gyro_scale" not in check_units(imu) and problems(imu) == ""
    problem = problems(imu, gyro=180 / math.pi)
    assert "as its median, more than anybody keeps up" in problem
    imu[: 50 * 50, 5] = 0.01
    problem = problems(imu, gyro=180 / math.pi)
    assert "exceeds 35 rad/s in 1 %" in problem


def test_the_gyroscope_first():
    assert "gravity is in the gyroscope's columns" in problems(nodding()[:, [3, 4, 5, 0, 1, 2]])


def slow_at_rest(imu):
    """Second by second, Python floats."""
    seconds = []
    for start in range(0, len(imu) - 49, 50):
        acc = [math.sqrt(sum(float(v) ** 2 for v in row[:3])) for row in imu[start : start + 50]]
        gyro = [math.sqrt(sum(float(v) ** 2 for v in row[3:])) for row in imu[start : start + 50]]
        mean = sum(acc) / 50
        spread = math.sqrt(sum((a - mean) ** 2 for a in acc) / 50)
        seconds.append((spread / mean, mean, sum(gyro) / 50))
    quiet = sorted(seconds)[: max(1, round(len(seconds) * 0.1))]
    middle = lambda values: (sorted(values)[(len(values) - 1) // 2] + sorted(values)[len(values) // 2]) / 2  # noqa: E731
    return middle([q[1] for q in quiet]), middle([q[2] for q in quiet])


@pytest.mark.parametrize("seconds", [1, 7, 60])
def test_rest_is_that_of_the_quietest_tenth(seconds):
    imu = nodding(60, walking=True)[: seconds * 50 + 20].astype(np.float64)
    assert at_rest(imu[:, :3], imu[:, 3:]) == pytest.approx(slow_at_rest(imu), rel=1e-12)


def test_the_scale_is_the_factor_between_gyroscope_and_turning():
    imu = nodding().astype(np.float64)
    one = gyro_scale(imu[:, :3], imu[:, 3:])
    assert one == pytest.approx(1, abs=0.03)  # noise of the direction, and half a second is no instant
    assert gyro_scale(imu[:, :3], 57 * imu[:, 3:]) == pytest.approx(57 * one, rel=1e-9)
    assert gyro_scale(imu[:, :3] * 1000, imu[:, 3:]) == pytest.approx(one, rel=1e-9)
    assert np.isnan(gyro_scale(imu[:, :3], imu[:, [4, 5, 3]]))  # axes that do not belong together: cannot tell
    assert np.isnan(gyro_scale(imu[:100, :3], imu[:100, 3:]))


def test_a_dataset_is_reported_in_a_few_lines():
    notes = [{"gravity_m_s2": 9.8, "gyro_scale": 1.0}] * 3 + [{"gravity_m_s2": 0.98, "units_problem": "g"}] * 8
    lines = report_units([f"r{n}" for n in range(11)], notes)
    assert lines[0] == (
        "units: 0.98 m/s² at rest (median of 11 recordings, want 9.8); gyroscope 1.00 of what gravity's turning says "
        "(told by 3)"
    )
    assert lines[1] == "WARNING, units of r3: g" and lines[-1].startswith("WARNING, units of 3 more recordings")
    assert len(lines) == 7 and report_units(["a"], [{}]) == []
