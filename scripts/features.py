"""Few-shot evaluation of features of windows that a classical head reads, beside the encoders of ``downstream.py``.

    python -m scripts.features --config configs/downstream/classyglass.yaml --features invariant --head linear --report

It learns from the same windows as ``downstream.py`` with the same settings, and predicts the same windows, so that it
is a row of the same table. ``--features`` takes several, which stand beside each other; embeddings of a checkpoint are
one of them. Writes runs/<name>/ with results.json, draws.json and predictions.csv, with ``--detect`` detection.png.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from configs.evaluation import FeaturesConfig
from configs.load import dump, parse
from configs.training import TrainConfig
from datasets.joined import JoinedWindows
from datasets.protocols.few_shot import FewShotTask, build_task, cell_seed
from datasets.protocols.few_shot_results import describe, write_few_shot
from datasets.protocols.leakage import NOT_SEEN, seen_in_pretraining
from datasets.protocols.splits import Draw
from datasets.windows import Windows
from models import build_imu_encoder, load_imu_encoder
from models.handcrafted import handcrafted_features
from models.invariant import invariant_features, invariant_signals
from models.minirocket import fit_minirocket
from models.probe import embed_imu
from models.readers import event_scores, fit_head, standardised_by_person
from utils import distributed
from utils.progress_bar import progress
from utils.results import checkpoint_facts
from utils.run import default_name, open_run, seed_everything

OF_WINDOWS = {"handcrafted": handcrafted_features, "invariant": invariant_features}


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(FeaturesConfig, argv)
    started = time.perf_counter()
    device = distributed.setup(config.device).device
    seed_everything(config.seed)
    encoder, training = load_encoder(config, device)
    task = build_task(config.with_window(training.window_s) if training else config)
    print(describe(task))
    rows = Rows(config, task, encoder, training)
    cells = [(shots, draw) for shots in config.shots for draw in task.draws]
    predictions: dict[int, list[np.ndarray]] = {shots: [] for shots in config.shots}
    scores: dict[int, list[np.ndarray]] | None = {shots: [] for shots in config.shots} if config.detect else None
    for shots, draw in progress(cells, total=len(cells), desc="heads", unit="head"):
        head, to_predict = learn(config, task, rows, draw, shots)
        predictions[shots].append(head.predict(to_predict))
        if scores is not None:
            scores[shots].append(event_scores(head, to_predict))

    name = config.run_name or default_name("features", "_".join(config.features), config.head, config.dataset)
    folder = open_run(config.runs_root / name, dump(config), device)
    write_few_shot(folder, config, task, predictions, scores, started, about(config, task, training))
    return folder


def load_encoder(config: FeaturesConfig, device: torch.device) -> tuple[nn.Module | None, TrainConfig | None]:
    """The encoder whose embeddings are features, if they are, and the config of its training."""
    if config.checkpoint is None:
        return None, None
    encoder, training = load_imu_encoder(config.checkpoint, config.imu_pooling, config.window_s)
    return (build_imu_encoder(training) if config.random_weights else encoder).to(device), training


class Rows:
    """Features of the used windows of a task, and of all windows of their people where those calibrate.

    What depends on no label is computed once; MiniRocket is fitted on the windows that a head learns from.
    """

    def __init__(
        self, config: FeaturesConfig, task: FewShotTask, encoder: nn.Module | None, training: TrainConfig | None
    ):
        self.config, self.encoder, self.training = config, encoder, training
        used = task.windows.subset(task.used)
        own = list(task.of_people(config.min_coverage)) if config.calibrate == "person" else []
        self.people, self.names = task.people, [name for name, _ in own]
        lists = [used, *(windows for _, windows in own)]
        self.fixed = [self.of_windows(windows) for windows in lists]
        rocket = lists if "minirocket" in config.features else []
        self.signals = [invariant_signals(windows.imu(np.arange(len(windows)), "none")) for windows in rocket]

    def of_windows(self, windows: Windows | JoinedWindows) -> np.ndarray:
        """(n, D) the features that need no fit."""
        everything, parts = np.arange(len(windows)), [np.empty((len(windows), 0), np.float32)]
        for name in self.config.features:
            if name in OF_WINDOWS:
                parts.append(OF_WINDOWS[name](windows.imu(everything, "none")))
            elif name == "encoder":
                imu = torch.from_numpy(windows.imu(everything, self.training.normalize))
                parts.append(embed_imu(self.encoder, imu).cpu().numpy())
        return np.concatenate(parts, axis=1)

    def of_cell(self, train: np.ndarray, test: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, D) and (m, D) features of used windows to learn from and to predict, by their positions."""
        both = np.concatenate([train, test])
        lists = [self.fixed[0][both], *self.fixed[1:]]
        if self.signals:
            transform = fit_minirocket(self.signals[0][train], seed, self.config.num_workers)
            signals = [self.signals[0][both], *self.signals[1:]]
            lists = [np.concatenate([row, transform(own)], axis=1) for row, own in zip(lists, signals, strict=True)]
        features = lists[0]
        if self.names:
            own: Iterator[tuple[str, np.ndarray]] = zip(self.names, lists[1:], strict=True)
            features = standardised_by_person(features, self.people[both], own)
        return features[: len(train)], features[len(train) :]


def learn(config: FeaturesConfig, task: FewShotTask, rows: Rows, draw: Draw, shots: int) -> tuple[Any, np.ndarray]:
    """A head that has learnt from the shots of a draw, and (m, D) features of its held-out windows."""
    learnt = draw.train(shots)
    train, test = (np.searchsorted(task.used, positions) for positions in (learnt, draw.test))
    seed = cell_seed(config.seed, draw, shots)
    x, to_predict = rows.of_cell(train, test, seed)
    head = fit_head(config.head, x, task.windows.label[learnt], rows.people[train], seed, config.num_workers)
    return head, to_predict


def about(config: FeaturesConfig, task: FewShotTask, training: TrainConfig | None) -> dict[str, Any]:
    """What made the predictions, for results.json."""
    facts, seen, encoder = None, NOT_SEEN, "none"
    if training is not None:
        facts = checkpoint_facts(config.checkpoint)
        encoder = "random" if config.random_weights else "pretrained"
        if not config.random_weights:
            excluded, people = training.exclude_classes or [], training.exclude_subjects or []
            seen = seen_in_pretraining(facts["dataset"], excluded, task.parts[-1], config.data_root, people)
    if seen["seen"]:
        print(f"WARNING: {seen['why']}: {seen['windows']} of these windows are not new to it")
    pooled = training is not None and training.imu_encoder == "patchtst"
    return {
        "command": "features",
        "checkpoint": facts,
        "seen_in_pretraining": seen,
        "model": training.model if training else "none",
        "encoder": encoder,
        "features": config.features,
        "head": config.head,
        "mode": "features",
        "imu_pooling": training.imu_pooling if pooled else None,
        "selected_epochs": None,
    }


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{FeaturesConfig.program}: {problem}")
