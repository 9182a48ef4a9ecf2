"""Means over stretches of an axis, so that a window or a clip keeps what comes first and what comes last."""

import torch
from torch import Tensor

SEGMENTS = 5  # stretches of a window, or of a clip, whose means are kept apart


def segment_means(x: Tensor, parts: int) -> Tensor:
    """Mean of each of so many stretches of the last axis.

    Stretch i of n goes from floor(i T / n) to ceil((i + 1) T / n), as ``F.adaptive_avg_pool1d`` has it. This is a
    matrix product, since that one's gradient on a GPU is summed in no fixed order, and no two runs would be the same.

    Args:
        x: (..., T).

    Returns:
        (..., parts).
    """
    length = x.shape[-1]
    part, place = torch.arange(parts, device=x.device), torch.arange(length, device=x.device)[:, None]
    first, end = part * length // parts, -(-(part + 1) * length // parts)
    inside = (place >= first) & (place < end)  # (T, parts)
    return x @ (inside.to(x.dtype) / (end - first))


def block_means(x: Tensor, parts: tuple[int, ...]) -> Tensor:
    """Mean of each block, where every one of the last axes is cut as ``segment_means`` does.

    Args:
        x: (..., T1, T2, ...).

    Returns:
        (..., *parts).
    """
    for axis, count in enumerate(reversed(parts), start=1):
        x = segment_means(x.movedim(-axis, -1), count).movedim(-1, -axis)
    return x
