"""How the optimiser goes through a run: learning rate over steps, and which parameters decay."""

import math
from typing import Any

from torch import nn

# Learnt tokens and positions are added to the input whatever it is, as a bias is: decay would only pull them together.
_OFFSETS = ("cls_token", "class_embedding", "position_embedding", "position_enc", "mask_token")


def warmup_cosine(step: int, total_steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: a linear rise, then half a cosine down to nearly 0 at the last step.

    Args:
        step: 0 for the first step.
        total_steps: steps of the whole run.
        warmup: share of steps that rise.

    Raises:
        ValueError: if the step lies outside the run.
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step {step} must lie in 0..{total_steps - 1}")
    rising = round(warmup * total_steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (total_steps - rising)))


def cosine_annealing(step: int, total_steps: int, peak: float, least: float | None) -> float:
    """Learning rate that falls like half a cosine from the peak towards the least (Loshchilov and Hutter 2017, eq. 5).

    ``torch.optim.lr_scheduler.CosineAnnealingLR`` with T_max = total_steps and eta_min = least gives the same, stepped
    after every step: the least would be that of the step after the last.

    Args:
        step: 0 for the first step.
        total_steps: steps of the whole training.
        peak: rate of the first step.
        least: None keeps the peak at every step.
    """
    if least is None:
        return peak
    return least + (peak - least) * 0.5 * (1 + math.cos(math.pi * step / total_steps))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters for AdamW: matrices and kernels decay; biases, norms, scale, tokens and positions do not.

    Returns:
        Two groups of the optimiser, the decaying one first. Frozen parameters are in neither.
    """
    decay, keep = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_offset = parameter.ndim < 2 or any(word in name for word in _OFFSETS)
            (keep if is_offset else decay).append(parameter)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": keep, "weight_decay": 0.0}]
