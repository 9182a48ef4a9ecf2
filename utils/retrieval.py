"""Retrieval among pairs of IMU and video: MRR, R@1 and R@5, both ways."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from utils.metrics import retrieval_chance, retrieval_metrics

_RECALLS = (1, 5)
_WAYS = {"imu_to_video": "IMU->video", "video_to_imu": "video->IMU"}


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
    similarity = (z_imu.double() @ z_video.double().T).cpu().numpy()
    right = torch.arange(len(similarity)).numpy()
    found = {
        "imu_to_video": retrieval_metrics(similarity, right, _RECALLS),
        "video_to_imu": retrieval_metrics(similarity.T, right, _RECALLS),
    }
    by_name = {f"{way}/{name}": value for way, values in found.items() for name, value in values.items()}
    return by_name, retrieval_chance(len(similarity), _RECALLS), len(similarity)


def describe_retrieval(
    retrieval: dict[str, float], chance: dict[str, float], count: int, which: str = "held out"
) -> str:
    """Retrieval as a line; arguments as ``held_out_retrieval`` returns them, and which pairs they are."""
    ways = [
        f"{arrow}  " + "  ".join(f"{name.upper()} {retrieval[f'{way}/{name}']:.3f}" for name in chance)
        for way, arrow in _WAYS.items()
    ]
    guess = "  ".join(f"{name.upper()} {value:.3f}" for name, value in chance.items())
    return f"  {which}, 1 of {count}:  {'   '.join(ways)}   chance  {guess}"
