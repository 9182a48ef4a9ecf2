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
                parameter.mul_(15 if encoder == "patchtst" else 1)  # what comes out hardly depends on windows else
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
    mean, std = torch.tensor([0, 0, 9.81, 0, 0, 0]), torch.tensor([3.0, 2, 4, 1, 2, 1])
    head = torch.randn(3, model.dim)
    loud = mean[:, None] + std[:, None] * torch.rand(64, 1, 1) * torch.randn(64, 6, config.window_samples)
    with torch.no_grad():
        logits = Classifier(facts, model, head, torch.zeros(3), mean, std)(loud, mean, std)
    return Classifier(facts, model, head / logits.std(0)[:, None], -logits.mean(0) / logits.std(0), mean, std)
