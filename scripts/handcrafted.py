"""Few-shot evaluation without an encoder: handcrafted features of each window and a random forest.

    python -m scripts.handcrafted --config configs/downstream/classyglass.yaml --report

It learns from the same windows as ``downstream.py`` with the same settings, and predicts the same windows, so that it
is a row of the same table. Writes runs/<name>/ with results.json, draws.json and predictions.csv.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

from configs.evaluation import HandcraftedConfig
from configs.load import dump, parse
from datasets.protocols.few_shot import build_task, cell_seed
from datasets.protocols.few_shot_results import describe, write_few_shot
from datasets.protocols.leakage import NOT_SEEN
from models.handcrafted import handcrafted_features
from utils.progress_bar import progress
from utils.run import default_name, open_run, seed_everything

TREES = 500
ABOUT = {
    "command": "handcrafted",
    "checkpoint": None,
    "seen_in_pretraining": NOT_SEEN,
    "model": "random forest",
    "encoder": "handcrafted features",
    "mode": "handcrafted",
    "imu_pooling": None,
    "selected_epochs": None,
}


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(HandcraftedConfig, argv)
    started = time.perf_counter()
    seed_everything(config.seed)
    task = build_task(config)
    windows, used = task.windows, task.used
    print(describe(task))
    features = handcrafted_features(windows.imu(used, "none"))
    predictions = {}
    for shots in progress(config.shots, total=len(config.shots), desc="forests", unit="number of shots"):
        predictions[shots] = []
        for draw in task.draws:
            train = draw.train(shots)
            seed = cell_seed(config.seed, draw, shots)
            forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=config.num_workers or -1)
            forest.fit(features[np.searchsorted(used, train)], windows.label[train])
            predictions[shots].append(forest.predict(features[np.searchsorted(used, draw.test)]))

    name = config.run_name or default_name("handcrafted", config.dataset)
    folder = open_run(config.runs_root / name, dump(config), torch.device("cpu"))
    write_few_shot(folder, config, task, predictions, started, ABOUT)
    return folder


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{HandcraftedConfig.program}: {problem}")
