"""Simulated raw recordings in the file layouts, conventions and dirt of Ego4D, UESTC-MMEA-CL and the PD study.

A ``Take`` says who does what, where and with which device. Takes are planned at once and cheaply, and written one by
one in any order: every number in a take's files follows from the seed and the take alone.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from datasets.raycast import camera_rays, render
from datasets.rooms import Room, build_room
from datasets.simulated import POPULATIONS, STAIRS, Device, Script, draw_device, draw_person, simulate
from datasets.trajectory import Trajectory

POPULATION_NUMBERS = {name: number for number, name in enumerate(POPULATIONS)}
PERSON, DEVICE, ROOM, PLAN, TAKE = range(5)  # streams of random numbers
MMEA_CLASSES = {  # number in the folder's name, from 1
    1: "upstairs", 2: "downstairs", 3: "drinking", 4: "fall", 5: "reading", 6: "sweep_floor", 11: "wash_hand",
    12: "standing", 20: "walking", 27: "open_close_door", 28: "ride_bike", 29: "sit_stand", 30: "take_drop_sth",
    32: "watch_TV",
}  # fmt: skip
MMEA_RATE_HZ = 25
MMEA_FRAMES = (171, 932)  # of the shortest and longest recording
MMEA_PEOPLE, MMEA_SESSIONS = 10, 24
MMEA_LSB_PER_G = 8192
MMEA_LSB_PER_DPS = 16.4
PD_CLASSES = ("walking", "turning", "bending", "standing", "sitting")
PD_PATIENTS = 6
PD_RATE_HZ = 50
EGO4D_PEOPLE = 24
EGO4D_POOL = tuple(MMEA_CLASSES.values()) + ("turning", "bending", "sitting")
EGO4D_HEADER = "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"
PD_HEADER = "time,date,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
STANDARD_GRAVITY = 9.80665


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

    def rng(self, seed: int) -> np.random.Generator:
        return _rng(seed, self.population, TAKE, self.number)


def _rng(seed: int, population: str, stream: int, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, POPULATION_NUMBERS[population], stream, number])


@lru_cache(maxsize=MMEA_SESSIONS)  # 3 MB a room
def take_room(population: str, room: int, seed: int) -> Room:
    """The room of this number."""
    return build_room(POPULATIONS[population].rooms, int(_rng(seed, population, ROOM, room).integers(2**63)))


def perform(take: Take, seed: int, rng: np.random.Generator) -> tuple[Room, Device, Trajectory]:
    """Make the take's trajectory."""
    population = POPULATIONS[take.population]
    room = take_room(take.population, take.room, seed)
    person = draw_person(population, _rng(seed, take.population, PERSON, take.person))
    device = draw_device(population, _rng(seed, take.population, DEVICE, take.device))
    return room, device, simulate(room, person, device, take.script, take.duration_s, rng)


def film(
    room: Room, device: Device, trajectory: Trajectory, frames: int, rate_hz: float, frame_size: int
) -> np.ndarray:
    """(frames, S, S, 3) uint8: what the device's camera sees, the first frame at 0 s."""
    time_s = np.arange(frames) / rate_hz
    rays = camera_rays(frame_size, device.field_of_view)
    pictures = render(room, trajectory.position(time_s), trajectory.rotation(time_s), rays)
    return np.clip(np.arange(256) * device.gain, 0, 255).astype(np.uint8)[pictures]


def write_video(path: Path, frames: np.ndarray, rate_hz: int) -> None:
    """(n, S, S, 3) uint8 -> H.264 mp4. One thread, so that the bytes do not depend on the machine's cores."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "crf": "18"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


# ---------------------------------------------------------------- Ego4D


def plan_ego4d(hours: float, seed: int) -> list[Take]:
    """Takes of two to four minutes that change activity every 8-25 s, a few of them with dirt, and one without IMU."""
    rng = _rng(seed, "ego4d", PLAN)
    count = max(1, round(hours * 20))
    durations = rng.uniform(120, 240, count)
    durations *= hours * 3600 / durations.sum()
    dirt = {0: "null_stamps", 1: "non_monotonic", 2: "gap"}
    takes = []
    for number, duration_s in enumerate([*durations, 20.0]):
        script = _ego4d_script(duration_s, rng)
        uid = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        kinds = ("no_imu",) if number == count else tuple(k for at, k in dirt.items() if at % count == number)
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


def write_ego4d(folder: Path, take: Take, seed: int, frame_size: int, fps: int) -> dict:
    """Write one video and its IMU table.

    Returns:
        Its entry in ``ego4d.json``.
    """
    rng = take.rng(seed)
    room, device, trajectory = perform(take, seed, rng)
    frames = int(take.duration_s * fps)
    has_imu = "no_imu" not in take.dirt
    write_video(
        folder / "v2" / "full_scale" / f"{take.stem}.mp4",
        film(room, device, trajectory, frames, fps, frame_size),
        fps,
    )
    if has_imu:
        (folder / "v2" / "imu" / f"{take.stem}.csv").write_text(_ego4d_table(take, device, trajectory, rng))
    return {
        "video_uid": take.stem,
        "duration_sec": frames / fps,
        "has_imu": has_imu,
        "is_stereo": False,
        "video_metadata": {
            "fps": float(fps),
            "num_frames": frames,
            "video_codec": "h264",
            "video_duration_sec": frames / fps,
            "display_resolution_width": frame_size,
            "display_resolution_height": frame_size,
        },
    }


def _ego4d_table(take: Take, device: Device, trajectory: Trajectory, rng: np.random.Generator) -> str:
    true_rate_hz = rng.uniform(197.6, 201.2)
    time_s = np.arange(int((take.duration_s - 0.01) * true_rate_hz)) / true_rate_hz
    acc, gyro = device.sensor.measure(trajectory, time_s, rng)
    stamp_ms = np.abs(1000 * time_s + np.clip(rng.normal(0, 0.25, len(time_s)), -1, 1))
    keep = np.ones(len(time_s), bool)
    if "gap" in take.dirt:
        first = int(len(time_s) * rng.uniform(0.3, 0.6))
        keep[first : first + 60] = False  # 0.3 s
        keep[first // 2 : first // 2 + 12] = False  # 0.06 s
    shown = [f"{value:.4f}" for value in stamp_ms]
    if "non_monotonic" in take.dirt:
        for first in rng.integers(0, len(shown) - 8, 5):
            shown[first : first + 8] = reversed(shown[first : first + 8])
    if "null_stamps" in take.dirt:
        for row in rng.choice(len(shown), 40, replace=False):
            shown[row] = "NULL"
    began_ms = rng.uniform(1e5, 1e6)  # the component's own clock
    values = np.concatenate([gyro, acc], axis=1)
    rows = [EGO4D_HEADER]
    for row in np.flatnonzero(keep):
        numbers = "{:.6f},{:.6f},{:.6f},{:.5f},{:.5f},{:.5f}".format(*values[row])
        rows.append(f"0,{began_ms + 1000 * time_s[row]:.4f},{shown[row]},{numbers}")
    return "\n".join(rows) + "\n"


def finish_ego4d(folder: Path, entries: list[dict]) -> None:
    """Write ``ego4d.json``, the table of contents."""
    entries = sorted(entries, key=lambda entry: entry["video_uid"])
    content = {"version": "2.0-simulated", "description": "simulated", "videos": entries}
    (folder / "ego4d.json").write_text(json.dumps(content, indent=1))


# ---------------------------------------------------------------- UESTC-MMEA-CL


def plan_mmea(windows_per_class: int, seed: int) -> list[Take]:
    """At least so many 5 s windows of every class, dealt out over sessions of different people on different days."""
    rng = _rng(seed, "mmea", PLAN)
    first_day = datetime(2021, 1, 11, 9, 0, 0)
    days = first_day + timedelta(days=1) * np.sort(rng.choice(480, MMEA_SESSIONS, replace=False))
    clock = [day + timedelta(minutes=float(rng.uniform(0, 300))) for day in days]
    people = rng.permutation(np.arange(MMEA_SESSIONS) % MMEA_PEOPLE)
    takes: list[Take] = []
    for class_number, name in MMEA_CLASSES.items():
        longest = 2 if name in STAIRS or name == "fall" else 6  # windows; a staircase has an end
        left, order = windows_per_class, iter(())
        while left > 0:
            session = next(order, None)
            if session is None:
                order = iter(rng.permutation(MMEA_SESSIONS))
                continue
            windows = min(int(rng.integers(1, longest + 1)), left)
            frames = max(MMEA_FRAMES[0], windows * 125 + int(rng.integers(6, 40)))
            stamp = clock[session].strftime("%Y_%m_%d_%H_%M_%S")
            clock[session] += timedelta(seconds=frames / MMEA_RATE_HZ + float(rng.uniform(8, 90)))
            stem = f"{class_number}_{name}/{class_number}_{name}_{stamp}"
            person, number = int(people[session]), len(takes)
            session = int(session)
            takes.append(Take("mmea", number, person, session, session, ((name, 0.0),), frames / MMEA_RATE_HZ, stem))
            left -= windows
    return takes


def write_mmea(folder: Path, take: Take, seed: int, frame_size: int) -> dict:
    """Write one video and its table of raw integers.

    Returns:
        Its stem, frames, IMU rows and class number, for the split lists.
    """
    rng = take.rng(seed)
    room, device, trajectory = perform(take, seed, rng)
    frames = round(take.duration_s * MMEA_RATE_HZ)
    rows = frames + int(rng.choice([-1, 0, 0, 0, 1]))  # the two do not always stop together
    acc, gyro = device.sensor.measure(trajectory, np.arange(rows) / MMEA_RATE_HZ, rng)
    counts = np.concatenate([acc / STANDARD_GRAVITY * MMEA_LSB_PER_G, np.degrees(gyro) * MMEA_LSB_PER_DPS], axis=1)
    counts = np.clip(np.round(counts), -32768, 32767).astype(int)
    text = "".join(",".join(map(str, row)) + "\n" for row in counts.tolist())
    (folder / "sensor" / f"{take.stem}.csv").write_text(text)
    pictures = film(room, device, trajectory, frames, MMEA_RATE_HZ, frame_size)
    write_video(folder / "video" / f"{take.stem}.mp4", pictures, MMEA_RATE_HZ)
    return {"stem": take.stem, "frames": frames, "rows": rows, "class": int(take.stem.split("_")[0])}


def finish_mmea(folder: Path, entries: list[dict], seed: int) -> None:
    """Write the split lists: labels from 0, CRLF line ends, frame count and IMU rows, as in the published ones."""
    entries = sorted(entries, key=lambda entry: entry["stem"])
    order = _rng(seed, "mmea", PLAN, 1).permutation(len(entries))
    first, second = int(0.7 * len(entries)), int(0.8 * len(entries))
    for name, part in (("train", order[:first]), ("val", order[first:second]), ("test", order[second:])):
        lines = [
            "yourdataset_path/data/{stem} {frames} {rows} ".format(**entries[i]) + f"{entries[i]['class'] - 1}\r\n"
            for i in part
        ]
        (folder / f"{name}.txt").write_bytes("".join(lines).encode())


# ---------------------------------------------------------------- PD


def plan_pd(windows_per_class: int, seed: int) -> list[Take]:
    """At least so many 5 s windows of every class, dealt out over the patients."""
    rng = _rng(seed, "pd", PLAN)
    takes: list[Take] = []
    for name in PD_CLASSES:
        left, patient = windows_per_class, 0
        while left > 0:
            windows = min(int(rng.integers(3, 8)), left)
            turn = sum(take.person == patient and take.script[0][0] == name for take in takes)
            stem = f"P{patient + 1:02d}/{name}/{name}_{turn + 1:02d}"
            duration_s = windows * 5 + float(rng.uniform(0.4, 2.5))
            device = patient * 100 + turn  # strapped on anew for every round of recordings
            takes.append(Take("pd", len(takes), patient, device, patient, ((name, 0.0),), duration_s, stem))
            left, patient = left - windows, (patient + 1) % PD_PATIENTS
    return takes


def write_pd(folder: Path, take: Take, seed: int) -> dict:
    """Write one table; there is no video."""
    rng = take.rng(seed)
    _, device, trajectory = perform(take, seed, rng)
    time_s = np.arange(int(take.duration_s * PD_RATE_HZ)) / PD_RATE_HZ
    acc, gyro = device.sensor.measure(trajectory, time_s, rng)
    day = (datetime(2023, 3, 1) + timedelta(days=int(take.device))).date().isoformat()
    rows = [PD_HEADER]
    for now, values in zip(time_s, np.concatenate([acc, gyro], axis=1), strict=True):
        rows.append(f"{now:.3f},{day}," + ",".join(f"{value:.5f}" for value in values))
    (folder / f"{take.stem}.csv").write_text("\n".join(rows) + "\n")
    return {"stem": take.stem}
