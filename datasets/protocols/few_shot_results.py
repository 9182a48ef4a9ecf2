"""Files and tables of every few-shot evaluation: its windows, predictions and metrics."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.evaluation import FewShotConfig
from datasets.protocols.classes import paper_column
from datasets.protocols.few_shot import FewShotTask
from utils.metrics import classification_chance, majority_baseline, metrics_over_draws
from utils.results import interval_over_groups, prediction_table, write_results
from utils.run import write_json
from utils.tables import shortened_classes, siblings_between

Predictions = dict[int, list[np.ndarray]]  # by number of shots: of each draw (fold) the classes of held-out windows


def describe(task: FewShotTask) -> str:
    """Windows, draws and warnings of an evaluation, one per line."""
    windows = task.windows
    datasets = " to ".join(part.store.name for part in task.parts)
    lines = [
        f"{datasets}: {len(windows)} windows of {len(windows.classes)} classes; {len(task.used)} are drawn, in "
        f"{task.settings.draws} draws x {len(task.shots)} numbers of shots, split by {task.kept_apart}"
    ]
    lines += filter(None, [windows.describe_too_short(), paper_column([*windows.classes, *task.dropped])])
    lines += [f"class left out: {name} ({why})" for name, why in task.dropped.items()]
    lines += shortened_classes(task.shortened())
    if task.siblings:
        found = siblings_between(task.siblings, task.settings.shots)
        lines.append(f"WARNING: {found}; --split recording keeps recordings apart")
    if task.copies:
        lines.append(f"WARNING: {len(task.copies)} held-out windows hold the same samples as training windows")
    return "\n".join(lines)


def write_few_shot(
    folder: Path,
    config: FewShotConfig,
    task: FewShotTask,
    predictions: Predictions,
    started: float,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Write draws.json, predictions.csv and results.json, and print the tables if asked.

    Args:
        folder: of the run.
        started: ``time.perf_counter()`` at the start.
        about: the first keys of results.json: method, encoder, checkpoint.

    Returns:
        The content of results.json.
    """
    windows, classes, ids = task.windows, task.windows.classes, task.windows.ids()
    tested, gives = task.parts[-1].store, task.parts[0].store
    content = {"dataset": tested.fingerprint(), "labels_from": gives.fingerprint()}
    content |= {"split": task.split, "seed": config.seed}
    write_json(folder / "draws.json", content | {"draws": [draw.named(classes, ids) for draw in task.draws]})
    held_out = windows.subset(np.concatenate([draw.test for draw in task.draws]))
    tables = [prediction_table(held_out, np.concatenate(of_draws)) for of_draws in predictions.values()]
    for shots, table in zip(predictions, tables, strict=True):
        table.insert(0, "shots", shots)
        table.insert(1, "draw", np.concatenate([np.full(len(draw.test), draw.number) for draw in task.draws]))
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False, lineterminator="\r\n")
    digest = hashlib.sha256((folder / "draws.json").read_bytes()).hexdigest()
    about = about | {"calibrate": config.calibrate}
    results = about | _results(task, predictions) | {"draws": {"file": "draws.json", "sha256": digest}}
    return write_results(folder, config, results, started)


def _results(task: FewShotTask, predictions: Predictions) -> dict[str, Any]:
    """The part of results.json that all methods share."""
    windows, num_classes = task.windows, len(task.windows.classes)
    first = np.concatenate([draw.test for draw in task.draws if draw.number == 0])  # all draws hold out as many
    support = np.bincount(windows.label[first], minlength=num_classes)
    return {
        "simulated": any(part.store.simulated for part in task.parts),
        "dataset": task.parts[-1].store.fingerprint(),
        "labels_from": task.parts[0].store.fingerprint(),
        "split": task.split,
        "groups": task.kept_apart,
        "classes": list(windows.classes),
        "paper_column": paper_column([*windows.classes, *task.dropped]),
        "dropped_classes": task.dropped,
        "shortened_classes": task.shortened(),
        "window_s": windows.window_s,
        "windows_per_class": np.bincount(windows.label, minlength=num_classes).tolist(),
        "held_out_per_class": task.settings.held_out or None,
        "held_out": task.held_out,
        "copies_on_both_sides": task.copies,
        "siblings_share": task.siblings,
        "chance": classification_chance(support),
        "majority": majority_baseline(support),
        "shots": {str(n): _measured(n, task, predictions[n]) for n in task.shots},
    }


def _measured(shots: int, task: FewShotTask, predictions: list[np.ndarray]) -> dict[str, Any]:
    """Metrics over draws (folds of a draw together), their interval over groups, and a digest of the windows.

    Two runs are comparable if their digests are equal: they have the same training and held-out windows.
    """
    test, predicted = np.concatenate([draw.test for draw in task.draws]), np.concatenate(predictions)
    truth, groups = task.windows.label[test], None if task.groups is None else task.groups[test]
    number = np.concatenate([np.full(len(draw.test), draw.number) for draw in task.draws])
    ends = np.flatnonzero(np.diff(number)) + 1  # of each draw
    num_classes, ids = len(task.windows.classes), task.windows.ids()
    used = [[[ids[i] for i in side] for side in (draw.train(shots), draw.test)] for draw in task.draws]
    return metrics_over_draws(np.split(truth, ends), np.split(predicted, ends), num_classes) | {
        "interval": interval_over_groups(truth, predicted, groups, num_classes, task.settings.seed),
        "windows_sha256": hashlib.sha256(json.dumps(used).encode()).hexdigest(),
    }
