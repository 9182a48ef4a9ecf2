"""What every few-shot evaluation reports: its windows, its predictions and how good they are."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from datasets.protocols.few_shot import Protocol
from datasets.protocols.splits import paper_column
from utils.metrics import classification_chance, majority_baseline, metrics_over_draws
from utils.results import interval_over_groups
from utils.run import write_json
from utils.tables import shortened_classes, siblings_between

Predictions = dict[int, list[np.ndarray]]  # by number of shots, for each draw (fold) of its held-out windows


def describe(protocol: Protocol) -> str:
    """What is measured, and what a reader must know of it, in lines."""
    windows, leaks = protocol.windows, protocol.siblings > 0
    draws, most = len({draw.number for draw in protocol.draws}), max(protocol.shots)
    name = windows.store.root.name
    lines = [
        f"{name}: {len(windows)} windows of {len(windows.classes)} classes; {len(protocol.used)} are drawn, "
        f"in {draws} draws x {len(protocol.shots)} numbers of shots, split by {protocol.kept_apart}"
        + (f", {100 * protocol.siblings:.1f} % of the held-out windows with a sibling among the shots" if leaks else "")
    ]
    if column := paper_column([*windows.classes, *protocol.dropped]):
        lines.append(column)
    lines += [f"class left out: {name} ({why})" for name, why in protocol.dropped.items()]
    lines += shortened_classes(protocol.shortened())
    if leaks:
        found = siblings_between(protocol.siblings, most)
        lines.append(f"WARNING: {found}; --split recording keeps recordings apart")
    if protocol.copies:
        lines.append(f"WARNING: {len(protocol.copies)} held-out windows hold the same samples as windows to learn from")
    return "\n".join(lines)


def write_protocol(path: Path, protocol: Protocol) -> dict[str, str]:
    """Write the windows of every draw; name and digest of the file: equal digests, equal windows."""
    windows = protocol.windows
    content = {"dataset": windows.store.fingerprint(), "split": protocol.split, "seed": protocol.seed}
    content["draws"] = [draw.named(windows.classes, windows.ids()) for draw in protocol.draws]
    write_json(path, content)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def write_predictions(path: Path, protocol: Protocol, predictions: Predictions) -> None:
    """Write the prediction for every held-out window of every draw, for statistics over people and windows."""
    windows, ids = protocol.windows, protocol.windows.ids()
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["shots", "draw", "window", "subject", "session", "truth", "predicted"])
        for shots, of_draws in predictions.items():
            for draw, predicted in zip(protocol.draws, of_draws, strict=True):
                for i, p in zip(draw.test, predicted, strict=True):
                    names = (windows.subject[i], windows.session[i], windows.classes[windows.label[i]])
                    table.writerow([shots, draw.number, ids[i], *names, windows.classes[p]])


def few_shot_results(protocol: Protocol, predictions: Predictions) -> dict[str, Any]:
    """The part of results.json that does not depend on what made the predictions."""
    windows, draws = protocol.windows, protocol.draws
    num_classes = len(windows.classes)
    first = [t for draw, t in zip(draws, protocol.truth(), strict=True) if draw.number == 0]  # all draws hold out alike
    support = np.bincount(np.concatenate(first), minlength=num_classes)
    per_class = protocol.held_out
    return {
        "simulated": windows.store.simulated,
        "dataset": windows.store.fingerprint(),
        "split": protocol.split,
        "groups": protocol.kept_apart,
        "classes": list(windows.classes),
        "paper_column": paper_column([*windows.classes, *protocol.dropped]),
        "dropped_classes": protocol.dropped,
        "shortened_classes": protocol.shortened(),
        "windows_per_class": np.bincount(windows.label, minlength=num_classes).tolist(),
        "held_out_per_class": per_class,
        "held_out": "all windows of each group in turn" if per_class is None else f"{per_class} windows per class",
        "copies_on_both_sides": protocol.copies,
        "siblings_share": protocol.siblings,
        "chance": classification_chance(support),
        "majority": majority_baseline(support),
        "shots": {str(n): _measured(n, protocol, predictions[n]) for n in protocol.shots},
    }


def _measured(shots: int, protocol: Protocol, predictions: list[np.ndarray]) -> dict[str, Any]:
    """Metrics over draws (folds of a draw together), their interval over groups, and a digest of the windows.

    Two runs compare if their digests are equal: they learnt from the same windows and predicted the same windows.
    """
    numbers = sorted({draw.number for draw in protocol.draws})
    truth, predicted = (
        [np.concatenate([a for d, a in zip(protocol.draws, each, strict=True) if d.number == n]) for n in numbers]
        for each in (protocol.truth(), predictions)
    )
    ids = protocol.windows.ids()
    used = [[[ids[i] for i in side] for side in (draw.train(shots), draw.test)] for draw in protocol.draws]
    groups = None
    if protocol.groups is not None:
        groups = np.concatenate([protocol.groups[draw.test] for draw in protocol.draws])
    num_classes = len(protocol.windows.classes)
    truth_of_all, predicted_of_all = np.concatenate(truth), np.concatenate(predicted)
    return metrics_over_draws(truth, predicted, num_classes) | {
        "interval": interval_over_groups(truth_of_all, predicted_of_all, groups, num_classes, protocol.seed),
        "windows_sha256": hashlib.sha256(json.dumps(used).encode()).hexdigest(),
    }
