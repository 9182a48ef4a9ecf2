"""The simulated world: one 6-DoF trajectory per recording makes both its IMU signal and its video.

A person (``activities``) moves through a room (``rooms``) wearing a rigid camera with an IMU. The
three datasets draw their people, rooms and mountings from different ranges, which is what out-of-distribution means
here. Nothing but the trajectory links IMU and video, and nothing but the movement tells the activity: rooms, people
and devices are drawn without looking at it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation

from datasets.simulation.activities import ACTIVITIES
from datasets.simulation.kinematics import MOTIONS, Person, step
from datasets.simulation.rooms import Room, RoomStyle
from datasets.simulation.trajectory import SensorModel, Trajectory

KNOT_HZ = 100  # of the trajectory's splines; body movement ends well below 20 Hz
PATH_HZ = 20  # of the walker's steering
BLEND_S = 1.6  # between two activities
MARGIN_M = 1.7  # feet keep this far from walls, so that a head that bends or falls stays inside the room
STAIRS = {"upstairs": 1, "downstairs": -1}
# body (x forward, y left, z up) -> sensor (x right, y up, z backward). The same for all three datasets: encoders
# compare channel by channel, so what differs between devices is the tilt, not the naming of axes.
SENSOR_AXES = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Population:
    """Ranges (low, high) from which a dataset's people, devices and rooms are drawn. Angles in degrees."""

    person: dict[str, tuple[float, float]]  # by the fields of Person, in the order in which they are drawn
    chest_share: float
    device_pitch: tuple[float, float]  # of camera and IMU together
    device_roll: tuple[float, float]
    sensor_tilt: float  # of the IMU against the camera, at most, about each axis
    field_of_view: tuple[float, float]
    acc_range_g: float
    gyro_range_dps: float
    rooms: RoomStyle


POPULATIONS = {
    "ego4d": Population(
        person={
            "height": (1.56, 1.88), "step_hz": (1.65, 2.05), "step_m": (0.60, 0.76), "bounce": (0.8, 1.25),
            "vigour": (0.8, 1.15), "tempo": (0.8, 1.15), "stoop": (0, 9), "gaze": (0, 11),
            "recline": (4, 16), "tremor_hz": (4, 9), "tremor": (0, 0.04),
        },
        chest_share=0.3, device_pitch=(-6, 6), device_roll=(-5, 5), sensor_tilt=15, field_of_view=(82, 98),
        acc_range_g=16, gyro_range_dps=2000,
        rooms=RoomStyle((8.5, 11.5), (8.0, 10.5), (2.6, 3.4), (26, 36), (0.0, 0.7), (0.75, 1.0)),
    ),
    "mmea": Population(
        person={
            "height": (1.60, 1.80), "step_hz": (1.75, 2.10), "step_m": (0.62, 0.72), "bounce": (0.85, 1.2),
            "vigour": (0.8, 1.1), "tempo": (0.9, 1.15), "stoop": (0, 7), "gaze": (0, 12),
            "recline": (4, 12), "tremor_hz": (4, 9), "tremor": (0, 0.02),
        },
        chest_share=0.0, device_pitch=(-2, 10), device_roll=(-4, 4), sensor_tilt=7, field_of_view=(76, 84),
        acc_range_g=4, gyro_range_dps=2000,
        rooms=RoomStyle((9.5, 12.5), (9.0, 11.5), (2.9, 3.8), (28, 38), (0.6, 1.0), (0.7, 0.95)),
    ),
    "pd": Population(
        person={
            "height": (1.52, 1.78), "step_hz": (1.45, 1.80), "step_m": (0.35, 0.52), "bounce": (0.5, 0.85),
            "vigour": (0.6, 0.95), "tempo": (0.6, 0.85), "stoop": (4, 16), "gaze": (5, 15),
            "recline": (6, 20), "tremor_hz": (4, 6), "tremor": (0.08, 0.35),
        },
        chest_share=1.0, device_pitch=(-10, 10), device_roll=(-6, 6), sensor_tilt=10, field_of_view=(80, 100),
        acc_range_g=8, gyro_range_dps=1000,
        rooms=RoomStyle((7.0, 9.0), (6.5, 8.0), (2.4, 2.8), (18, 26), (0.0, 1.0), (0.3, 0.8)),
    ),
}  # fmt: skip


def draw_person(population: Population, rng: np.random.Generator) -> Person:
    """A person of the population."""
    drawn = {name: rng.uniform(*bounds) for name, bounds in population.person.items()}
    return Person(**drawn | {name: np.radians(drawn[name]) for name in ("stoop", "gaze", "recline", "tremor")})


@dataclass(frozen=True)
class Device:
    """A camera with an IMU, worn on head or chest. Both move as one rigid body."""

    chest: bool
    mounting: Rotation  # camera -> head or chest
    field_of_view: float  # degrees
    gain: float  # brightness of the picture
    sensor: SensorModel


def draw_device(population: Population, rng: np.random.Generator) -> Device:
    """A device of the population, put on once: it stays where it is for a whole session."""
    p = population
    pitch, roll = rng.uniform(*p.device_pitch), rng.uniform(*p.device_roll)
    tilt = np.clip(rng.normal(0.0, p.sensor_tilt / 3, 3), -p.sensor_tilt, p.sensor_tilt)
    sensor = SensorModel(
        rotation=SENSOR_AXES @ Rotation.from_euler("xyz", tilt, degrees=True).as_matrix(),
        acc_bias=rng.normal(0, 0.04, 3),
        gyro_bias=rng.normal(0, 0.005, 3),
        acc_noise=rng.uniform(0.03, 0.07),
        gyro_noise=rng.uniform(0.002, 0.006),
        acc_range=p.acc_range_g * 9.80665,
        gyro_range=np.radians(p.gyro_range_dps),
    )
    return Device(
        chest=bool(rng.uniform() < p.chest_share),
        mounting=Rotation.from_euler("yx", [pitch, roll], degrees=True),
        field_of_view=rng.uniform(*p.field_of_view),
        gain=rng.uniform(0.92, 1.08),
        sensor=sensor,
    )


Script = tuple[tuple[str, float], ...]  # activities and the seconds at which they begin


def body_motion(script: Script, duration_s: float, person: Person, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Channels of ``activities`` over the whole recording, activities blended into each other.

    Returns:
        {channel: (K,)} at KNOT_HZ.
    """
    t = np.arange(int(np.ceil(duration_s * KNOT_HZ)) + 1) / KNOT_HZ
    motion = {name: np.zeros(len(t)) for name in MOTIONS}
    starts = [start for _, start in script] + [t[-1] + BLEND_S]
    for number, (activity, start) in enumerate(script):
        first, last = np.searchsorted(t, [start, starts[number + 1] + BLEND_S])
        now = slice(first, last)
        channels = ACTIVITIES[activity](t[now] - start, person, rng)
        share = step((t[now] - start) / BLEND_S) if number else np.ones(last - first)
        for name in MOTIONS:
            old, new = motion[name][now], channels.get(name, 0.0)
            motion[name][now] = old + share * (new - old)
    phase = 2 * np.pi * person.tremor_hz * t + 0.6 * np.sin(2 * np.pi * 0.3 * t)
    waxing = person.tremor * (0.7 + 0.3 * np.sin(2 * np.pi * 0.11 * t + rng.uniform(0, 6)))
    motion["lean"] += waxing * np.sin(phase)
    motion["roll"] += 0.6 * waxing * np.sin(phase + 0.9)
    motion["nod"] += 2 * waxing * np.sin(phase + 0.4)
    return motion


def walk(
    room: Room, script: Script, motion: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steer the feet: along the stairs for the stairs and to their foot just before, else freely, away from walls.

    Returns:
        (K, 2) path of the feet in m, (K,) heading in rad, and (K,) the fraction of the wanted speed that was possible,
        at KNOT_HZ.
    """
    every, dt = KNOT_HZ // PATH_HZ, 1 / PATH_HZ
    knots = len(motion["speed"])
    speeds, turns = (np.append(motion[name][::every], [motion[name][-1]] * 8) for name in ("speed", "turn"))
    activities = [name for name, _ in script]
    number = np.maximum(np.searchsorted([start for _, start in script], np.arange(len(speeds)) * dt, "right") - 1, 0)
    across = (MARGIN_M, room.width - MARGIN_M)
    levels = {1: (MARGIN_M, room.stairs_start - 0.4), -1: (room.stairs_end + 0.4, room.length - MARGIN_M)}
    edges = {1: room.stairs_start - 0.3, -1: room.stairs_end + 0.3}  # where the way up and the way down begin

    # start on the level from which the first stairs lead, in front of them if they come at once
    climbs = [STAIRS[name] for name in activities if name in STAIRS]
    way = climbs[0] if climbs else int(rng.choice([1, -1]))
    x, y, heading = rng.uniform(*levels[way]), rng.uniform(*across), rng.uniform(-np.pi, np.pi)
    if activities[0] in STAIRS:
        x, heading = edges[way], 0.0 if way == 1 else np.pi
    rate, rate_lag, speed, free = 0.0, 0.0, float(speeds[0]), 1.0
    path = np.empty((len(speeds), 4))
    for k in range(len(speeds)):
        path[k] = x, y, heading, free
        current = activities[number[k]]
        following = activities[min(number[k] + 1, len(activities) - 1)]
        wanted_rate, possible = turns[k], 1.0
        if current in STAIRS:
            way = STAIRS[current]
            wanted_rate = _towards((x + 2.0 * way, np.clip(y, *across)), x, y, heading)
            possible = np.clip(way * (edges[-way] + 0.5 * way - x) / 0.6, 0, 1)
        elif current == "walking" and following in STAIRS:
            goal = (edges[STAIRS[following]], np.clip(y, *across))
            distance = np.hypot(goal[0] - x, goal[1] - y)
            if distance > 0.4:
                wanted_rate = _towards(goal, x, y, heading)
            possible = np.clip((distance - 0.1) / 0.6, 0, 1)
        elif speeds[k] > 0.05:
            low, high = levels[1 if x < (room.stairs_start + room.stairs_end) / 2 else -1]
            ahead = max(1.0, 0.9 * speeds[k])
            to_x, to_y = x + ahead * np.cos(heading), y + ahead * np.sin(heading)
            if not (low <= to_x <= high and across[0] <= to_y <= across[1]):
                wanted_rate = _towards(((low + high) / 2, room.width / 2), x, y, heading)
            limit = min(_room_ahead(x, np.cos(heading), low, high), _room_ahead(y, np.sin(heading), *across))
            possible = np.clip((limit + 0.9) / 0.9, 0, 1)
        rate_lag += (wanted_rate - rate_lag) * dt / 0.15
        rate += (rate_lag - rate) * dt / 0.15
        free += (possible - free) * dt / 0.3
        speed += (speeds[k] * possible - speed) * dt / 0.2
        heading += rate * dt
        x += speed * np.cos(heading) * dt
        y += speed * np.sin(heading) * dt
    fine = make_interp_spline(np.arange(len(path)) * dt, path, k=5)(np.arange(knots) / KNOT_HZ)
    return fine[:, :2], fine[:, 2], fine[:, 3]


def _towards(goal: tuple[float, float], x: float, y: float, heading: float) -> float:
    """Turning rate that brings the heading round to the goal."""
    error = (np.arctan2(goal[1] - y, goal[0] - x) - heading + np.pi) % (2 * np.pi) - np.pi
    return float(np.clip(2.5 * error, -1.6, 1.6))


def _room_ahead(at: float, direction: float, low: float, high: float) -> float:
    """Metres to the limit along one axis; negative beyond it, and only if still walking outwards."""
    return ((high if direction > 0 else low) - at) / direction if abs(direction) > 1e-6 else np.inf


def simulate(
    room: Room, person: Person, device: Device, script: Script, duration_s: float, rng: np.random.Generator
) -> Trajectory:
    """The trajectory of a device during a recording: the one source of its IMU signal and its video.

    Feet, pelvis, trunk, neck and head are a chain of rigid links.
    """
    motion = body_motion(script, duration_s, person, rng)
    path, heading, stride = walk(room, script, motion, rng)
    m = {name: motion[name] + stride * motion.get(f"step_{name}", 0.0) for name in motion}
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    left = np.stack([-forward[:, 1], forward[:, 0]], axis=1)
    pelvis = np.empty((len(heading), 3))
    pelvis[:, :2] = path + m["fore"][:, None] * forward + m["side"][:, None] * left
    pelvis[:, 2] = room.floor_height(path[:, 0], rounding=0.25) + person.pelvis - m["lower"]
    trunk = Rotation.from_euler("ZYX", np.stack([heading + m["twist"], m["lean"], m["roll"]], axis=1))
    if device.chest:
        position, rotation = pelvis + trunk.apply([0.12, 0.0, 0.22 * person.height]), trunk
    else:
        neck = Rotation.from_euler("ZYX", np.stack([m["look"], m["nod"], m["tilt"]], axis=1))
        rotation = trunk * neck
        position = pelvis + trunk.apply([0.0, 0.0, 0.29 * person.height]) + rotation.apply([0.09, 0.0, 0.11])
    return Trajectory(np.arange(len(heading)) / KNOT_HZ, position, rotation * device.mounting)
