"""Video encoders: frames as they are stored, uint8, to (B, D) features.

Letters: B batch, F frames, H side of the stored frames, S side that the encoder sees, P patches, D features.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.conv import convolution
from models.frames import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, FrameNormalizer
from models.pooling import block_means
from models.pretrained import load_checked

if TYPE_CHECKING:
    import transformers  # imported where it is used, see imu.py

STEM_STRIDE = 8  # pixels of a frame, each way, to a place of the convolutional stem
LOCAL = (4, 2, 2)  # stretches of the clip, rows and columns whose means ``local`` keeps apart


class VideoMAEEncoder(nn.Module):
    """VideoMAE (Tong et al. 2022, https://arxiv.org/abs/2203.12602).

    Use ``from_weights`` or ``from_config``.

    Args:
        model: with a stem, of its places and channels instead of pixels and planes.
        box, differences: see ``FrameNormalizer``.
        pooling: what represents a clip: ``mean``, that of all tokens, as published; ``local``, the means of the tokens
            of each quarter of the frame in each quarter of the time, side by side.
        stem: three convolutions of stride 2 on each frame in place of the patches' linear map, which is easier to
            train (Xiao et al. 2021, https://arxiv.org/abs/2106.14881).
    """

    def __init__(
        self,
        model: "transformers.VideoMAEModel",
        box: Sequence[float] | None = None,
        differences: float = 0.0,
        pooling: str = "mean",
        stem: bool = False,
    ):
        super().__init__()
        config = model.config
        if config.num_frames % config.tubelet_size:
            raise ValueError(
                f"clip_len {config.num_frames} must be a multiple of {config.tubelet_size}: VideoMAE joins frames, "
                "one left over would be lost"
            )
        self.model = model
        self.pooling = pooling
        self.dim = config.hidden_size * (math.prod(LOCAL) if pooling == "local" else 1)
        size = config.image_size * (STEM_STRIDE if stem else 1)
        self.normalize = FrameNormalizer(size, IMAGENET_MEAN, IMAGENET_STD, box, differences)
        self.stem = _stem(self.normalize.planes, config.num_channels) if stem else None

    @classmethod
    def from_weights(cls, folder: Path, clip_len: int, image_size: int, **options: Any) -> "VideoMAEEncoder":
        """Published weights; positions are computed, so any clip length and image size will do."""
        import transformers

        config = transformers.VideoMAEConfig.from_pretrained(folder, num_frames=clip_len, image_size=image_size)
        return cls(load_checked(transformers.VideoMAEModel, config, folder), **options)

    @classmethod
    def from_config(cls, values: dict[str, Any], **options: Any) -> "VideoMAEEncoder":
        """Random weights in the architecture that ``config`` returned; no file is read."""
        import transformers

        return cls(transformers.VideoMAEModel(transformers.VideoMAEConfig.from_dict(dict(values))), **options)

    @property
    def config(self) -> dict[str, Any]:
        """The architecture, as plain values."""
        return json.loads(self.model.config.to_json_string(use_diff=False))

    @staticmethod
    def frames_used(clip_len: int) -> range:
        """Which of a clip's frames the encoder looks at: all of them."""
        return range(clip_len)

    def forward(self, frames: Tensor, warp: Tensor | None = None) -> Tensor:
        """(B, F, H, H, 3) uint8 -> (B, D); for ``warp`` see ``FrameNormalizer``."""
        config = self.model.config
        if frames.shape[1] != config.num_frames:
            raise ValueError(f"clips have {frames.shape[1]} frames, the encoder was built for {config.num_frames}")
        planes = self.normalize(frames, warp)
        if self.stem is not None:
            planes = self.stem(planes.flatten(0, 1)).unflatten(0, planes.shape[:2])
        tokens = self._embed_patches(planes)
        tokens = self.model.encoder(tokens).last_hidden_state
        if self.model.layernorm is not None:
            tokens = self.model.layernorm(tokens)
        if self.pooling == "mean":
            return tokens.mean(1)
        times, side = config.num_frames // config.tubelet_size, config.image_size // config.patch_size
        grid = tokens.transpose(1, 2).unflatten(2, (times, side, side))
        return block_means(grid, LOCAL).flatten(1)

    def _embed_patches(self, video: Tensor) -> Tensor:
        """(B, F, planes, S, S) -> (B, P, D): the patch embedding's convolution as one matrix product, plus positions.

        Kernel and stride are equal, so the two are the same; the product needs no fast 3-D convolution.
        """
        config, embeddings = self.model.config, self.model.embeddings
        t, p = config.tubelet_size, config.patch_size
        batch, frames, colours, side, _ = video.shape
        cubes = video.view(batch, frames // t, t, colours, side // p, p, side // p, p)
        cubes = cubes.permute(0, 1, 4, 6, 3, 2, 5, 7).reshape(batch, -1, colours * t * p * p)
        projection = embeddings.patch_embeddings.projection
        # A plain tensor there, neither parameter nor buffer: moved once, not copied at every step.
        if embeddings.position_embeddings.device != video.device:
            embeddings.position_embeddings = embeddings.position_embeddings.to(video.device)
        return F.linear(cubes, projection.weight.flatten(1), projection.bias) + embeddings.position_embeddings


class ClipFrameEncoder(nn.Module):
    """CLIP's image encoder (Radford et al. 2021, https://arxiv.org/abs/2103.00020) on the middle frame of the clip.

    Use ``from_weights`` or ``from_config``. For ``box`` see ``FrameNormalizer``.
    """

    def __init__(self, model: "transformers.CLIPVisionModelWithProjection", box: Sequence[float] | None = None):
        super().__init__()
        self.model = model
        self.dim = model.config.projection_dim
        self.normalize = FrameNormalizer(model.config.image_size, CLIP_MEAN, CLIP_STD, box)

    @classmethod
    def from_weights(cls, folder: Path, clip_len: int, image_size: int, **options: Any) -> "ClipFrameEncoder":
        """Published weights. Positions are learnt, so the image size must be the published one; any clip_len will do.

        Raises:
            ValueError: if the image size is another.
        """
        import transformers

        config = transformers.CLIPVisionConfig.from_pretrained(folder)
        if config.image_size != image_size:
            raise ValueError(f"image_size {image_size} does not fit {folder}: its images are {config.image_size}")
        return cls(load_checked(transformers.CLIPVisionModelWithProjection, config, folder), **options)

    @classmethod
    def from_config(cls, values: dict[str, Any], **options: Any) -> "ClipFrameEncoder":
        """Random weights in the architecture that ``config`` returned; no file is read."""
        import transformers

        return cls(
            transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig.from_dict(dict(values))), **options
        )

    @property
    def config(self) -> dict[str, Any]:
        """The architecture, as plain values."""
        return json.loads(self.model.config.to_json_string(use_diff=False))

    @staticmethod
    def frames_used(clip_len: int) -> range:
        """Which of a clip's frames the encoder looks at: the middle one. The others need not be read."""
        return range(clip_len // 2, clip_len // 2 + 1)

    def forward(self, frames: Tensor, warp: Tensor | None = None) -> Tensor:
        """(B, F, H, H, 3) uint8, whole clips or their middle frame alone -> (B, D)."""
        middle = frames.shape[1] // 2
        return self.model(self.normalize(frames[:, middle : middle + 1], warp)[:, 0]).image_embeds


def _stem(planes: int, channels: int) -> nn.Sequential:
    """Three convolutions, (N, planes, S, S) -> (N, channels, S / 8, S / 8)."""
    return nn.Sequential(
        *convolution(nn.Conv2d, planes, channels // 4, 5, stride=2),
        *convolution(nn.Conv2d, channels // 4, channels // 2, 3, stride=2),
        *convolution(nn.Conv2d, channels // 2, channels, 3, stride=2),
    )
