"""A numpy ray-caster for the rooms of ``rooms``: one ray per pixel, nearest texel, no light transport.

Letters: n frames, K frames worked on at once, S side of a frame in pixels. Camera axes: x forward, y left, z up.
"""

import numpy as np

from datasets.simulation.rooms import (
    BOX,
    CEILING,
    FLOOR,
    SLOPE,
    STAIRS,
    SURFACE_AXIS,
    SURFACES,
    TEXELS_PER_M,
    TEXTURE,
    WALL_X0,
    WALL_X1,
    WALL_Y0,
    WALL_Y1,
    Room,
)

FRAMES_AT_ONCE = 8  # keeps the working arrays of 64-pixel frames inside a core's cache
BLUR_FROM = (1.5, 4.0)  # texels per pixel beyond which the first and the second blurred copy are taken


def camera_rays(size: int, field_of_view_deg: float) -> np.ndarray:
    """(3, S, S) float32 directions through the pixel centres of a square image, row 0 at the top.

    Their x is 1, so a hit's ray parameter is its depth along the optical axis.
    """
    edge = np.tan(np.radians(field_of_view_deg) / 2)
    centre = ((np.arange(size) + 0.5) / size * 2 - 1) * edge
    down, right = np.meshgrid(centre, centre, indexing="ij")
    return np.stack([np.ones((size, size)), -right, -down]).astype(np.float32)


def render(room: Room, position: np.ndarray, rotation: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Frames of a camera inside the room.

    Args:
        position: (n, 3) m, world.
        rotation: (n, 3, 3) camera -> world.
        rays: (3, S, S) from ``camera_rays``.

    Returns:
        (n, S, S, 3) uint8 RGB.
    """
    frames = np.empty((len(position), *rays.shape[1:], 3), np.uint8)
    texels_per_pixel = TEXELS_PER_M * float(rays[1, 0, 0] - rays[1, 0, 1])  # at a depth of 1 m
    for first in range(0, len(position), FRAMES_AT_ONCE):
        part = slice(first, first + FRAMES_AT_ONCE)
        origin = position[part].astype(np.float32)
        direction, depth, surface = nearest_surface(room, origin, rotation[part].astype(np.float32), rays)
        frames[part] = _texels(room, origin, direction, depth, surface, texels_per_pixel)
    return frames


def nearest_surface(
    room: Room, position: np.ndarray, rotation: np.ndarray, rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each ray hits first.

    Returns:
        Directions (K, 3, S, S) in the world, depths (K, S, S) in m, and surfaces (K, S, S), numbered as in
        ``rooms``.
    """
    direction = (rotation @ rays.reshape(3, -1)).reshape(len(position), *rays.shape)
    px, py, pz = (position[:, axis, None, None] for axis in range(3))  # (K, 1, 1)
    dx, dy, dz = (direction[:, axis] for axis in range(3))  # (K, S, S)
    start, end, rise = (np.float32(value) for value in (room.stairs_start, room.stairs_end, room.rise))
    ceiling, slope = np.float32(room.ceiling), np.float32(SLOPE)

    with np.errstate(divide="ignore", invalid="ignore"):  # a ray along a plane meets it infinitely far away
        # the four walls enclose everything, so one of them is always hit
        right, left = dx > 0, dy > 0
        depth_x = np.where(right, np.float32(room.length) - px, -px) / dx
        depth_y = np.where(left, np.float32(room.width) - py, -py) / dy
        depth = np.minimum(depth_x, depth_y)
        surface = np.where(
            depth_x < depth_y,
            np.where(right, np.int32(WALL_X1), np.int32(WALL_X0)),
            np.where(left, np.int32(WALL_Y1), np.int32(WALL_Y0)),
        )
        # floor and ceiling of the lower level, of the stairs and of the upper level, each within its stretch of x
        for above, climb, floor, low, high in (
            (pz, dz, FLOOR, -np.inf, start),
            (pz - slope * (px - start), dz - slope * dx, STAIRS, start, end),
            (pz - rise, dz, FLOOR, end, np.inf),
        ):
            rising = climb > 0
            plane = np.where(rising, ceiling - above, -above) / climb
            x = px + plane * dx
            hit = (plane > 0) & (plane < depth) & (x >= np.float32(low)) & (x < np.float32(high))
            np.copyto(depth, plane, where=hit)
            np.copyto(surface, np.where(rising, np.int32(CEILING), np.int32(floor)), where=hit)
        for number, window in _image_windows(room.boxes, position, rotation, rays):
            box, style = room.boxes[number].astype(np.float32), room.box_style[number]
            _hit_box(box, style, position, direction[window], depth[window], surface[window])
    return direction, depth, surface


def _hit_box(
    box: np.ndarray, style: int, position: np.ndarray, direction: np.ndarray, depth: np.ndarray, surface: np.ndarray
) -> None:
    """Put a box into ``depth`` and ``surface``, in place: inside it is where three slabs overlap."""
    near, far = [], []
    for axis in range(3):
        origin, along = position[:, axis, None, None], direction[:, axis]
        first, second = (box[0, axis] - origin) / along, (box[1, axis] - origin) / along
        near.append(np.minimum(first, second))
        far.append(np.maximum(first, second))
    enter = np.maximum(np.maximum(near[0], near[1]), near[2])
    leave = np.minimum(np.minimum(far[0], far[1]), far[2])
    hit = (enter < leave) & (enter > 0) & (enter < depth)
    face = np.where(enter == near[2], np.int32(2), np.where(enter == near[0], np.int32(0), np.int32(1)))
    np.copyto(depth, enter, where=hit)
    np.copyto(surface, face + np.int32(BOX + 3 * style), where=hit)


def _image_windows(
    boxes: np.ndarray, position: np.ndarray, rotation: np.ndarray, rays: np.ndarray
) -> list[tuple[int, tuple]]:
    """The boxes that can be seen in any of the frames, and where: an index of the last two axes of the frames."""
    corner = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners = boxes[:, corner, [0, 1, 2]]  # (n, 8, 3)
    seen = (corners - position[:, None, None]) @ rotation[:, None]  # (K, n, 8, 3) in camera axes
    ahead = seen[..., 0]
    size = rays.shape[-1]
    edge = float(rays[1, 0, 0]) * size / (size - 1)  # half the image's width at a depth of 1 m
    pixel = (-seen[..., 1:] / np.maximum(ahead, 0.05)[..., None] / edge + 1) / 2 * size  # column, row
    low = np.clip(np.floor(pixel.min(axis=(0, 2))), 0, size).astype(int)  # (n, 2)
    high = np.clip(np.ceil(pixel.max(axis=(0, 2))), 0, size).astype(int)
    # beside or behind the lens the projection turns inside out: look everywhere
    near = np.any(ahead < 0.05, axis=(0, 2))
    low[near], high[near] = 0, size
    found = np.flatnonzero(np.any(ahead > 0, axis=(0, 2)) & np.all(low < high, axis=1))
    return [(n, (..., slice(low[n, 1], high[n, 1]), slice(low[n, 0], high[n, 0]))) for n in found]


def _texels(
    room: Room,
    position: np.ndarray,
    direction: np.ndarray,
    depth: np.ndarray,
    surface: np.ndarray,
    texels_per_pixel: float,
) -> np.ndarray:
    """(K, S, S, 3) uint8 colours of the hit points."""
    x, y, z = (position[:, axis, None, None] + depth * direction[:, axis] for axis in range(3))
    # wall patterns follow the floor below them, up the stairs too
    climb = np.clip(np.float32(SLOPE) * (x - np.float32(room.stairs_start)), 0, np.float32(room.rise))
    z -= np.where((surface >= WALL_X0) & (surface < BOX), climb, np.float32(0))
    axis = SURFACE_AXIS[surface]
    u = (np.where(axis == 0, y, x) * np.float32(TEXELS_PER_M)).astype(np.int32) & (TEXTURE - 1)
    v = (np.where(axis == 2, y, z) * np.float32(TEXELS_PER_M)).astype(np.int32) & (TEXTURE - 1)
    footprint = depth * np.float32(texels_per_pixel)
    blur = sum((footprint > limit).astype(np.int32) for limit in BLUR_FROM)
    index = ((blur * np.int32(SURFACES) + surface) * np.int32(TEXTURE) + v) * np.int32(TEXTURE) + u
    return room.atlas.take(index).view(np.uint8).reshape(*index.shape, 4)[..., :3]
