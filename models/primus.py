"""Pairs of IMU and video beside two views of the IMU, and nearest neighbours of both, after PRIMUS.

Das et al. 2024, https://arxiv.org/abs/2411.15127; what differs from it stands in configs/README.md.

Letters: B windows of this rank, F frames, H side of the stored frames, T samples, D embedding.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.contrast import EmbeddingQueue, info_nce
from models.dual_encoder import DualEncoder, unit
from models.objectives import CrossModal, Metrics
from utils.distributed import gather


class PairsAndViews(NamedTuple):
    """What ``PrimusEncoder`` makes of a batch; embeddings (B, D), unit norm.

    Attributes:
        z_imu, z_video: of the first view and of the video, in the shared space.
        z_first, z_second: of both views, in their own space.
        scale, view_scale: () positive logit scale of each space.
        near_video, near_first: video and first view of the past window whose video is most similar, without gradient;
            None without a queue.
    """

    z_imu: Tensor
    z_video: Tensor
    z_first: Tensor
    z_second: Tensor
    scale: Tensor
    view_scale: Tensor
    near_video: Tensor | None = None
    near_first: Tensor | None = None


class PrimusEncoder(DualEncoder):
    """A ``DualEncoder`` with a second head on its IMU encoder, for views, and a queue of past windows.

    Args:
        view_head: from the IMU encoder's output to the space of the views.
        dim: D.
        queue_size: past windows; 0 keeps no queue.
        options: of ``DualEncoder``.
    """

    def __init__(self, *encoders_and_heads: nn.Module, view_head: nn.Module, dim: int, queue_size: int, **options: Any):
        super().__init__(*encoders_and_heads, **options)
        self.view_head = view_head
        self.view_log_scale = nn.Parameter(self.log_scale.detach().clone(), self.log_scale.requires_grad)
        self.queues = nn.ModuleList(EmbeddingQueue(queue_size, dim) for _ in range(2)) if queue_size else None

    def forward(self, imu: Tensor, video: Tensor, warp: Tensor | None = None) -> PairsAndViews:
        """Embed pairs and views.

        Args:
            imu: (2 B, 6, T), the first views of all windows, then the second ones.
            video, warp: see ``DualEncoder``.
        """
        features = self.imu_encoder(imu)
        z_imu, z_video = unit(self.imu_head(features.chunk(2)[0])), self.embed_video(video, warp)
        first, second = unit(self.view_head(features)).chunk(2)
        found = PairsAndViews(z_imu, z_video, first, second, self.log_scale.exp(), self.view_log_scale.exp())
        if self.queues is None:
            return found
        videos, views = self.queues
        place = videos.places(z_video)
        near = videos.at(place, z_video), views.at(place, first)
        if self.training:
            videos.add(gather(z_video.detach()))
            views.add(gather(first.detach()))
        return found._replace(near_video=near[0], near_first=near[1])


def primus_loss(outputs: PairsAndViews, weight: float) -> Tensor:
    """This rank's part of the loss over all ranks' windows.

        (1 - w) (InfoNCE(u, v) + InfoNCE(u, v')) + w (InfoNCE(a, b) + InfoNCE(a, a')),

    with IMU u and video v in the shared space, views a and b in theirs, and v', a' those of the past window whose video
    is most similar; terms with a prime only with a queue. Each InfoNCE is symmetric.

    Args:
        weight: w, between 0 and 1.
    """
    u, v, a, b, scale, view_scale, near_v, near_a = outputs
    pairs, views = info_nce(u, v, scale), info_nce(a, b, view_scale)
    if near_v is not None:
        pairs, views = pairs + info_nce(u, near_v, scale), views + info_nce(a, near_a, view_scale)
    return (1 - weight) * pairs + weight * views


class Primus(CrossModal):
    """Contrastive learning of pairs and of views.

    Args:
        weight: of the views, see ``primus_loss``.
        frames_used: see ``CrossModal``.
    """

    views = 2

    def __init__(self, weight: float, frames_used: Any):
        super().__init__("softmax", frames_used)
        self._weight = weight

    def inputs(self, batch: Any, device: torch.device, epoch: int) -> tuple[Tensor, ...]:
        imu, video = batch.to(device)
        return torch.cat([imu, imu]), video

    def loss(self, outputs: PairsAndViews) -> Tensor:
        return primus_loss(outputs, self._weight)

    def per_window(self, outputs: PairsAndViews) -> Tensor:
        return torch.cat(outputs[:4], dim=1)

    def progress(self, outputs: PairsAndViews) -> Metrics:
        return {"scale": outputs.scale.item()}
