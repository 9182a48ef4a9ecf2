"""Gravity-invariant signals and features against their definitions, and under rotations."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from configs.constants import IMU_RATE_HZ, STANDARD_GRAVITY
from models.handcrafted import handcrafted_features
from models.invariant import INVARIANT_FEATURES, SIGNALS, gravity, gravity_turn, invariant_features, invariant_signals


def windows(count=4, samples=250, seed=0):
    """(count, 6, samples) gravity that slowly turns, with steps, tremor and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / IMU_RATE_HZ
    level = rng.normal(0, 6, (count, 3, 1)) + rng.normal(0, 1, (count, 3, 1)) * t
    waves = rng.uniform(0.3, 3, (count, 6, 1)) * np.sin(2 * np.pi * 2 * t + rng.uniform(0, 6, (count, 6, 1)))
    noise = 0.3 * rng.standard_normal((count, 6, samples))
    return np.concatenate([level, 0 * level], axis=1) + waves + noise


def second_order(values, corner_hz):
    """Butterworth's low pass of order 2, by its difference equation (bilinear transform, corner warped)."""
    k = math.tan(math.pi * corner_hz / IMU_RATE_HZ)
    norm = 1 + math.sqrt(2) * k + k * k
    b = [k * k / norm, 2 * k * k / norm, k * k / norm]
    a = [2 * (k * k - 1) / norm, (1 - math.sqrt(2) * k + k * k) / norm]
    before_x, before_y, out = [values[0]] * 2, [values[0]] * 2, []  # settled on the first value
    for x in values:
        y = b[0] * x + b[1] * before_x[0] + b[2] * before_x[1] - a[0] * before_y[0] - a[1] * before_y[1]
        before_x, before_y = [x, before_x[0]], [y, before_y[0]]
        out.append(y)
    return out


def low_passed(values):
    """Forwards and backwards over the window, which is mirrored by 2 s (or all of it) at both ends."""
    more = min(100, len(values) - 1)
    mirrored = values[more:0:-1] + values + values[-2 : -more - 2 : -1]
    there = second_order(mirrored, 0.3)
    back = second_order(there[::-1], 0.3)[::-1]
    return back[more : more + len(values)]


def oracle(window):
    """{signal: values} of one (6, T) window, a sample at a time."""
    channels = window.tolist()
    down = [low_passed(axis) for axis in channels[:3]]
    found = {name: [] for name in SIGNALS}
    for t in range(len(channels[0])):
        g = [axis[t] for axis in down]
        length = math.hypot(*g)
        for sensor, first in (("acc", 0), ("gyro", 3)):
            x = [channels[first + axis][t] for axis in range(3)]
            along = sum(a * b / length for a, b in zip(x, g, strict=True))
            found[f"{sensor}_norm"].append(math.hypot(*x))
            found[f"{sensor}_along"].append(along)
            found[f"{sensor}_across"].append(math.hypot(*(a - along * b / length for a, b in zip(x, g, strict=True))))
    return found


@pytest.mark.parametrize("samples", [50, 250, 500])
def test_each_signal_is_its_definition(samples):
    for window in windows(2, samples):
        found = dict(zip(SIGNALS, invariant_signals(window[None])[0], strict=True))
        for name, values in oracle(window).items():
            assert found[name] == pytest.approx(values, rel=1e-7, abs=1e-7), name


def test_gravity_turn_is_its_definition():
    for window in windows(3):
        down = [low_passed(axis) for axis in window[:3].tolist()]
        ends = [[sum(axis[part]) / 83 for axis in down] for part in (slice(0, 83), slice(167, 250))]
        dot = sum(a * b for a, b in zip(*ends, strict=True))
        angle = math.acos(dot / math.hypot(*ends[0]) / math.hypot(*ends[1]))
        assert gravity_turn(gravity(window[None]))[0] == pytest.approx(angle, rel=1e-6)
        assert invariant_features(window[None])[0, -1] == pytest.approx(angle, rel=1e-5)


def test_lying_down_turns_gravity_by_a_right_angle():
    imu = np.zeros((1, 6, 250))
    imu[0, 1, :125], imu[0, 2, 125:] = STANDARD_GRAVITY, STANDARD_GRAVITY
    found = dict(zip(INVARIANT_FEATURES, invariant_features(imu)[0], strict=True))
    assert found["gravity_turn"] == pytest.approx(math.pi / 2, abs=0.15)
    assert found["acc_norm_mean"] == pytest.approx(STANDARD_GRAVITY)
    still = np.zeros((1, 6, 250))
    assert invariant_features(still)[0, -1] == 0 and np.isfinite(invariant_features(still)).all()


@pytest.mark.parametrize("samples", [50, 250, 1500])
def test_a_rotated_sensor_gives_the_same_features(samples):
    imu = windows(6, samples)
    turned = Rotation.random(6, random_state=1).as_matrix()
    both = np.concatenate([turned @ imu[:, :3], turned @ imu[:, 3:]], axis=1)
    assert invariant_signals(both) == pytest.approx(invariant_signals(imu), rel=1e-9, abs=1e-9)
    assert invariant_features(both) == pytest.approx(invariant_features(imu), rel=1e-4, abs=1e-5)  # float32
    assert np.abs(handcrafted_features(both) - handcrafted_features(imu)).max() > 1  # which those are not


def test_names_and_bad_values():
    imu = windows(2)
    assert invariant_features(imu).shape == (2, len(INVARIANT_FEATURES)) and len(set(INVARIANT_FEATURES)) == 97
    imu[1, 0, 3] = np.nan
    with pytest.raises(ValueError, match="1 of 2 windows are not finite"):
        invariant_features(imu)
