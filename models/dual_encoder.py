"""Two encoders, one shared space.

Letters: B batch, F frames, D embedding.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class DualEncoder(nn.Module):
    """IMU and video of the same window, each to a unit vector, with the logit scale and bias of the loss.

    Scale and bias live here because they are learnt: inside DistributedDataParallel their gradients are averaged too.

    Args:
        imu_encoder, video_encoder: modules with an attribute ``dim``, the size of their output.
        imu_head, video_head: from each encoder's output to the shared space.
        freeze_video: keep the video encoder (not its head) fixed and in eval mode.
        learn_bias: the softmax loss has no bias; without this it is not trained.
        micro_batch: clips that the video encoder is given at a time while training; None gives it all at once.
        temperature: cosines are divided by it at the start; its inverse is the logit scale.
        learn_temperature: without this the scale stays.

    With ``micro_batch`` the memory of the video encoder's activations is that of one piece, while embeddings, loss and
    gradient are those of the whole batch (Gao et al. 2021, https://arxiv.org/abs/2101.06983): all pieces are embedded
    without keeping activations, then the loss's gradient with respect to the embeddings is there, then each piece is
    computed once more, with the same dropout, to carry it on. That is checkpointing with a piece as the unit. The IMU
    encoder always has the whole batch: beside the video encoder its activations are small, and PatchTST's batch
    normalisation needs the statistics of the whole batch, and must count each batch once.

    Raises:
        ValueError: if ``micro_batch`` would change the statistics of a video encoder's batch normalisation.
    """

    def __init__(
        self,
        imu_encoder: nn.Module,
        video_encoder: nn.Module,
        imu_head: nn.Module,
        video_head: nn.Module,
        freeze_video: bool = False,
        learn_bias: bool = True,
        micro_batch: int | None = None,
        temperature: float = 0.1,
        learn_temperature: bool = True,
    ):
        super().__init__()
        self.imu_encoder, self.video_encoder = imu_encoder, video_encoder
        self.imu_head, self.video_head = imu_head, video_head
        self.freeze_video = freeze_video
        self.micro_batch = micro_batch
        has_statistics = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in video_encoder.modules())
        if micro_batch is not None and has_statistics and not freeze_video:
            raise ValueError(
                f"micro_batch_size {micro_batch}: this video encoder normalises over the batch, pieces would change it"
            )
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learn_temperature)
        self.bias = nn.Parameter(torch.tensor(-10.0), requires_grad=learn_bias)
        if freeze_video:
            self.video_encoder.requires_grad_(False).eval()

    @property
    def video_config(self) -> dict[str, Any]:
        """The architecture of the video encoder, to be built again without its published weights."""
        return self.video_encoder.config

    def train(self, mode: bool = True) -> "DualEncoder":
        """As in ``nn.Module``, but a frozen video encoder stays in eval mode."""
        super().train(mode)
        if self.freeze_video:
            self.video_encoder.eval()
        return self

    def forward(self, imu: Tensor, video: Tensor, warp: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embed pairs.

        Args:
            imu: (B, 6, T).
            video: (B, F, H, H, 3) uint8.
            warp: (B, 2, 3) map of each clip in training, see ``FrameNormalizer``.

        Returns:
            (B, D) and (B, D) unit-norm embeddings, () positive logit scale, () logit bias.
        """
        return self.embed_imu(imu), self.embed_video(video, warp), self.log_scale.exp(), self.bias

    def embed_imu(self, imu: Tensor) -> Tensor:
        """(B, 6, T) -> (B, D), unit norm."""
        return unit(self.imu_head(self.imu_encoder(imu)))

    def embed_video(self, video: Tensor, warp: Tensor | None = None) -> Tensor:
        """(B, F, H, H, 3) uint8, or (B, dim) of the video encoder, computed before -> (B, D), unit norm."""
        if video.ndim > 2:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_video):
                video = self._encode_video(video, warp)
        return unit(self.video_head(video))

    def _encode_video(self, video: Tensor, warp: Tensor | None) -> Tensor:
        if self.micro_batch is None or not self.training:
            return self.video_encoder(video, warp)
        clips = video.split(self.micro_batch)
        warps = [None] * len(clips) if warp is None else warp.split(self.micro_batch)
        pieces = list(zip(clips, warps, strict=True))
        if not torch.is_grad_enabled():
            return torch.cat([self.video_encoder(*piece) for piece in pieces])
        return torch.cat([checkpoint(self.video_encoder, *piece, use_reentrant=False) for piece in pieces])


def unit(features: Tensor) -> Tensor:
    """Unit norm, at least in float32: half precision would round the loss's logits."""
    return F.normalize(features.float() if features.dtype in (torch.float16, torch.bfloat16) else features, dim=-1)
