"""Frames decoded on the GPU: the loader's threads only read the JPEG bytes.

nvJPEG, which torchvision calls, scales the colour channels up in its own way: pixels differ from those decoded on the
host by a few of 255 where colours change.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg


def frame_decoder(decode_device: str, device: torch.device) -> torch.device | None:
    """The device that decodes frames; None where the loader's threads do.

    Args:
        decode_device: ``cpu`` or ``cuda``, as set.
        device: where the model is.

    Raises:
        ValueError: if a GPU is wanted and there is none.
    """
    if decode_device == "cpu":
        return None
    if device.type != "cuda":
        found = "" if torch.cuda.is_available() else ", and PyTorch finds no GPU here"
        raise ValueError(
            f"decode_device cuda: frames are decoded where the model is, which is on {device.type}{found}: use "
            "--decode_device cpu"
        )
    return device


def decode_frames(windows: Sequence[Sequence[bytes]], size: int, device: torch.device) -> Tensor:
    """Decode the frames of a batch.

    Args:
        windows: for each of B windows, F JPEG files.
        size: side of the square frames, pixels.
        device: that decodes, and holds the result.

    Returns:
        (B, F, size, size, 3) uint8.

    Raises:
        RuntimeError: if a frame is damaged, or of another size; it does not say which.
    """
    # a bytearray, because a tensor must be able to write to its memory
    files = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for frames in windows for data in frames]
    pixels = torch.stack(decode_jpeg(files, ImageReadMode.RGB, device))
    if pixels.shape[1:] != (3, size, size):
        raise RuntimeError(f"frames are {tuple(pixels.shape[1:])}, want 3 x {size} x {size}")
    return pixels.permute(0, 2, 3, 1).reshape(len(windows), -1, size, size, 3)
