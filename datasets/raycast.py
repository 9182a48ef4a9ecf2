"""A numpy ray-caster for the rooms of ``datasets.rooms``: one ray per pixel, nearest texel, no light transport.

Letters: n frames, K frames worked on at once, P pixels of a frame. Camera axes: x forward, y left, z up.
"""

import numpy as np

from datasets.rooms import (
    BLUR,
    BOX,
    CEILING,
    FLOOR,
    SLOPE,
    STAIRS,
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


def camera_rays(size: int, field_of_view_deg: float) -> np.ndarray:
    """(3, P) float32 directions through the pixel centres of a square image, row by row from the top left.

    Their x is 1, so a hit's ray parameter is its depth along the optical axis.
    """
    edge = np.tan(np.radians(field_of_view_deg) / 2)
    centre = (np.arange(size) + 0.5) / size * 2 - 1
    down, right = np.meshgrid(centre * edge, centre * edge, indexing="ij")
    return np.stack([np.ones(size * size), -right.ravel(), -down.ravel()]).astype(np.float32)


def render(room: Room, position: np.ndarray, rotation: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Frames of a camera inside the room.

    Args:
        position: (n, 3) m, world.
        rotation: (n, 3, 3) camera -> world.
        rays: (3, P) from ``camera_rays``.

    Returns:
        (n, S, S, 3) uint8 RGB, with S * S = P.
    """
    size = round(rays.shape[1] ** 0.5)
    frames = np.empty((len(position), size, size, 3), np.uint8)
    for first in range(0, len(position), FRAMES_AT_ONCE):
        part = slice(first, first + FRAMES_AT_ONCE)
        with np.errstate(divide="ignore", invalid="ignore"):  # rays along a plane: infinitely far, never nearest
            pixels = _cast(room, position[part].astype(np.float32), rotation[part].astype(np.float32), rays)
        frames[part] = pixels.reshape(-1, size, size, 4)[..., :3]
    return frames


def _cast(room: Room, position: np.ndarray, rotation: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(K, P, 4) uint8."""
    direction = rotation @ rays  # (K, 3, P)
    px, py, pz = (position[:, axis, None] for axis in range(3))  # (K, 1)
    dx, dy, dz = (direction[:, axis] for axis in range(3))  # (K, P)
    up = dz > 0

    # the four walls: the convex hull of everything else, so some wall is always hit
    right, left = dx > 0, dy > 0
    depth_x = np.where(right, np.float32(room.length) - px, -px) / dx
    depth_y = np.where(left, np.float32(room.width) - py, -py) / dy
    across_x = depth_x < depth_y
    depth = np.minimum(depth_x, depth_y)
    surface = np.where(
        across_x, np.where(right, np.int32(WALL_X1), np.int32(WALL_X0)), np.where(left, WALL_Y1, WALL_Y0)
    )
    flat = np.zeros(depth.shape, bool)  # hit something horizontal or the stairs
    wall = np.ones(depth.shape, bool)

    # floor and ceiling of the lower level, the stairs and the upper level, each inside its stretch of x
    start, end, rise = (np.float32(value) for value in (room.stairs_start, room.stairs_end, room.rise))
    ceiling, slope = np.float32(room.ceiling), np.float32(SLOPE)
    for above, climb, floor, low, high in (
        (pz, dz, FLOOR, -np.inf, start),
        (pz - slope * (px - start), dz - slope * dx, STAIRS, start, end),
        (pz - rise, dz, FLOOR, end, np.inf),
    ):
        rising = up if climb is dz else climb > 0
        plane = np.where(rising, ceiling - above, -above) / climb
        x = px + plane * dx
        hit = (plane > 0) & (plane < depth)
        if low > -np.inf:
            hit &= x >= low
        if high < np.inf:
            hit &= x < high
        np.copyto(depth, plane, where=hit)
        np.copyto(surface, np.where(rising, np.int32(CEILING), np.int32(floor)), where=hit)
        flat |= hit
    wall &= ~flat

    for box in _visible(room, position, rotation):
        corner = room.boxes[box].astype(np.float32)
        near_x, far_x = _slab(corner[:, 0], px, dx, right)
        near_y, far_y = _slab(corner[:, 1], py, dy, left)
        near_z, far_z = _slab(corner[:, 2], pz, dz, up)
        near = np.maximum(np.maximum(near_x, near_y), near_z)
        far = np.minimum(np.minimum(far_x, far_y), far_z)
        hit = (near < far) & (near > 0) & (near < depth)
        np.copyto(depth, near, where=hit)
        shade = np.where(near == near_z, np.int32(2), np.where(near == near_x, np.int32(0), np.int32(1)))
        np.copyto(surface, shade + np.int32(BOX + 3 * room.box_style[box]), where=hit)
        np.copyto(across_x, shade == 0, where=hit)
        np.copyto(flat, shade == 2, where=hit)
        wall &= ~hit

    x, y, z = px + depth * dx, py + depth * dy, pz + depth * dz
    # wall patterns follow the floor below them, up the stairs too
    z -= np.where(wall, np.clip(slope * (x - start), 0, rise), np.float32(0))
    across_x &= ~flat
    u = (np.where(across_x, y, x) * np.float32(TEXELS_PER_M)).astype(np.int32) & (TEXTURE - 1)
    v = (np.where(flat, y, z) * np.float32(TEXELS_PER_M)).astype(np.int32) & (TEXTURE - 1)
    footprint = np.float32(TEXELS_PER_M * (rays[1, 0] - rays[1, 1])) * depth  # texels per pixel
    level = (footprint > 1.5).astype(np.int32) + (footprint > 4.0)
    index = (((level * np.int32(SURFACES) + surface) * TEXTURE + v) * TEXTURE) + u
    return room.atlas.take(index).view(np.uint8).reshape(*index.shape, 4)


def _slab(corner: np.ndarray, origin: np.ndarray, direction: np.ndarray, positive: np.ndarray):
    """Depths at which rays enter and leave the space between two parallel planes."""
    first, second = (corner[0] - origin) / direction, (corner[1] - origin) / direction
    return np.where(positive, first, second), np.where(positive, second, first)


def _visible(room: Room, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Boxes whose bounding sphere reaches in front of the camera in any of the frames."""
    centre, radius = room.boxes.mean(axis=1), np.linalg.norm(room.boxes[:, 1] - room.boxes[:, 0], axis=1) / 2
    offset = centre[None] - position[:, None]  # (K, n, 3)
    ahead = np.einsum("kni,ki->kn", offset, rotation[:, :, 0])
    aside = np.sqrt(np.maximum(np.sum(offset**2, axis=2) - ahead**2, 0))
    return np.flatnonzero(np.any((ahead > -radius) & (aside < 2.2 * np.maximum(ahead, 0) + 2 * radius), axis=0))


assert len(BLUR) == 3, "the two footprint limits of _cast choose among three blur levels"
