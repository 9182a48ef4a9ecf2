"""IMU-only pretraining: some patches of a window are masked and predicted from the others.

Letters: B windows, C channels of the encoder, P patches, L samples of a patch, D width of a token.
"""

import numpy as np
import torch
from torch import Tensor, nn

from configs.constants import CHANNELS
from models.imu import PatchTSTEncoder


class MaskedReconstruction(nn.Module):
    """Masked reconstruction with PatchTST (Nie et al. 2022, section 3.2, https://arxiv.org/abs/2211.14730).

    Masked patches are zero, which is the mean of a z-scored channel; a linear layer predicts them from their tokens.
    The loss does not read the CLS tokens, so they are not trained to represent a window. The encoder itself masks
    nothing.

    Args:
        imu_encoder: its ``patches`` and ``tokens`` are used, its pooling is not.
    """

    video_config = None

    def __init__(self, imu_encoder: PatchTSTEncoder):
        super().__init__()
        self.imu_encoder = imu_encoder
        self.head = nn.Linear(imu_encoder.token_dim, imu_encoder.patch)

    def forward(self, imu: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error over the masked patches of each window.

        Args:
            imu: (B, 6, T).
            mask: (B, C, P) bool, true where a patch is masked.

        Returns:
            (B,).
        """
        return reconstruction_error(self.imu_encoder, self.head, imu, mask)


def reconstruction_error(encoder: PatchTSTEncoder, head: nn.Linear, imu: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the masked patches of each window, which a head predicts from their tokens.

    Args:
        head: from a token to the samples of its patch.
        imu: (B, 6, T).
        mask: (B, C, P) bool.

    Returns:
        (B,).
    """
    patches = encoder.patches(imu)
    tokens = encoder.tokens(patches.masked_fill(mask[..., None], 0))
    predicted = head(tokens[:, :, 1:])
    return error_on_masked(predicted.to(patches.dtype), patches, mask)


def error_on_masked(predicted: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the masked patches of each window.

    Args:
        predicted, patches: (B, C, P, L).
        mask: (B, C, P) bool, with at least one masked patch in each window.

    Returns:
        (B,).
    """
    error = (predicted - patches).square().mean(3)
    return (error * mask).sum((1, 2)) / mask.sum((1, 2))


def mean_of_visible(patches: Tensor, mask: Tensor) -> Tensor:
    """The prediction that any model must beat: each channel's mean over the patches that are not masked.

    Args:
        patches: (B, C, P, L).
        mask: (B, C, P) bool; every channel has a visible patch.

    Returns:
        (B, C, P, L).
    """
    visible = ~mask[..., None]
    mean = (patches * visible).sum((2, 3)) / (visible.sum((2, 3)) * patches.shape[3])
    return mean[:, :, None, None].expand_as(patches)


def draw_masks(
    seed: int, epoch: int, index: Tensor, num_patches: int, share: float, channels: int = len(CHANNELS)
) -> Tensor:
    """Masks that follow from (seed, epoch, window) alone, so that no interruption or number of ranks changes them.

    In every channel the same number of patches is masked, the nearest to the fraction, at least one and not all; which
    ones is drawn for each channel by itself, as PatchTST does. (Its channels do not see each other, so masking them
    alike would remove no more information.)

    Args:
        index: (B,) int64 windows.
        share: fraction of the patches to mask.
        channels: C.

    Returns:
        (B, C, P) bool, on the CPU.

    Raises:
        ValueError: if a channel has a single patch, which cannot be masked and be predicted from others.
    """
    if num_patches < 2:
        raise ValueError(f"a window has {num_patches} patch: masking needs two at least, use a smaller imu_patch")
    count = min(max(round(share * num_patches), 1), num_patches - 1)
    key = _mix(_mix(_mix(np.array([seed], np.uint64)) + np.uint64(epoch)) + index.numpy().astype(np.uint64))
    places = np.arange(channels * num_patches, dtype=np.uint64)
    numbers = _mix(key[:, None] + places * np.uint64(0x9E3779B97F4A7C15)).reshape(len(index), channels, -1)
    mask = np.zeros(numbers.shape, dtype=bool)
    np.put_along_axis(mask, numbers.argsort(axis=2)[:, :, :count], True, axis=2)
    return torch.from_numpy(mask)


def _mix(x: np.ndarray) -> np.ndarray:
    """A random-looking 64-bit number for each number: SplitMix64 (Steele et al. 2014, doi 10.1145/2660193.2660195).

    A generator of its own for every window would take longer than the training step.
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
