"""A phone in the front trouser pocket: how the thigh moves as its wearer sits, gets up, walks, turns and sits down.

Thigh axes: x out of its front, y left, z from the knee to the hip. Flexion is 0 when the thigh hangs, and near 90
degrees when it lies on a chair. Letters: K knots.

Sizes follow the phones of sp-sw-har (Matey-Sanz et al. 2023, https://doi.org/10.1016/j.dib.2023.109809), by medians
over its labelled stretches, theirs and the simulation's. Walking: angular rate 1.70 and 1.67 rad/s RMS, of which 68
and 71 % about one axis, at 0.89 and 0.93 Hz, 36 and 40 degrees from end to end; length of the acceleration 3.0 and
3.3 m/s² standard deviation, peak 22 and 22 m/s². Turning: 151 and 144 degrees in 1.1 and 1.1 s, 2.9 and 2.9 rad/s
RMS. Getting up and sitting down: 60 to 68 and 65 to 67 degrees in 1.2 to 1.4 and 1.3 to 1.5 s. Smoother than real:
peak rate in walking (3.9 and 2.4 rad/s), acceleration in getting up and sitting down (1.3 to 1.6 and 0.7 m/s²
standard deviation).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from configs.constants import STANDARD_GRAVITY
from datasets.simulation.kinematics import cycle, drift, step
from datasets.simulation.trajectory import SensorModel, Trajectory

KNOT_HZ = 100
EASE_S = 0.6  # within which steps begin and end
GAIT = {"walking": 1.0, "turning": 0.5}  # size of the steps
SHAKE_HZ, SHAKE_S = 7.0, 0.05  # frequency and decay of a phone that a heel strike shakes
# Axes of the phone (right, top, out of the screen) in those of the thigh: screen outwards or inwards, top up or down.
WAYS_TO_POCKET = [
    np.array([[0.0, x, 0.0], [0.0, 0.0, y], [x * y, 0.0, 0.0]]) for x, y in ((1, 1), (-1, 1), (1, -1), (-1, -1))
]


@dataclass(frozen=True)
class Segment:
    """One activity of a script."""

    activity: str
    start: float  # s
    end: float
    angle: float = 0.0  # rad, by which the heading changes


@dataclass(frozen=True)
class Wearer:
    """Proportions and gait of one adult, and how deep the chair is at hand."""

    thigh_m: float
    stride_hz: float  # a stride is two steps
    stride_m: float
    swing: float  # rad, amplitude of the thigh's flexion
    bounce_m: float  # amplitude of the hip's height
    strike_m: float  # how far a heel strike moves the phone
    hang: float  # rad, flexion when standing


def draw_wearer(rng: np.random.Generator) -> Wearer:
    height = rng.uniform(1.55, 1.90)
    return Wearer(
        thigh_m=0.245 * height,  # Winter, Biomechanics and Motor Control of Human Movement, 2009, figure 4.1
        stride_hz=rng.uniform(0.85, 1.0),
        stride_m=0.8 * height * rng.uniform(0.9, 1.1),
        swing=np.radians(rng.uniform(15, 22)),
        bounce_m=rng.uniform(0.018, 0.026),
        strike_m=rng.uniform(0.0025, 0.0045),
        hang=np.radians(rng.uniform(0, 8)),
    )


def draw_phone(rng: np.random.Generator) -> SensorModel:
    """A phone, put into the left pocket once: it lies on the outer side of the thigh, a little askew."""
    way = WAYS_TO_POCKET[rng.integers(len(WAYS_TO_POCKET))]
    askew = Rotation.from_euler("zyx", [rng.uniform(20, 40), *rng.normal(0, 6, 2)], degrees=True)
    return SensorModel(
        rotation=way @ askew.as_matrix().T,
        acc_bias=rng.normal(0, 0.04, 3),
        gyro_bias=rng.normal(0, 0.005, 3),
        acc_noise=rng.uniform(0.02, 0.04),
        gyro_noise=rng.uniform(0.002, 0.005),
        acc_range=8 * STANDARD_GRAVITY,
        gyro_range=np.radians(2000),
    )


def ramps(t: np.ndarray, first: float, changes: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """(K,) curve that begins at ``first`` and goes to each level in turn.

    Args:
        changes: (start in s, duration in s, level), in the order of time and apart.
    """
    curve = np.full(len(t), first)
    for start, duration, level in changes:
        curve += (level - first) * step((t - start) / duration)
        first = level
    return curve


def shake(since_s: np.ndarray) -> np.ndarray:
    """What is left of a blow so many seconds ago; 0 before it."""
    since_s = np.maximum(since_s, 0.0)
    return np.exp(-since_s / SHAKE_S) * np.sin(2 * np.pi * SHAKE_HZ * since_s) * step(since_s / 0.05)


def thigh(
    script: Sequence[Segment], wearer: Wearer, seats: tuple[float, float], rng: np.random.Generator
) -> Trajectory:
    """The trajectory of the phone's place on the thigh, from 0 s to the end of the script.

    The hip carries the thigh in gait; in getting up and sitting down the thigh turns about the resting knee.

    Args:
        seats: flexion in rad on the chair that the script begins on, and on the one that it ends on.
    """
    t = np.arange(round(script[-1].end * KNOT_HZ) + 6) / KNOT_HZ
    posture, blows, aside = [], np.zeros(len(t)), np.zeros((2, len(t)))
    for segment in script:
        if segment.activity in ("standing_up", "sitting_down"):
            length = segment.end - segment.start
            level = wearer.hang if segment.activity == "standing_up" else seats[1]
            posture.append((segment.start, length, level))
            share = step((t - segment.start) / length)
            aside += rng.uniform(-0.3, 0.3, (2, 1)) * 4 * share * (1 - share)  # knees part, feet are placed
            blows += 0.35 * wearer.strike_m * shake(t - segment.start - rng.uniform(0.6, 0.8) * length)
    chair = ramps(t, seats[0], posture)
    heading = ramps(t, 0.0, _headings(script))
    gait = ramps(t, 0.0, [(s.start, EASE_S, GAIT.get(s.activity, 0.0)) for s in script if s.start > 0])

    turns = cycle(t, rng, 1 / wearer.stride_hz, wobble=0.03)  # from heel strike to heel strike of this leg
    phase = 2 * np.pi * turns
    own, other = (turns % 1.0) / wearer.stride_hz, ((turns + 0.5) % 1.0) / wearer.stride_hz
    blows += gait * wearer.strike_m * (shake(own) + 0.7 * shake(other))
    # extension takes 60 % of the stride and flexion 40 %, from before the heel strike on
    u = phase + 0.35
    flexion = chair + gait * wearer.swing * (0.15 + np.cos(u) - 0.15 * np.sin(2 * u)) + _sway(t, rng, gait)
    inwards = gait * (0.18 * np.sin(u + 0.8) + 0.07 * np.sin(2 * u)) + aside[0] + _sway(t, rng, gait) + 12 * blows
    outwards = gait * (0.08 * np.cos(u + 0.4) + 0.03 * np.sin(2 * u + 1.0)) + aside[1] + _sway(t, rng, gait)

    speed = gait * wearer.stride_hz * wearer.stride_m
    path = np.cumsum(speed[:, None] * np.column_stack([np.cos(heading), np.sin(heading)]), axis=0) / KNOT_HZ
    # where the knee rests, the hip is behind and below its standing place
    fore = wearer.thigh_m * (np.sin(wearer.hang) - np.sin(chair)) + gait * 0.015 * np.sin(2 * phase + 0.4)
    side = gait * 0.022 * np.sin(phase)
    hip = np.column_stack([path, np.zeros(len(t))])
    hip[:, 0] += fore * np.cos(heading) - side * np.sin(heading)
    hip[:, 1] += fore * np.sin(heading) + side * np.cos(heading)
    bounce = np.cos(2 * phase - 0.9) + 0.12 * np.cos(4 * phase - 1.8)
    hip[:, 2] = wearer.thigh_m * (np.cos(chair) + 1) - gait * wearer.bounce_m * bounce + blows
    rotation = Rotation.from_euler("ZYX", np.column_stack([heading + inwards, -flexion, outwards]))
    position = hip + rotation.apply([0.08, 0.06, -0.45 * wearer.thigh_m]) + rotation.apply([0.6, 0, 0]) * blows[:, None]
    return Trajectory(t, position, rotation)


def _headings(script: Sequence[Segment]) -> list[tuple[float, float, float]]:
    angles = np.cumsum([segment.angle for segment in script])
    return [
        (segment.start, segment.end - segment.start, angle)
        for segment, angle in zip(script, angles, strict=True)
        if segment.angle
    ]


def _sway(t: np.ndarray, rng: np.random.Generator, gait: np.ndarray) -> np.ndarray:
    """Small movements that never stop, and a slow change of posture; neither is seen in gait."""
    return (1 - gait) * (drift(t, rng, 0.005, 0.2, 2.0) + drift(t, rng, 0.03, 0.005, 0.05))
