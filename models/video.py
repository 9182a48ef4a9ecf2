"""Video encoders: frames as they are stored, uint8, to (B, D) features.

Letters: B batch, F frames, H side of the stored frames, S side that the encoder sees, P patches, D features.
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, VideoMAEConfig, VideoMAEModel

from models.pretrained import load_checked

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class FrameNormalizer(nn.Module):
    """uint8 frames to what an image model was trained on, on the device that holds them.

    Args:
        size: side of the frames that come out, pixels.
        mean, std: per colour, of values in 0..1.
    """

    def __init__(self, size: int, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.size = size
        self.register_buffer("mean", 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, H, H, 3) uint8 -> (B, F, 3, S, S)."""
        if frames.ndim != 5 or frames.shape[-1] != 3 or frames.dtype != torch.uint8:
            raise ValueError(f"frames are {frames.dtype} {tuple(frames.shape)}, want uint8 (batch, frames, H, W, 3)")
        batch, count, height, width, _ = frames.shape
        images = frames.permute(0, 1, 4, 2, 3).to(self.mean.dtype)
        if (height, width) != (self.size, self.size):
            images = F.interpolate(
                images.flatten(0, 1), size=(self.size, self.size), mode="bilinear", antialias=True
            ).view(batch, count, 3, self.size, self.size)
        return (images - self.mean) / self.std


class VideoMAEEncoder(nn.Module):
    """VideoMAE (Tong et al. 2022, https://arxiv.org/abs/2203.12602): the mean of all tokens represents the clip.

    Use ``from_weights`` or ``from_config``.
    """

    def __init__(self, model: VideoMAEModel):
        super().__init__()
        config = model.config
        if config.num_frames % config.tubelet_size:
            raise ValueError(
                f"clip_len {config.num_frames} must be a multiple of {config.tubelet_size}: VideoMAE joins frames, "
                "one left over would be lost"
            )
        self.model = model
        self.dim = config.hidden_size
        self.normalize = FrameNormalizer(config.image_size, IMAGENET_MEAN, IMAGENET_STD)

    @classmethod
    def from_weights(cls, folder: Path, clip_len: int, image_size: int) -> "VideoMAEEncoder":
        """Published weights; positions are computed, so any clip length and image size will do."""
        config = VideoMAEConfig.from_pretrained(folder, num_frames=clip_len, image_size=image_size)
        return cls(load_checked(VideoMAEModel, config, folder))

    @classmethod
    def from_config(cls, values: dict[str, Any]) -> "VideoMAEEncoder":
        """Random weights in the architecture that ``config`` returned; no file is read."""
        return cls(VideoMAEModel(VideoMAEConfig.from_dict(dict(values))))

    @property
    def config(self) -> dict[str, Any]:
        """The architecture, as plain values."""
        return json.loads(self.model.config.to_json_string(use_diff=False))

    @staticmethod
    def frames_used(clip_len: int) -> range:
        """Which of a clip's frames the encoder looks at: all of them."""
        return range(clip_len)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, H, H, 3) uint8 -> (B, D)."""
        config = self.model.config
        if frames.shape[1] != config.num_frames:
            raise ValueError(f"clips have {frames.shape[1]} frames, the encoder was built for {config.num_frames}")
        tokens = self._embed_patches(self.normalize(frames))
        tokens = self.model.encoder(tokens).last_hidden_state
        if self.model.layernorm is not None:
            tokens = self.model.layernorm(tokens)
        return tokens.mean(1)

    def _embed_patches(self, video: Tensor) -> Tensor:
        """(B, F, 3, S, S) -> (B, P, D): the patch embedding's convolution as one matrix product, plus positions.

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

    Use ``from_weights`` or ``from_config``.
    """

    def __init__(self, model: CLIPVisionModelWithProjection):
        super().__init__()
        self.model = model
        self.dim = model.config.projection_dim
        self.normalize = FrameNormalizer(model.config.image_size, CLIP_MEAN, CLIP_STD)

    @classmethod
    def from_weights(cls, folder: Path, clip_len: int, image_size: int) -> "ClipFrameEncoder":
        """Published weights. Positions are learnt, so the image size must be the published one; any clip_len will do.

        Raises:
            ValueError: if the image size is another.
        """
        config = CLIPVisionConfig.from_pretrained(folder)
        if config.image_size != image_size:
            raise ValueError(f"image_size {image_size} does not fit {folder}: its images are {config.image_size}")
        return cls(load_checked(CLIPVisionModelWithProjection, config, folder))

    @classmethod
    def from_config(cls, values: dict[str, Any]) -> "ClipFrameEncoder":
        """Random weights in the architecture that ``config`` returned; no file is read."""
        return cls(CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(dict(values))))

    @property
    def config(self) -> dict[str, Any]:
        """The architecture, as plain values."""
        return json.loads(self.model.config.to_json_string(use_diff=False))

    @staticmethod
    def frames_used(clip_len: int) -> range:
        """Which of a clip's frames the encoder looks at: the middle one. The others need not be read."""
        return range(clip_len // 2, clip_len // 2 + 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, H, H, 3) uint8, whole clips or their middle frame alone -> (B, D)."""
        middle = frames.shape[1] // 2
        return self.model(self.normalize(frames[:, middle : middle + 1])[:, 0]).image_embeds
