"""Textured rooms: a lower and an upper level joined by a staircase as wide as the room, with furniture.

Every room holds everything that any activity needs, so a room says nothing about the activity. World axes: x along
the room, y across it, z up; the lower floor is z = 0. Lengths in metres.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

STEP_RUN = 0.25  # a whole number of texels
STEP_RISE = 0.16
SLOPE = STEP_RISE / STEP_RUN
TEXELS_PER_M = 16
TEXTURE = 128  # texels per side; textures repeat every 8 m
BLUR = (0.0, 1.0, 2.5)  # texels; blurrier copies for far surfaces, so that they do not flicker
FLOOR, STAIRS, CEILING, WALL_X0, WALL_X1, WALL_Y0, WALL_Y1, BOX = range(8)
BOX_STYLES = 3
BOX_SHADES = (0.75, 0.95, 1.2)  # faces across x, across y, and the top: three surfaces in this order
SURFACES = BOX + 3 * BOX_STYLES
SURFACE_AXIS = np.array([2, 2, 2, 0, 0, 1, 1, *range(3), *range(3), *range(3)], np.int8)  # that it is square to


@dataclass(frozen=True)
class RoomStyle:
    """Ranges (low, high) that a dataset's rooms are drawn from."""

    level_m: tuple[float, float]  # length of each flat level
    width_m: tuple[float, float]
    ceiling_m: tuple[float, float]  # height above the floor
    steps: tuple[int, int]  # of the staircase
    hue: tuple[float, float]  # of the walls, on the colour circle 0..1
    contrast: tuple[float, float]


@dataclass(frozen=True)
class Room:
    """Geometry and textures of one room."""

    length: float
    width: float
    ceiling: float
    stairs_start: float  # x where the stairs begin
    stairs_end: float
    boxes: np.ndarray  # (n, 2, 3) lower and upper corner
    box_style: np.ndarray  # (n,)
    atlas: np.ndarray  # (len(BLUR) * SURFACES * TEXTURE * TEXTURE,) uint32, bytes R G B 0

    @property
    def rise(self) -> float:
        """Height of the upper level."""
        return SLOPE * (self.stairs_end - self.stairs_start)

    def floor_height(self, x: np.ndarray, rounding: float) -> np.ndarray:
        """Height of the floor under x, with the edges of the slope rounded over ``rounding`` metres."""
        foot, head = (np.logaddexp(0.0, (x - edge) / rounding) for edge in (self.stairs_start, self.stairs_end))
        return SLOPE * rounding * (foot - head)


def build_room(style: RoomStyle, seed: int) -> Room:
    """Draw a room. The same style and seed give the same room."""
    rng = np.random.default_rng(seed)
    lower, upper = rng.uniform(*style.level_m, 2)
    start = round(lower / STEP_RUN) * STEP_RUN
    end = start + STEP_RUN * int(rng.integers(style.steps[0], style.steps[1] + 1))
    length, width = end + upper, rng.uniform(*style.width_m)
    boxes = _furniture(rng, start, end, length, width)
    return Room(
        length=length,
        width=width,
        ceiling=rng.uniform(*style.ceiling_m),
        stairs_start=start,
        stairs_end=end,
        boxes=boxes,
        box_style=rng.integers(0, BOX_STYLES, len(boxes)),
        atlas=_atlas(rng, style),
    )


def _furniture(rng: np.random.Generator, start: float, end: float, length: float, width: float) -> np.ndarray:
    """Cupboards and tables along the walls of both levels, at most 0.7 m deep."""
    boxes = []
    rise = SLOPE * (end - start)
    for low, high, floor in ((0.0, start - 1.2, 0.0), (end + 1.2, length, rise)):
        for side in (0, 1):  # along the two long walls
            x = low + rng.uniform(0.2, 1.0)
            while x < high - 1.0:
                size = rng.uniform((0.6, 0.3, 0.4), (1.8, 0.7, 2.1))
                y = 0.0 if side == 0 else width - size[1]
                boxes.append(((x, y, floor), (min(x + size[0], high), y + size[1], floor + size[2])))
                x += size[0] + rng.uniform(0.5, 2.2)
        wall = 0.0 if floor == 0.0 else length
        for y in np.arange(1.0, width - 2.0, 2.4):  # along the short wall
            depth, wide, tall = rng.uniform((0.3, 0.6, 0.4), (0.7, 1.6, 2.1))
            y = y + rng.uniform(0.0, 0.8)
            x = wall if wall == 0.0 else wall - depth
            boxes.append(((x, y, floor), (x + depth, min(y + wide, width - 0.1), floor + tall)))
    return np.array(boxes)


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """(3,) RGB in 0..255."""
    wheel = np.clip(np.abs((hue % 1.0 * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return 255 * value * (1 - saturation + saturation * wheel)


def _atlas(rng: np.random.Generator, style: RoomStyle) -> np.ndarray:
    hue, contrast = rng.uniform(*style.hue), rng.uniform(*style.contrast)
    textures = np.empty((SURFACES, TEXTURE, TEXTURE, 3), np.float32)
    textures[FLOOR] = _floor(rng, contrast)
    textures[STAIRS] = _stairs(rng, contrast)
    textures[CEILING] = _ceiling(rng)
    for surface in (WALL_X0, WALL_X1, WALL_Y0, WALL_Y1):
        textures[surface] = _wall(rng, hue, contrast) * (0.85 if surface in (WALL_X0, WALL_X1) else 1.0)
    for box in range(BOX_STYLES):
        side = _cupboard(rng, contrast)
        for face, shade in enumerate(BOX_SHADES):
            textures[BOX + 3 * box + face] = side * shade
    levels = []
    for sigma in BLUR:
        blurred = gaussian_filter(textures, (0, sigma, sigma, 0), mode="wrap") if sigma else textures
        packed = np.zeros((*blurred.shape[:3], 4), np.uint8)
        packed[..., :3] = np.clip(blurred, 0, 255)
        levels.append(packed.view(np.uint32).ravel())
    return np.concatenate(levels)


def _floor(rng: np.random.Generator, contrast: float) -> np.ndarray:
    """(TEXTURE, TEXTURE, 3): tiles, planks or a patched carpet, darker than walls and ceiling."""
    v, u = np.indices((TEXTURE, TEXTURE))
    tile = int(rng.choice([8, 16]))
    kind = rng.integers(3)
    if kind == 0:
        pattern = ((u // tile + v // tile) % 2).astype(float)
    elif kind == 1:
        row = v // 8
        pattern = rng.uniform(0, 1, (TEXTURE // 8, 4))[row, (u + 11 * row) % TEXTURE // 32]
    else:
        pattern = rng.uniform(0, 1, (TEXTURE // tile, TEXTURE // tile))[v // tile, u // tile]
    base = _colour(rng.uniform(), rng.uniform(0.0, 0.15), rng.uniform(0.30, 0.36))
    return base * (1 + contrast * 1.3 * (pattern - 0.5))[..., None]


def _stairs(rng: np.random.Generator, contrast: float) -> np.ndarray:
    """Bright treads and dark edges, four texels a step along x."""
    step = np.array([1.0, 0.75, 0.6, -0.6])[np.arange(TEXTURE) % 4]
    base = _colour(rng.uniform(), rng.uniform(0.0, 0.15), rng.uniform(0.36, 0.42))
    return np.broadcast_to(base * (1 + contrast * 0.9 * step)[None, :, None], (TEXTURE, TEXTURE, 3))


def _ceiling(rng: np.random.Generator) -> np.ndarray:
    """Bright panels with dark joints and a lamp every few metres."""
    v, u = np.indices((TEXTURE, TEXTURE))
    panel = int(rng.choice([8, 16, 32]))
    light = np.where((u % panel == 0) | (v % panel == 0), 0.7, 0.86)
    light[(u % 32 >= 12) & (u % 32 < 18) & (v % 64 >= 20) & (v % 64 < 44)] = 1.05
    return _colour(rng.uniform(), rng.uniform(0.0, 0.06), 0.92) * light[..., None]


def _wall(rng: np.random.Generator, hue: float, contrast: float) -> np.ndarray:
    """A dark skirting, a panelled lower third, and doors, windows and pictures. Row 0 is the floor line."""
    v, u = np.indices((TEXTURE, TEXTURE))
    wall = np.empty((TEXTURE, TEXTURE, 3))
    wall[:] = _colour(hue + rng.uniform(-0.06, 0.06), rng.uniform(0.0, 0.15), rng.uniform(0.60, 0.68))
    stripe = int(rng.choice([4, 8, 16]))
    wall *= (1 + contrast * 0.25 * ((u // stripe % 2) - 0.5))[..., None]
    wall[v < int(rng.integers(12, 18))] *= rng.uniform(0.65, 0.85)
    wall[v < 2] *= 0.4
    left = int(rng.integers(0, 10))
    while left < TEXTURE - 12:
        wide = int(rng.integers(8, 22))
        kind = rng.integers(4)
        if kind == 0:  # door
            wide = 14
            wall[0:34, left : left + wide] = _colour(rng.uniform(), 0.2, rng.uniform(0.25, 0.35))
            wall[15:17, left + 2 : left + 4] = 230
        elif kind == 1:  # window
            wall[15:36, left : left + wide] = 250
            wall[15:36, left + wide // 2] = 90
            wall[25, left : left + wide] = 90
        else:  # picture
            bottom, tall = int(rng.integers(17, 26)), int(rng.integers(6, 14))
            wall[bottom : bottom + tall, left : left + wide] = 30
            picture = _colour(rng.uniform(), rng.uniform(0.1, 0.4), rng.uniform(0.4, 1.0))
            wall[bottom + 1 : bottom + tall - 1, left + 1 : left + wide - 1] = picture
        left += wide + int(rng.integers(3, 18))
    return wall


def _cupboard(rng: np.random.Generator, contrast: float) -> np.ndarray:
    """Doors of 0.5 m and shelves of 0.5 m with dark joints."""
    v, u = np.indices((TEXTURE, TEXTURE))
    base = _colour(rng.uniform(), rng.uniform(0.0, 0.2), rng.uniform(0.42, 0.5))
    patch = rng.uniform(-1, 1, (16, 16))[v // 8, u // 8]
    joint = np.where((u % 8 == 0) | (v % 8 == 0), 0.45, 1.0)
    return base * ((1 + contrast * 0.5 * patch) * joint)[..., None]
