"""The simulated world: physics against slow oracles, and raw files as promised.

Letters: n instants.
"""

import csv
import hashlib
import json
import math
import re
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from configs.load import parse
from configs.schema import SimulateConfig
from datasets import raw_files
from datasets.activities import ACTIVITIES
from datasets.raycast import camera_rays, nearest_surface, render
from datasets.rooms import BOX, CEILING, FLOOR, STAIRS, WALL_X0, WALL_X1, WALL_Y0, WALL_Y1, Room, build_room
from datasets.simulated import POPULATIONS, draw_device, draw_person, simulate
from datasets.trajectory import Sensor, Trajectory
from scripts import simulate as script

GRAVITY = 9.81
PERFECT = Sensor(np.eye(3), np.zeros(3), np.zeros(3), 0.0, 0.0, np.inf, np.inf)


def take(activity: str, population: str = "ego4d", seed: int = 0, duration_s: float = 8.0):
    """One performance: room, device, trajectory."""
    rng = np.random.default_rng([seed, list(ACTIVITIES).index(activity)])
    ranges = POPULATIONS[population]
    room, device = raw_files.take_room(population, seed, 0), draw_device(ranges, rng)
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
    sensor = Sensor(quarter, np.array([0.1, 0.0, 0.0]), np.array([0.0, 0.2, 0.0]), 0.0, 0.0, 5.0, 0.15)
    acc, gyro = sensor.measure(still(Rotation.from_euler("y", -30, degrees=True)), np.ones(1), np.random.default_rng(0))
    np.testing.assert_allclose(acc, [[0.1, GRAVITY / 2, 5.0]], atol=1e-9)
    np.testing.assert_allclose(gyro, [[0.0, 0.15, 0.0]], atol=1e-9)


def test_the_gyroscope_turns_with_the_sensor():
    """Rolling to the right at 0.1 rad/s: forward is sensor y."""
    time_s = np.arange(0.0, 2.0, 0.01)
    rolling = Trajectory(time_s, np.zeros((200, 3)), Rotation.from_euler("x", 0.1 * time_s[:, None]))
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    sensor = Sensor(quarter, np.zeros(3), np.zeros(3), 0.0, 0.0, np.inf, np.inf)
    _, gyro = sensor.measure(rolling, np.ones(1), np.random.default_rng(0))
    np.testing.assert_allclose(gyro, [[0.0, 0.1, 0.0]], atol=1e-6)


def test_noise_has_the_stated_size():
    sensor = Sensor(np.eye(3), np.zeros(3), np.zeros(3), 0.05, 0.004, np.inf, np.inf)
    acc, gyro = sensor.measure(still(Rotation.identity()), np.full(20000, 1.0), np.random.default_rng(0))
    assert acc.std(axis=0) == pytest.approx(0.05, rel=0.03)
    assert gyro.std(axis=0) == pytest.approx(0.004, rel=0.03)


def test_a_trajectory_needs_six_knots():
    with pytest.raises(ValueError, match="4 knots"):
        Trajectory(np.arange(4.0), np.zeros((4, 3)), Rotation.identity(4))


# ---------------------------------------------------------------- movement


@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_every_activity_stays_in_the_room_and_is_humanly_possible(activity, population):
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


# ---------------------------------------------------------------- ray-caster


@pytest.fixture(scope="module")
def room() -> Room:
    return build_room(POPULATIONS["ego4d"].rooms, 5)


def _inside(room: Room, points: np.ndarray) -> np.ndarray:
    """Whether each of (n, 3) points lies in the air of the room."""
    x, y, z = points.T
    floor = np.clip((x - room.stairs_start) * 0.16 / 0.25, 0, room.rise)
    air = (x > 0) & (x < room.length) & (y > 0) & (y < room.width) & (floor < z) & (z < floor + room.ceiling)
    for low, high in room.boxes:
        air &= ~np.all((low < points) & (points < high), axis=1)
    return air


@pytest.mark.parametrize("level", ["low", "stairs", "high"])
def test_depth_is_where_a_small_step_leaves_the_free_space(room, level):
    x, floor = {
        "low": (3.5, 0.0),
        "stairs": ((room.stairs_start + room.stairs_end) / 2, room.rise / 2),
        "high": (room.stairs_end + 3.0, room.rise),
    }[level]
    eye = np.array([x, room.width / 2, floor + 1.3])
    rotation = Rotation.from_euler("ZYX", [0.7, 0.3, 0.2]).as_matrix()
    rotations = np.stack([rotation @ Rotation.from_euler("z", turn).as_matrix() for turn in (0.0, 2.1, 4.2)])
    # frame by frame, since a box that lies behind one of the frames is looked for all over all of them
    hits = [
        nearest_surface(room, eye[None].astype(np.float32), one[None].astype(np.float32), camera_rays(9, 95.0))
        for one in rotations
    ]
    direction, depth, surface = (np.concatenate(part) for part in zip(*hits, strict=True))
    kinds = set()
    for frame, row, column in np.ndindex(3, 9, 9):
        along = direction[frame, :, row, column].astype(float)
        steps = np.arange(0.0, 30.0, 0.01)
        marched = steps[np.argmin(_inside(room, eye + steps[:, None] * along))]
        assert marched - 0.011 <= depth[frame, row, column] <= marched + 0.001
        kinds.add(min(int(surface[frame, row, column]), BOX))
        hit_x, hit_y, hit_z = eye + depth[frame, row, column] * along
        below = np.clip((hit_x - room.stairs_start) * 0.64, 0, room.rise)
        expected = {  # how far the hit lies from the plane of the surface that it is said to be on
            WALL_X0: hit_x, WALL_X1: hit_x - room.length, WALL_Y0: hit_y, WALL_Y1: hit_y - room.width,
            FLOOR: hit_z - below, STAIRS: hit_z - below, CEILING: hit_z - below - room.ceiling,
        }  # fmt: skip
        assert abs(expected.get(int(surface[frame, row, column]), 0.0)) < 1e-3
    assert {CEILING, BOX} <= kinds and kinds & {FLOOR, STAIRS}


def _shift(first: np.ndarray, second: np.ndarray) -> int:
    """Columns by which the middle of the picture moved to the right."""
    middle = slice(24, -24)
    errors = {
        move: np.abs(np.roll(first, move, axis=1)[:, middle].astype(float) - second[:, middle]).mean()
        for move in range(-20, 21)
    }
    return min(errors, key=errors.get)


@pytest.mark.parametrize("axis, sign, turned", [("z", 1, 0), ("z", -1, 0), ("y", -1, 1), ("y", 1, 1)])
def test_turning_the_camera_moves_the_picture_the_other_way(room, axis, sign, turned):
    """A turn by a moves what is ahead by S / 2 * tan(a) / tan(field of view / 2) pixels."""
    size, view, angle = 96, 40.0, 4.0
    eye = np.array([[room.stairs_end + 3.5, room.width / 2, room.rise + 1.5]] * 2)
    rotation = Rotation.from_euler(axis, [[0.0], [sign * angle]], degrees=True).as_matrix()
    first, second = render(room, eye, rotation, camera_rays(size, view))
    if turned:  # a pitch moves rows
        first, second = first.transpose(1, 0, 2), second.transpose(1, 0, 2)
    pixels = size / 2 * math.tan(math.radians(angle)) / math.tan(math.radians(view / 2))
    # looking left (z up) moves the picture right; looking down (y left) moves it up
    assert _shift(first, second) == pytest.approx(pixels * (sign if axis == "z" else -sign), abs=1.0)


def test_pictures_do_not_depend_on_how_many_are_made_at_once(room, monkeypatch):
    eye = np.tile([3.5, room.width / 2, 1.5], (11, 1))
    rotation = Rotation.from_euler("z", np.linspace(0, 6, 11)[:, None]).as_matrix()
    together = render(room, eye, rotation, camera_rays(32, 90.0))
    monkeypatch.setattr("datasets.raycast.FRAMES_AT_ONCE", 1)
    np.testing.assert_array_equal(render(room, eye, rotation, camera_rays(32, 90.0)), together)
    assert together.std() > 20, "a picture without contrast shows no movement"


# ---------------------------------------------------------------- raw files

SMALL = ["--ego4d_hours", "0.02", "--mmea_windows_per_class", "1", "--pd_windows_per_class", "3", "--frame_size", "32"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "raw"
    script.main(["--out", str(folder), "--num_workers", "2", *SMALL])
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def frames_of(path: Path) -> tuple[int, float]:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0)), float(container.streams.video[0].average_rate)


def test_same_seed_same_bytes_for_any_number_of_workers(raw, tmp_path):
    script.main(["--out", str(tmp_path / "again"), "--num_workers", "1", *SMALL])
    assert digests(tmp_path / "again") == digests(raw)
    other = ["--ego4d_hours", "0", "--mmea_windows_per_class", "0", "--pd_windows_per_class", "3"]
    script.main(["--out", str(tmp_path / "other"), "--num_workers", "1", "--seed", "1", *other])
    mine, theirs = digests(tmp_path / "other" / "pd"), digests(raw / "pd")
    tables = [name for name in set(mine) & set(theirs) if name.endswith(".csv")]
    assert tables and all(mine[name] != theirs[name] for name in tables)


def test_what_is_there_is_kept_and_something_else_is_refused(raw, capsys):
    before = digests(raw)
    script.main(["--out", str(raw), "--num_workers", "1", *SMALL])
    assert "already there" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="remove it or choose another --out"):
        script.main(["--out", str(raw), *SMALL, "--seed", "9"])
    assert digests(raw) == before
    assert not list(raw.glob("*.partial"))


def test_every_dataset_says_that_it_is_simulated(raw):
    assert sorted(path.parent.name for path in raw.glob("*/SIMULATED.txt")) == ["ego4d", "mmea", "pd"]


def test_ego4d_layout_and_dirt(raw):
    folder = raw / "ego4d"
    videos = json.loads((folder / "ego4d.json").read_text())["videos"]
    assert {video["has_imu"] for video in videos} == {True, False}
    faults = {"NULL": 0, "backwards": 0, "gaps": 0}
    for video in videos:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", video["video_uid"])
        meta = video["video_metadata"]
        frames, rate = frames_of(folder / "v2" / "full_scale" / f"{video['video_uid']}.mp4")
        assert (frames, rate) == (meta["num_frames"], meta["fps"])
        assert meta["video_duration_sec"] == pytest.approx(frames / rate)
        table = folder / "v2" / "imu" / f"{video['video_uid']}.csv"
        assert table.exists() == video["has_imu"]
        if not video["has_imu"]:
            continue
        rows = list(csv.DictReader(table.open()))
        assert list(rows[0]) == raw_files.EGO4D_HEADER.split(",")
        own = np.array([float(row["component_timestamp_ms"]) for row in rows])
        assert 197 < 1000 / np.median(np.diff(own)) < 202
        assert own[-1] - own[0] == pytest.approx(1000 * frames / rate, abs=150)
        faults["NULL"] += sum(row["canonical_timestamp_ms"] == "NULL" for row in rows)
        stamps = [float(r["canonical_timestamp_ms"]) for r in rows if r["canonical_timestamp_ms"] != "NULL"]
        assert 0 <= stamps[0] < 10
        faults["backwards"] += int(np.sum(np.diff(stamps) < 0))
        faults["gaps"] += int(np.sum(np.diff(own) > 50))
        acc = np.array([[float(row[f"accl_{axis}"]) for axis in "xyz"] for row in rows])
        assert np.linalg.norm(acc, axis=1).mean() == pytest.approx(GRAVITY, abs=1.0)
    assert all(faults.values()), faults


def test_mmea_layout(raw):
    folder = raw / "mmea"
    lines = b"".join((folder / f"{name}.txt").read_bytes() for name in ("train", "val", "test")).decode()
    assert lines.count("\r\n") == lines.count("\n") > 0
    seen = set()
    for line in lines.splitlines():
        path, frames, rows, label = line.split(" ")
        prefix, data, group, stem = path.split("/")
        number, name = group.split("_", 1)
        assert (prefix, data) == ("yourdataset_path", "data")
        assert re.fullmatch(re.escape(group) + r"_\d{4}(_\d\d){5}", stem)
        assert int(label) == int(number) - 1
        assert frames_of(folder / "video" / group / f"{stem}.mp4") == (int(frames), 25.0)
        assert 171 <= int(frames) <= 932
        table = np.loadtxt(folder / "sensor" / group / f"{stem}.csv", delimiter=",", dtype=int)
        assert table.shape == (int(rows), 6) and abs(int(rows) - int(frames)) <= 1
        if name in ("standing", "watch_TV", "reading"):
            assert np.linalg.norm(table[:, :3], axis=1).mean() / 8192 == pytest.approx(1.0, abs=0.05)
            assert np.abs(table[:, 3:]).mean() / 16.4 < 30  # deg/s
        seen.add(name)
    assert seen == set(raw_files.MMEA_CLASSES.values()) and len(seen) >= 12
    assert seen >= {"standing", "walking", "sit_stand", "downstairs", "upstairs", "fall"}


def test_pd_layout(raw):
    tables = sorted((raw / "pd").glob("*/*/*.csv"))
    assert {path.parent.name for path in tables} == {"walking", "turning", "bending", "standing", "sitting"}
    assert not list((raw / "pd").rglob("*.mp4"))
    for path in tables:
        rows = list(csv.DictReader(path.open()))
        assert list(rows[0]) == raw_files.PD_HEADER.split(",")
        np.testing.assert_allclose(np.diff([float(row["time"]) for row in rows]), 0.02, atol=1e-9)
        acc = np.array([[float(row[f"acc_{axis}"]) for axis in "xyz"] for row in rows])
        assert np.linalg.norm(acc, axis=1).mean() == pytest.approx(GRAVITY, abs=1.0)


def test_plans_hold_what_was_asked_for():
    mmea, pd, ego4d = raw_files.plan_mmea(75, 0), raw_files.plan_pd(75, 0), raw_files.plan_ego4d(2.0, 0)
    for takes, classes in ((mmea, raw_files.MMEA_CLASSES.values()), (pd, raw_files.PD_CLASSES)):
        for name in classes:
            assert sum(int(take.duration_s // 5) for take in takes if take.script[0][0] == name) >= 75
    assert len({take.stem for take in mmea}) == len(mmea)
    assert sum(take.duration_s for take in ego4d if "no_imu" not in take.dirt) == pytest.approx(7200)
    done = {activity for take in ego4d for activity, _ in take.script}
    assert done >= set(raw_files.MMEA_CLASSES.values()) | set(raw_files.PD_CLASSES)


def test_rooms_do_not_tell_the_activity():
    """Every class is recorded in many rooms, every room hosts many classes, and a room looks the same for all."""
    takes = raw_files.plan_mmea(75, 0)
    rooms = {name: {t.room for t in takes if t.script[0][0] == name} for name in raw_files.MMEA_CLASSES.values()}
    assert min(len(numbers) for numbers in rooms.values()) >= 12
    for number in range(raw_files.MMEA_SESSIONS):
        assert sum(number in numbers for numbers in rooms.values()) >= 5
    first, again = (raw_files.take_room.__wrapped__("mmea", 3, 0) for _ in range(2))
    np.testing.assert_array_equal(first.atlas, again.atlas)
    # guessing the class from the room alone, with all counts known, stays near guessing the commonest class
    best = sum(max(sum(t.room == r and t.script[0][0] == name for t in takes) for name in rooms) for r in range(24))
    assert best / len(takes) < 0.25


def test_preview_is_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "scripts.preview.ACTIVITIES", {name: ACTIVITIES[name] for name in ("walking", "fall", "sitting")}
    )
    script.main(["--preview", str(tmp_path / "world.png"), "--out", str(tmp_path / "raw"), "--frame_size", "16"])
    assert (tmp_path / "world.png").stat().st_size > 10_000
    assert not (tmp_path / "raw").exists()


def test_settings_are_checked():
    assert parse(SimulateConfig, []).ego4d_hours == 2.0
    with pytest.raises(SystemExit):
        parse(SimulateConfig, ["--frame_size", "65"])  # H.264 wants even sides
