"""Resuming a run: which checkpoint, whether it is the same experiment, and the state of the random generators."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.checkpoint import CheckpointError, load, load_weights, newest_valid
from utils.distributed import Ranks

# What a resumed run may set anew; anything else would make it another experiment.
FREE_ON_RESUME = frozenset(
    ("resume", "run_name", "runs_root", "data_root", "num_workers", "device", "max_steps", "micro_batch_size")
    + ("save_interval", "save_minutes", "eval_interval", "log_interval", "video_cache", "video_cache_gb")
)
_log = logging.getLogger(__name__)


def choose_checkpoint(resume: str, folder: Path) -> Path | None:
    """The checkpoint to resume from, or None to start from scratch.

    Args:
        resume: ``none``, ``auto`` (the newest valid one of the folder, if there is any) or a file, of whatever run.
        folder: the run's checkpoints.

    Raises:
        CheckpointError: if another run would be overwritten, or none of a run's checkpoints is whole.
    """
    there = any(folder.glob("*.pt"))
    if resume != "auto":
        if there:
            raise CheckpointError(
                f"{folder}: holds the checkpoints of another run: resume it with --resume auto, or choose another "
                "--run_name"
            )
        return None if resume == "none" else Path(resume)
    newest = newest_valid(folder)
    if there and newest is None:
        raise CheckpointError(f"{folder}: no checkpoint there is whole: remove the folder to start from scratch")
    return newest


def restore(
    path: Path,
    config: dict[str, Any],
    facts: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    ranks: Ranks,
) -> dict[str, Any]:
    """Put model, optimizer, scaler and random generators back to a checkpoint's state; returns the checkpoint.

    Args:
        config: settings of this run, as plain values; those of ``FREE_ON_RESUME`` may differ from the checkpoint's.
        facts: what else must agree, by name, such as the windows that are trained on.

    Raises:
        CheckpointError: if the file cannot be used, or is of another experiment, naming what differs.
    """
    payload = load(path, kind="pretrain")
    differences = [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for before, now in ((payload["config"], config), (payload["facts"], facts))
        for name in sorted((before.keys() | now.keys()) - FREE_ON_RESUME)
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise CheckpointError(
            f"{path}: cannot be continued: {'; '.join(differences)}. Give the same as before, or start another run "
            "with another --run_name"
        )
    load_weights(model, payload["model"], path)
    optimizer.load_state_dict(payload["optimizer"])
    scaler.load_state_dict(payload["scaler"])
    seed = config["seed"] + payload["step"]
    restore_random_state(payload["random_state"], ranks.rank, ranks.world_size, seed, ranks.device)
    return payload


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """State of the generators that dropout draws from on this rank."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(
    states: Sequence[dict[str, torch.Tensor]], rank: int, world_size: int, seed: int, device: torch.device
) -> None:
    """Restore this rank's generators to what ``random_state`` returned; a GPU's is left alone if the run had none.

    Batches, frames and masks do not depend on the number of ranks, dropout does: if the checkpoint was written by
    another number of ranks, its generators are seeded again, with a warning.

    Args:
        states: of every rank of the run that wrote the checkpoint.
        seed: for another number of ranks.
    """
    if len(states) != world_size:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank, world_size]).generate_state(1)[0]))
        _log.warning(
            "the checkpoint is of %d ranks, now there are %d: dropout is seeded again", len(states), world_size
        )
        return
    state = states[rank]
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
