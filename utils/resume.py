"""Going on where a run stopped: which checkpoint, whether it is the same experiment, and the state of randomness."""

import logging
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.checkpoint import CheckpointError, newest_valid

_log = logging.getLogger(__name__)


def choose_checkpoint(resume: str, folder: Path) -> Path | None:
    """The checkpoint to go on from, or None to begin anew.

    Args:
        resume: ``none``, ``auto`` (the newest valid one of the folder, if there is any) or a file, of whatever run.
        folder: the run's checkpoints.

    Raises:
        CheckpointError: if an earlier run would be overwritten, or none of a run's checkpoints is whole.
    """
    there = any(folder.glob("*.pt"))
    if resume != "auto":
        if there:
            raise CheckpointError(
                f"{folder}: holds the checkpoints of an earlier run: go on with --resume auto, or choose another "
                "--run_name"
            )
        return None if resume == "none" else Path(resume)
    newest = newest_valid(folder)
    if there and newest is None:
        raise CheckpointError(f"{folder}: no checkpoint there is whole: remove the folder to begin anew")
    return newest


def check_same_experiment(
    payload: dict[str, Any],
    earlier: dict[str, Any],
    config: dict[str, Any],
    facts: dict[str, Any],
    free: Collection[str],
    path: Path,
) -> None:
    """Refuse to go on from a checkpoint of another experiment.

    A checkpoint that is older than a setting does not say what it was: it counts as today's default, with a warning.

    Args:
        payload: the checkpoint, with its ``config`` and ``facts``.
        earlier: settings of the run that wrote it, as plain values; those that its ``config`` lacks at their defaults.
        config: settings of this run.
        facts: what else must agree, by name, such as the windows that are trained on.
        free: names of settings that may differ.
        path: of the checkpoint, for the message.

    Raises:
        CheckpointError: naming what differs, both values and the remedy.
    """
    unsaid = [f"{name}, taken as {earlier[name]!r}" for name in earlier if name not in payload["config"].keys() | free]
    unsaid += [f"{name}, not compared" for name in facts if name not in payload["facts"]]
    if unsaid:
        _log.warning("%s: is older than this program and does not say %s", path, "; ".join(unsaid))
    differences = [
        f"{name} was {before[name]!r}, is {now[name]!r}"
        for before, now in ((earlier, config), (payload["facts"], facts))
        for name in sorted(before.keys() & now.keys())
        if name not in free and before[name] != now[name]
    ]
    if differences:
        raise CheckpointError(
            f"{path}: cannot be continued: {'; '.join(differences)}. Give the same as before, or start another run "
            "with another --run_name"
        )


class SaveTimer:
    """Says when the next checkpoint is due.

    Args:
        minutes: between checkpoints; infinite never says so.
    """

    def __init__(self, minutes: float):
        self._seconds = 60 * minutes
        self.saved()

    def saved(self) -> None:
        """A checkpoint was written just now."""
        self._since = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._since >= self._seconds


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """State of the generators that dropout draws from on this rank."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(
    states: Sequence[dict[str, torch.Tensor]], rank: int, world_size: int, seed: int, device: torch.device
) -> None:
    """Put this rank's generators back to where ``random_state`` found them; a GPU's is left alone if the run had none.

    Batches, frames and masks do not depend on the number of ranks. What each draws for dropout does: if there are
    more or fewer than when the checkpoint was written, it is drawn anew, which is said.

    Args:
        states: of every rank of the run that wrote the checkpoint.
        seed: of what is drawn anew.
    """
    if len(states) != world_size:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank, world_size]).generate_state(1)[0]))
        _log.warning("the checkpoint is of %d ranks, now there are %d: dropout is drawn anew", len(states), world_size)
        return
    state = states[rank]
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
