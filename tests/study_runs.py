"""A study whose runs are written, not computed: results of every planned in the form that the commands write."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from configs.study import BETWEEN, PlannedRun, Study, planned_runs
from tests.results import dataset, interval, pretrained, training, value, write_picture
from utils.metrics import classification_chance, majority_baseline, metrics_over_draws

CLASSES = {"MMEA": ["walking", "downstairs", "standing", "fall"], "PD": ["walking", "turning", "sitting"]}
DRAWS, HELD_OUT, SESSIONS = 5, 20, 8
Accuracy = Callable[[PlannedRun, int], float]


def write_runs(study: Study, runs: Path, accuracy: Accuracy, leave_out: tuple[str, ...] = (), simulated: bool = True):
    """Write a run folder for every planned but those left out."""
    for planned in planned_runs(study, Path("data"), runs):
        if planned.name not in leave_out:
            results = make_results(study, planned, accuracy, runs / planned.name, simulated)
            (runs / planned.name / "results.json").write_text(json.dumps(results))
            (runs / planned.name / "config.yaml").write_text("")


def make_results(study: Study, planned: PlannedRun, accuracy: Accuracy, folder: Path, simulated: bool) -> dict:
    """results.json of a planned; its pictures and answers are written on the way."""
    folder.mkdir(parents=True)
    config = planned.settings
    name = BETWEEN.join(study.datasets[role] for role in planned.dataset_role.split(BETWEEN))
    if planned.command == "train":
        write_picture(folder / "loss.png", planned.name)
        alone = "imu_only" in planned.name
        masked = {"retrieval": {}, "reconstruction": {"masked_mse": 0.3}, "chance": {"masked_mse": 1.0}}
        return training(simulated) | {"dataset": name, "config": config} | (masked if alone else {})
    checkpoint = None
    if planned.needs:
        parts = [dataset(study.datasets[role], simulated) for role in study.pretraining[planned.needs[0]].roles]
        several = {"name": BETWEEN.join(part["name"] for part in parts), "simulated": simulated, "parts": parts}
        checkpoint = pretrained(simulated) | {"dataset": several if len(parts) > 1 else parts[0]}
    shared = {
        "command": planned.command,
        "simulated": simulated,
        "dataset": dataset(name, simulated),
        "checkpoint": checkpoint,
        "model": "imu_video_cross",
        "classes": CLASSES[planned.dataset_role],
        "seed": config["seed"],
        "seen_in_pretraining": {"seen": False, "windows": 0, "why": ""},
        "paper_column": "",
        "window_s": 5.0,
        "commit": "a" * 40,
        "config": config,
    }
    write_picture(folder / "confusion.png", planned.name)
    if planned.command == "zeroshot":
        shared |= {"direction": config["direction"], "copies_left_out": []}
        return shared | zero_shot_part(accuracy(planned, 0), len(shared["classes"]), simulated)
    return shared | few_shot_part(planned, accuracy, config, folder)


def zero_shot_part(mean: float, num_classes: int, simulated: bool) -> dict:
    """Metrics around a mean."""
    names = {"balanced_accuracy": 0, "macro_f1": -0.01, "mrr": 0.2, "r@1": 0.005, "r@3": 0.3}
    support = np.full(num_classes, 30)
    right = round(30 * mean)
    ways = ("imu_to_video", "video_to_imu")
    return {
        "retrieval": {f"{way}/{rank}": mean * more for way in ways for rank, more in (("r@1", 0.5), ("r@5", 0.9))},
        "retrieval_chance": {"r@1": 0.01, "r@5": 0.05},
        "confusion": (np.eye(num_classes, k=1) * (30 - right) + np.eye(num_classes) * right).astype(int).tolist(),
        "prototypes_from": dataset("videos", simulated),
        "queries_per_class": support.tolist(),
        "prototypes_per_class": 10,
        "metrics": {name: value(mean + more, 0.01) for name, more in names.items()},
        "chance": classification_chance(support) | {"mrr": 0.5, "r@1": 0.25, "r@3": 0.75},
        "majority": majority_baseline(support) | {"r@1": 0.25},
        "interval": interval(mean),
        "recall": [mean] * num_classes,
    }


def measured(truth: np.ndarray, predictions: list[np.ndarray], num_classes: int, windows: str) -> dict:
    """One number of shots."""
    metrics = metrics_over_draws([truth] * len(predictions), predictions, num_classes)
    same = {"windows_sha256": windows}
    return metrics | same | {"interval": interval(metrics["balanced_accuracy"]["mean"])}


def few_shot_part(planned: PlannedRun, accuracy: Accuracy, config: dict, folder: Path) -> dict:
    """Metrics of answers of which a share is right, and these answers as a file."""
    names = CLASSES[planned.dataset_role]
    num_classes, support = len(names), np.full(len(names), HELD_OUT)
    truth = np.repeat(np.arange(num_classes), HELD_OUT)
    answered, rows = {}, []
    for shots in config["shots"]:
        rng = np.random.default_rng([shots, *planned.name.encode()])
        answered[shots] = []
        for draw in range(DRAWS):
            right = rng.random(len(truth)) < accuracy(planned, shots)
            predicted = np.where(right, truth, (truth + 1) % num_classes)
            answered[shots].append(predicted)
            rows += [
                [shots, draw, f"rec{k % SESSIONS}@{draw}-{k}", "", f"day{k % SESSIONS}", names[t], names[p]]
                for k, (t, p) in enumerate(zip(truth, predicted, strict=True))
            ]
    with open(folder / "predictions.csv", "w", newline="") as file:
        csv.writer(file).writerows([["shots", "draw", "window", "subject", "session", "truth", "predicted"], *rows])
    windows = f"{planned.dataset_role} {config['split']} {config['shots']}"
    results = {
        "encoder": {"random": "random", "supervised": "random", "handcrafted": "none"}.get(
            planned.approach, "pretrained"
        ),
        "mode": config.get("mode", "features"),
        "features": config.get("features"),
        "head": config.get("head"),
        "calibrate": config["calibrate"],
        "split": config["split"],
        "groups": "window",
        "held_out_per_class": HELD_OUT,
        "held_out": f"{HELD_OUT} windows per class",
        "copies_on_both_sides": [],
        "dropped_classes": {},
        "shortened_classes": {},
        "siblings_share": 0.0,
        "imu_pooling": None,
        "selected_epochs": None,
        "chance": classification_chance(support),
        "majority": majority_baseline(support),
        "shots": {str(n): measured(truth, answered[n], num_classes, windows) for n in config["shots"]},
        "draws": {"file": "draws.json", "sha256": hashlib.sha256(windows.encode()).hexdigest()},
    }
    if config.get("detect"):
        results["chance"] |= {"sensitivity_at_1_per_h": 0.01, "auprc": 0.2}
        facts = {"events": 9, "other_recordings": 20, "hours": 2.0, "least_rate_per_h": 0.5}
        results["detection"] = {"event": config["detect"]} | facts
        for shots, row in results["shots"].items():
            mean = accuracy(planned, int(shots))
            row |= {"sensitivity_at_1_per_h": value(mean - 0.2, 0.02), "auprc": value(mean, 0.01)}
    return results
