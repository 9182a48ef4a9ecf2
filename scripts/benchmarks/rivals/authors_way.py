"""How the authors' code reads a window, for comparison: the same steps in the same order, in our own words.

It decodes all frames of the window with decord, draws ten and gives them to the image processor; or takes the decoded
frames from an npz file per window. Each window reads its whole recording's IMU, resamples, filters and z-scores it,
and cuts out five seconds.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.signal import medfilt, resample_poly
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from configs.constants import IMU_RATE_HZ, WINDOW_S, WINDOW_SAMPLES


def image_processor(size: int) -> Any:
    """VideoMAE's: scale the short side, cut out the middle, to floats, ImageNet mean and std."""
    from transformers import VideoMAEImageProcessor  # slow to import, and only some benchmarks need it
    from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    return VideoMAEImageProcessor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=IMAGENET_DEFAULT_MEAN,
        image_std=IMAGENET_DEFAULT_STD,
    )


def draw(frames: np.ndarray, clip_len: int) -> np.ndarray:
    """One frame at random from each of ``clip_len`` chunks; a remainder at the end is never drawn."""
    chunk = len(frames) // clip_len
    return frames[np.arange(clip_len) * chunk + np.random.randint(chunk, size=clip_len)]


def frames_from_video(video: Path, start_s: float, clip_len: int, processor: Any) -> Tensor:
    """(F, 3, S, S) float32 of a window, from the source video, with as many threads as the authors ask for.

    They win time by the clock where there are cores for them, and cost a quarter more CPU time than one.
    """
    from decord import VideoReader  # only where source video is read

    reader = VideoReader(str(video), num_threads=20)
    rate = reader.get_avg_fps()
    frames = reader.get_batch(range(round(start_s * rate), round((start_s + WINDOW_S) * rate))).asnumpy()
    return processor(list(draw(frames, clip_len)), return_tensors="pt")["pixel_values"][0]


def imu_from_csv(csv: Path, start_s: float, rate_hz: int) -> np.ndarray:
    """(6, 250) float32 of a window, from a recording's csv; its last six columns are the channels."""
    signal = pd.read_csv(csv).iloc[:, -6:].to_numpy(np.float32)
    return _window(resample_poly(signal, IMU_RATE_HZ, rate_hz, axis=0, padtype="line"), start_s)


def _window(signal: np.ndarray, start_s: float) -> np.ndarray:
    """Filter and z-score a whole (T, 6) recording at 50 Hz, and cut a window out of it."""
    filtered = np.apply_along_axis(medfilt, 0, signal, kernel_size=5).astype(np.float32)
    mean, std = filtered.mean(0), filtered.std(0)
    std[std == 0] = 1
    first = round(start_s * IMU_RATE_HZ)
    return ((filtered - mean) / std)[first : first + WINDOW_SAMPLES].T


class CachedWindows(Dataset):
    """The authors' best case: frames decoded before, IMU resampled before; the rest is done for each window.

    Args:
        npz: a file per window with (50, S, S, 3) uint8.
        imu: npy file of the recording, (T, 6) at 50 Hz.
        length: windows; more than there are files take them in turn.
    """

    def __init__(self, npz: list[Path], imu: Path, length: int, clip_len: int, processor: Any):
        self.npz, self.imu, self.length, self.clip_len, self.processor = npz, imu, length, clip_len, processor

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        place = index % len(self.npz)
        with np.load(self.npz[place]) as file:
            frames = file["arr_0"]
        video = self.processor(list(draw(frames, self.clip_len)), return_tensors="pt")["pixel_values"][0]
        return torch.from_numpy(_window(np.load(self.imu), place * WINDOW_S)), video


def worker_loader(dataset: Dataset, batch_size: int, workers: int) -> DataLoader:
    """Batches from worker processes, which go on living between epochs."""
    return DataLoader(dataset, batch_size, shuffle=True, num_workers=workers, persistent_workers=True, drop_last=True)
