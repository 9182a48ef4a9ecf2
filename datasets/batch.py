"""A batch of windows on the host, in buffers that are used again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from configs.constants import WINDOW_SAMPLES


class Slot:
    """The buffers of one batch. They are filled again only when the batch's copy to the device has ended."""

    def __init__(self, batch: int, frames: int, size: int, pin: bool):
        self.imu = torch.empty(batch, 6, WINDOW_SAMPLES, pin_memory=pin)
        self.video = torch.empty(batch, frames, size, size, 3, dtype=torch.uint8, pin_memory=pin)
        self.copied: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Until the copy to the device has ended, if there is one."""
        if self.copied is not None:
            self.copied.synchronize()
            self.copied = None


@dataclass(frozen=True)
class Batch:
    """A batch on the host; its tensors are overwritten once the next batch has been asked for.

    Attributes:
        imu: (B, 6, 250) float32.
        video: (B, F, S, S, 3) uint8, the frames that are used; F is 0 without video.
        index: (B,) int64 positions in the loader's windows.
    """

    imu: Tensor
    video: Tensor
    index: Tensor
    _slot: Slot

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """IMU and video on a device. On a GPU the copy runs beside the computation."""
        if device.type != "cuda":
            return self.imu.to(device), self.video.to(device)
        imu, video = self.imu.to(device, non_blocking=True), self.video.to(device, non_blocking=True)
        self._slot.copied = torch.cuda.Event()
        self._slot.copied.record()
        return imu, video
