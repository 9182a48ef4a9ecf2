"""The IMU encoder alone, as safetensors (https://github.com/huggingface/safetensors), which other programs read.

Tensors, and under ``imu_encoder`` of the metadata, as JSON, the settings that rebuild it and what it was trained on.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from utils import checkpoint
from utils.atomic_io import replacing

KIND = "imu_encoder"  # key of the metadata
PREFIX = "imu_encoder."  # of its weights in a pretraining checkpoint
FACTS = ("config", "dataset", "epoch", "step")  # what is kept beside the weights


def save_encoder(path: Path, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write weights and facts, plain values with ``FACTS`` among them; the file is there whole or not at all."""
    tensors = {name: value.contiguous() for name, value in state.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"format": "pt", KIND: json.dumps(facts)}))


def read_encoder(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights of the IMU encoder and what is known of it, from a pretraining checkpoint or from an encoder alone.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds no IMU encoder of this project.
    """
    if path.suffix != ".safetensors":
        payload = checkpoint.load(path, kind="pretrain")
        state = {k.removeprefix(PREFIX): v for k, v in payload["model"].items() if k.startswith(PREFIX)}
        return state, {name: payload[name] for name in FACTS if name in payload}
    if not path.is_file():
        raise checkpoint.CheckpointError(f"{path}: no such encoder")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise checkpoint.CheckpointError(
            f"{path}: is not a whole safetensors file ({error}): export it again"
        ) from error
    if KIND not in metadata:
        raise checkpoint.CheckpointError(f"{path}: was not written by scripts.export: it does not say how to build it")
    return state, json.loads(metadata[KIND])
