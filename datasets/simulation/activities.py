"""How a body moves during each activity: smooth channels of the kinematic chain of ``kinematics``.

Each activity is a function ``(t, person, rng) -> {channel: (n,) array or number}`` of the seconds since it began;
channels that it leaves out rest at 0. ``rng`` draws what differs between two times that one person does the same.
"""

from collections.abc import Callable

import numpy as np

from datasets.simulation.kinematics import Motion, Person, bump, cycle, drift, step
from datasets.simulation.rooms import STEP_RUN


def standing(t: np.ndarray, person: Person, rng: np.random.Generator, sway: float = 1.0) -> Motion:
    """Slow sway and small glances around a habitual posture."""
    return {
        "fore": drift(t, rng, 0.008 * sway, 0.1, 1.0),
        "side": drift(t, rng, 0.006 * sway, 0.1, 1.0),
        "lean": person.stoop + drift(t, rng, 0.008 * sway, 0.1, 1.0),
        "roll": drift(t, rng, 0.006 * sway, 0.1, 1.0),
        "nod": person.gaze - person.stoop + drift(t, rng, 0.012, 0.05, 0.6),
        "look": drift(t, rng, 0.03, 0.05, 0.4),
        "tilt": drift(t, rng, 0.008, 0.05, 0.5),
    }


def sitting(t: np.ndarray, person: Person, rng: np.random.Generator) -> Motion:
    motion = standing(t, person, rng, sway=0.25)
    motion["lower"] = person.pelvis - rng.uniform(0.42, 0.50)
    motion["lean"] = motion["lean"] - person.stoop - person.recline
    motion["nod"] = motion["nod"] + person.stoop + person.recline
    return motion


def _add(motion: Motion, **channels: np.ndarray) -> Motion:
    for name, value in channels.items():
        motion[name] = motion.get(name, 0.0) + value
    return motion


def _gait(t: np.ndarray, person: Person, rng: np.random.Generator, step_hz: float, bounce: float) -> Motion:
    """The trunk over a pair of stepping legs; one cycle of ``phase`` is one step, sway takes two."""
    phase = 2 * np.pi * cycle(t, rng, 1 / step_hz, wobble=0.03)
    height = 0.022 * bounce * person.bounce
    strike = rng.uniform(0.6, 1.4)  # how hard the heel lands
    rise = (
        np.cos(phase)
        + 0.25 * np.cos(2 * phase + 0.9)
        + strike * (0.06 * np.cos(3 * phase + 1.7) + 0.03 * np.cos(4 * phase + 2.6))
    )
    return {
        "step_lower": -height * rise,
        "step_fore": 0.012 * bounce * np.sin(phase + 0.4),
        "step_side": 0.022 * np.sin(phase / 2),
        "step_roll": 0.025 * np.sin(phase / 2 + 0.5),
        "step_twist": 0.06 * np.sin(phase / 2 + 1.3),
        "step_lean": 0.018 * bounce * np.cos(phase + 0.8),
        "step_nod": -0.012 * bounce * np.cos(phase + 0.3),
        "step_look": -0.03 * np.sin(phase / 2 + 1.3),
    }


def walking(t, person, rng):
    step_hz = person.step_hz * rng.uniform(0.93, 1.07)
    motion = _add(_gait(t, person, rng, step_hz, 1.0), **standing(t, person, rng, sway=0.5))
    return _add(
        motion,
        speed=step_hz * person.step_m * (1 + drift(t, rng, 0.04, 0.05, 0.3)),
        turn=drift(t, rng, 0.10, 0.03, 0.2),
        lean=0.04,
        nod=0.06,
    )


def _on_stairs(t, person, rng, step_hz, bounce, lean, gaze):
    motion = _add(_gait(t, person, rng, step_hz, bounce), **standing(t, person, rng, sway=0.5))
    speed = step_hz * STEP_RUN
    return _add(motion, speed=speed, lean=lean, nod=gaze - lean)


def upstairs(t, person, rng):
    """Slower steps than on the level, leaning into the climb, eyes on what lies ahead."""
    return _on_stairs(t, person, rng, person.step_hz * rng.uniform(0.78, 0.88), 1.2, 0.22, 0.05)


def downstairs(t, person, rng):
    """Faster and harder steps than upwards, eyes on the treads."""
    return _on_stairs(t, person, rng, person.step_hz * rng.uniform(0.95, 1.05), 1.4, -0.02, rng.uniform(0.32, 0.45))


def fall(t, person, rng):
    """Stagger, drop within half a second, lie, get up slowly; again and again."""
    turns = cycle(t, rng, rng.uniform(5.2, 6.2) / person.tempo, wobble=0.02)
    period = 5.7
    down = bump(turns, 0.2, rng.uniform(0.5, 0.7) / period, 1.6 / period, 1.8 / period)
    sideways = rng.uniform(-1.1, 1.1)
    motion = standing(t, person, rng, sway=1.5)
    still = 1 - down
    shake = np.exp(-8 * np.clip((turns % 1.0) - 0.31, 0, None) * period) * step(((turns % 1.0) - 0.28) / 0.03)
    return _add(
        {name: value * still for name, value in motion.items()},
        lower=(person.pelvis - 0.18) * down + 0.012 * shake * np.sin(2 * np.pi * 7 * t),
        fore=-0.15 * down,
        lean=np.cos(sideways) * 1.25 * down,
        roll=np.sin(sideways) * 1.35 * down,
        nod=rng.uniform(-0.5, 0.1) * down,
        look=rng.uniform(-0.5, 0.5) * down,
    )


def sit_stand(t, person, rng):
    """Sit down and stand up, the trunk swinging forward each way."""
    turns = cycle(t, rng, rng.uniform(3.2, 4.4) / person.tempo)
    seat = (person.pelvis - 0.45) * bump(turns, 0.0, 0.22, 0.28, 0.22)
    swing = bump(turns, -0.04, 0.13, 0.02, 0.15) + bump(turns, 0.44, 0.13, 0.02, 0.15)
    motion = standing(t, person, rng, sway=0.7)
    size = rng.uniform(0.5, 0.7) * person.vigour
    return _add(motion, lower=seat, lean=size * swing, nod=-0.35 * size * swing, fore=0.10 * swing - 0.25 * seat)


def drinking(t, person, rng):
    """Seated or standing; the head tips back for each sip."""
    motion = sitting(t, person, rng) if rng.uniform() < 0.5 else standing(t, person, rng)
    turns = cycle(t, rng, rng.uniform(3.6, 5.0) / person.tempo)
    sip = bump(turns, 0.1, 0.17, rng.uniform(0.22, 0.32), 0.17)
    return _add(motion, nod=-rng.uniform(0.50, 0.75) * person.vigour * sip, lean=-0.08 * sip)


def reading(t, person, rng):
    """Seated, eyes down, the head following line after line."""
    line = cycle(t, rng, rng.uniform(1.8, 2.8))
    scan = rng.uniform(0.08, 0.14) * (0.5 - line % 1.0 + step((line % 1.0 - 0.85) / 0.15))
    return _add(sitting(t, person, rng), nod=rng.uniform(0.35, 0.50), lean=0.15, look=scan)


def watch_TV(t, person, rng):
    """Seated, leaning back, nearly still."""
    return _add(sitting(t, person, rng), lean=-0.12, nod=0.02)


def sweep_floor(t, person, rng):
    """Bent over a broom: the trunk turns from side to side, a slow step along."""
    stroke = 2 * np.pi * cycle(t, rng, rng.uniform(1.2, 1.6) / person.tempo)
    size = rng.uniform(0.8, 1.2) * person.vigour
    return _add(
        standing(t, person, rng),
        speed=0.18 * (1 + np.sin(stroke / 2)),
        turn=drift(t, rng, 0.15, 0.03, 0.2),
        twist=0.42 * size * np.sin(stroke),
        roll=0.06 * size * np.sin(stroke + 0.6),
        side=0.06 * size * np.sin(stroke + 0.3),
        lean=rng.uniform(0.25, 0.35),
        nod=rng.uniform(0.20, 0.30) + 0.04 * np.cos(2 * stroke),
        lower=0.03 + 0.02 * np.cos(2 * stroke),
    )


def wash_hand(t, person, rng):
    """Leaning over a basin, rubbing shakes the whole body."""
    rub = 2 * np.pi * cycle(t, rng, 1 / (rng.uniform(2.3, 3.2) * person.tempo))
    size = person.vigour * (0.6 + 0.4 * np.sin(2 * np.pi * cycle(t, rng, 2.2)))
    return _add(
        standing(t, person, rng),
        lean=rng.uniform(0.28, 0.40) + 0.014 * size * np.sin(rub),
        nod=rng.uniform(0.50, 0.65) + 0.010 * size * np.sin(rub + 1.0),
        roll=0.012 * size * np.sin(rub + 0.7),
        twist=0.05 * size * np.sin(rub / 2),
        side=0.010 * size * np.sin(rub / 2),
    )


def take_drop_sth(t, person, rng):
    """Down to the floor and up again to take or drop a thing."""
    return bending(t, person, rng, period_s=rng.uniform(3.6, 4.8))


def bending(t, person, rng, period_s=None):
    """Bend to the floor and come up; knees bend with the trunk."""
    turns = cycle(t, rng, (period_s or rng.uniform(4.0, 5.5)) / person.tempo)
    down = bump(turns, 0.1, 0.25, rng.uniform(0.06, 0.16), 0.25)
    motion = standing(t, person, rng)
    size = person.vigour * rng.uniform(0.85, 1.1)
    return _add(
        motion,
        lean=min(1.2 * size, 1.35) * down,
        lower=0.18 * size * down,
        nod=0.12 * down,
        fore=-0.12 * down,
        twist=rng.uniform(-0.25, 0.25) * down,
    )


def turning(t, person, rng):
    """Turn on the spot with small steps, a half turn or more at a time, the head leading."""
    turns = cycle(t, rng, rng.uniform(3.6, 5.0) / person.tempo)
    burst = bump(turns, 0.05, 0.18, 0.40, 0.18)
    sign = np.where(np.floor(turns - 0.05) % 2, 1.0, -1.0) * rng.choice([-1.0, 1.0])
    rate = sign * rng.uniform(1.1, 1.5) * person.tempo * burst
    gait = _gait(t, person, rng, person.step_hz * 0.95, 0.45)
    motion = _add({name: value * burst for name, value in gait.items()}, **standing(t, person, rng))
    return _add(motion, turn=rate, look=0.12 * rate, roll=0.03 * rate)


def open_close_door(t, person, rng):
    """A few steps to the door, a pull that turns the body, through, and a turn to close it."""
    turns = cycle(t, rng, rng.uniform(5.0, 6.5) / person.tempo)
    gait = _gait(t, person, rng, person.step_hz * 0.9, 0.7)
    go = bump(turns, 0.0, 0.08, 0.20, 0.08)
    pull = bump(turns, 0.36, 0.10, 0.06, 0.12)
    round_ = bump(turns, 0.60, 0.10, 0.12, 0.10)
    side = rng.choice([-1.0, 1.0])
    motion = _add({name: value * np.maximum(go, 0.7 * round_) for name, value in gait.items()})
    return _add(
        _add(motion, **standing(t, person, rng)),
        speed=0.8 * go,
        turn=side * 2.2 * person.tempo * round_,
        twist=side * 0.40 * person.vigour * pull,
        lean=0.16 * pull,
        fore=-0.10 * pull,
        nod=0.12 * pull,
    )


def ride_bike(t, person, rng):
    """Fast and level: pedalling rocks the trunk, the road shakes it, turns are leant into."""
    pedal = 2 * np.pi * cycle(t, rng, 1 / (rng.uniform(1.1, 1.4) * person.tempo), wobble=0.03)
    return _add(
        standing(t, person, rng, sway=0.5),
        speed=rng.uniform(2.2, 2.8) * (1 + drift(t, rng, 0.05, 0.05, 0.2)),
        turn=drift(t, rng, 0.15, 0.05, 0.3),
        roll=0.035 * np.sin(pedal),
        side=0.012 * np.sin(pedal + 0.4),
        lean=rng.uniform(0.30, 0.50),
        nod=-rng.uniform(0.28, 0.45),
        lower=-0.05 + drift(t, rng, 0.0009, 5.0, 10.0),
    )


ACTIVITIES: dict[str, Callable[[np.ndarray, Person, np.random.Generator], Motion]] = {
    activity.__name__: activity
    for activity in (
        upstairs, downstairs, drinking, fall, reading, sweep_floor, wash_hand, standing, walking, open_close_door,
        ride_bike, sit_stand, take_drop_sth, watch_TV, turning, bending, sitting,
    )
}  # fmt: skip
