"""A phone in the trouser pocket: gravity, strides, turns and impacts where the script says.

Letters: n instants.
"""

import numpy as np
import pytest

from datasets.simulation.pocket import KNOT_HZ, Segment, draw_phone, draw_wearer, ramps, thigh
from datasets.simulation.trajectory import SensorModel

GRAVITY = 9.81
PERFECT = SensorModel(np.eye(3), np.zeros(3), np.zeros(3), 0.0, 0.0, np.inf, np.inf)
SEAT = np.radians(80)
SCRIPT = [
    Segment("seated", 0.0, 10.0),
    Segment("standing_up", 10.0, 11.5),
    Segment("standing", 11.5, 16.5),
    Segment("walking", 16.5, 36.5),
    Segment("turning", 36.5, 38.0, np.pi),
    Segment("walking", 38.0, 48.0),
    Segment("standing", 48.0, 52.0),
    Segment("sitting_down", 52.0, 54.0),
    Segment("seated", 54.0, 60.0),
]
TIME_S = np.arange(0.0, 60.0, 0.01)


@pytest.fixture(scope="module", params=range(3))
def worn(request):
    """Wearer, (n, 3) acceleration and (n, 3) angular rate in axes of the thigh."""
    rng = np.random.default_rng(request.param)
    wearer = draw_wearer(rng)
    return wearer, *PERFECT.measure(thigh(SCRIPT, wearer, (SEAT, SEAT), rng), TIME_S, rng)


def between(values: np.ndarray, begin: float, end: float) -> np.ndarray:
    first, last = np.searchsorted(TIME_S, [begin, end])
    return values[first:last]


def test_gravity_changes_axis_between_chair_and_feet(worn):
    wearer, acc, _ = worn
    for begin, end, flexion in ((1, 9, SEAT), (12, 16, wearer.hang), (49, 51, wearer.hang), (55, 59, SEAT)):
        expected = GRAVITY * np.array([np.sin(flexion), 0.0, np.cos(flexion)])
        np.testing.assert_allclose(between(acc, begin, end).mean(axis=0), expected, atol=1.0)


def test_the_thigh_swings_once_in_a_stride(worn):
    wearer, _, gyro = worn
    swing = between(gyro, 18, 36)[:, 1]
    power, hertz = np.abs(np.fft.rfft(swing * np.hanning(len(swing)), 8192)) ** 2, np.fft.rfftfreq(8192, 0.01)
    assert hertz[power.argmax()] == pytest.approx(wearer.stride_hz, abs=0.08)
    fundamental = 2 * np.pi * wearer.stride_hz * wearer.swing / np.sqrt(2)
    assert fundamental < swing.std() < 1.5 * fundamental


def test_the_hip_bounces_twice_in_a_stride(worn):
    wearer, acc, _ = worn
    size = np.linalg.norm(between(acc, 18, 36), axis=1)
    phases = np.exp(-2j * np.pi * np.outer(wearer.stride_hz * np.linspace(0.85, 1.15, 61), np.arange(len(size)) * 0.01))
    once, twice = (np.abs(np.hanning(len(size)) * (size - size.mean()) @ (phases**k).T).max() for k in (1, 2))
    assert twice > 2.5 * once


def test_the_labels_say_when_something_begins(worn):
    """What is still is still until the label changes, and moves right after it."""
    _, _, gyro = worn
    rate = np.linalg.norm(gyro, axis=1)
    for change in (10.0, 16.5, 52.0):
        assert between(rate, change - 0.5, change).max() < 0.3 < between(rate, change, change + 0.8).max()
    for change in (11.5, 48.6, 54.0):  # steps end within EASE_S
        assert between(rate, change, change + 0.5).max() < 0.3 < between(rate, change - 0.9, change).max()


def test_a_turn_is_about_the_vertical(worn):
    _, acc, gyro = worn
    rng = np.random.default_rng(0)
    trajectory = thigh(SCRIPT, draw_wearer(rng), (SEAT, SEAT), rng)
    time_s = np.arange(36.5, 38.0, 1e-3)
    upwards = np.einsum("nij,nj->ni", trajectory.rotation(time_s), trajectory.angular_rate(time_s))[:, 2]
    assert np.degrees(upwards.sum() * 1e-3) == pytest.approx(180, abs=40)  # the leg itself also turns in a stride
    steady = np.arange(20.0, 30.0, 1e-3)
    upwards = np.einsum("nij,nj->ni", trajectory.rotation(steady), trajectory.angular_rate(steady))[:, 2]
    assert abs(np.degrees(upwards.sum() * 1e-3)) < 40


def test_ramps_go_through_their_levels():
    t = np.arange(0, 10, 1 / KNOT_HZ)
    curve = ramps(t, 2.0, [(1.0, 1.0, 5.0), (4.0, 2.0, -1.0)])
    assert [curve[round(at * KNOT_HZ)] for at in (0, 1, 2, 3.9, 5, 6, 9)] == pytest.approx([2, 2, 5, 5, 2, -1, -1])


def test_phones_lie_in_the_pocket_in_four_ways():
    """The long side of the phone lies along the thigh, the screen outwards or inwards; axes stay right-handed."""
    rotations = np.array([draw_phone(np.random.default_rng(seed)).rotation for seed in range(60)])
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    along, screen = rotations[:, 1, 2], rotations[:, 2, 0]
    assert (np.abs(along) > 0.85).all() and (np.abs(screen) > 0.6).all()
    assert len(set(zip(np.sign(along), np.sign(screen), strict=True))) == 4
