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
from utils.atomic_io import sha256_of
from utils.calibration import measured_calibration
from utils.detection import detection_chance, detection_facts, detection_scores
from utils.long_table import dataset_name, method
from utils.metrics import classification_chance, majority_baseline, metrics_over_draws
from utils.plots import detection_curves
from utils.results import interval_over_groups, prediction_table, write_results
from utils.run import write_json
from utils.tables import detected, shortened_classes, siblings_between

Predictions = dict[int, list[np.ndarray]]  # by number of shots: of each draw (fold) the classes of held-out windows
Scores = dict[int, list[np.ndarray]]  # the same of their scores, where an event is to be detected: higher is surer
Logits = dict[int, list[np.ndarray]]  # the same with (m, K) logits


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
    lines += detected(detection_facts(task.stretches)) if task.stretches else []
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
    scores: Scores | None,
    started: float,
    about: dict[str, Any],
    logits: Logits | None = None,
) -> dict[str, Any]:
    """Write draws.json, predictions.csv and results.json (of a detection detection.png), and print tables if asked.

    Args:
        folder: of the run.
        scores: of the windows, if an event is to be detected.
        started: ``time.perf_counter()`` at the start.
        about: the first keys of results.json: method, encoder, checkpoint.
        logits: of the predictions, where what predicts has them; calibration is measured on them.

    Returns:
        The content of results.json.
    """
    windows, classes, ids = task.windows, task.windows.classes, task.windows.ids()
    results = about | {"calibrate": config.calibrate} | _results(config, task, predictions, scores)
    content = {name: results[name] for name in ("dataset", "labels_from", "split")} | {"seed": config.seed}
    write_json(folder / "draws.json", content | {"draws": [draw.named(classes, ids) for draw in task.draws]})
    test = np.concatenate([draw.test for draw in task.draws])
    held_out, tables = windows.subset(test), []
    for shots, of_draws in predictions.items():
        table = prediction_table(held_out, np.concatenate(of_draws))
        table.insert(0, "shots", shots)
        table.insert(1, "draw", np.concatenate([np.full(len(draw.test), draw.number) for draw in task.draws]))
        if scores is not None:
            table["stretch"] = task.stretches.number_of(test)
            table["score"] = np.concatenate(scores[shots])
        if logits is not None:
            measured, probabilities = _calibration(task, logits[shots], config.target_accuracy)
            results["shots"][str(shots)]["calibration"] = measured
            table[[f"probability/{name}" for name in classes]] = probabilities.round(4)
        tables.append(table)
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False, lineterminator="\r\n")
    results["draws"] = {"file": "draws.json", "sha256": sha256_of(folder / "draws.json")}
    results = write_results(folder, config, results, started)
    if task.stretches:
        curves = {f"{shots} shots": row["curve"] for shots, row in results["shots"].items()}
        detection_curves(curves, folder / "detection.png", f"{dataset_name(results)}\n{method(results)}")
    return results


def _results(
    config: FewShotConfig, task: FewShotTask, predictions: Predictions, scores: Scores | None
) -> dict[str, Any]:
    """The part of results.json that all methods share."""
    windows, num_classes = task.windows, len(task.windows.classes)
    held_out = np.concatenate([draw.test for draw in task.draws])  # of all draws: of a short class each has its number
    truth = windows.label[held_out] if task.stretches is None else task.stretches.is_event.astype(np.int64)
    support = np.bincount(truth, minlength=num_classes)
    detection = {}
    if task.stretches:
        detection = {"detection": {"event": config.detect} | detection_facts(task.stretches)}
    return detection | {
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
        "chance": classification_chance(support) | (detection_chance(task.stretches) if task.stretches else {}),
        "majority": majority_baseline(support),
        "shots": {str(n): _measured(n, task, predictions[n], scores and scores[n]) for n in task.shots},
    }


def _measured(
    shots: int, task: FewShotTask, predictions: list[np.ndarray], scores: list[np.ndarray] | None
) -> dict[str, Any]:
    """Metrics over draws (folds of a draw together), their interval over groups, and a digest of the windows.

    Where an event is to be detected, recordings are classified: as an event if a window of theirs is. Two runs are
    comparable if their digests are equal: they have the same training and held-out windows.
    """
    num_classes, seed, ids = len(task.windows.classes), task.settings.seed, task.windows.ids()
    test, predicted = _of_draws(task, [draw.test for draw in task.draws]), _of_draws(task, predictions)
    truth, groups = [task.windows.label[own] for own in test], None
    if task.groups is not None:
        groups = [task.groups[own] for own in test]
    detection: dict[str, Any] = {"interval": {}}
    if stretches := task.stretches:
        predicted, scored = (
            [stretches.in_time(*own) for own in zip(test, of, strict=True)]
            for of in (predicted, _of_draws(task, scores))
        )
        detection = detection_scores(scored, stretches, seed)
        predicted = [stretches.highest(own) for own in predicted]
        truth = [stretches.is_event.astype(np.int64) for _ in test]
        groups = groups and [stretches.group for _ in test]
    together = (np.concatenate(truth), np.concatenate(predicted), groups and np.concatenate(groups))
    used = [[[ids[i] for i in side] for side in (draw.train(shots), draw.test)] for draw in task.draws]
    return (
        metrics_over_draws(truth, predicted, num_classes)
        | detection
        | {
            "interval": interval_over_groups(*together, num_classes, seed) | detection["interval"],
            "windows_sha256": hashlib.sha256(json.dumps(used).encode()).hexdigest(),
        }
    )


def _of_draws(task: FewShotTask, of_folds: list[np.ndarray]) -> list[np.ndarray]:
    """Of each draw what its folds give, end to end."""
    return [
        np.concatenate([own for own, draw in zip(of_folds, task.draws, strict=True) if draw.number == number])
        for number in range(task.settings.draws)
    ]


def _calibration(task: FewShotTask, logits: list[np.ndarray], target: float) -> tuple[dict[str, Any], np.ndarray]:
    """``measured_calibration`` of the held-out windows, folds of a draw together."""
    test = _of_draws(task, [draw.test for draw in task.draws])
    truth, wearers = ([values[own] for own in test] for values in (task.windows.label, task.wearers))
    return measured_calibration(_of_draws(task, logits), truth, wearers, target)
