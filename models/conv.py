"""Convolutional encoders for small data: of an IMU window, and of the frames of a clip.

Letters: B batch, T samples, F frames, H side of the stored frames, D features.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from configs.constants import CHANNELS, WINDOW_SAMPLES
from models.batchnorm import CrossRankBatchNorm
from models.channels import CHANNELS_OF, build_channels
from models.frames import FrameNormalizer
from models.pooling import SEGMENTS, block_means, segment_means

GRID = 3  # rows and columns of a frame that are kept apart


class ConvImuEncoder(nn.Module):
    """Four convolutions over time, each at half the rate of the one before.

    Unlike a transformer on patches of single channels it sees all channels from the first layer on, and it has
    126,000 weights where a few hundred windows are all there is.

    Args:
        width: channels of the first convolution.
        samples: T.
        channels: what it sees of a window, see ``models.channels``.
        pooling: ``segments``, the means of five stretches of the window; ``whole``, mean and maximum over all of it.
    """

    def __init__(
        self, width: int = 48, samples: int = WINDOW_SAMPLES, channels: str = "raw", pooling: str = "segments"
    ):
        super().__init__()
        self.shape, self.pooling = (len(CHANNELS), samples), pooling
        self.dim = 4 * width * (SEGMENTS if pooling == "segments" else 2)
        self.channels = build_channels(channels, samples)
        self.layers = nn.Sequential(
            *convolution(nn.Conv1d, len(CHANNELS_OF[channels]), width, 7, stride=2),
            *convolution(nn.Conv1d, width, 2 * width, 5, stride=2),
            *convolution(nn.Conv1d, 2 * width, 2 * width, 5, stride=2),
            *convolution(nn.Conv1d, 2 * width, 4 * width, 3, stride=2),
        )

    def forward(self, imu: Tensor) -> Tensor:
        """(B, 6, T) -> (B, D)."""
        if imu.ndim != 3 or imu.shape[1:] != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise ValueError(f"IMU windows have shape {tuple(imu.shape)}, want (batch, {wanted})")
        features = self.layers(self.channels(imu))  # (B, D / 2 or 5, T / 16)
        if self.pooling == "whole":
            return torch.cat([features.mean(2), features.amax(2)], dim=1)
        return segment_means(features, SEGMENTS).flatten(1)


class Conv21dEncoder(nn.Module):
    """2-D convolutions on each frame, then convolutions over time, after Tran et al. 2018 (R(2+1)D).

    All of space comes before all of time here, unlike there (https://arxiv.org/abs/1711.11248). A grid of 3 x 3 places
    of each frame and the means of five stretches of the clip are kept apart.

    Args:
        image_size: side of the frames that are seen, pixels.
        width: channels of the first convolution.
        dropout: share of values dropped between space and time.
        box, differences: see ``FrameNormalizer``.
    """

    def __init__(
        self,
        image_size: int,
        width: int = 16,
        dropout: float = 0.0,
        box: Sequence[float] | None = None,
        differences: float = 0.0,
    ):
        super().__init__()
        self.config: dict[str, Any] = {"image_size": image_size, "width": width, "dropout": dropout}
        # Nothing published is loaded here, so that values simply run from 0 to 1, and black is 0.
        self.normalize = FrameNormalizer(image_size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), box, differences)
        self.space = nn.Sequential(
            *convolution(nn.Conv2d, self.normalize.planes, width, 5, stride=2),
            *convolution(nn.Conv2d, width, 2 * width, 3, stride=2),
            *convolution(nn.Conv2d, 2 * width, 2 * width, 3, stride=2),
            *convolution(nn.Conv2d, 2 * width, 4 * width, 3, stride=2),
        )
        features = 8 * width
        self.time = nn.Sequential(
            *convolution(nn.Conv1d, 4 * width * GRID**2, features, 1),
            nn.Dropout(dropout),
            *convolution(nn.Conv1d, features, features, 5),
            *convolution(nn.Conv1d, features, features, 3, stride=2),
        )
        self.dim = features * SEGMENTS

    @classmethod
    def from_config(cls, values: dict[str, Any], **options: Any) -> "Conv21dEncoder":
        """Random weights in the architecture that ``config`` returned, and options that take no weights' place."""
        return cls(**values, **options)

    @staticmethod
    def frames_used(clip_len: int) -> range:
        """Which of a clip's frames the encoder looks at: all of them."""
        return range(clip_len)

    def forward(self, frames: Tensor, warp: Tensor | None = None) -> Tensor:
        """(B, F, H, H, 3) uint8 -> (B, D), whatever F; for ``warp`` see ``FrameNormalizer``."""
        planes = self.normalize(frames, warp)
        images = planes.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        places = block_means(self.space(images), (GRID, GRID)).reshape(*planes.shape[:2], -1)  # (B, F, places)
        return segment_means(self.time(places.transpose(1, 2)), SEGMENTS).flatten(1)


def convolution(kind: type[nn.Module], inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the length (or divides it by the stride), normalised over the batch, and ReLU."""
    layer = kind(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [layer, CrossRankBatchNorm(outputs), nn.ReLU()]
