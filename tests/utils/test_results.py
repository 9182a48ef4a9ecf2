"""What results say of themselves: how far they hold, which checkpoint, and nothing of where it lies."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from utils.results import interval_over_groups, public_settings


def predictions(num_groups, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(3), num_groups * 5)
    groups = np.repeat([f"subject {g}" for g in range(num_groups)], 15)
    skill = np.repeat(rng.uniform(0.3, 0.9, num_groups), 15)
    return truth, np.where(rng.random(len(truth)) < skill, truth, rng.integers(0, 3, len(truth))), groups


def test_interval_is_of_people_resampled_with_their_windows():
    truth, predicted, groups = predictions(12)
    found = interval_over_groups(truth, predicted, groups, 3, seed=0)["balanced_accuracy"]
    rng, names, values = np.random.default_rng(1), np.unique(groups), []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(groups == name) for name in rng.choice(names, len(names))])
        values.append(balanced_accuracy_score(truth[rows], predicted[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    assert found["groups"] == 12 and found["note"] == ""
    # ours is the expanded interval: wider by sqrt(12 / 11) * t / z = 1.17
    assert (found["high"] - found["low"]) / (high - low) == pytest.approx(1.17, abs=0.08)
    assert found["low"] < balanced_accuracy_score(truth, predicted) < found["high"]


def test_few_or_unknown_groups_have_no_interval_and_a_reason():
    for metric in ("balanced_accuracy", "macro_f1"):
        few = interval_over_groups(*predictions(4), 3, seed=0)[metric]
        assert few == {"low": None, "high": None, "groups": 4, "note": "no interval: 4 groups, fewer than 5"}
        truth, predicted, _ = predictions(4)
        unknown = interval_over_groups(truth, predicted, None, 3, seed=0)[metric]
        assert unknown["low"] is None and "neither subject nor session" in unknown["note"]
        assert interval_over_groups(*predictions(5), 3, seed=0)[metric]["low"] is not None


def test_settings_go_out_without_folders_of_this_machine():
    settings = {
        "data_root": Path("../private/data"),
        "checkpoint": Path("/home/somebody/runs/last.pt"),
        "save_model": None,
        "class_map": Path("configs/zeroshot/map.yaml"),
        "runs_root": Path("runs"),
        "seed": 3,
        "shots": [1, 2],
    }
    assert public_settings(settings) == {
        **{"data_root": "data", "checkpoint": "last.pt", "save_model": None, "class_map": "configs/zeroshot/map.yaml"},
        **{"runs_root": "runs", "seed": 3, "shots": [1, 2]},
    }
    assert public_settings({"class_map": Path("/home/somebody/map.yaml")}) == {"class_map": "map.yaml"}
    assert public_settings({"class_map": Path("../other/map.yaml")}) == {"class_map": "map.yaml"}
