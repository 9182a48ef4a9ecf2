"""What an IMU window says however the sensor sits on the body: signals and features that no rotation changes.

A sensor in another pocket, or turned in the same one, measures the same motion along other axes. Gravity is the one
direction that both sensors know. Beside the two magnitudes, each sensor's part along gravity and its part across keep
what is vertical and what is horizontal apart. A rotation that is the same over the whole window changes none of it.

Gravity is the low-passed acceleration, as in Anguita et al. 2013 (ESANN, "A public domain dataset for human activity
recognition using smartphones"): a Butterworth filter with a corner at 0.3 Hz, as gravity is taken to have lower
frequencies only. Here of order 2, forwards and backwards over the window, so that nothing is delayed.

Letters: n windows, S = 6 signals, T samples.
"""

import numpy as np

from configs.constants import IMU_RATE_HZ
from models.handcrafted import STATISTICS, in_chunks, statistics

GRAVITY_HZ = 0.3
SIGNALS = ("acc_norm", "gyro_norm", "acc_along", "acc_across", "gyro_along", "gyro_across")
INVARIANT_FEATURES = (*(f"{signal}_{name}" for name in STATISTICS for signal in SIGNALS), "gravity_turn")
_MIRRORED = 2 * IMU_RATE_HZ  # samples that both ends are continued by
LEAST_GRAVITY = 1e-6  # m/s²: a shorter gravity, as in free fall, has no direction


def gravity(imu: np.ndarray) -> np.ndarray:
    """(n, 3, T) float64 low-passed acceleration in m/s² of (n, 6, T) windows, mirrored at its ends."""
    from scipy.signal import butter, sosfiltfilt  # slow to import, and most encoders do without

    low_pass = butter(2, GRAVITY_HZ, fs=IMU_RATE_HZ, output="sos")
    acceleration = imu[:, :3].astype(np.float64)
    mirrored = min(_MIRRORED, imu.shape[2] - 1)
    return sosfiltfilt(low_pass, acceleration, axis=2, padtype="even", padlen=mirrored)


def invariant_signals(imu: np.ndarray) -> np.ndarray:
    """The signals of ``SIGNALS``.

    Along gravity is the product with its unit vector u, x·u, signed; across it the length of the rest, |x - (x·u) u|.

    Args:
        imu: (n, 6, T) acceleration m/s² then angular rate rad/s, **not** z-scored (``normalize="none"``).

    Returns:
        (n, S, T) float64 in the units of the sensors.
    """
    return _signals(imu, gravity(imu))


def invariant_features(imu: np.ndarray) -> np.ndarray:
    """The statistics of ``models.handcrafted`` of the invariant signals, and by how much gravity turns.

    ``gravity_turn`` is the angle in rad between the mean gravity of the first third of the window and of the last, 0
    where one of them has no direction. Sitting down and lying down differ by it.

    Args:
        imu: as of ``invariant_signals``.

    Returns:
        (n, len(INVARIANT_FEATURES)) float32.

    Raises:
        ValueError: if a value is not finite.
    """
    return in_chunks(_features, imu)


def _features(imu: np.ndarray) -> np.ndarray:
    down = gravity(imu)
    turn = gravity_turn(down)[:, None]
    return np.concatenate([statistics(_signals(imu, down)), turn], axis=1).astype(np.float32)


def _signals(imu: np.ndarray, down: np.ndarray) -> np.ndarray:
    """(n, S, T) from windows and their gravity (n, 3, T)."""
    sensors = imu.astype(np.float64).reshape(len(imu), 2, 3, -1)
    unit = (down / np.maximum(np.linalg.norm(down, axis=1, keepdims=True), LEAST_GRAVITY))[:, None]  # (n, 1, 3, T)
    along = (sensors * unit).sum(axis=2)  # (n, 2, T)
    across = np.linalg.norm(sensors - along[:, :, None] * unit, axis=2)
    acc, gyro = (np.stack([along[:, k], across[:, k]], axis=1) for k in range(2))
    return np.concatenate([np.linalg.norm(sensors, axis=2), acc, gyro], axis=1)


def gravity_turn(down: np.ndarray) -> np.ndarray:
    """(n,) angle in rad between the mean of the first and of the last third of (n, 3, T) gravity."""
    third = down.shape[2] // 3
    first, last = down[..., :third].mean(axis=2), down[..., -third:].mean(axis=2)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(last, axis=1)
    cosine = (first * last).sum(axis=1) / np.maximum(lengths, LEAST_GRAVITY**2)
    return np.where(lengths > LEAST_GRAVITY**2, np.arccos(np.clip(cosine, -1, 1)), 0.0)
