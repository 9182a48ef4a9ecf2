"""Views of a camera that turns in a known way: the oracle of the synchrony check.

The world is a brightness on the sphere of directions, a sum of plane waves, so every view is exact: no texture, no
interpolation. Camera axes: x to the right of the image, y down, z forward.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ

FINE_HZ = 200
WAVES = 40


def views(camera: np.ndarray, size: int = 48, focal: float = 0.6, seed: int = 0) -> np.ndarray:
    """(F, size, size, 3) uint8 of cameras (F, 3, 3), camera -> world; the focal length is in units of the side."""
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal((WAVES, 3))
    per_rad = np.geomspace(1.2, 15, WAVES) / focal  # the picture is as rich in detail through any lens
    wave *= (per_rad / np.linalg.norm(wave, axis=1))[:, None]
    phase, height = rng.uniform(0, 2 * np.pi, WAVES), per_rad**-0.5
    grid = (np.arange(size) - (size - 1) / 2) / size
    y, x = np.meshgrid(grid, grid, indexing="ij")
    rays = np.stack([x.ravel() / focal, y.ravel() / focal, np.ones(size * size)])
    rays /= np.linalg.norm(rays, axis=0)
    frames = np.empty((len(camera), size, size, 3), np.uint8)
    for frame, rotation in zip(frames, camera, strict=True):
        light = height @ np.cos(wave @ rotation @ rays + phase[:, None])
        frame[:] = np.clip(128 + 60 * light / np.linalg.norm(height), 0, 255).reshape(size, size, 1)
    return frames


def turning(seed: int, size_rad_s: float = 0.5) -> Callable[[np.ndarray], np.ndarray]:
    """A random smooth angular rate, time (n,) s -> (n, 3) rad/s in camera axes: like a head that looks around."""
    rng = np.random.default_rng(seed)
    hertz, phase = rng.uniform(0.1, 2.5, (3, 12)), rng.uniform(0, 2 * np.pi, (3, 12))
    height = size_rad_s * np.array([1.0, 1.0, 0.5])[:, None] * np.sqrt(2 / 12)
    return lambda t: (height * np.sin(2 * np.pi * hertz * t[:, None, None] + phase)).sum(2)


def film(rate: Callable[[np.ndarray], np.ndarray], duration_s: float, start_s: float = 0.0, **picture) -> np.ndarray:
    """Frames at 10 fps of a camera that turns at ``rate`` (rad/s, camera axes); the first one at ``start_s``."""
    fine_s = start_s + (np.arange(round(duration_s * FINE_HZ)) + 0.5) / FINE_HZ
    steps = Rotation.from_rotvec(rate(fine_s) / FINE_HZ).as_matrix()
    camera, now = [], np.eye(3)
    for k, step in enumerate(steps):
        if k % (FINE_HZ // FRAME_RATE_HZ) == 0:
            camera.append(now)
        now = now @ step
    return views(np.stack(camera), **picture)


def measure(
    rate: Callable[[np.ndarray], np.ndarray],
    duration_s: float,
    start_s: float = 0.0,
    noise: float = 0.01,
    seed: int = 0,
) -> np.ndarray:
    """(T, 3) rad/s at 50 Hz in the same axes, with sensor noise."""
    time_s = start_s + np.arange(round(duration_s * IMU_RATE_HZ)) / IMU_RATE_HZ
    return rate(time_s) + noise * np.random.default_rng(seed).standard_normal((len(time_s), 3))


def record(seed: int, offset_s: float, duration_s: float = 12.0, **picture) -> tuple[np.ndarray, np.ndarray]:
    """Frames and gyroscope of one movement, the video late by ``offset_s``.

    What happens at time t on the video's clock is at t - offset_s on the IMU's.
    """
    rate = turning(seed)
    return film(rate, duration_s, **picture), measure(rate, duration_s, start_s=offset_s, seed=seed)


def still(frames: int, noise: float = 4.0) -> np.ndarray:
    """(frames, 48, 48, 3) uint8 of a camera at rest, with sensor noise in grey levels."""
    picture = views(np.repeat(np.eye(3)[None], frames, axis=0)).astype(float)
    return np.clip(picture + np.random.default_rng(0).normal(0, noise, picture.shape), 0, 255).astype(np.uint8)
