"""How the authors' code trains, for comparison: the same steps in the same order, in our own words.

Worker processes decode all frames of each window from the source video, draw ten and put them through the image
processor to floats (``authors_way``); the step is eager: nothing compiled, attention written out, AdamW as PyTorch
chooses it; in fp16 with a scaled loss on a GPU, in fp32 on a CPU, where fp16 is no gain; the loss is read at every
step. Model and loss are ours, so that the loop alone is compared.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from configs.constants import WINDOW_S
from models import DualEncoder
from models.losses import contrastive_loss
from scripts.benchmarks.rivals import authors_way


class SourceWindows(Dataset):
    """Windows of one recording, each read from its source video and csv.

    Args:
        csv: IMU of the recording; see ``authors_way.imu_from_csv``.
        windows: in the recording; more than there are, up to ``length``, take them in turn.
    """

    def __init__(self, video: Path, csv: Path, csv_rate_hz: int, windows: int, length: int, clip_len: int, size: int):
        self.video, self.csv, self.csv_rate_hz, self.windows, self.length = video, csv, csv_rate_hz, windows, length
        self.clip_len, self.processor = clip_len, authors_way.image_processor(size)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start_s = index % self.windows * WINDOW_S
        imu = authors_way.imu_from_csv(self.csv, start_s, self.csv_rate_hz)
        return torch.from_numpy(imu), authors_way.frames_from_video(self.video, start_s, self.clip_len, self.processor)


class AuthorsTraining:
    """The model and its optimizer, and the loop that trains it.

    Args:
        model: a dual encoder with VideoMAE.
        loss: name of the contrastive loss.
    """

    def __init__(self, model: DualEncoder, loss: str, lr: float, device: torch.device):
        self.model, self.loss, self.device = model.to(device).train(), loss, device
        model.video_encoder.model.set_attn_implementation("eager")
        self.dtype = torch.float16 if device.type == "cuda" else torch.float32
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=1000)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    def embed(self, imu: Tensor, video: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 6, 250) and (B, F, 3, S, S) floats -> (B, D) and (B, D), unit norm."""
        tokens = self.model.video_encoder.model(pixel_values=video).last_hidden_state
        return self.model.embed_imu(imu), F.normalize(self.model.video_head(tokens.mean(1)).float(), dim=-1)

    def train(self, batches: Iterable[tuple[Tensor, Tensor]]) -> int:
        """A step for each batch; returns the number of windows."""
        windows, total = 0, 0.0
        for imu, video in batches:
            imu, video = imu.to(self.device), video.to(self.device)
            self.optimizer.zero_grad()
            with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.scaler.is_enabled()):
                z_imu, z_video = self.embed(imu, video)
                scale, bias = self.model.log_scale.exp(), self.model.bias
                loss = contrastive_loss(self.loss, z_imu, z_video, scale, bias)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.scheduler.step()
            total += loss.item()
            windows += len(imu)
        return windows
