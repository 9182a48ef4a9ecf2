"""The ray-caster against a walk along each ray, and what a turn of the camera does to the picture."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.simulation.raycast import camera_rays, nearest_surface, render
from datasets.simulation.rooms import BOX, CEILING, FLOOR, STAIRS, WALL_X0, WALL_X1, WALL_Y0, WALL_Y1, Room, build_room
from datasets.simulation.world import POPULATIONS


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
def test_a_ray_ends_where_the_air_ends(room, level):
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
        nearest_surface(room, eye[None].astype(np.float32), one[None].astype(np.float32), camera_rays(7, 95.0))
        for one in rotations
    ]
    direction, depth, surface = (np.concatenate(part) for part in zip(*hits, strict=True))
    kinds = set()
    for frame, row, column in np.ndindex(3, 7, 7):
        along = direction[frame, :, row, column].astype(float)
        reach = float(depth[frame, row, column])
        steps = np.append(np.arange(0.0, reach - 1e-3, 0.01), reach + 1e-3)
        free = _inside(room, eye + steps[:, None] * along)
        assert free[:-1].all() and not free[-1]  # air all the way, and none just beyond
        kinds.add(min(int(surface[frame, row, column]), BOX))
        hit_x, hit_y, hit_z = eye + reach * along
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
    monkeypatch.setattr("datasets.simulation.raycast.FRAMES_AT_ONCE", 1)
    np.testing.assert_array_equal(render(room, eye, rotation, camera_rays(32, 90.0)), together)
    assert together.std() > 20, "a picture without contrast shows no movement"
