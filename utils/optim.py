"""The optimisation step: number format, learning rate, weight decay, and errors where a number is not finite."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from utils import distributed

MIN_SCALE = 1e-4  # of the loss in fp16; fairseq's --min-loss-scale

# Learnt tokens and positions are added to the input whatever it is, as a bias is: decay would only pull them together.
_OFFSETS = ("cls_token", "class_embedding", "position_embedding", "position_enc", "mask_token")


def warmup_cosine(step: int, total_steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: a linear rise, then half a cosine down to nearly 0 at the last step.

    Args:
        step: 0 for the first step.
        total_steps: steps of the whole run.
        warmup: fraction of the steps that rise.
    """
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


class NonFiniteError(RuntimeError):
    """Loss or gradient is not a number. The message says why; weights and buffers are as before the step."""


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Number format of forward and backward.

    Args:
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``: bf16 where the GPU has it, else fp16, fp32 on a CPU.
    """
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def check_scale(scaler: torch.amp.GradScaler, step: int) -> None:
    """After a step that fp16 skipped, because its gradient was not finite: stop the run if no scale will do.

    Each such step halves the loss scale. Gradients that overflow at any scale would halve it for ever, with no weight
    moved.

    Args:
        step: counted from 0.

    Raises:
        NonFiniteError: if the scale is below ``MIN_SCALE``.
    """
    if scaler.get_scale() < MIN_SCALE:
        raise NonFiniteError(
            f"the loss scale of fp16 fell to {scaler.get_scale():.1e} at step {step}: gradients are not finite "
            "however small the loss is made, so nothing is learnt any more. Start another run with --precision bf16 "
            "(fp32 where the GPU lacks it), or with a lower --lr"
        )


def describe_non_finite(step: int, ids: list[str], imu: Tensor, outputs: Tensor) -> str:
    """What to look at after a loss or gradient that is not a number; all ranks together.

    Args:
        step: counted from 0.
        ids: of this rank's windows.
        imu: (B, 6, T).
        outputs: (B, D) of the model.
    """
    rows = {
        "IMU signal not finite in": ~imu.isfinite().flatten(1).all(1),
        "the model's output is not finite for": ~outputs.isfinite().all(1),
    }
    mine = {what: [ids[row] for row in bad.nonzero().flatten().tolist()] for what, bad in rows.items()}
    everywhere = distributed.gather_objects(mine)
    found = {what: [window for rank in everywhere for window in rank[what]] for what in rows}
    what, named = next((item for item in found.items() if item[1]), ("batch", [f"of step {step}"]))
    shown = ", ".join(named[:5]) + (" ..." if len(named) > 5 else "")
    return (
        f"loss or gradient is not finite at step {step}: {what} {shown}. "
        "Nothing was updated. Look at these windows; if they are sound, lower --lr, or use --precision fp32"
    )
