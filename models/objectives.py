"""What a method makes of a batch. train.py knows a method by this alone; both classes have the same members.

``needs_video`` and ``frames_used`` say what must be read, ``inputs`` is what the model is called with, ``loss`` its
part of the loss over all ranks, ``per_window`` what must be finite for every window, ``progress`` what is worth a line
beside the loss, ``evaluate`` and ``describe`` the report on held-out windows, with chance and their number; ``report``
is its name in results.json.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from models.dual_encoder import DualEncoder
from models.losses import contrastive_loss
from models.masked import MaskedReconstruction, draw_masks, error_on_masked, mean_of_visible
from utils.retrieval import describe_retrieval, held_out_retrieval

Metrics = dict[str, float]


class CrossModal:
    """Contrastive learning: pairs of IMU and video of the same window against all other pairs of the batch.

    Args:
        loss: a name that ``contrastive_loss`` knows.
        frames_used: which of a clip's frames the video encoder looks at.
    """

    needs_video = True
    report = "retrieval"

    def __init__(self, loss: str, frames_used: Sequence[int]):
        self._loss = loss
        self.frames_used = frames_used

    def inputs(self, batch: Any, device: torch.device, epoch: int) -> tuple[Tensor, ...]:
        return batch.to(device)

    def loss(self, outputs: tuple[Tensor, ...]) -> Tensor:
        return contrastive_loss(self._loss, *outputs)

    def per_window(self, outputs: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([outputs[0], outputs[1]], dim=1)

    def progress(self, outputs: tuple[Tensor, ...]) -> Metrics:
        return {"scale": outputs[2].item(), "bias": outputs[3].item()}

    def evaluate(
        self, model: DualEncoder, batches: Iterable[Any], device: torch.device, dtype: torch.dtype
    ) -> tuple[Metrics, Metrics, int]:
        return held_out_retrieval(model, batches, device, dtype)

    def describe(self, found: Metrics, chance: Metrics, count: int) -> str:
        return describe_retrieval(found, chance, count)


class Masked:
    """Masked reconstruction: masked patches of a window are predicted from its other patches.

    Args:
        seed: of the masks.
        share: fraction of the patches that are masked.
        num_patches: of a window.
    """

    needs_video = False
    frames_used: Sequence[int] = ()
    report = "reconstruction"

    def __init__(self, seed: int, share: float, num_patches: int):
        self._seed, self._share, self._num_patches = seed, share, num_patches

    def inputs(self, batch: Any, device: torch.device, epoch: int) -> tuple[Tensor, ...]:
        mask = draw_masks(self._seed, epoch, batch.index, self._num_patches, self._share)
        return batch.to(device)[0], mask.to(device)

    def loss(self, outputs: Tensor) -> Tensor:
        return outputs.mean()  # as many patches are masked in every window

    def per_window(self, outputs: Tensor) -> Tensor:
        return outputs[:, None]

    def progress(self, outputs: Tensor) -> Metrics:
        return {}

    @torch.no_grad()
    def evaluate(
        self, model: MaskedReconstruction, batches: Iterable[Any], device: torch.device, dtype: torch.dtype
    ) -> tuple[Metrics, Metrics, int]:
        """Mean error on masked patches, always the same ones, and that of the mean of the visible ones as chance."""
        model.eval()
        errors, guesses = [], []
        for batch in batches:
            imu, mask = self.inputs(batch, device, epoch=0)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                errors.append(model(imu, mask))
            patches = model.imu_encoder.patches(imu)
            guesses.append(error_on_masked(mean_of_visible(patches, mask), patches, mask))
        found, guess = (torch.cat(rows).double() for rows in (errors, guesses))
        return {"masked_mse": found.mean().item()}, {"masked_mse": guess.mean().item()}, len(found)

    def describe(self, found: Metrics, chance: Metrics, count: int) -> str:
        return (
            f"  held out, {count} windows:  MSE on masked patches {found['masked_mse']:.4f}   "
            f"mean of the visible patches {chance['masked_mse']:.4f}"
        )
