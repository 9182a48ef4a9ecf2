"""Few-shot evaluation: how far a few labelled windows per class take a pretrained IMU encoder.

    python downstream.py --config configs/downstream/mmea5.yaml --checkpoint runs/NAME/checkpoints/last.pt --report

The protocol of the paper's section 3.3: for each of five random draws, 20 windows per class are held out, and a linear
layer (``--mode lp``, encoder frozen), encoder and layer (``--mode finetune``), or both from scratch (``--mode
supervised``, which needs no checkpoint) learn from 10, 20, 50 and 100 others; the state after the last epoch is
measured, never the best on the held-out windows. Writes runs/<name>/ with results.json, draws.json (the windows of
every draw), answers.csv (the answer to each), confusion.png and shots.png.
"""

import copy
import csv
import hashlib
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from configs.load import dump, parse
from configs.schema import DownstreamConfig, TrainConfig
from datasets.splits import Draw, draw_by_group, draw_windows, groups_of, resolve_classes
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from models import build_imu_encoder, load_imu_encoder
from models.finetune import Cell, finetune_grid
from models.probe import embed_imu, train_linear_heads
from utils import checkpoint, distributed
from utils.metrics import classification_chance, majority_baseline, metrics_over_draws
from utils.plots import confusion_matrix as plot_confusion
from utils.plots import shots_curve
from utils.results import checkpoint_facts
from utils.run import commit, default_name, open_run, seed_everything, write_json
from utils.tables import few_shot_method, few_shot_tables, marked


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(DownstreamConfig, argv)
    started = time.perf_counter()
    device = distributed.setup(config.device).device
    seed_everything(config.seed)

    encoder, training = build_encoder(config)
    store = open_store(config.data_root, config.dataset)
    classes = resolve_classes(config.classes, store.classes)
    windows = list_windows(store, labelled=True, classes=classes)
    draws, groups = draw(config, windows)

    # Only the windows of some draw are read, and each once.
    used = np.unique(np.concatenate([np.r_[d.shots.ravel(), d.test] for d in draws]))
    imu = torch.from_numpy(windows.imu(used, config.normalize or training.normalize))
    labels = torch.from_numpy(windows.label[used])
    rows = [Draw(np.searchsorted(used, d.shots), np.searchsorted(used, d.held_out)) for d in draws]
    print(
        f"{config.dataset}: {len(windows)} windows of {len(classes)} classes; {len(used)} are drawn, in {config.draws} "
        f"draws x {len(config.shots)} numbers of shots, split by {groups}"
    )
    if config.mode == "lp":
        predictions, best = linear_probes(config, encoder.to(device), imu, labels.to(device), rows, len(classes))
    else:
        scratch = config.mode == "supervised"
        make_encoder = partial(build_imu_encoder, training) if scratch else partial(copy.deepcopy, encoder)
        predictions, best = trained_whole(config, make_encoder, imu, labels, rows, len(classes), device)

    truth = [windows.label[d.test] for d in draws]
    name = config.run_name or default_name("downstream", config.mode, config.dataset)
    folder = open_run(config.runs_root / name, dump(config), device)
    results = {
        "command": "downstream",
        "simulated": store.simulated,
        "dataset": store.fingerprint(),
        "checkpoint": checkpoint_facts(config.checkpoint) if config.checkpoint else None,
        "model": training.model,
        "encoder": "random" if config.random_weights or config.mode == "supervised" else "pretrained",
        "mode": config.mode,
        "split": config.split,
        "groups": groups,
        "classes": list(classes),
        "windows_per_class": np.bincount(windows.label, minlength=len(classes)).tolist(),
        "held_out_per_class": config.val_samples,
        "chance": classification_chance(np.full(len(classes), config.val_samples)),
        "majority": majority_baseline(np.full(len(classes), config.val_samples)),
        "shots": {str(n): metrics_over_draws(truth, predictions[n], len(classes)) for n in config.shots},
        "draws": write_draws(folder / "draws.json", config, windows, draws),
        "seed": config.seed,
        "commit": commit(),
        "config": config.model_dump(mode="json"),
        "seconds": round(time.perf_counter() - started, 2),
    }
    write_answers(folder / "answers.csv", windows, draws, truth, predictions)
    write_json(folder / "results.json", results)
    draw_pictures(folder, results)
    if config.save_model:
        save_model(config.save_model, best, training, results)
    if config.report:
        print(few_shot_tables(results))
    print(f"results: {folder / 'results.json'}")
    return folder


def build_encoder(config: DownstreamConfig) -> tuple[nn.Module, TrainConfig]:
    """The IMU encoder and the config of its training; with ``--random_weights`` the weights are drawn anew.

    Without a checkpoint it is the method's own architecture, with the default settings of train.py.
    """
    if config.checkpoint is None:
        training = TrainConfig(model=config.model, dataset=config.dataset)
    else:
        encoder, training = load_imu_encoder(config.checkpoint)
        if config.model not in (None, training.model):
            raise checkpoint.CheckpointError(
                f"{config.checkpoint}: was trained as {training.model}, not {config.model}: leave --model out"
            )
    drawn_anew = config.random_weights or config.mode == "supervised"
    return (build_imu_encoder(training) if drawn_anew else encoder), training


def draw(config: DownstreamConfig, windows: Windows) -> tuple[list[Draw], str]:
    """All draws, and in words what was kept apart."""
    numbers = {"shots": max(config.shots), "held_out": config.val_samples, "draws": config.draws, "seed": config.seed}
    if config.split == "window":
        return draw_windows(windows.label, windows.classes, **numbers), "window"
    groups, kind = groups_of(windows.subject, windows.session)
    return draw_by_group(windows.label, groups, windows.classes, **numbers), kind


Predictions = dict[int, list[np.ndarray]]  # by number of shots, for each draw (K * V,) classes of the held-out windows
Trained = tuple[nn.Module, Tensor, Tensor]  # encoder, weight (K, D), bias (K,)


def linear_probes(
    config: DownstreamConfig, encoder: nn.Module, imu: Tensor, labels: Tensor, draws: list[Draw], num_classes: int
) -> tuple[Predictions, Trained]:
    """A linear layer on the frozen encoder for every draw and number of shots, all trained together."""
    embeddings = embed_imu(encoder, imu)
    cells = [(n, d) for n in config.shots for d in range(len(draws))]
    heads = train_linear_heads(
        embeddings,
        labels,
        sets=[torch.from_numpy(draws[d].train(n)) for n, d in cells],
        seeds=[cell_seed(config.seed, d, n) for n, d in cells],
        num_classes=num_classes,
        epochs=config.epochs,
        batch_size=config.batch_size,
        lr=config.lr,
        weight_decay=config.weight_decay,
        standardize=config.standardize,
    )
    predictions: Predictions = {n: [] for n in config.shots}
    for head, (n, d) in enumerate(cells):
        held_out = embeddings[torch.from_numpy(draws[d].test).to(embeddings.device)]
        predictions[n].append(heads.logits(head, held_out).argmax(1).cpu().numpy())
    first = cells.index((max(config.shots), 0))
    return predictions, (encoder, heads.weight[first], heads.bias[first])


def trained_whole(
    config: DownstreamConfig,
    make_encoder: Callable[[], nn.Module],
    imu: Tensor,
    labels: Tensor,
    draws: list[Draw],
    num_classes: int,
    device: torch.device,
) -> tuple[Predictions, Trained]:
    """Encoder and linear layer trained anew for every draw and number of shots; see ``finetune_grid``."""
    grid = [(n, d) for n in config.shots for d in range(len(draws))]
    logits, best = finetune_grid(
        make_encoder,
        imu,
        labels,
        cells=[
            Cell(torch.from_numpy(draws[d].train(n)), torch.from_numpy(draws[d].test), cell_seed(config.seed, d, n))
            for n, d in grid
        ],
        keep=grid.index((max(config.shots), 0)),
        device=device,
        num_workers=config.num_workers,
        num_classes=num_classes,
        epochs=config.epochs,
        batch_size=config.batch_size,
        lr=config.lr,
        encoder_lr=config.encoder_lr,
        weight_decay=config.weight_decay,
    )
    predictions: Predictions = {n: [] for n in config.shots}
    for (n, _), answer in zip(grid, logits, strict=True):
        predictions[n].append(answer.argmax(1).numpy())
    return predictions, best


def cell_seed(seed: int, draw: int, shots: int) -> int:
    """One seed per cell of the grid: the same whichever other cells are asked for."""
    return int(np.random.SeedSequence([seed, draw, shots]).generate_state(1)[0])


def write_draws(path: Path, config: DownstreamConfig, windows: Windows, draws: list[Draw]) -> dict[str, str]:
    """Write the windows of every draw; name and digest of the file: equal digests, equal windows."""
    content = {"dataset": windows.store.fingerprint(), "split": config.split, "seed": config.seed}
    content["draws"] = [draw.named(windows.classes, windows.ids()) for draw in draws]
    write_json(path, content)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def write_answers(
    path: Path, windows: Windows, draws: list[Draw], truth: list[np.ndarray], predictions: Predictions
) -> None:
    """Write what was answered to every held-out window of every draw, for statistics over people and windows."""
    ids = windows.ids()
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["shots", "draw", "window", "subject", "session", "truth", "predicted"])
        for shots, by_draw in predictions.items():
            for number, (draw, true, predicted) in enumerate(zip(draws, truth, by_draw, strict=True)):
                for i, t, p in zip(draw.test, true, predicted, strict=True):
                    names = (windows.subject[i], windows.session[i], windows.classes[t], windows.classes[p])
                    table.writerow([shots, number, ids[i], *names])


def draw_pictures(folder: Path, results: dict[str, Any]) -> None:
    """confusion.png (most shots, all draws) and shots.png."""
    dataset, method = marked(results["dataset"]["name"], results["simulated"]), few_shot_method(results)
    most = max(results["shots"], key=int)
    confusion = np.array(results["shots"][most]["confusion"])
    plot_confusion(confusion, results["classes"], folder / "confusion.png", f"{dataset}, {most} shots\n{method}")
    accuracy = {int(n): row["balanced_accuracy"] for n, row in results["shots"].items()}
    line = {n: (value["mean"], value["std"]) for n, value in accuracy.items()}
    shots_curve({method: line}, results["chance"]["balanced_accuracy"], folder / "shots.png", f"{dataset}, few-shot")


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
