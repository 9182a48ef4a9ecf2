"""What an IMU encoder sees of a window: the sensors' own axes, signals that no rotation changes, or both.

The signals are those of ``models.invariant`` by the same definition: its low-pass filter is linear in the window, so
that here it is one matrix. Letters: B batch, C channels, T samples.
"""

import numpy as np
import torch
from torch import Tensor, nn

from configs.constants import ACC, GYRO, STANDARD_GRAVITY
from models.invariant import LEAST_GRAVITY, gravity

_PARTS = ("norm", "along", "across")
_SENSORS = (("acc", ACC), ("gyro", GYRO))
_INVARIANT = {sensor: tuple(f"{sensor}_{part}" for part in _PARTS) for sensor, _ in _SENSORS}
# Acceleration in the first half, angular rate in the second: ConvGRUEncoder normalises each by itself.
CHANNELS_OF = {
    "raw": (*ACC, *GYRO),
    "invariant": tuple(name for sensor, _ in _SENSORS for name in _INVARIANT[sensor]),
    "both": tuple(name for sensor, axes in _SENSORS for name in (*axes, *_INVARIANT[sensor])),
}
ACC_UNIT = STANDARD_GRAVITY / 4  # m/s², about how far |acc| is from gravity in a step; angular rates stay rad/s


class InvariantChannels(nn.Module):
    """(B, 6, T) windows in m/s² and rad/s -> (B, C, T) channels ``CHANNELS_OF[kind]`` of about unit size.

    Of acceleration and of angular rate the length, the part along gravity u, x·u, and the length of the rest,
    |x - (x·u) u|. Lengths of acceleration and its parts along gravity are taken from 9.8 m/s² on, so that at rest they
    are 0; all of acceleration is divided by ``ACC_UNIT``. The axes, where they are wanted too, are divided by g. An
    accelerometer that is lost (only zeros) gives zeros, and leaves of the angular rate no more than its length.

    Args:
        kind: ``invariant`` or ``both``.
        samples: T.
    """

    def __init__(self, kind: str, samples: int):
        super().__init__()
        self.both = kind == "both"
        impulses = np.zeros((samples, 6, samples), np.float32)
        impulses[:, 0] = np.eye(samples)
        # Not among the weights: it follows from T
        low_pass = torch.from_numpy(gravity(impulses)[:, 0].astype(np.float32))
        self.register_buffer("low_pass", low_pass, persistent=False)

    def forward(self, imu: Tensor) -> Tensor:
        with torch.autocast(imu.device.type, enabled=False):  # 9.8 m/s² in bf16 is good to 0.03
            return self._channels(imu)

    def _channels(self, imu: Tensor) -> Tensor:
        sensors = imu.unflatten(1, (2, 3))  # (B, 2, 3, T)
        down = sensors[:, 0] @ self.low_pass.to(imu.dtype)
        unit = (down / down.norm(dim=1, keepdim=True).clamp(min=LEAST_GRAVITY))[:, None]
        along = (sensors * unit).sum(2)  # (B, 2, T)
        across = (sensors - along[:, :, None] * unit).norm(dim=2)
        found = torch.stack([sensors.norm(dim=2), along, across], dim=2)  # (B, 2, 3, T)
        measured = sensors[:, 0].flatten(1).any(1)[:, None, None]
        at_rest = STANDARD_GRAVITY * found.new_tensor([1, 1, 0])[:, None]
        acceleration = torch.where(measured, found[:, 0] - at_rest, 0) / ACC_UNIT
        of_acc, of_gyro = [acceleration], [found[:, 1]]
        if self.both:
            of_acc, of_gyro = [sensors[:, 0] / STANDARD_GRAVITY, *of_acc], [sensors[:, 1], *of_gyro]
        return torch.cat([*of_acc, *of_gyro], dim=1)


def build_channels(kind: str, samples: int) -> nn.Module:
    """(B, 6, T) -> (B, C, T), C = ``len(CHANNELS_OF[kind])``; for ``raw`` the windows as they are."""
    return nn.Identity() if kind == "raw" else InvariantChannels(kind, samples)
