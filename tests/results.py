"""Results of runs as the commands write them, for tests of what is made of them."""

import json
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

DRAWS = {"file": "draws.json", "sha256": "d1"}


def dataset(name, simulated):
    return {"name": name, "simulated": simulated, "classes": [], "recordings": 3, "hours": 1.0, "settings": {}}


def pretrained(simulated):
    return {"file": "last.pt", "sha256": "c" * 64, "epoch": 1, "step": 9, "dataset": dataset("ego", simulated)}


def value(mean, std=0.01):
    return {"mean": mean, "std": std, "values": [mean] * 5}


def interval(mean, half=0.125):
    ends = {"low": mean - half, "high": mean + half, "groups": 8, "note": ""}
    return {"balanced_accuracy": ends, "macro_f1": ends}


def few_shot(simulated=True, encoder="pretrained", accuracy=(0.5, 0.75), pretraining=True, **changes):
    shots = {
        n: {
            "balanced_accuracy": value(a),
            "macro_f1": value(a - 0.1),
            "recall": [a] * len(changes.get("classes", "ab")),
            "confusion": [[1, 0], [0, 1]],
        }
        | {"interval": interval(a), "windows_sha256": changes.get("draws", DRAWS)["sha256"]}
        for n, a in zip(("10", "50"), accuracy, strict=True)
    }
    return {
        "command": "downstream",
        "simulated": simulated,
        "dataset": dataset("people", simulated),
        "checkpoint": pretrained(pretraining),
        "model": "imu_video_cross",
        "encoder": encoder,
        "mode": "lp",
        "groups": "subject",
        "classes": ["walking", "fall"],
        "held_out_per_class": 20,
        "held_out": "20 windows per class",
        "seen_in_pretraining": {"seen": False, "windows": 0, "why": ""},
        "copies_on_both_sides": [],
        "dropped_classes": {},
        "shortened_classes": {},
        "siblings_share": 0.0,
        "imu_pooling": None,
        "selected_epochs": None,
        "calibrate": "none",
        "detection": None,
        "paper_column": "",
        "chance": {"balanced_accuracy": 0.5, "macro_f1": 0.5},
        "majority": {"balanced_accuracy": 0.5, "macro_f1": 1 / 3},
        "shots": shots,
        "draws": DRAWS,
        "config": {"standardize": False},
        "seed": 0,
        "commit": "a" * 40 + "+changes",
    } | changes


def zero_shot(simulated=True, prototypes=True):
    means = {"balanced_accuracy": 0.61, "macro_f1": 0.62, "mrr": 0.63, "r@1": 0.64, "r@3": 0.65}
    return {
        "command": "zeroshot",
        "simulated": simulated or prototypes,
        "dataset": dataset("people", simulated),
        "prototypes_from": dataset("videos", prototypes),
        "checkpoint": pretrained(prototypes),
        "model": "imu_video_cross",
        "classes": ["walking", "fall"],
        "queries_per_class": [30, 12],
        "prototypes_per_class": 10,
        "metrics": {name: value(mean, 0.005) for name, mean in means.items()},
        "interval": interval(0.61),
        "recall": [0.7, 0.5],
        "seen_in_pretraining": {"seen": False, "windows": 0, "why": ""},
        "direction": "imu_to_video",
        "paper_column": "",
        "copies_left_out": [],
        "chance": {name: mean / 10 for name, mean in means.items()},
        "retrieval": {},
        "retrieval_chance": {},
        "majority": {"balanced_accuracy": 0.5, "macro_f1": 1 / 3},
        "window_s": 5.0,
        "config": {"bootstrap_share": 0.8, "min_coverage": 1.0, "windows_per_recording": "all", "query_subjects": None},
        "seed": 1,
        "commit": "b" * 40,
    }


def training(simulated=True):
    ways = {f"{way}/{name}": 0.4 for way in ("imu_to_video", "video_to_imu") for name in ("r@1", "r@5", "mrr")}
    return {
        "command": "train",
        "simulated": simulated,
        "dataset": "ego",
        "windows": 1440,
        "held_out": 80,
        "config": {"model": "imu_video_cross"},
        "loss": 1.234,
        "retrieval": ways,
        "chance": {"r@1": 0.0125, "r@5": 0.0625, "mrr": 0.062},
        "seed": 0,
        "commit": "b" * 40,
    }


def write(root, **runs):
    for name, results in runs.items():
        (root / name).mkdir(parents=True)
        (root / name / "results.json").write_text(json.dumps(results))
        (root / name / "config.yaml").write_text("")
        for picture in ("confusion.png", "loss.png"):
            write_picture(root / name / picture, name)


def write_picture(path: Path, text: str) -> None:
    """A PNG file that no other name gives."""
    shade = np.frombuffer(text.encode(), dtype=np.uint8)
    imsave(path, np.tile(shade, (4, 1)), cmap="gray", vmin=0, vmax=255)
