"""Units: gravity and the gyroscope against motion that is worked out in closed form."""

import math
import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.preparation.units_check import Seconds, check_units, gyro_scale, quietest

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
@pytest.mark.parametrize("imu", [nodding(), still()], ids=["nodding", "still"])
def test_a_wrong_scale_of_the_accelerometer_is_named(imu, factor, cause):
    problem = problems(imu, acc=factor)
    assert re.search(cause, problem) and "want 9.8" in problem


def test_the_tolerance_is_two_metres():
    assert problems(still(), acc=(G + 1.9) / G) == "" and problems(still(), acc=(G - 1.9) / G) == ""
    assert problems(still(), acc=(G + 2.1) / G) and problems(still(), acc=(G - 2.1) / G)


@pytest.mark.parametrize("factor", [1 / G, 0.5, 1, 1.35, 2, G])
def test_without_rest_nothing_is_said_of_the_accelerometer(factor):
    found = check_units(nodding(walking=True) * np.repeat([factor, 1], 3).astype(np.float32))
    assert found["rest_s"] == 0 and found["unrest"] > 0.1 and "units_problem" not in found


@pytest.mark.parametrize("rate, rests", [(0, True), (4, False)])
def test_rest_is_of_the_gyroscope_too(rate, rests):
    imu = still()
    imu[:, 3] += rate * np.sin(2 * np.pi * np.arange(len(imu)) / 50)  # about gravity: the accelerometer tells nothing
    assert (check_units(imu)["rest_s"] > 0) == rests


def test_an_offset_of_the_gyroscope_is_no_motion():
    imu = still()
    imu[:, 3:] += [0.5, -0.2, 0.4]
    assert check_units(imu)["rest_s"] == 60 and problems(imu, acc=1.35)


def test_one_wrong_axis_is_seen_while_gravity_lies_along_it():
    imu = np.concatenate([still(50), still(10)[:, [2, 1, 0, 3, 4, 5]]])  # upright, then lying
    assert problems(imu) == ""
    imu[:, 0] *= 1.3
    assert re.search(r"at rest with gravity along acc_x the accelerometer reads 12\.\d* m/s²", problems(imu))
    assert problems(imu[: 51 * 50]) == ""  # one second in 51 is less than a twentieth


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


def test_a_fast_gesture_is_not_sustained():
    imu = nodding(amplitude=0.0)
    imu[:, 5] = 6 * np.sin(2 * np.pi * np.arange(len(imu)) / 50)  # median 4.2 rad/s
    assert problems(imu[: 29 * 50]) == "" and "as its median" in problems(imu)


def slow_seconds(imu):
    """Second by second, Python floats."""
    seconds = []
    for start in range(0, len(imu) - 49, 50):
        rows = [[float(value) for value in row] for row in imu[start : start + 50]]
        acc = [math.sqrt(sum(v**2 for v in row[:3])) for row in rows]
        gyro = [math.sqrt(sum(v**2 for v in row[3:])) for row in rows]
        mean = sum(acc) / 50
        unrest = math.sqrt(sum((a - mean) ** 2 for a in acc) / 50) / mean
        spread = [math.sqrt(sum((r[k] - sum(q[k] for q in rows) / 50) ** 2 for r in rows) / 50) for k in (3, 4, 5)]
        pulls = [abs(sum(row[k] for row in rows)) for k in range(3)]
        seconds.append((mean, sum(gyro) / 50, unrest, unrest < 0.02 and max(spread) < 0.3, pulls.index(max(pulls))))
    return seconds


@pytest.mark.parametrize("walking", [False, True], ids=["nodding", "walking"])
@pytest.mark.parametrize("seconds", [1, 7, 60])
def test_seconds_are_those_counted_one_by_one(walking, seconds):
    imu = nodding(60, amplitude=0.9, walking=walking)[: seconds * 50 + 20].astype(np.float64)
    found, slow = Seconds.of(imu[:, :3], imu[:, 3:]), slow_seconds(imu)
    for name, values in zip(("length", "rate", "unrest", "at_rest", "along"), zip(*slow, strict=True), strict=True):
        assert getattr(found, name) == pytest.approx(np.array(values), rel=1e-12), name
    assert seconds < 60 or walking or 0 < found.at_rest.sum() < 60
    quiet = sorted(range(len(slow)), key=lambda k: slow[k][2])[: max(1, round(len(slow) * 0.1))]
    assert quietest(found.unrest).tolist() == quiet


def test_zeros_are_no_rest():
    imu = np.concatenate([np.zeros((40 * 50, 6), np.float32), still(2)])
    found = check_units(imu)
    assert found["rest_s"] == 2 and found["gravity_m_s2"] == pytest.approx(G, abs=0.1)
    found = check_units(imu[: 40 * 50])
    assert (found["rest_s"], found["unrest"]) == (0, 1)


def test_the_scale_is_the_factor_between_gyroscope_and_turning():
    imu = nodding().astype(np.float64)
    one = gyro_scale(imu[:, :3], imu[:, 3:])
    assert one == pytest.approx(1, abs=0.03)  # noise of the direction, and half a second is no instant
    assert gyro_scale(imu[:, :3], 57 * imu[:, 3:]) == pytest.approx(57 * one, rel=1e-9)
    assert gyro_scale(imu[:, :3] * 1000, imu[:, 3:]) == pytest.approx(one, rel=1e-9)
    assert np.isnan(gyro_scale(imu[:, :3], imu[:, [4, 5, 3]]))  # axes that do not belong together: cannot tell
    assert np.isnan(gyro_scale(imu[:100, :3], imu[:100, 3:]))
