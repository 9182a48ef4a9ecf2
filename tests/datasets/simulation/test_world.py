"""The simulated world's trajectories and IMU against finite differences, and what bodies can do.

Letters: n instants.
"""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.simulation import recording_plans
from datasets.simulation.activities import ACTIVITIES
from datasets.simulation.trajectory import SensorModel, Trajectory
from datasets.simulation.world import POPULATIONS, draw_device, draw_person, simulate

GRAVITY = 9.81
PERFECT = SensorModel(np.eye(3), np.zeros(3), np.zeros(3), 0.0, 0.0, np.inf, np.inf)


def take(activity: str, population: str = "ego4d", seed: int = 0, duration_s: float = 8.0):
    """One performance: room, device, trajectory."""
    rng = np.random.default_rng([seed, list(ACTIVITIES).index(activity)])
    ranges = POPULATIONS[population]
    room, device = recording_plans.take_room(population, seed, 0), draw_device(ranges, rng)
    return room, device, simulate(room, draw_person(ranges, rng), device, ((activity, 0.0),), duration_s, rng)


def still(rotation: Rotation, seconds: float = 2.0) -> Trajectory:
    """Nothing moves."""
    time_s = np.arange(0.0, seconds, 0.01)
    return Trajectory(time_s, np.zeros((len(time_s), 3)), Rotation.concatenate([rotation] * len(time_s)))


# ---------------------------------------------------------------- trajectory and IMU


@pytest.mark.parametrize("activity", ["walking", "fall", "downstairs", "take_drop_sth", "ride_bike", "turning"])
def test_imu_is_what_finite_differences_of_the_path_say(activity):
    _, _, trajectory = take(activity)
    time_s, h = np.linspace(0.5, 7.5, 400), 1e-3
    before, now, after = (trajectory.position(time_s + offset) for offset in (-h, 0.0, h))
    acceleration = (before - 2 * now + after) / h**2
    rotations = [Rotation.from_matrix(trajectory.rotation(time_s + offset)) for offset in (-h, 0.0, h)]
    force = rotations[1].inv().apply(acceleration + [0.0, 0.0, GRAVITY])
    rate = (rotations[0].inv() * rotations[2]).as_rotvec() / (2 * h)
    acc, gyro = PERFECT.measure(trajectory, time_s, np.random.default_rng(0))
    # what is left is the error of the differences themselves, of the order of h^2
    np.testing.assert_allclose(acc, force, atol=2e-2)
    np.testing.assert_allclose(gyro, rate, atol=2e-3)
    assert np.ptp(acc, axis=0).max() > 1.0, "this activity should move"


def test_integrated_angular_rate_is_the_change_of_orientation():
    _, _, trajectory = take("sweep_floor")
    dt = 1e-3
    turned = Rotation.identity()
    for rate in trajectory.angular_rate(np.arange(1.0, 6.0, dt) + dt / 2):
        turned = turned * Rotation.from_rotvec(rate * dt)
    start, end = Rotation.from_matrix(trajectory.rotation(np.array([1.0, 6.0])))
    assert (start.inv() * end * turned.inv()).magnitude() < 1e-4
    assert (start.inv() * end).magnitude() > 0.1


def test_a_sensor_at_rest_feels_gravity_upwards():
    tilted = still(Rotation.from_euler("y", 30, degrees=True))  # nose down
    acc, gyro = PERFECT.measure(tilted, np.array([0.5, 1.0]), np.random.default_rng(0))
    expected = [-GRAVITY * math.sin(math.radians(30)), 0.0, GRAVITY * math.cos(math.radians(30))]
    np.testing.assert_allclose(acc, [expected] * 2, atol=1e-9)
    np.testing.assert_allclose(gyro, 0.0, atol=1e-9)


def test_a_standing_wearer_measures_one_g():
    _, device, trajectory = take("standing", seed=3)
    acc, _ = device.sensor.measure(trajectory, np.arange(0.0, 8.0, 0.02), np.random.default_rng(0))
    assert np.linalg.norm(acc, axis=1).mean() == pytest.approx(GRAVITY, abs=0.25)  # bias of up to 0.2


def test_sensor_rotates_biases_and_clips():
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix()  # body x (forward) is sensor y
    sensor = SensorModel(quarter, np.array([0.1, 0.0, 0.0]), np.array([0.0, 0.2, 0.0]), 0.0, 0.0, 5.0, 0.15)
    acc, gyro = sensor.measure(still(Rotation.from_euler("y", -30, degrees=True)), np.ones(1), np.random.default_rng(0))
    np.testing.assert_allclose(acc, [[0.1, GRAVITY / 2, 5.0]], atol=1e-9)
    np.testing.assert_allclose(gyro, [[0.0, 0.15, 0.0]], atol=1e-9)


def test_the_gyroscope_turns_with_the_sensor():
    """Rolling to the right at 0.1 rad/s: forward is sensor y."""
    time_s = np.arange(0.0, 2.0, 0.01)
    rolling = Trajectory(time_s, np.zeros((200, 3)), Rotation.from_euler("x", 0.1 * time_s[:, None]))
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    sensor = SensorModel(quarter, np.zeros(3), np.zeros(3), 0.0, 0.0, np.inf, np.inf)
    _, gyro = sensor.measure(rolling, np.ones(1), np.random.default_rng(0))
    np.testing.assert_allclose(gyro, [[0.0, 0.1, 0.0]], atol=1e-6)


def test_noise_has_the_stated_size():
    sensor = SensorModel(np.eye(3), np.zeros(3), np.zeros(3), 0.05, 0.004, np.inf, np.inf)
    acc, gyro = sensor.measure(still(Rotation.identity()), np.full(20000, 1.0), np.random.default_rng(0))
    assert acc.std(axis=0) == pytest.approx(0.05, rel=0.03)
    assert gyro.std(axis=0) == pytest.approx(0.004, rel=0.03)


# ---------------------------------------------------------------- movement


@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_every_activity_stays_in_the_room_and_is_possible(activity, population):
    for seed in range(3):
        room, _, trajectory = take(activity, population, seed, duration_s=14.0)
        time_s = np.arange(0.0, 14.0, 0.02)
        x, y, z = trajectory.position(time_s).T
        height = z - room.floor_height(x, 0.01)
        assert x.min() > 0.05 and x.max() < room.length - 0.05
        assert y.min() > 0.05 and y.max() < room.width - 0.05
        assert height.min() > 0.05 and height.max() < room.ceiling - 0.05
        assert np.linalg.norm(trajectory.acceleration(time_s), axis=1).max() < 80.0  # a hard fall: 8 g
        assert np.linalg.norm(trajectory.angular_rate(time_s), axis=1).max() < 12.0


def test_stairs_lead_up_and_down():
    for activity, sign in (("upstairs", 1), ("downstairs", -1)):
        _, _, trajectory = take(activity, "mmea", duration_s=10.0)
        climbed = np.diff(trajectory.position(np.array([1.0, 9.0]))[:, 2])[0]
        assert sign * climbed > 1.0


def test_patients_tremble_at_four_to_six_hertz():
    _, device, trajectory = take("sitting", "pd", seed=1, duration_s=20.0)
    assert device.chest
    rate = trajectory.angular_rate(np.arange(0.0, 20.0, 0.02))[:, 1]
    power, hertz = np.abs(np.fft.rfft(rate * np.hanning(1000))) ** 2, np.fft.rfftfreq(1000, 0.02)
    assert 4.0 < hertz[power.argmax()] < 6.0
