"""Few-shot evaluation: how far a few labelled windows per class take a pretrained IMU encoder.

    python downstream.py --config configs/downstream/mmea5.yaml --checkpoint runs/NAME/checkpoints/last.pt --report

The protocol of the paper's section 3.3: for each of five random draws, 20 windows per class are held out, and a linear
layer (``--mode lp``, encoder frozen), encoder and layer (``--mode finetune``), or both from scratch (``--mode
supervised``, which needs no checkpoint) learn from 10, 20, 50 and 100 others, of other recordings (``--split``); the
state after the last epoch is measured, never the best on the held-out windows (with ``--select_samples`` windows of
their own choose the epoch).
Writes runs/<name>/ with results.json, draws.json (the windows of every draw), predictions.csv (the class predicted
for each, and probabilities), confusion.png, shots.png, reliability.png and coverage.png, with ``--detect``
detection.png. ``--save_model DIR`` then writes a classifier that ``scripts.predict`` applies to recordings.
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

from datasets.protocols.few_shot import FewShotTask, build_task, cell_seed
from datasets.protocols.few_shot_results import describe, write_few_shot
from datasets.protocols.leakage import NOT_SEEN, seen_in_pretraining
from datasets.windows import Windows
from models import build_imu_encoder, load_imu_encoder
from models.finetune import Cell, Trained, finetune, finetune_grid
from models.probe import embed_imu, train_linear_heads
from scripts.reporting.saved_classifier import save_model
from utils import checkpoint, distributed
from utils.long_table import dataset_name, long_table, method
from utils.plots import confusion_matrix as plot_confusion
from utils.plots import coverage_curve, reliability_diagram, shots_panels
from utils.results import checkpoint_facts
from utils.run import default_name, open_run, seed_everything


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(DownstreamConfig, argv)
    started = time.perf_counter()
    device = distributed.setup(config.device).device
    seed_everything(config.seed)

    encoder, training = build_encoder(config)
    other = config.test_dataset not in (None, config.dataset)
    if config.save_model and other and training.normalize == "dataset":
        raise ValueError(
            "save_model: with another --test_dataset each dataset is z-scored by its own moments, and a classifier has "
            "one: measure without --save_model, or take an encoder of --normalize window or none"
        )
    task = build_task(config.with_window(training.window_s), select=config.select_samples)
    windows, used = task.windows, task.used
    facts = checkpoint_facts(config.checkpoint) if config.checkpoint else None
    seen = NOT_SEEN
    if facts and not config.from_scratch:
        excluded, people = training.exclude_classes or [], training.exclude_subjects or []
        seen = seen_in_pretraining(facts["dataset"], excluded, task.parts[-1], config.data_root, people)
    print(describe(task))
    pooling = training.imu_pooling if training.imu_encoder == "patchtst" else None
    if pooling is not None:
        print(f"of the encoder, a window is represented by: {pooling}")
    if seen["seen"]:
        print(f"WARNING: {seen['why']}: {seen['windows']} of these windows were seen in pretraining")

    # Only the windows of some draw are read, and each once.
    imu = torch.from_numpy(windows.imu(used, training.normalize))
    labels = torch.from_numpy(windows.label[used])
    cells = [
        Cell(
            *(
                torch.from_numpy(np.searchsorted(used, own))
                for own in (draw.train(n), draw.test, np.concatenate(draw.select))
            ),
            seed=cell_seed(config.seed, draw, n),
        )
        for n in config.shots
        for draw in task.draws
    ]
    folds = len(task.draws)
    keep = config.shots.index(max(config.shots)) * folds  # first draw, most shots: --save_model
    recipe = {name: getattr(config, name) for name in ("epochs", "batch_size", "lr", "least_lr", "weight_decay")}
    recipe["num_classes"] = len(windows.classes)
    if config.mode == "lp":
        recipe["standardize"] = config.standardize
        encoder = encoder.to(device)
        embeddings = embed_imu(encoder, imu)
        if config.calibrate == "person":
            embeddings = calibrated(embeddings, encoder, task, training.normalize, config.min_coverage)
        logits, epochs, trained = linear_probes(encoder, embeddings, labels.to(device), cells, keep, **recipe)
    else:
        scratch = config.mode == "supervised"
        make_encoder = partial(build_imu_encoder, training) if scratch else partial(copy.deepcopy, encoder)
        recipe["encoder_lr"] = config.encoder_lr
        logits, epochs, trained = finetune_grid(
            make_encoder, imu, labels, cells, keep, device, config.num_workers, **recipe
        )
    of_shots = {n: slice(i * folds, (i + 1) * folds) for i, n in enumerate(config.shots)}
    by_shots = {n: [own.numpy() for own in logits[cells_of]] for n, cells_of in of_shots.items()}
    predictions = {n: [own.argmax(1) for own in of_draws] for n, of_draws in by_shots.items()}
    scores = None
    if config.detect:
        scores = {n: [own[:, 1] - own[:, 0] for own in of_draws] for n, of_draws in by_shots.items()}
    chosen = {str(n): epochs[cells_of] for n, cells_of in of_shots.items()}

    name = config.run_name or default_name("downstream", config.mode, config.dataset)
    folder = open_run(config.runs_root / name, dump(config), device)
    about = {
        "command": "downstream",
        "checkpoint": facts,
        "seen_in_pretraining": seen,
        "model": training.model,
        "encoder": "random" if config.from_scratch else "pretrained",
        "mode": config.mode,
        "imu_pooling": pooling,
        "selected_epochs": chosen if config.select_samples else None,
    }
    logits_of = None if config.detect else by_shots  # an event is of a recording, probabilities are of windows
    results = write_few_shot(folder, config, task, predictions, scores, started, about, logits_of)
    draw_pictures(folder, results)
    if config.save_model:
        if config.fit == "all":
            at_most = epochs[keep : keep + folds]  # without windows to choose by, the epoch that the draws chose
            recipe["epochs"] = round(float(np.median(at_most)))
            begin = encoder if config.mode == "lp" else make_encoder
            trained = fit_all(task.parts[0], begin, training, device, config.seed, recipe)
        save_model(config, task, training, trained, by_shots[max(config.shots)], results, encoder)
    return folder


def build_encoder(config: DownstreamConfig) -> tuple[nn.Module, TrainConfig]:
    """The IMU encoder and the config of its training; with ``--random_weights`` its weights are drawn at random.

    Without a checkpoint it is ``--imu_encoder`` or the method's own, with the default settings of train.py.
    """
    if config.checkpoint is None:
        length = {} if config.window_s is None else {"window_s": config.window_s}
        parts = {"imu_encoder": config.imu_encoder, "imu_pooling": config.imu_pooling}
        training = TrainConfig(model=config.model, dataset=config.dataset, **parts, **length)
    else:
        encoder, training = load_imu_encoder(config.checkpoint, config.imu_pooling, config.window_s)
        if config.model not in (None, training.model):
            raise checkpoint.CheckpointError(
                f"{config.checkpoint}: was trained as {training.model}, not {config.model}: leave --model out"
            )
    return (build_imu_encoder(training) if config.from_scratch else encoder), training


def calibrated(
    embeddings: Tensor, encoder: nn.Module, task: FewShotTask, normalize: str, min_coverage: float
) -> Tensor:
    """(n, D) embeddings of the used windows, standardised by those of all windows of each person."""
    from models.readers import standardised_by_person  # with scikit-learn, which nothing else here needs

    own = (
        (name, embed_imu(encoder, torch.from_numpy(theirs.imu(np.arange(len(theirs)), normalize))).cpu().numpy())
        for name, theirs in task.of_people(min_coverage)
    )
    standardised = standardised_by_person(embeddings.cpu().numpy(), task.people, own)
    return torch.from_numpy(standardised).to(embeddings.device)


def linear_probes(
    encoder: nn.Module, embeddings: Tensor, labels: Tensor, cells: list[Cell], keep: int, **recipe: Any
) -> tuple[list[Tensor], list[int], Trained]:
    """A linear layer on the frozen encoder for every cell, all trained together: held-out logits, and epochs."""
    sets, seeds, select = zip(*((cell.train, cell.seed, cell.select) for cell in cells), strict=True)
    heads = train_linear_heads(embeddings, labels, sets, seeds, select=select, **recipe)
    logits = [heads.logits(h, embeddings[cell.test.to(embeddings.device)]).cpu() for h, cell in enumerate(cells)]
    return logits, heads.epochs, (encoder, heads.weight[keep], heads.bias[keep])


def fit_all(
    windows: Windows,
    encoder: nn.Module | Callable[[], nn.Module],
    training: TrainConfig,
    device: torch.device,
    seed: int,
    recipe: dict[str, Any],
) -> Trained:
    """Encoder and linear layer that have learnt from all of these windows, each class weighing the same.

    Args:
        encoder: the frozen one of a linear probe; or what makes the one that learns.
        recipe: settings of ``train_linear_heads``, or of ``finetune``.
    """
    imu = torch.from_numpy(windows.imu(np.arange(len(windows)), training.normalize))
    labels = torch.from_numpy(windows.label)
    count = torch.bincount(labels)
    recipe = recipe | {"class_weight": len(labels) / (len(count) * count)}  # their mean over windows is 1
    print(f"the classifier to be saved learns from all {len(windows)} windows, {recipe['epochs']} epochs")
    if isinstance(encoder, nn.Module):
        everything = [torch.arange(len(labels))]
        heads = train_linear_heads(embed_imu(encoder, imu), labels.to(device), everything, [seed], **recipe)
        return encoder, heads.weight[0], heads.bias[0]
    encoder, head, _ = finetune(encoder, imu.to(device), labels.to(device), seed, **recipe)
    return encoder, head.weight.detach(), head.bias.detach()


def draw_pictures(folder: Path, results: dict[str, Any]) -> None:
    """confusion.png, shots.png and, of classes, reliability.png and coverage.png; at the most shots, all draws."""
    name, how = dataset_name(results), method(results)
    most = max(results["shots"], key=int)
    confusion = np.array(results["shots"][most]["confusion"])
    of = "recordings" if "detection" in results else "windows"
    plot_confusion(confusion, results["classes"], folder / "confusion.png", f"{name}, {most} shots\n{how}", of)
    values = long_table({"": results})
    line = values[values["draw"].isna() & (values["metric"] == "balanced_accuracy")]
    line = line.assign(panel="", line=how, approach=how, dashed=False)
    shots_panels(line, folder / "shots.png", f"{name}, few-shot", pdf=False)
    if "detection" in results:
        return
    measured, above = results["shots"][most]["calibration"], f"{name}, {most} shots\n{how}"
    bins = measured["reliability_uncalibrated"], measured["reliability"]
    reliability_diagram(*bins, folder / "reliability.png", above)
    curve, target = measured["coverage"], measured["abstention"]["target_accuracy"]
    coverage_curve(curve["share"], curve["accuracy"], target, folder / "coverage.png", above)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{DownstreamConfig.program}: {problem}")
