"""What a method makes of a batch. train.py knows a method by this alone; all classes have the same members.

``needs_video``, ``frames_used`` and ``neighbours`` say what must be read. ``inputs`` is what the model is called with;
the first of it is the IMU, ``views`` times the batch. ``loss`` is its part of the loss over all ranks, ``per_window``
what must be finite for every window, ``progress`` what is worth a line beside the loss. ``evaluate`` and ``describe``
are the report on held-out windows, with chance and their number; ``report`` is its name in results.json, and
``augments_report`` says whether it changes windows as training does.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.augmentation import Augmentation
from models.contrast import ImuContrast, Views, info_nce, nearest_loss
from models.dual_encoder import DualEncoder
from models.losses import contrastive_loss
from models.masked import MaskedReconstruction, draw_masks, error_on_masked, mean_of_visible
from utils.retrieval import describe_retrieval, held_out_retrieval, retrieval_of_views

Metrics = dict[str, float]
_log = logging.getLogger(__name__)


class CrossModal:
    """Contrastive learning: pairs of IMU and video of the same window against all other pairs of the batch.

    Args:
        loss: a name that ``contrastive_loss`` knows.
        frames_used: which of a clip's frames the video encoder looks at.
    """

    needs_video = True
    neighbours = 0.0
    views = 1
    augments_report = False
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
        channels: of the encoder.
    """

    needs_video = False
    frames_used: Sequence[int] = ()
    neighbours = 0.0
    views = 1
    augments_report = False
    report = "reconstruction"

    def __init__(self, seed: int, share: float, num_patches: int, channels: int):
        self._seed, self._share, self._shape = seed, share, (num_patches, channels)

    def inputs(self, batch: Any, device: torch.device, epoch: int) -> tuple[Tensor, ...]:
        num_patches, channels = self._shape
        mask = draw_masks(self._seed, epoch, batch.index, num_patches, self._share, channels)
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


class Contrast:
    """Contrast of two views of the IMU of each window, beside masked reconstruction where it is asked for.

    The loss is the mean over the kinds of positives, ``views`` or ``time`` being one kind and ``nearest`` the other,
    plus ``mask_weight`` times the error of reconstruction.

    Args:
        seed: of the masks.
        positives: ``views``: both views are of the same window; ``time``: the second is of a neighbour in time, with
            ``views`` beside it for half of the windows; ``nearest``: see ``nearest_loss``.
        mask_weight, mask_share, num_patches, channels: of masked reconstruction, see ``Masked``; a weight of 0: none.
        augmentation: makes the views of the report; None where they are not changed.
    """

    needs_video = False
    frames_used: Sequence[int] = ()
    views = 2
    augments_report = True
    report = "retrieval"

    def __init__(
        self,
        seed: int,
        positives: Sequence[str],
        mask_weight: float,
        mask_share: float,
        num_patches: int,
        channels: int,
        augmentation: Augmentation | None,
    ):
        self._seed, self._augmentation = seed, augmentation
        self._pairs, self._nearest = {"views", "time"} & set(positives), "nearest" in positives
        self.neighbours = len({"time"} & self._pairs) / max(len(self._pairs), 1)
        self._mask_weight, self._share, self._shape = mask_weight, mask_share, (num_patches, channels)

    def inputs(self, batch: Any, device: torch.device, epoch: int) -> tuple[Tensor, ...]:
        imu = batch.to(device)[0]
        imu = torch.cat([imu, imu if batch.neighbour is None else batch.neighbour.to(device)])
        if not self._mask_weight:
            return (imu,)
        num_patches, channels = self._shape
        mask = draw_masks(self._seed, epoch, batch.index, num_patches, self._share, channels)
        return imu, mask.to(device)

    def loss(self, outputs: Views) -> Tensor:
        first, second, scale = outputs.z_first, outputs.z_second, outputs.scale
        kinds = [info_nce(first, second, scale)] if self._pairs else []
        if self._nearest:
            kinds.append(nearest_loss(first, second, outputs.near_first, outputs.near_second, scale))
        loss = sum(kinds) / len(kinds)
        return loss + self._mask_weight * outputs.error.mean() if self._mask_weight else loss

    def per_window(self, outputs: Views) -> Tensor:
        error = [] if outputs.error is None else [outputs.error[:, None]]
        return torch.cat([outputs.z_first, outputs.z_second, *error], dim=1)

    def progress(self, outputs: Views) -> Metrics:
        return {"scale": outputs.scale.item()}

    @torch.no_grad()
    def evaluate(
        self, model: ImuContrast, batches: Iterable[Any], device: torch.device, dtype: torch.dtype
    ) -> tuple[Metrics, Metrics, int]:
        """Retrieval of the second view of each held-out window by the first, always the same two."""
        model.eval()
        embedded = []
        for number, batch in enumerate(batches):
            imu = self.inputs(batch, device, epoch=0)[0]
            if self._augmentation is not None:
                moments = (values.to(device) for values in batch.moments)
                imu = self._augmentation.imu(imu, *moments, 0, number, self.views)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                embedded.append(model.embed(imu).chunk(2))
        first, second = (torch.cat(rows) for rows in zip(*embedded, strict=True))
        return retrieval_of_views(first, second)

    def describe(self, found: Metrics, chance: Metrics, count: int) -> str:
        return describe_retrieval(found, chance, count)


def evaluate_each(
    objective: CrossModal | Masked | Contrast,
    model: DualEncoder | MaskedReconstruction | ImuContrast,
    batches: Mapping[str, Iterable[Any]],
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Metrics, Metrics, int]:
    """The report on the held-out windows of each dataset by itself; of several the mean over all their windows.

    Args:
        batches: name of a dataset -> batches of its held-out windows.

    Returns:
        What was found, chance, and the number of windows.
    """
    reports = []
    for name, of_dataset in batches.items():
        reports.append(objective.evaluate(model, of_dataset, device, dtype))
        _log.info("%s%s", f"  {name}:" if len(batches) > 1 else "", objective.describe(*reports[-1]))
    if len(reports) == 1:
        return reports[0]
    total = sum(count for *_, count in reports)
    found, chance = (
        {key: sum(report[which][key] * report[2] for report in reports) / total for key in reports[0][which]}
        for which in (0, 1)
    )
    return found, chance, total
