"""Who does what, where and with which device in each simulated recording, for Ego4D, UESTC-MMEA-CL and the PD study.

Takes are planned at once and cheaply, and performed one by one in any order: every number of a take follows from the
seed and the take alone.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count

import numpy as np

from datasets.simulation.rooms import Room, build_room
from datasets.simulation.trajectory import Trajectory
from datasets.simulation.world import POPULATIONS, STAIRS, Device, Script, draw_device, draw_person, simulate

PERSON, DEVICE, ROOM, PLAN, TAKE = range(5)  # streams of random numbers
MMEA_CLASSES = {  # number in the folder's name, from 1
    1: "upstairs", 2: "downstairs", 3: "drinking", 4: "fall", 5: "reading", 6: "sweep_floor", 11: "wash_hand",
    12: "standing", 20: "walking", 27: "open_close_door", 28: "ride_bike", 29: "sit_stand", 30: "take_drop_sth",
    32: "watch_TV",
}  # fmt: skip
MMEA_RATE_HZ = 25
MMEA_FRAMES = (171, 932)  # of the shortest and longest recording
MMEA_PEOPLE, MMEA_SESSIONS = 10, 24
PD_CLASSES = ("walking", "turning", "bending", "standing", "sitting")
PD_PATIENTS = 6
EGO4D_PEOPLE = 24
EGO4D_POOL = tuple(MMEA_CLASSES.values()) + ("turning", "bending", "sitting")


@dataclass(frozen=True)
class Take:
    """One recording to be made. The numbers choose person, device and room of the population."""

    population: str
    number: int
    person: int
    device: int
    room: int
    script: Script
    duration_s: float
    stem: str  # path of its files without suffix, inside the dataset's folder
    dirt: tuple[str, ...] = ()


def take_rng(seed: int, population: str, stream: int, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, list(POPULATIONS).index(population), stream, number])


@lru_cache(maxsize=MMEA_SESSIONS)  # 3 MB a room
def take_room(population: str, room: int, seed: int) -> Room:
    """The room of this number."""
    return build_room(POPULATIONS[population].rooms, int(take_rng(seed, population, ROOM, room).integers(2**63)))


def perform(take: Take, seed: int) -> tuple[Room, Device, Trajectory, np.random.Generator]:
    """Make the take's trajectory; the generator draws what else is random in it."""
    population, rng = POPULATIONS[take.population], take_rng(seed, take.population, TAKE, take.number)
    room = take_room(take.population, take.room, seed)
    person = draw_person(population, take_rng(seed, take.population, PERSON, take.person))
    device = draw_device(population, take_rng(seed, take.population, DEVICE, take.device))
    return room, device, simulate(room, person, device, take.script, take.duration_s, rng), rng


def plan_ego4d(hours: float, seed: int) -> list[Take]:
    """Takes of two to four minutes that change activity every 8-25 s, a few of them with dirt, and one without IMU."""
    if hours == 0:
        return []
    rng = take_rng(seed, "ego4d", PLAN)
    number_of_takes = max(1, round(hours * 20))
    durations = rng.uniform(120, 240, number_of_takes)
    durations *= hours * 3600 / durations.sum()
    dirt = {0: "null_stamps", 1: "non_monotonic", 2: "gap"}
    takes = []
    for number, duration_s in enumerate([*durations, 20.0]):
        script = _ego4d_script(duration_s, rng)
        uid = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        kinds = (
            ("no_imu",)
            if number == number_of_takes
            else tuple(k for at, k in dirt.items() if at % number_of_takes == number)
        )
        person = int(rng.integers(EGO4D_PEOPLE))
        takes.append(Take("ego4d", number, person, person, number, script, float(duration_s), uid, kinds))
    return takes


def _ego4d_script(duration_s: float, rng: np.random.Generator) -> Script:
    """One activity after another; whoever went up can next go only down, and walks to the stairs first."""
    script: list[tuple[str, float]] = []
    now, way = 0.0, int(rng.choice([1, -1]))
    while now < duration_s - 4:
        last = script[-1][0] if script else ""
        activity = str(rng.choice([name for name in EGO4D_POOL if name != last]))
        if activity in STAIRS:
            if last != "walking":
                script.append(("walking", now))
                now = round(now + rng.uniform(8, 10), 2)
            activity = next(name for name, direction in STAIRS.items() if direction == way)
            way = -way
        script.append((activity, now))
        now = round(now + (rng.uniform(18, 25) if activity in STAIRS else rng.uniform(8, 25)), 2)
    return tuple(script)


def plan_mmea(windows_per_class: int, seed: int) -> list[Take]:
    """At least so many 5 s windows of every class, dealt out over sessions of different people on different days."""
    rng = take_rng(seed, "mmea", PLAN)
    first_day = datetime(2021, 1, 11, 9, 0, 0)
    days = first_day + timedelta(days=1) * np.sort(rng.choice(480, MMEA_SESSIONS, replace=False))
    clock = [day + timedelta(minutes=float(rng.uniform(0, 300))) for day in days]
    people = rng.permutation(np.arange(MMEA_SESSIONS) % MMEA_PEOPLE)
    takes: list[Take] = []
    for class_number, name in MMEA_CLASSES.items():
        longest = 2 if name in STAIRS or name == "fall" else 6  # windows; a staircase has an end
        left, order = windows_per_class, (int(k) for _ in count() for k in rng.permutation(MMEA_SESSIONS))
        while left > 0:
            session = next(order)
            windows = min(int(rng.integers(1, longest + 1)), left)
            frames = max(MMEA_FRAMES[0], windows * 125 + int(rng.integers(6, 40)))
            stamp = clock[session].strftime("%Y_%m_%d_%H_%M_%S")
            clock[session] += timedelta(seconds=frames / MMEA_RATE_HZ + float(rng.uniform(8, 90)))
            stem = f"{class_number}_{name}/{class_number}_{name}_{stamp}"
            person, number = int(people[session]), len(takes)
            takes.append(Take("mmea", number, person, session, session, ((name, 0.0),), frames / MMEA_RATE_HZ, stem))
            left -= windows
    return takes


def plan_pd(windows_per_class: int, seed: int) -> list[Take]:
    """At least so many 5 s windows of every class, dealt out over the patients."""
    rng = take_rng(seed, "pd", PLAN)
    takes: list[Take] = []
    for name in PD_CLASSES:
        left, patient = windows_per_class, 0
        while left > 0:
            windows = min(int(rng.integers(3, 8)), left)
            turn = sum(take.person == patient and take.script[0][0] == name for take in takes)
            stem = f"P{patient + 1:02d}/{name}/{name}_{turn + 1:02d}"
            duration_s = windows * 5 + float(rng.uniform(0.4, 2.5))
            device = patient * 100 + turn  # strapped on again for every round of recordings
            takes.append(Take("pd", len(takes), patient, device, patient, ((name, 0.0),), duration_s, stem))
            left, patient = left - windows, (patient + 1) % PD_PATIENTS
    return takes
