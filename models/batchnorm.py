"""Batch normalisation over the batch of all ranks, on any device, whose running statistics can wait for a check.

``torch.nn.SyncBatchNorm`` works on GPUs alone; with it missing on the CPU, two ranks would not train what one does.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.distributed import gather, world_size


class CrossRankBatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` whose training statistics are those of every rank's batch, (R, D) of R ranks.

    Every rank must hold equally many rows.

    Args:
        num_features: D, channels.
        eps: added to the variance.

    Attributes:
        held: whether a batch leaves the running statistics alone until ``update_statistics`` is called.
    """

    def __init__(self, num_features: int, eps: float = 1e-5):
        super().__init__(num_features, eps)
        self.held = False
        self._of_batch: tuple[Tensor, Tensor] | None = None  # (D,) mean and unbiased variance of the last batch

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, D, ...) per channel D."""
        if not self.training:
            return super().forward(x)
        normalized = self._one_rank(x) if world_size() == 1 else self._all_ranks(x)
        if not self.held:
            self.update_statistics()
        return normalized

    @torch.no_grad()
    def update_statistics(self) -> None:
        """Let the last training batch move the running statistics; a frozen encoder has had none."""
        if self._of_batch is None:
            return
        mean, var = self._of_batch
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)
        self.num_batches_tracked.add_(1)

    def _one_rank(self, x: Tensor) -> Tensor:
        mean, var = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        self._of_batch = mean, var  # a momentum of 1 leaves here what the kernel finds anyway
        return F.batch_norm(x, mean, var, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)

    def _all_ranks(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        local_var, local_mean = torch.var_mean(x, dim=(0, *range(2, x.ndim)), correction=0)
        means, variances = gather(torch.stack([local_mean, local_var])[None]).unbind(1)  # (R, D) each
        mean = means.mean(0)
        var = (variances + (means - mean).square()).mean(0)
        count = x.numel() // x.shape[1] * world_size()
        self._of_batch = mean.detach(), var.detach() * (count / (count - 1))
        scale = self.weight * torch.rsqrt(var + self.eps)
        of_channel = (-1, *[1] * (x.ndim - 2))
        return (x - mean.view(of_channel)) * scale.view(of_channel) + self.bias.view(of_channel)

    def _check_input_dim(self, x: Tensor) -> None:
        """Signals and images alike, unlike ``nn.BatchNorm1d``."""


def hold_statistics(model: nn.Module) -> Callable[[], None]:
    """From now on training batches leave alone what a model remembers of them: running statistics, and queues.

    Returns:
        What lets the last batch in, to be called once it is known to be sound.
    """
    parts = [part for part in model.modules() if hasattr(part, "held")]
    for part in parts:
        part.held = True

    def update_statistics() -> None:
        for part in parts:
            part.update_statistics()

    return update_statistics
