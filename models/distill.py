"""A frozen video encoder teaches the IMU encoder to see the same similarities to past videos, after COMODO.

Chen et al. 2025, https://arxiv.org/abs/2503.07259; what differs from it stands in configs/README.md.

Letters: B windows of this rank, N of all ranks, Q places of the queue, D embedding, which is the video encoder's.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contrast import EmbeddingQueue
from models.dual_encoder import DualEncoder
from models.objectives import CrossModal, Metrics
from utils.distributed import gather


class Distilled(NamedTuple):
    """What ``DistillingEncoder`` makes of a batch.

    Attributes:
        z_imu, z_video: (B, D) unit norm.
        scale: () inverse of the student's temperature.
        videos: (Q + N, D) past videos, then those of this batch.
        known: (Q + N,) bool: false where the queue holds nothing yet.
    """

    z_imu: Tensor
    z_video: Tensor
    scale: Tensor
    videos: Tensor
    known: Tensor


class DistillingEncoder(DualEncoder):
    """A ``DualEncoder`` whose frozen video encoder is the shared space, with a queue of its past embeddings.

    Args:
        queue_size: Q.
        encoders_and_heads, options: of ``DualEncoder``; the video head is the identity.
    """

    def __init__(self, *encoders_and_heads: nn.Module, queue_size: int, **options: Any):
        super().__init__(*encoders_and_heads, freeze_video=True, **options)
        self.queue = EmbeddingQueue(queue_size, self.video_encoder.dim)

    def forward(self, imu: Tensor, video: Tensor, warp: Tensor | None = None) -> Distilled:
        """Embed pairs; arguments as of ``DualEncoder``."""
        z_imu, z_video = self.embed_imu(imu), self.embed_video(video, warp)
        new = gather(z_video)
        videos = torch.cat([self.queue.rows.to(new.dtype), new])
        known = F.pad(self.queue.filled, (0, len(new)), value=True)
        if self.training:
            self.queue.add(new)
        return Distilled(z_imu, z_video, self.log_scale.exp(), videos, known)


def distillation_loss(outputs: Distilled, teacher_temperature: float) -> Tensor:
    """Cross entropy of the student's similarities under the teacher's, as the authors' code has it.

        -1/B sum_ij softmax_j(<v_i, q_j> / t_teacher) * log softmax_j(<u_i, q_j> / t_student),

    with IMU u, video v and the known videos q. The mean over ranks is the loss of the global batch.
    """
    unknown = ~outputs.known
    of_teacher = (outputs.z_video @ outputs.videos.T / teacher_temperature).masked_fill(unknown, -math.inf)
    of_student = (outputs.scale * outputs.z_imu @ outputs.videos.T).masked_fill(unknown, -math.inf)
    surprise = F.log_softmax(of_student, dim=1).masked_fill(unknown, 0)
    return -(F.softmax(of_teacher, dim=1) * surprise).sum(1).mean()


class Distillation(CrossModal):
    """Similarities to past videos are handed from the video encoder to the IMU encoder.

    Args:
        teacher_temperature: see ``distillation_loss``; the student's is the model's.
        frames_used: see ``CrossModal``.
    """

    def __init__(self, teacher_temperature: float, frames_used: Sequence[int]):
        super().__init__("distill", frames_used)
        self._teacher_temperature = teacher_temperature

    def loss(self, outputs: Distilled) -> Tensor:
        return distillation_loss(outputs, self._teacher_temperature)

    def progress(self, outputs: Distilled) -> Metrics:
        return {"scale": outputs.scale.item()}
