"""A checkpoint of a very small model, as train.py writes it, for tests of what comes after training."""

from pathlib import Path

import torch

from configs.training import TrainConfig
from datasets.store import Store
from models import DualEncoder, build_model
from utils import checkpoint

CONFIG = TrainConfig(
    dataset="wearers",
    video_weights="none",
    image_size=32,
    video_dim=16,
    video_layers=1,
    video_heads=2,
    video_ffn=32,
    imu_dim=16,
    imu_layers=1,
    imu_heads=2,
    imu_ffn=32,
    embed_dim=16,
)


def write_checkpoint(path: Path, store: Store, seed: int = 0) -> DualEncoder:
    """Save a model with random weights and return it, in eval mode.

    The weights are larger than those that training begins with, whose embeddings hardly depend on the input.
    """
    torch.manual_seed(seed)
    model = build_model(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(15)
    payload = {
        "kind": "pretrain",
        "config": CONFIG.model_dump(mode="json"),
        "video_config": model.video_encoder.config,
        "model": model.state_dict(),
        "step": 7,
        "epoch": 1,
        "dataset": store.fingerprint() | {"windows": "0"},
    }
    checkpoint.save(path, payload)
    return model.eval()
