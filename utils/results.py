"""What every results.json holds: the checkpoint that it measured, how far its numbers hold, and its settings."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils.atomic_io import sha256_of
from utils.encoder_file import read_encoder
from utils.metrics import balanced_accuracy, macro_f1
from utils.run import commit, write_json
from utils.statistics import UNKNOWN_GROUPS, bootstrap_interval, class_counts
from utils.tables import evaluation_tables

_ELSEWHERE = ("data_root", "runs_root", "checkpoint", "save_model")
STATISTICS = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}


def checkpoint_facts(path: Path) -> dict[str, Any]:
    """Digest of a checkpoint file, and what it says of its training; the name without folders.

    Raises:
        CheckpointError: if the file cannot be read.
    """
    _, facts = read_encoder(path)
    return {"file": path.name, "sha256": sha256_of(path)} | {name: facts[name] for name in ("epoch", "step", "dataset")}


def public_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they may be passed on: of files and folders of this machine the name, not where they lie.

    Args:
        settings: ``config.model_dump()``, whose paths are paths; one that starts in the project, such as
            ``configs/zeroshot/map.yaml``, says nothing of the machine and stays.
    """
    shown = dict(settings)
    for name, value in settings.items():
        if isinstance(value, Path):
            elsewhere = name in _ELSEWHERE or value.is_absolute() or ".." in value.parts
            shown[name] = value.name if elsewhere else str(value)
    return shown


def write_results(folder: Path, config: Any, results: dict[str, Any], started: float) -> dict[str, Any]:
    """Write results.json and print where it is, with ``--report`` below its tables.

    Args:
        folder: of the run.
        config: the command's settings.
        results: what was measured.
        started: ``time.perf_counter()`` at the start.

    Returns:
        The content of results.json: what was measured, seed, commit, settings, digest of the class map and seconds.
    """
    settings, seconds = public_settings(config.model_dump()), round(time.perf_counter() - started, 2)
    results = results | {"seed": config.seed, "commit": commit(), "config": settings}
    results |= {"class_map_sha256": config.class_map and sha256_of(config.class_map), "seconds": seconds}
    write_json(folder / "results.json", results)
    if config.report:
        print(evaluation_tables(results))
    print(f"results: {folder / 'results.json'}")
    return results


def prediction_table(windows: Any, predicted: np.ndarray) -> pd.DataFrame:
    """predictions.csv: of each window its name, subject, session, true class and, from (W,) numbers, predicted class.

    Args:
        windows: with ``ids()``, ``classes``, ``label``, ``subject`` and ``session``.
    """
    names, columns = np.array(windows.classes), {"subject": windows.subject, "session": windows.session}
    return pd.DataFrame(
        {"window": windows.ids(), **columns, "truth": names[windows.label], "predicted": names[predicted]}
    )


def interval_over_groups(
    truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray | None, num_classes: int, seed: int
) -> dict[str, dict[str, Any]]:
    """95 % bootstrap intervals over groups, see ``bootstrap_interval``; no ends, and a reason, where groups are few.

    Args:
        truth: (A,) integer classes of all predictions.
        predicted: (A,) integer classes.
        groups: (A,) names of people or sessions; None where they are unknown.

    Returns:
        ``{metric: {"low", "high", "groups", "note"}}``
    """
    if groups is None:
        return {name: asdict(UNKNOWN_GROUPS) for name in STATISTICS}
    counts = class_counts(truth, predicted, groups, num_classes)
    return {name: asdict(bootstrap_interval(counts, how, seed)) for name, how in STATISTICS.items()}
