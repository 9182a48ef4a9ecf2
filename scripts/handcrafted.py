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
from datasets.protocols.few_shot import build_protocol, cell_seed
from datasets.protocols.few_shot_results import describe, few_shot_results, write_predictions, write_protocol
from datasets.protocols.leakage import NOT_SEEN
from models.handcrafted import handcrafted_features
from utils.progress_bar import progress
from utils.results import public_settings
from utils.run import commit, default_name, open_run, seed_everything, write_json
from utils.tables import few_shot_tables


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(HandcraftedConfig, argv)
    started = time.perf_counter()
    seed_everything(config.seed)
    protocol = build_protocol(config)
    windows, used = protocol.windows, protocol.used
    print(describe(protocol))
    features = handcrafted_features(windows.imu(used, "none"))
    predictions = {}
    for shots in progress(config.shots, total=len(config.shots), desc="forests", unit="number of shots"):
        predictions[shots] = []
        for draw in protocol.draws:
            train = draw.train(shots)
            seed = cell_seed(config.seed, draw, shots)
            forest = RandomForestClassifier(config.trees, random_state=seed, n_jobs=config.num_workers or -1)
            forest.fit(features[np.searchsorted(used, train)], windows.label[train])
            predictions[shots].append(forest.predict(features[np.searchsorted(used, draw.test)]))

    name = config.run_name or default_name("handcrafted", config.dataset)
    folder = open_run(config.runs_root / name, dump(config), torch.device("cpu"))
    results = {
        "command": "handcrafted",
        "checkpoint": None,
        "seen_in_pretraining": NOT_SEEN,
        "model": "random forest",
        "encoder": "handcrafted features",
        "mode": "handcrafted",
        "imu_pooling": None,
        "selected_epochs": None,
        **few_shot_results(protocol, predictions),
        "draws": write_protocol(folder / "draws.json", protocol),
        "seed": config.seed,
        "commit": commit(),
        "config": public_settings(config.model_dump()),
        "seconds": round(time.perf_counter() - started, 2),
    }
    write_predictions(folder / "predictions.csv", protocol, predictions)
    write_json(folder / "results.json", results)
    if config.report:
        print(few_shot_tables(results))
    print(f"results: {folder / 'results.json'}")
    return folder


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{HandcraftedConfig.program}: {problem}")
