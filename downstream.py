"""Few-shot evaluation: how far a few labelled windows per class take a pretrained IMU encoder.

    python downstream.py --config configs/downstream/mmea5.yaml --checkpoint runs/NAME/checkpoints/last.pt --report

The protocol of the paper's section 3.3: for each of five random draws, 20 windows per class are held out, and a linear
layer (``--mode lp``, encoder frozen), encoder and layer (``--mode finetune``), or both from scratch (``--mode
supervised``, which needs no checkpoint) learn from 10, 20, 50 and 100 others, of other recordings (``--split``); the
state after the last epoch is measured, never the best on the held-out windows (with ``--select_samples`` windows of
their own choose the epoch).
Writes runs/<name>/ with results.json, draws.json (the windows of every draw), predictions.csv (the class predicted
for each), confusion.png and shots.png.
"""

from configs.evaluation import DownstreamConfig
from configs.load import dump, parse
from configs.training import TrainConfig

if __name__ == "__main__":
    parse(DownstreamConfig)  # --help and mistakes are dealt with before anything slow is imported

import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from datasets.protocols.few_shot import build_protocol, cell_seed
from datasets.protocols.few_shot_results import describe, few_shot_results, write_predictions, write_protocol
from datasets.protocols.leakage import NOT_SEEN, seen_in_pretraining
from models import build_imu_encoder, load_imu_encoder
from models.finetune import Cell, finetune_grid
from models.probe import embed_imu, train_linear_heads
from utils import checkpoint, distributed
from utils.plots import Line, Panel, shots_panels
from utils.plots import confusion_matrix as plot_confusion
from utils.results import checkpoint_facts, public_settings
from utils.run import commit, default_name, open_run, seed_everything, write_json
from utils.tables import few_shot_method, few_shot_tables, marked


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(DownstreamConfig, argv)
    started = time.perf_counter()
    device = distributed.setup(config.device).device
    seed_everything(config.seed)

    encoder, training = build_encoder(config)
    protocol = build_protocol(config, select=config.select_samples)
    windows, used, num_classes = protocol.windows, protocol.used, len(protocol.windows.classes)
    facts = checkpoint_facts(config.checkpoint) if config.checkpoint else None
    if facts is None or config.from_scratch:
        seen = NOT_SEEN
    else:
        excluded = training.exclude_classes or []
        seen = seen_in_pretraining(facts["dataset"], excluded, windows.store, windows, config.data_root)
    print(describe(protocol))
    pooling = training.imu_pooling if training.imu_encoder == "patchtst" else None
    if pooling is not None:
        print(f"of the encoder, a window is represented by: {pooling}")
    if seen["seen"]:
        print(f"WARNING: {seen['why']}: {seen['windows']} of these windows are not new to it")

    # Only the windows of some draw are read, and each once.
    imu = torch.from_numpy(windows.imu(used, config.normalize or training.normalize))
    labels = torch.from_numpy(windows.label[used])
    cells = [
        Cell(
            train=positions(used, draw.train(n)),
            test=positions(used, draw.test),
            select=positions(used, np.concatenate(draw.select)),
            seed=cell_seed(config.seed, draw, n),
        )
        for n in config.shots
        for draw in protocol.draws
    ]
    keep = config.shots.index(max(config.shots)) * len(protocol.draws)  # first draw, most shots: --save_model
    if config.mode == "lp":
        encoder, labels = encoder.to(device), labels.to(device)
        predicted, epochs, kept = linear_probes(config, encoder, imu, labels, cells, num_classes, keep)
    else:
        scratch = config.mode == "supervised"
        make_encoder = partial(build_imu_encoder, training) if scratch else partial(copy.deepcopy, encoder)
        predicted, epochs, kept = trained_whole(config, make_encoder, imu, labels, cells, num_classes, keep, device)
    folds = len(protocol.draws)
    predictions = {n: predicted[i * folds : (i + 1) * folds] for i, n in enumerate(config.shots)}
    chosen = {str(n): epochs[i * folds : (i + 1) * folds] for i, n in enumerate(config.shots)}

    name = config.run_name or default_name("downstream", config.mode, config.dataset)
    folder = open_run(config.runs_root / name, dump(config), device)
    results = {
        "command": "downstream",
        "checkpoint": facts,
        "seen_in_pretraining": seen,
        "model": training.model,
        "encoder": "random" if config.from_scratch else "pretrained",
        "mode": config.mode,
        "imu_pooling": pooling,
        "selected_epochs": chosen if config.select_samples else None,
        **few_shot_results(protocol, predictions),
        "draws": write_protocol(folder / "draws.json", protocol),
        "seed": config.seed,
        "commit": commit(),
        "config": public_settings(config.model_dump()),
        "seconds": round(time.perf_counter() - started, 2),
    }
    write_predictions(folder / "predictions.csv", protocol, predictions)
    write_json(folder / "results.json", results)
    draw_pictures(folder, results)
    if config.save_model:
        save_model(config.save_model, kept, training, results)
    if config.report:
        print(few_shot_tables(results))
    print(f"results: {folder / 'results.json'}")
    return folder


def build_encoder(config: DownstreamConfig) -> tuple[nn.Module, TrainConfig]:
    """The IMU encoder and the config of its training; with ``--random_weights`` its weights are drawn at random.

    Without a checkpoint it is the method's own architecture, with the default settings of train.py.
    """
    if config.checkpoint is None:
        training = TrainConfig(model=config.model, dataset=config.dataset, imu_pooling=config.imu_pooling)
    else:
        encoder, training = load_imu_encoder(config.checkpoint, config.imu_pooling)
        if config.model not in (None, training.model):
            raise checkpoint.CheckpointError(
                f"{config.checkpoint}: was trained as {training.model}, not {config.model}: leave --model out"
            )
    return (build_imu_encoder(training) if config.from_scratch else encoder), training


Trained = tuple[nn.Module, Tensor, Tensor]  # encoder, weight (K, D), bias (K,)


def linear_probes(
    config: DownstreamConfig,
    encoder: nn.Module,
    imu: Tensor,
    labels: Tensor,
    cells: list[Cell],
    num_classes: int,
    keep: int,
) -> tuple[list[np.ndarray], list[int], Trained]:
    """A linear layer on the frozen encoder for every cell, all trained together: held-out predictions, and epochs."""
    embeddings = embed_imu(encoder, imu)
    heads = train_linear_heads(
        embeddings,
        labels,
        sets=[cell.train for cell in cells],
        seeds=[cell.seed for cell in cells],
        num_classes=num_classes,
        epochs=config.epochs,
        batch_size=config.batch_size,
        lr=config.lr,
        weight_decay=config.weight_decay,
        standardize=config.standardize,
        select=[cell.select for cell in cells],
        least_lr=config.least_lr,
    )
    predictions = []
    for head, cell in enumerate(cells):
        held_out = embeddings[cell.test.to(embeddings.device)]
        predictions.append(heads.logits(head, held_out).argmax(1).cpu().numpy())
    return predictions, heads.epochs, (encoder, heads.weight[keep], heads.bias[keep])


def trained_whole(
    config: DownstreamConfig,
    make_encoder: Callable[[], nn.Module],
    imu: Tensor,
    labels: Tensor,
    cells: list[Cell],
    num_classes: int,
    keep: int,
    device: torch.device,
) -> tuple[list[np.ndarray], list[int], Trained]:
    """Encoder and linear layer trained for every cell by itself: held-out predictions, and epochs."""
    logits, epochs, kept = finetune_grid(
        make_encoder,
        imu,
        labels,
        cells,
        keep=keep,
        device=device,
        num_workers=config.num_workers,
        num_classes=num_classes,
        epochs=config.epochs,
        batch_size=config.batch_size,
        lr=config.lr,
        encoder_lr=config.encoder_lr,
        weight_decay=config.weight_decay,
        least_lr=config.least_lr,
    )
    return [scores.argmax(1).numpy() for scores in logits], epochs, kept


def positions(used: np.ndarray, windows: np.ndarray) -> Tensor:
    """Where these windows stand among the sorted ones that are read."""
    return torch.from_numpy(np.searchsorted(used, windows))


def draw_pictures(folder: Path, results: dict[str, Any]) -> None:
    """confusion.png (most shots, all draws) and shots.png."""
    dataset, method = marked(results["dataset"]["name"], results["simulated"]), few_shot_method(results)
    most = max(results["shots"], key=int)
    confusion = np.array(results["shots"][most]["confusion"])
    plot_confusion(confusion, results["classes"], folder / "confusion.png", f"{dataset}, {most} shots\n{method}")
    accuracy = {int(n): row["balanced_accuracy"] for n, row in results["shots"].items()}
    line = {n: (value["mean"], value["std"]) for n, value in accuracy.items()}
    panel = Panel("", [Line(method, method, line)], results["chance"]["balanced_accuracy"])
    shots_panels([panel], folder / "shots.png", f"{dataset}, few-shot", pdf=False)


def save_model(path: Path, trained: Trained, training: TrainConfig, results: dict[str, Any]) -> None:
    """Encoder and linear layer of the first draw at the most shots, to classify new recordings with."""
    encoder, weight, bias = trained
    payload = {
        "kind": "classifier",
        "config": training.model_dump(mode="json"),
        "imu_encoder": encoder.cpu().state_dict(),
        "head": {"weight": weight.cpu(), "bias": bias.cpu()},
        "classes": results["classes"],
        "normalize": results["config"]["normalize"] or training.normalize,
        "simulated": results["simulated"],
        "dataset": results["dataset"],
    }
    checkpoint.save(path, payload)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{DownstreamConfig.program}: {problem}")
