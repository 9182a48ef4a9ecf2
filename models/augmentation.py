"""Random changes of training batches, on the device.

The signal of a batch to train on comes in SI units and is z-scored here, after rotation and gain: a rotation mixes
axes, and is one only as long as these have the same unit and zero. A sensor that a window does not have (only zeros)
stays zero. Letters: B windows of this rank, V views, T samples.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_SENSORS = 2  # acceleration and angular rate, three channels each
_STREAMS = (0, 2)  # tell the random numbers of the views from each other, and from those of the clips, 1


@dataclass(frozen=True)
class Augmentation:
    """What is changed, and how much; the settings ``augment_*`` of configs/training.py under the same names.

    What is drawn for a window follows from seed, epoch, step and its place in the batch of all ranks. So neither an
    interruption nor the number of ranks changes it.

    Attributes:
        image_size: side of the frames, of which ``video_shift`` counts the pixels.
        rank, world_size: which part of each batch is this process's.
    """

    seed: int
    image_size: int
    rotation_deg: float = 0.0
    scale: float = 0.0
    bias: float = 0.0
    noise: float = 0.0
    drop_sensor: float = 0.0
    drop_channel: float = 0.0
    video_shift: float = 0.0
    video_scale: float = 0.0
    video_rotation_deg: float = 0.0
    rank: int = 0
    world_size: int = 1

    def imu(
        self, imu: Tensor, mean: Tensor, std: Tensor, unit: Tensor, epoch: int, step: int, views: int = 1
    ) -> Tensor:
        """Change and z-score a batch: rotation, gain, z-score, offset, noise, lost sensor, lost channels.

        Args:
            imu: (V B, 6, T) raw, acceleration in m/s^2 then angular rate in rad/s; view after view of the batch.
            mean, std: of the z-score, to broadcast over (B, 6, T).
            unit: of offset and noise, after the z-score: 1, or without a z-score the data's standard deviation.
            epoch, step: which decide the draws.
            views: V, each of which has draws of its own.

        Returns:
            (V B, 6, T) z-scored.
        """
        parts = enumerate(imu.chunk(views))
        return torch.cat([self._view(part, mean, std, unit, [epoch, step, _STREAMS[view]]) for view, part in parts])

    def _view(self, imu: Tensor, mean: Tensor, std: Tensor, unit: Tensor, key: Sequence[int]) -> Tensor:
        draw = self._drawing(len(imu), key, imu.device)
        absent = ~imu.unflatten(1, (_SENSORS, 3)).flatten(2).any(2)
        if self.rotation_deg:
            turn = rotations(math.radians(self.rotation_deg) * draw(torch.randn, 3))
            imu = (turn[:, None] @ imu.unflatten(1, (_SENSORS, 3))).flatten(1, 2)
        if self.scale:
            imu = imu * (1 + self.scale * draw(torch.randn, 6, 1))
        imu = (imu - mean) / std
        if self.bias:
            imu = imu + self.bias * unit * draw(torch.randn, 6, 1)
        if self.noise:
            imu = imu + self.noise * unit * draw(torch.randn, 6, imu.shape[2])
        lost = absent
        if self.drop_sensor:
            chance, which = draw(torch.rand, 2).unbind(1)
            chosen = (which[:, None] * _SENSORS).long() == torch.arange(_SENSORS, device=imu.device)
            lost = lost | (chosen & (chance[:, None] < self.drop_sensor))
        lost = lost.repeat_interleave(3, dim=1)
        if self.drop_channel:
            lost = lost | (draw(torch.rand, 6) < self.drop_channel)
        return imu.masked_fill(lost[:, :, None], 0)

    def warps(self, count: int, epoch: int, step: int, device: torch.device) -> Tensor:
        """(count, 2, 3) map of each clip, see ``models.frames.FrameNormalizer``."""
        draw = self._drawing(count, [epoch, step, 1], device)
        angle = math.radians(self.video_rotation_deg) * draw(torch.randn)
        zoom = 1 + self.video_scale * (2 * draw(torch.rand, 2) - 1)
        shift = self.video_shift * 2 / self.image_size * (2 * draw(torch.rand, 2) - 1)
        cos, sin = angle.cos(), angle.sin()
        turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        return torch.cat([turn * zoom[:, None], shift[:, :, None]], 2)

    def _drawing(self, count: int, key: Sequence[int], device: torch.device) -> Callable[..., Tensor]:
        """A function that draws (count, ...) numbers, this rank's rows of those of all ranks."""
        state = np.random.SeedSequence([self.seed, *key]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
        rows = slice(self.rank * count, (self.rank + 1) * count)

        def draw(kind: Callable[..., Tensor], *shape: int) -> Tensor:
            return kind(count * self.world_size, *shape, generator=generator)[rows].to(device)

        return draw


def rotations(vectors: Tensor) -> Tensor:
    """Rotation matrices about axes, by Rodrigues' formula: I + sin(a) K + (1 - cos(a)) K^2.

    Args:
        vectors: (B, 3) axis times angle a, radians; K is the matrix of the cross product with the unit axis.

    Returns:
        (B, 3, 3).
    """
    angle = vectors.norm(dim=1)[:, None, None]
    x, y, z = (vectors / angle.clamp(min=1e-12)[:, 0]).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    return torch.eye(3, device=vectors.device) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross
