"""From an encoder's output to the shared space."""

import torch.nn.functional as F
from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """linear - GELU - linear - dropout, around it a residual from the first linear, then LayerNorm.

    Args:
        in_dim: size of the encoder's output.
        out_dim: size of the shared space.
        dropout: fraction of values dropped before the residual.
    """

    def __init__(self, in_dim: int, out_dim: int, dropout: float):
        super().__init__()
        self.project = nn.Linear(in_dim, out_dim)
        self.mix = nn.Linear(out_dim, out_dim)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(out_dim)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_dim) -> (B, out_dim)."""
        projected = self.project(features)
        return self.norm(projected + self.dropout(self.mix(F.gelu(projected))))


class LinearHead(nn.Sequential):
    """Dropout, then one linear layer: for encoders whose output is large and whose data are few.

    Args:
        in_dim: size of the encoder's output.
        out_dim: size of the shared space.
        dropout: fraction of the encoder's output that is dropped.
    """

    def __init__(self, in_dim: int, out_dim: int, dropout: float):
        super().__init__(nn.Dropout(dropout), nn.Linear(in_dim, out_dim))
