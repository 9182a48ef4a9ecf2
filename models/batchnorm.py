"""Batch normalisation over the batch of all ranks, on any device.

``torch.nn.SyncBatchNorm`` works on GPUs alone; with it missing on the CPU, two ranks would not train what one does.
"""

import torch
from torch import Tensor, nn

from utils.distributed import gather, world_size


class CrossRankBatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` whose training statistics are those of every rank's batch.

    With one rank, and whenever it is not training, it is ``nn.BatchNorm1d``. Every rank must hold equally many rows.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, D, S) per channel D."""
        if not self.training or world_size() == 1:
            return super().forward(x)
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        local_var, local_mean = torch.var_mean(x, dim=(0, 2), correction=0)
        means, variances = gather(torch.stack([local_mean, local_var])[None]).unbind(1)  # (R, D) each
        mean = means.mean(0)
        var = (variances + (means - mean).square()).mean(0)
        with torch.no_grad():
            count = x.numel() // x.shape[1] * world_size()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return (x - mean[:, None]) * scale[:, None] + self.bias[:, None]
