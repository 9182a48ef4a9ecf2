"""From frames as they are stored to the planes that a video encoder sees, on the device that holds them.

Letters: B batch, F frames, H side of the stored frames, S side that the encoder sees, P planes of a frame.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class FrameNormalizer(nn.Module):
    """uint8 frames: cut out, resized with antialiasing, mapped where training augments, normalised.

    Args:
        size: S, pixels.
        mean, std: per colour, of values in 0..1.
        box: left, top, right and bottom edge of what is seen, fractions of the stored frame; None is all of it.
        differences: factor of three more planes, the change of each colour since the frame before (0 in the first
            frame); without a factor there are none.
    """

    def __init__(
        self,
        size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        box: Sequence[float] | None = None,
        differences: float = 0.0,
    ):
        super().__init__()
        self.size, self.box, self.differences = size, box, differences
        self.planes = planes_of(differences)
        self.register_buffer("mean", 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor, warp: Tensor | None = None) -> Tensor:
        """Planes of the frames.

        Args:
            frames: (B, F, H, H, 3) uint8.
            warp: (B, 2, 3) affine map of each clip, from places in the result to places in the resized frame, both -1
                to 1 from edge to edge (``torch.nn.functional.affine_grid``); black comes in from outside.

        Returns:
            (B, F, P, S, S).

        Raises:
            ValueError: if frames are of another kind, or the box holds no pixel of them.
        """
        if frames.ndim != 5 or frames.shape[-1] != 3 or frames.dtype != torch.uint8:
            raise ValueError(f"frames are {frames.dtype} {tuple(frames.shape)}, want uint8 (batch, frames, H, W, 3)")
        if self.box is not None:
            frames = self._cut(frames)
        batch, count, height, width, _ = frames.shape
        images = frames.permute(0, 1, 4, 2, 3).to(self.mean.dtype)
        if (height, width) != (self.size, self.size):
            images = F.interpolate(
                images.flatten(0, 1), size=(self.size, self.size), mode="bilinear", antialias=True
            ).view(batch, count, 3, self.size, self.size)
        if warp is not None:
            with torch.autocast(images.device.type, enabled=False):  # half precision would be off by pixels
                grid = F.affine_grid(warp.to(images.dtype), [batch, 1, self.size, self.size], align_corners=False)
                images = F.grid_sample(images.flatten(1, 2), grid, align_corners=False).view_as(images)
        planes = (images - self.mean) / self.std
        if not self.differences:
            return planes
        change = torch.zeros_like(planes)
        change[:, 1:] = self.differences * (planes[:, 1:] - planes[:, :-1])
        return torch.cat([planes, change], dim=2)

    def _cut(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[2:4]
        left, top, right, bottom = (
            round(edge * side) for edge, side in zip(self.box, (width, height) * 2, strict=True)
        )
        if left >= right or top >= bottom:
            raise ValueError(f"frame_box {' '.join(map(str, self.box))} holds no pixel of frames of {width} x {height}")
        return frames[:, :, top:bottom, left:right]


def planes_of(differences: float) -> int:
    """Planes of a frame: its colours, and with differences their changes."""
    return 6 if differences else 3
