"""Whether a run of a study is done: its folder holds a result of the settings, and of the encoder, of now."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from configs.load import ConfigError, read_yaml
from configs.study import PlannedRun, checkpoint_of
from utils.atomic_io import sha256_of

# Where a run lies and on what machine it computes makes no other run of it.
PLACES = {"data_root", "runs_root", "run_name", "checkpoint", "resume", "device", "num_workers", "report"}


def is_done(planned: PlannedRun, runs_root: Path) -> bool:
    """Whether the run's folder holds a result of these settings, and of the encoder that is there now.

    Raises:
        ConfigError: if a pretraining run is there with other settings: it may have cost days, so it is not overwritten.
    """
    folder = runs_root / planned.name
    asked = planned.settings
    if not (folder / "config.yaml").is_file():
        return False
    # What was measured may be of a later call than the folder's first config.yaml; training keeps to its first.
    finished = (folder / "results.json").is_file() and planned.command != "train"
    there = _results(folder)["config"] if finished else read_yaml(folder / "config.yaml")
    other = sorted(key for key in asked.keys() - PLACES if not alike(there.get(key), asked[key]))
    if other and planned.command == "train":
        key = other[0]
        raise ConfigError(
            f"{folder}: was trained with {key} {there.get(key)!r}, and the study asks for {asked[key]!r}"
            + (f" (and {len(other) - 1} more differ)" if len(other) > 1 else "")
            + ": remove the folder, or choose another --out"
        )
    if other or not (folder / "results.json").is_file() or other_class_map(_results(folder), asked):
        return False
    if not planned.needs:
        return True
    measured = _results(folder)["checkpoint"]["sha256"]
    encoder = checkpoint_of(runs_root, planned.needs[0])
    if not encoder.is_file():
        return False
    return sha256_of(encoder) == measured


def alike(there: Any, asked: Any) -> bool:
    """Equal settings; of a file elsewhere, results keep the name only."""
    if isinstance(there, str) and isinstance(asked, str):
        return PurePath(there).name == PurePath(asked).name
    return there == asked


def other_class_map(results: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether the class map says something else than when it was measured; older results do not say, and pass."""
    measured, file = results.get("class_map_sha256"), asked.get("class_map")
    if measured is None or file is None:
        return False
    return not Path(file).is_file() or sha256_of(Path(file)) != measured


def _results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))
