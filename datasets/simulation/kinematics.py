"""What activities are made of: the channels of a simple kinematic chain, a person, and smooth curves of time.

Angles are radians and positive when the wearer bends or looks down, turns left, or tilts to the right.
"""

from dataclasses import dataclass

import numpy as np

MOTIONS = (
    "speed",  # m/s along the heading
    "turn",  # rad/s, wanted rate of the heading
    "lower",  # m, pelvis below its standing height
    "fore",  # m, pelvis ahead of the feet's path
    "side",  # m, pelvis left of it
    "lean",  # pitch of the trunk
    "roll",  # roll of the trunk
    "twist",  # yaw of the trunk against the heading
    "nod",  # pitch of the neck against the trunk
    "look",  # yaw of the neck
    "tilt",  # roll of the neck
    # what stepping legs add to the channels of the same name; it fades where the feet are held up, as before a wall
    *(f"step_{name}" for name in ("lower", "fore", "side", "lean", "roll", "twist", "nod", "look")),
)
Motion = dict[str, np.ndarray | float]


@dataclass(frozen=True)
class Person:
    """What one wearer brings to every activity."""

    height: float  # m
    step_hz: float  # steps per second of an easy walk
    step_m: float  # step length
    bounce: float  # factor on the vertical travel of gait
    vigour: float  # factor on the size of movements
    tempo: float  # factor on their rate
    stoop: float  # rad, lean of the trunk when upright
    gaze: float  # rad, habitual nod
    recline: float  # rad, backward lean when seated
    tremor_hz: float
    tremor: float  # rad, amplitude of the trunk's tremor; the neck's is twice that

    @property
    def pelvis(self) -> float:
        """Standing height of the pelvis, m."""
        return 0.53 * self.height


def drift(t: np.ndarray, rng: np.random.Generator, size: float, slowest_hz: float, fastest_hz: float) -> np.ndarray:
    """A smooth random curve of standard deviation ``size``: eight sinusoids of random phase, weaker when faster."""
    hertz = np.geomspace(slowest_hz, fastest_hz, 8) * rng.uniform(0.9, 1.1, 8)
    weight = hertz**-0.5
    waves = np.sin(2 * np.pi * (t[:, None] * hertz + rng.uniform(0, 1, 8)))
    return size * (waves @ weight) / np.sqrt(np.sum(weight**2) / 2)


def step(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, three times differentiable between."""
    x = np.clip(x, 0.0, 1.0)
    return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)


def cycle(t: np.ndarray, rng: np.random.Generator, period_s: float, wobble: float = 0.08) -> np.ndarray:
    """A count of cycles that rises smoothly, a little unevenly, from a random start."""
    turns = t / period_s
    return turns + rng.uniform() + drift(turns, rng, wobble, 0.1, 0.5)


def bump(turns: np.ndarray, start: float, rise: float, hold: float, fall: float) -> np.ndarray:
    """Once in each cycle: up from ``start`` within ``rise``, held for ``hold``, down within ``fall`` (in cycles)."""
    x = (turns - start) % 1.0
    return step(x / rise) - step((x - rise - hold) / fall)
