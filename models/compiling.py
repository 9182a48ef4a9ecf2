"""torch.compile of the encoders, tested on this machine first."""

import torch
from torch import nn

from models.batchnorm import CrossRankBatchNorm
from models.dual_encoder import DualEncoder


class CompileError(RuntimeError):
    """torch.compile does not work on this machine; the message says why, and the remedy."""


def compile_encoders(model: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """Have a model's encoders compiled when they are first called; names of parameters stay as they are.

    Batch normalisation stays outside: it speaks with other ranks. Compiled dropout draws from the generators whose
    state a checkpoint holds, so a resumed run repeats an uninterrupted one's losses here too: to the bit where it was
    tried, on a CPU, with the resumed part compiled again.

    Args:
        model: a dual encoder, or any other model, which is compiled as a whole.
        device: where it runs; something small is compiled there at once, so that a machine that cannot says so now.
        backend: of torch.compile.

    Raises:
        CompileError: if that fails, as without a C++ compiler (CPU) or Triton (GPU).
    """
    try:
        torch.compile(lambda x: (x * 2 + 1).relu(), backend=backend)(torch.ones(8, device=device))
    except Exception as error:  # compilers raise all kinds of errors; any of them means the same here
        reason = " ".join(str(error).split())[:300]
        raise CompileError(
            f"--compile: torch.compile does not work on this machine ({reason}): leave --compile out"
        ) from error
    for part in model.modules():
        if isinstance(part, CrossRankBatchNorm):
            part.forward = torch.compiler.disable(part.forward)
    for part in (model.imu_encoder, model.video_encoder) if isinstance(model, DualEncoder) else (model,):
        part.compile(backend=backend)
