"""torch.compile of the encoders."""

import torch
from torch import nn

from models.batchnorm import CrossRankBatchNorm
from models.masked import MaskedReconstruction


def compile_encoders(model: nn.Module, backend: str = "inductor") -> None:
    """Have a model's encoders compiled when they are first called; names of parameters stay as they are.

    Batch normalisation stays outside: it speaks with other ranks. Compiled dropout draws from the generators whose
    state a checkpoint holds, so a resumed run repeats an uninterrupted one's losses here too: to the bit where it was
    tried, on a CPU, with the resumed part compiled again.

    Args:
        model: one that reconstructs masked patches is compiled as a whole.
        backend: of torch.compile; the default needs a C++ compiler (CPU) or Triton (GPU).
    """
    for part in model.modules():
        if isinstance(part, CrossRankBatchNorm):
            part.forward = torch.compiler.disable(part.forward)
    encoders = [part for name, part in model.named_children() if name.endswith("_encoder")]
    for part in [model] if isinstance(model, MaskedReconstruction) else encoders:
        part.compile(backend=backend)
