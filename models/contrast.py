"""IMU-only pretraining by contrast: two views of a window against those of all other windows of the batch.

Letters: B windows of this rank, N of all ranks, T samples, C channels of the encoder, P patches, Q places of the queue,
D embedding.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.dual_encoder import unit
from models.losses import contrastive_loss
from models.masked import reconstruction_error
from utils.distributed import gather


class EmbeddingQueue(nn.Module):
    """The last Q embeddings of all ranks, first in, first out, equal on every rank.

    They are buffers, so that a resumed run has them. What a batch adds can wait until the step is known to be sound,
    see ``models.batchnorm.hold_statistics``.

    Args:
        size: Q; at least N.
        dim: D.

    Attributes:
        rows: (Q, D), zero where nothing was added yet.
        count: () embeddings that were ever added.
        held: whether what is added waits for ``update_statistics``.
    """

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, dim))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.held = False
        self._waiting: Tensor | None = None

    @torch.no_grad()
    def add(self, z: Tensor) -> None:
        """Put (N, D) unit-norm embeddings of all ranks, in rank order, in the place of the oldest ones."""
        self._waiting = z.detach().to(self.rows.dtype)
        if not self.held:
            self.update_statistics()

    @torch.no_grad()
    def update_statistics(self) -> None:
        """Let the last batch in."""
        if self._waiting is None:
            return
        places = (self.count + torch.arange(len(self._waiting), device=self.rows.device)) % len(self.rows)
        self.rows[places] = self._waiting
        self.count.add_(len(self._waiting))

    @property
    def filled(self) -> Tensor:
        """(Q,) bool: the places that hold an embedding."""
        return torch.arange(len(self.rows), device=self.rows.device) < self.count

    @torch.no_grad()
    def places(self, z: Tensor) -> Tensor:
        """(B,) int64 place of the embedding that is most similar to each of (B, D)."""
        similarity = z.to(self.rows.dtype) @ self.rows.T
        return similarity.masked_fill(~self.filled, -math.inf).argmax(1)

    @torch.no_grad()
    def at(self, places: Tensor, instead: Tensor) -> Tensor:
        """(B, D) embeddings at these places; while the queue is empty, ``instead``."""
        return torch.where(self.count > 0, self.rows[places].to(instead.dtype), instead)

    def nearest(self, z: Tensor) -> Tensor:
        """The most similar embedding in the queue for each of (B, D); while it is empty, the embedding itself."""
        return self.at(self.places(z), z)


class Views(NamedTuple):
    """What ``ImuContrast`` makes of two views of each window.

    Attributes:
        z_first, z_second: (B, D) unit norm.
        scale: () positive logit scale.
        near_first, near_second: (B, D) nearest past embedding of each, without gradient; None without a queue.
        error: (B,) of the reconstruction of masked patches; None without masks.
    """

    z_first: Tensor
    z_second: Tensor
    scale: Tensor
    near_first: Tensor | None = None
    near_second: Tensor | None = None
    error: Tensor | None = None


class ImuContrast(nn.Module):
    """Contrast of views (SimCLR, Chen et al. 2020, https://arxiv.org/abs/2002.05709), of the IMU alone.

    Args:
        imu_encoder: with an attribute ``dim``; for masks a ``PatchTSTEncoder``.
        head: from its output to D values.
        dim: D.
        temperature: cosines are divided by it at the start.
        learn_temperature: without this it stays.
        queue_size: Q, for nearest neighbours; 0 keeps no queue.
        masked: also reconstruct masked patches, as ``models.masked`` does.
    """

    video_config = None

    def __init__(
        self,
        imu_encoder: nn.Module,
        head: nn.Module,
        dim: int,
        temperature: float = 0.1,
        learn_temperature: bool = True,
        queue_size: int = 0,
        masked: bool = False,
    ):
        super().__init__()
        self.imu_encoder, self.head = imu_encoder, head
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learn_temperature)
        self.queue = EmbeddingQueue(queue_size, dim) if queue_size else None
        self.mask_head = nn.Linear(imu_encoder.token_dim, imu_encoder.patch) if masked else None

    def forward(self, imu: Tensor, mask: Tensor | None = None) -> Views:
        """Embed two views of each window.

        Args:
            imu: (2 B, 6, T), the first views of all windows, then the second ones.
            mask: (B, C, P) bool, patches of the first views to reconstruct.
        """
        error = None
        if mask is not None:  # before the views: batch normalisation remembers the last pass, which shall be theirs
            error = reconstruction_error(self.imu_encoder, self.mask_head, imu[: len(mask)], mask)
        first, second = self.embed(imu).chunk(2)
        scale = self.log_scale.exp()
        if self.queue is None:
            return Views(first, second, scale, error=error)
        views = Views(first, second, scale, self.queue.nearest(first), self.queue.nearest(second), error)
        if self.training:
            self.queue.add(gather(first.detach()))
        return views

    def embed(self, imu: Tensor) -> Tensor:
        """(B, 6, T) -> (B, D), unit norm, at least in float32."""
        return unit(self.head(self.imu_encoder(imu)))


def info_nce(u: Tensor, v: Tensor, scale: Tensor) -> Tensor:
    """This rank's part of the symmetric InfoNCE of (B, D) rows that belong together; see ``contrastive_loss``."""
    return contrastive_loss("softmax", u, v, scale, torch.zeros_like(scale))


def nearest_loss(u: Tensor, v: Tensor, near_u: Tensor, near_v: Tensor, scale: Tensor) -> Tensor:
    """NNCLR (Dwibedi et al. 2021, https://arxiv.org/abs/2104.14548, equation 3), symmetric in the two views.

        1/2 * ( InfoNCE(NN(u), v) + InfoNCE(NN(v), u) ),

    where NN is the nearest embedding of earlier batches; each InfoNCE is symmetric, as in section 3.2 there. The
    prediction head of that paper is left out.

    Args:
        u, v: (B, D) unit-norm embeddings of this rank.
        near_u, near_v: (B, D) nearest neighbour of each row.
        scale: () positive logit scale.
    """
    return (info_nce(near_u, v, scale) + info_nce(near_v, u, scale)) / 2
