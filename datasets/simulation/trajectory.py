"""A rigid body's smooth path, and what an accelerometer and a gyroscope on it measure.

Letters: K knots, n instants. World axes: z up. Body axes: x forward, y left, z up. A positive
rotation about body y pitches the nose down.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation

GRAVITY = np.array([0.0, 0.0, -9.81])  # m/s^2, world


class Trajectory:
    """Position and orientation as quintic splines, so that acceleration is smooth and exact.

    The quaternion's four components are splined and then normalised. With s the spline,

        omega_body = 2 Im(conj(s) * ds/dt) / |s|^2

    is the exact angular rate of the normalised rotation (a change of |s| only touches the real part).

    Args:
        time_s: (K,) increasing knots, K >= 6.
        position: (K, 3) m, world.
        rotation: K rotations body -> world.

    Attributes:
        position: (n,) s -> (n, 3) m, world.
        acceleration: (n,) s -> (n, 3) m/s^2, world, without gravity.
    """

    def __init__(self, time_s: np.ndarray, position: np.ndarray, rotation: Rotation):
        quaternion = rotation.as_quat()  # (K, 4) x y z w
        steps = np.einsum("kq,kq->k", quaternion[1:], quaternion[:-1])
        # q and -q are one rotation: the spline must not jump between them
        quaternion[1:] *= np.cumprod(np.where(steps < 0, -1.0, 1.0))[:, None]
        self.position = make_interp_spline(time_s, position, k=5)
        self.acceleration = self.position.derivative(2)
        self._quaternion = make_interp_spline(time_s, quaternion, k=5)
        self._quaternion_rate = self._quaternion.derivative()

    def rotation(self, time_s: np.ndarray) -> np.ndarray:
        """(n, 3, 3) body -> world."""
        return Rotation.from_quat(self._quaternion(time_s)).as_matrix()

    def angular_rate(self, time_s: np.ndarray) -> np.ndarray:
        """(n, 3) rad/s, in body axes."""
        s, ds = self._quaternion(time_s), self._quaternion_rate(time_s)
        vector, scalar = s[:, :3], s[:, 3:]
        d_vector, d_scalar = ds[:, :3], ds[:, 3:]
        imaginary = scalar * d_vector - d_scalar * vector - np.cross(vector, d_vector)
        return 2 * imaginary / np.sum(s * s, axis=1, keepdims=True)

    def specific_force(self, time_s: np.ndarray) -> np.ndarray:
        """(n, 3) m/s^2 in body axes: R^T (a - g), what an ideal accelerometer feels."""
        return np.einsum("nij,ni->nj", self.rotation(time_s), self.acceleration(time_s) - GRAVITY)


@dataclass(frozen=True)
class SensorModel:
    """An imperfect IMU: rotated against the body, biased, noisy, of limited range."""

    rotation: np.ndarray  # (3, 3) body -> sensor axes
    acc_bias: np.ndarray  # (3,) m/s^2
    gyro_bias: np.ndarray  # (3,) rad/s
    acc_noise: float  # m/s^2, standard deviation of a sample
    gyro_noise: float  # rad/s
    acc_range: float  # m/s^2
    gyro_range: float  # rad/s

    def measure(
        self, trajectory: Trajectory, time_s: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Acceleration (n, 3) m/s^2 and angular rate (n, 3) rad/s at the given instants."""
        acc = trajectory.specific_force(time_s) @ self.rotation.T + self.acc_bias
        gyro = trajectory.angular_rate(time_s) @ self.rotation.T + self.gyro_bias
        acc += rng.normal(0.0, self.acc_noise, acc.shape)
        gyro += rng.normal(0.0, self.gyro_noise, gyro.shape)
        return np.clip(acc, -self.acc_range, self.acc_range), np.clip(gyro, -self.gyro_range, self.gyro_range)
