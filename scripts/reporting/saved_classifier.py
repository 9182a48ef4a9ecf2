"""The folder of a classifier, from the run of ``downstream.py`` that measured it."""

from typing import Any

import numpy as np
import torch
from torch import nn

from configs.evaluation import DownstreamConfig
from configs.training import TrainConfig
from datasets.protocols.few_shot import FewShotTask
from datasets.protocols.timeline import count_changes
from models import encoder_settings
from models.classifier import Classifier, ClassifierFacts, save_classifier
from models.finetune import Trained
from models.novelty import calibrated_novelty
from models.probe import embed_imu
from models.smoothing import rates_from_jumps
from scripts.reporting.model_card import model_card
from utils.calibration import calibration
from utils.long_table import datasets_of_pretraining
from utils.metrics import balanced_accuracy
from utils.statistics import class_counts


def save_model(
    config: DownstreamConfig,
    task: FewShotTask,
    training: TrainConfig,
    trained: Trained,
    logits: list[np.ndarray],
    results: dict[str, Any],
    before: nn.Module,
) -> None:
    """Write the folder of a classifier, its model card among it.

    Args:
        trained: encoder, weight (K, D) and bias (K,), as ``config.fit`` says.
        logits: of each draw's (fold's) held-out windows at the most shots; temperature and threshold come from those
            that this classifier, or the ones of the draws, have not learnt from.
        before: the encoder before it learnt any label; unused if none was pretrained.
    """
    encoder, weight, bias = trained
    windows, everything = task.parts[0], config.fit == "all"
    learnt = np.arange(len(windows)) if everything else task.draws[0].train(max(config.shots))
    per_class = np.bincount(windows.label[learnt], minlength=len(windows.classes))
    draws = task.draws if everything else task.draws[:1]
    test = np.concatenate([draw.test for draw in draws])
    held_out = np.concatenate(logits[: len(draws)])
    temperature, threshold, reached = calibration(held_out, task.windows.label[test], config.target_accuracy)
    names = task.class_names.values()
    class_of = {own: k for k, of_datasets in enumerate(names) for own in of_datasets[windows.store.name]}
    changes = count_changes(windows.store, class_of, np.unique(windows.recording[learnt]), len(per_class))
    measured = results["shots"][str(max(config.shots))]["calibration"]
    pretrained = [] if config.from_scratch else datasets_of_pretraining(results["checkpoint"]["dataset"])
    found = None
    if not config.from_scratch:  # an encoder from scratch keeps what tells its classes apart alone
        imu = torch.from_numpy(windows.imu(learnt, training.normalize))
        labels = torch.from_numpy(windows.label[learnt])
        embeddings = embed_imu(before, imu).cpu()
        found = calibrated_novelty(
            embeddings, labels, task.wearers[learnt], len(per_class), own_encoder=config.mode == "lp"
        )
    novelty, novelty_facts = found or (None, None)
    facts = ClassifierFacts(
        classes=list(windows.classes),
        window_s=windows.window_s,
        normalize=training.normalize,
        encoder=encoder_settings(training),
        temperature=temperature,
        threshold=threshold,
        prior=[1 / len(per_class)] * len(per_class) if everything else (per_class / len(learnt)).tolist(),
        rates_per_s=rates_from_jumps(*changes).tolist(),
        simulated=results["simulated"],
        trained_on={
            "dataset": _data(results["labels_from"]),
            "pretrained_on": [_data(part) for part in pretrained],
            "mode": config.mode,
            "fit": config.fit,
            "people": len(np.unique(task.wearers[learnt])),
            "windows_per_class": per_class.tolist(),
            "changes": int(changes[0].sum()),
            "seed": config.seed,
            "commit": results["commit"],
        },
        calibration={
            "windows": len(test),
            "people": len(np.unique(task.wearers[test])),
            "target_reached": reached,
            **measured["abstention"],
            **{name: measured[name]["mean"] for name in ("ece", "ece_uncalibrated")},
        },
        novelty=novelty_facts,
    )
    moments = (torch.from_numpy(own.astype(np.float32)) for own in windows.store.dataset_moments)
    kept = before.cpu() if novelty_facts is not None and not novelty_facts.own_encoder else None
    classifier = Classifier(facts, encoder.cpu(), weight.cpu(), bias.cpu(), *moments, novelty, kept)
    card = model_card(config.save_model.name, facts, results, of_people(task, logits), config.licence)
    save_classifier(config.save_model, classifier, card)
    print(f"classifier: {config.save_model}")


def of_people(task: FewShotTask, logits: list[np.ndarray]) -> np.ndarray:
    """(G,) balanced accuracy of each person's or session's held-out windows, over the classes that there are."""
    test, predicted = np.concatenate([draw.test for draw in task.draws]), np.concatenate(logits).argmax(1)
    counts = class_counts(task.windows.label[test], predicted, task.wearers[test], len(task.windows.classes))
    return balanced_accuracy(counts)


def _data(fingerprint: dict[str, Any]) -> dict[str, Any]:
    """What a card says of a dataset; simulated recordings are this software's own."""
    facts = {name: fingerprint[name] for name in ("name", "hours", "simulated", "sha256")}
    return facts | {"licence": fingerprint.get("licence") or ("MIT" if fingerprint["simulated"] else None)}
