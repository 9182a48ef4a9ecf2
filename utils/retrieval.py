"""Retrieval among pairs of IMU and video, both ways, or of two views: MRR, R@1 and R@5."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.metrics import retrieval_chance, retrieval_metrics

_RECALLS = (1, 5)
_WAYS = {"imu_to_video": "IMU->video", "video_to_imu": "video->IMU", "view_to_view": "view->view"}


@torch.no_grad()
def held_out_retrieval(
    model: Any, batches: Iterable[Any], device: torch.device, dtype: torch.dtype
) -> tuple[dict[str, float], dict[str, float], int]:
    """MRR, R@1 and R@5 of each window's video among all, and of each video's window.

    Args:
        model: with ``embed_imu`` and ``embed_video``; it is left in eval mode.
        batches: of pairs, each with ``to(device)`` that gives IMU and video.
        dtype: of the encoders' arithmetic.

    Returns:
        Values by name, such as ``imu_to_video/r@1``; what a random order gives, such as ``r@1``; number of windows.
    """
    model.eval()
    z_imu, z_video = [], []
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        for batch in batches:
            imu, video = batch.to(device)
            z_imu.append(model.embed_imu(imu))
            z_video.append(model.embed_video(video))
    return retrieval_both_ways(torch.cat(z_imu), torch.cat(z_video))


def retrieval_both_ways(z_imu: Tensor, z_video: Tensor) -> tuple[dict[str, float], dict[str, float], int]:
    """MRR, R@1 and R@5 of each IMU window's video among all, and of each video's IMU window.

    Args:
        z_imu, z_video: (W, D) unit-norm embeddings of the same windows.

    Returns:
        As ``held_out_retrieval``.
    """
    similarity = _similarity(z_imu, z_video)
    return _retrieval({"imu_to_video": similarity, "video_to_imu": similarity.T})


def retrieval_of_views(first: Tensor, second: Tensor) -> tuple[dict[str, float], dict[str, float], int]:
    """MRR, R@1 and R@5 of the second view of each window among all second views.

    Args:
        first, second: (W, D) unit-norm embeddings of the same windows.

    Returns:
        As ``held_out_retrieval``, with names such as ``view_to_view/r@1``.
    """
    return _retrieval({"view_to_view": _similarity(first, second)})


def _similarity(queries: Tensor, candidates: Tensor) -> np.ndarray:
    return (queries.double() @ candidates.double().T).cpu().numpy()


def _retrieval(ways: dict[str, np.ndarray]) -> tuple[dict[str, float], dict[str, float], int]:
    """Of (W, W) similarities, whose rows belong to the columns of the same number."""
    found = {}
    for way, similarity in ways.items():
        values = retrieval_metrics(similarity, np.arange(len(similarity)), _RECALLS)
        found |= {f"{way}/{name}": value for name, value in values.items()}
    return found, retrieval_chance(len(similarity), _RECALLS), len(similarity)


def describe_retrieval(
    retrieval: dict[str, float], chance: dict[str, float], count: int, which: str = "held out"
) -> str:
    """Retrieval as a line; arguments as ``held_out_retrieval`` returns them, and which pairs they are."""
    ways = [
        f"{arrow}  " + "  ".join(f"{name.upper()} {retrieval[f'{way}/{name}']:.3f}" for name in chance)
        for way, arrow in _WAYS.items()
        if f"{way}/mrr" in retrieval
    ]
    guess = "  ".join(f"{name.upper()} {value:.3f}" for name, value in chance.items())
    return f"  {which}, 1 of {count}:  {'   '.join(ways)}   chance  {guess}"
