"""The IMU encoder alone on file: weights and the settings that rebuild it, without any video weights.

``.pt`` is a checkpoint like the others; ``.safetensors`` is what other programs read (https://github.com/huggingface/safetensors):
tensors, and under ``imu_encoder`` of its metadata the rest as JSON.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from utils import checkpoint
from utils.atomic_io import replacing

KIND = "imu_encoder"
PREFIX = "imu_encoder."  # of its weights in a pretraining checkpoint
FACTS = ("config", "dataset", "epoch", "step")  # what is kept beside the weights


def save_encoder(path: Path, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write weights and facts; the file is there whole or not at all.

    Args:
        path: ends in .pt or .safetensors.
        facts: plain values, ``FACTS`` among them.

    Raises:
        ValueError: if the name ends in neither.
    """
    if path.suffix == ".pt":
        checkpoint.save(path, {"kind": KIND, "imu_encoder": state} | facts)
    elif path.suffix == ".safetensors":
        tensors = {name: value.contiguous() for name, value in state.items()}
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt", KIND: json.dumps(facts)})
    else:
        raise ValueError(f"{path}: must end in .pt or .safetensors, which says how it is written")


def read_encoder(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights of the IMU encoder and what is known of it, from a pretraining checkpoint or from an encoder alone.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds no IMU encoder of this project.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    payload = checkpoint.load(path)
    if payload["kind"] == KIND:
        state = payload["imu_encoder"]
    elif payload["kind"] == "pretrain":
        state = {k.removeprefix(PREFIX): v for k, v in payload["model"].items() if k.startswith(PREFIX)}
    else:
        raise checkpoint.CheckpointError(
            f"{path}: holds a {payload['kind']!r} checkpoint, 'pretrain' or an encoder of scripts.export is needed"
        )
    return state, {name: payload[name] for name in FACTS if name in payload}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
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
