"""A very small classifier with random weights, for tests of what applies one."""

import numpy as np
import torch

from configs.training import TrainConfig
from models import build_imu_encoder
from models.classifier import Classifier, ClassifierFacts

SMALL = {"patchtst": {"imu_dim": 16, "imu_layers": 1, "imu_heads": 2, "imu_ffn": 32}, "conv": {}, "conv_gru": {}}


def small_classifier(encoder: str = "patchtst", normalize: str = "dataset", seed: int = 0, **settings) -> Classifier:
    """Of the classes sit, walk and turn, whose answers depend on the window."""
    config = TrainConfig(dataset="wearers", imu_encoder=encoder, normalize=normalize, **SMALL[encoder] | settings)
    torch.manual_seed(seed)
    model = build_imu_encoder(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(15)
    kept = {name: value for name, value in config.model_dump(mode="json").items() if name.startswith("imu_")}
    facts = ClassifierFacts(
        classes=["sit", "walk", "turn"],
        window_s=config.window_s,
        normalize=normalize,
        encoder={"dataset": "wearers", "window_s": config.window_s, "normalize": normalize} | kept,
        temperature=2.0,
        threshold=0.0,
        prior=[1 / 3] * 3,
        rates_per_s=(0.1 * (np.full((3, 3), 0.5) - 1.5 * np.eye(3))).tolist(),
        simulated=True,
        trained_on={},
    )
    head = torch.randn(3, model.dim) / model.dim**0.5
    mean, std = torch.tensor([0, 0, 9.81, 0, 0, 0]), torch.tensor([3.0, 2, 4, 1, 2, 1])
    return Classifier(facts, model, head, torch.zeros(3), mean, std)
