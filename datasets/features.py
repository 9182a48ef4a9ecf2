"""Batches with what a frozen video encoder made of the frames, so that no frame is read.

Letters: K draws, W windows, B windows of a batch, D features of the video encoder.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from datasets.loader import PairLoader
from datasets.prefetch import Batch, Slot
from datasets.store import joint_fingerprint


class FeatureLoader(PairLoader):
    """The batches of another loader, in which ``video`` is the encoder's (B, D) output instead of frames.

    Args:
        loader: whose windows, order and draws these are.
        features: (K, W, D) float32, of each of its draws.
    """

    def __init__(self, loader: PairLoader, features: np.ndarray):
        super().__init__(loader.windows, replace(loader.settings, clip_len=0, frames_used=None))
        self._features = features

    def _unread(self, slot: Slot, rows: np.ndarray, epoch: int) -> torch.Tensor:
        return torch.from_numpy(self._features[(self.draw_of(epoch) or 1) - 1, rows])


def draws(loader: PairLoader) -> list[int | None]:
    """The draws whose features a loader needs: K numbers, or None alone for middle frames."""
    return list(range(1, loader.settings.draws + 1)) if loader.settings.train else [None]


def in_order(loader: PairLoader, draw: int | None, batch_size: int) -> Iterator[Batch]:
    """This rank's share of all windows of a loader, each once, with the frames of one draw.

    Raises:
        FrameError: if frames cannot be read: features have no place for another window.
    """
    once = {"train": False, "leave_out": False, "draws": None, "only_draw": draw, "batch_size": batch_size}
    return PairLoader(loader.windows, replace(loader.settings, **once)).epoch(0)


def facts_of(loader: PairLoader) -> dict[str, Any]:
    """What the frames of a loader's windows follow from, in all of its draws, as plain values."""
    settings, places = loader.settings, hashlib.sha256("\n".join(loader.windows.ids()).encode())
    for draw in draws(loader):
        for placed in loader.placed(draw or 0).parts:
            for values in (placed.start, np.zeros(0) if placed.speed is None else placed.speed):
                places.update(np.ascontiguousarray(values).tobytes())
    dataset = joint_fingerprint([windows.store for windows in loader.windows.parts])
    facts = {"dataset": dataset, "places": places.hexdigest(), "draws": draws(loader)}
    return facts | {"seed": settings.seed, "clip_len": settings.clip_len, "frames": list(settings.frames_used)}
