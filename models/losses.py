"""Contrastive losses between IMU and video embeddings.

Letters: n pairs of this rank, N pairs of all ranks, D embedding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.distributed import gather, rank


def sigmoid_loss(z_imu: Tensor, z_video: Tensor, scale: Tensor, bias: Tensor, first_pair: int = 0) -> Tensor:
    """SigLIP loss of this rank's IMU rows against every rank's video rows.

    The sigmoid loss of Zhai et al. 2023 (https://arxiv.org/abs/2303.15343),

        -1/n * sum_ij log sigmoid(y_ij * (scale * <u_i, v_j> + bias)),

    with y_ij = +1 where row i and column j share a window, else -1. The mean over ranks equals the loss of the global
    batch. (The paper that this project implements prints the sign of the bias the other way round; read literally, the
    loss of 32 pairs would start near 310, not 10.)

    Args:
        z_imu: (n, D) unit-norm embeddings of this rank.
        z_video: (N, D) unit-norm embeddings of all ranks, in rank order.
        scale: () positive logit scale, already exponentiated.
        bias: () logit bias.
        first_pair: column of ``z_video`` that belongs to row 0.

    Raises:
        ValueError: if the matching columns fall outside ``z_video``.
    """
    target = _matching_columns(z_imu, z_video, first_pair)
    logits = scale * z_imu @ z_video.T + bias
    sign = torch.full_like(logits, -1.0).scatter_(1, target[:, None], 1.0)
    return -F.logsigmoid(sign * logits).sum() / len(z_imu)


def softmax_loss(z_rows: Tensor, z_columns: Tensor, scale: Tensor, first_pair: int = 0) -> Tensor:
    """One direction of InfoNCE (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748): find each row's column.

        -1/n * sum_i log( exp(scale * <u_i, v_i>) / sum_j exp(scale * <u_i, v_j>) )

    Args:
        z_rows: (n, D) unit-norm embeddings of this rank.
        z_columns: (N, D) unit-norm embeddings of the other modality, of all ranks.
        scale: () positive logit scale (the inverse temperature).
        first_pair: column that belongs to row 0.

    Raises:
        ValueError: if the matching columns fall outside ``z_columns``.
    """
    return F.cross_entropy(scale * z_rows @ z_columns.T, _matching_columns(z_rows, z_columns, first_pair))


def soft_target_loss(u: Tensor, v: Tensor, scale: Tensor, first_row: int = 0, count: int | None = None) -> Tensor:
    """InfoNCE whose targets are soft: windows that resemble each other within both modalities count as related.

    What the authors of the paper trained wherever it says softmax, instead of one-hot targets. With the temperature
    t = 1 / scale, logits L_ij = <u_i, v_j> / t and targets T_ij = softmax_j(t * (<u_i, u_j> + <v_i, v_j>) / 2),

        -1/n * sum_ij ( T_ij * log softmax_j(L_ij) + T_ji * log softmax_j(L_ji) ) / 2.

    In their IMU2CLIP t starts at 0.1: the targets are almost uniform. (The two sides change places there, which
    changes nothing but by which of two nearly equal sums a target is divided.) In their ablation of the loss (Table
    5) t starts at ln 10: a window's own pair then counts ten times as much as an unrelated one. The targets carry
    gradients, as theirs do.

    Args:
        u, v: (N, D) unit-norm embeddings of all ranks, in rank order.
        scale: () positive logit scale.
        first_row, count: the rows whose part of the mean is wanted; default: all.
    """
    rows = slice(first_row, first_row + (len(u) if count is None else count))
    logits, targets = scale * u @ v.T, F.softmax((u @ u.T + v @ v.T) / (2 * scale), dim=1)
    forwards = -(targets[rows] * F.log_softmax(logits[rows], dim=1)).sum(1)
    backwards = -(targets.T[rows] * F.log_softmax(logits.T[rows], dim=1)).sum(1)
    return (forwards + backwards).mean() / 2


def contrastive_loss(name: str, z_imu: Tensor, z_video: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """This rank's part of the loss over all ranks' pairs; its mean over ranks is the loss of the global batch.

    Args:
        name: ``sigmoid``; ``softmax``, symmetric InfoNCE with one-hot targets: the mean of both directions (IMU2CLIP as
            published has their sum, the same for AdamW); or ``softmax_soft``, the same with soft targets.
        z_imu: (n, D) unit-norm embeddings of this rank; as many on every rank.
        z_video: (n, D) likewise.
        scale: () positive logit scale.
        bias: () logit bias; unused by softmax.

    Raises:
        ValueError: for another name.
    """
    first_pair = rank() * len(z_imu)
    if name == "sigmoid":
        return sigmoid_loss(z_imu, gather(z_video), scale, bias, first_pair)
    if name == "softmax":
        imu_to_video = softmax_loss(z_imu, gather(z_video), scale, first_pair)
        video_to_imu = softmax_loss(z_video, gather(z_imu), scale, first_pair)
        return (imu_to_video + video_to_imu) / 2
    if name == "softmax_soft":
        return soft_target_loss(gather(z_imu), gather(z_video), scale, first_pair, len(z_imu))
    raise ValueError(f"loss {name!r} must be sigmoid, softmax or softmax_soft")


def _matching_columns(rows: Tensor, columns: Tensor, first_pair: int) -> Tensor:
    if first_pair < 0 or first_pair + len(rows) > len(columns):
        raise ValueError(
            f"first_pair {first_pair} with {len(rows)} rows points outside the {len(columns)} columns: "
            "gather every rank's rows first"
        )
    return first_pair + torch.arange(len(rows), device=rows.device)
