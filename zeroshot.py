"""Zero-shot evaluation: each IMU window takes the class of the nearest labelled video. No IMU label is learnt from.

    python zeroshot.py --config configs/zeroshot/mmea5.yaml --checkpoint runs/NAME/checkpoints/last.pt --report

The protocol of the paper's section 3.3: a few labelled videos per class are embedded by the video encoder (prototypes),
every IMU window ranks the classes by its nearest prototype, and metrics are averaged over five random 80 % of each
class. No window of a recording that gave a prototype is a query, nor one of a copy of it under another name. A dataset
without video (PD) takes its prototypes from another one through a class map. With ``--direction video_to_imu`` labelled
IMU windows are the prototypes, and video windows the queries. With ``--query_subjects`` some people's windows are the
queries, and the prototypes are of all others. ``--retrieval`` also ranks the queries' own pairs. Writes runs/<name>/
with results.json, prototypes.json, predictions.csv and confusion.png.
"""

from configs.evaluation import ZeroshotConfig
from configs.load import dump, parse
from configs.training import TrainConfig

if __name__ == "__main__":
    parse(ZeroshotConfig)  # --help and mistakes are dealt with before anything slow is imported

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.loader import LoaderSettings, PairLoader
from datasets.protocols.classes import paper_column, resolve_classes
from datasets.protocols.leakage import refuse_shared, seen_in_pretraining, true_recordings
from datasets.protocols.people import of_subjects, without_subjects
from datasets.protocols.splits import centre_positions, groups_of
from datasets.protocols.zero_shot import bootstrap, draw_prototypes, prototype_classes
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from models import DualEncoder, load_dual_encoder
from models.prototypes import class_scores
from utils import distributed
from utils.metrics import (
    classification_chance,
    classification_metrics,
    confusion_matrix,
    majority_baseline,
    mean_and_std,
    recall_per_class,
    retrieval_chance,
    retrieval_metrics,
)
from utils.plots import confusion_matrix as plot_confusion
from utils.results import checkpoint_facts, interval_over_groups, prediction_table, write_results
from utils.retrieval import describe_retrieval, retrieval_both_ways
from utils.run import default_name, open_run, seed_everything, write_json
from utils.tables import title

RANKS = (1, 3)  # R@1 and R@3, as in Table 4 of the paper
IMU_BATCH = 512  # windows; a video takes far more memory, hence --batch_size


def main(argv: list[str] | None = None) -> Path:
    """Run the evaluation; returns the run's folder."""
    config = parse(ZeroshotConfig, argv)
    started = time.perf_counter()
    device = distributed.setup(config.device).device
    seed_everything(config.seed)

    model, training = load_dual_encoder(config.checkpoint, config.window_s)
    model = model.to(device).eval()

    # Prototypes: labelled windows of the one side, of this dataset or of another one
    store = open_store(config.data_root, config.dataset)
    classes = resolve_classes(config.classes, store.classes)
    source = open_store(config.data_root, config.prototypes_from or config.dataset)
    mapping = prototype_classes(config.class_map, classes, store.classes, source.classes)
    names = [name for target in classes for name in mapping[target]]
    owner = np.array([k for k, target in enumerate(classes) for _ in mapping[target]])
    to_video = config.direction == "imu_to_video"
    listing = {"labelled": True, "window_s": training.window_s, "min_coverage": config.min_coverage}
    candidates = list_windows(source, needs_video=to_video, classes=names, **listing)
    windows = list_windows(store, needs_video=not to_video or config.retrieval, classes=classes, **listing)
    if config.query_subjects:
        if config.prototypes_from in (None, config.dataset):
            candidates = without_subjects(candidates, config.query_subjects, "query_subjects")
        windows = windows.subset(of_subjects(windows, config.query_subjects, "query_subjects"))
        refuse_shared(candidates, windows)
    candidate_of, window_of = true_recordings(candidates, windows)  # under whatever dataset's or file's name
    if config.windows_per_recording == "centre":
        chosen, kept = centre_positions(candidates), centre_positions(windows)
        candidates, candidate_of = candidates.subset(chosen).centred(), candidate_of[chosen]
        windows, window_of = windows.subset(kept).centred(), window_of[kept]
    same_recordings = bool(np.isin(candidate_of, window_of).any())
    per_class, seed = config.prototypes_per_class, config.seed
    per_class = None if per_class == "all" else per_class
    chosen = draw_prototypes(owner[candidates.label], candidate_of, classes, per_class, seed, same_recordings)
    prototypes = candidates.subset(chosen)

    # Queries: windows of the other side, of every recording that gave no prototype
    leaks = np.isin(window_of, candidate_of[chosen])  # the seconds before and after look and move alike
    copies = np.flatnonzero(leaks & ~np.isin(windows.sources(), prototypes.sources()))
    queries = windows.subset(~leaks)
    support = np.bincount(queries.label, minlength=len(classes))
    if not support.all():
        empty = ", ".join(classes[k] for k in np.flatnonzero(support == 0))
        raise ValueError(
            f"no query is left of {empty}: its recordings gave prototypes; use fewer --prototypes_per_class, "
            "or leave it out with --classes"
        )
    query, prototype = ("IMU", "video") if to_video else ("video", "IMU")
    numbers = f"{len(queries)} {query} queries of {len(classes)} classes, {len(prototypes)} {prototype} prototypes"
    print(f"{config.dataset}: {numbers}")
    for listed in {source.name: candidates, store.name: windows}.values():
        if listed.too_short:
            print(f"{listed.store.name}: {listed.describe_too_short()}")
    if column := paper_column(classes):
        print(column)
    if len(copies):
        print(f"{len(copies)} windows are no queries: copies, under another name, of recordings that gave prototypes")
    facts = checkpoint_facts(config.checkpoint)
    excluded, people = training.exclude_classes or [], training.exclude_subjects or []
    seen = seen_in_pretraining(facts["dataset"], excluded, queries, config.data_root, people)
    if seen["seen"]:
        print(f"WARNING: {seen['why']}: {seen['windows']} of these queries were seen in pretraining")

    z_video = embed_video(model, prototypes if to_video else queries, training, config, device)
    z_imu = embed_imu(model, queries if to_video else prototypes, training.normalize, device)
    retrieval = retrieve(config, model, training, queries, z_imu if to_video else z_video, device)
    z_queries, z_prototypes = (z_imu, z_video) if to_video else (z_video, z_imu)
    prototype_class = torch.from_numpy(owner[prototypes.label]).to(device)
    scores = class_scores(z_queries, z_prototypes, prototype_class, len(classes), config.prototype).cpu().numpy()
    predicted = scores.argmax(1)
    repetitions = bootstrap(queries.label, len(classes), config.bootstrap_share, config.bootstraps, config.seed)
    confusion = confusion_matrix(queries.label, predicted, len(classes))
    groups = groups_of(queries.subject, queries.session)[0]

    name = config.run_name or default_name("zeroshot", config.dataset)
    folder = open_run(config.runs_root / name, dump(config), device)
    results = {
        "command": "zeroshot",
        "simulated": store.simulated or source.simulated,
        "dataset": store.fingerprint(),
        "prototypes_from": source.fingerprint(),
        "class_map": {target: list(mapping[target]) for target in classes},
        "checkpoint": facts,
        "seen_in_pretraining": seen,
        "direction": config.direction,
        "model": training.model,
        "classes": list(classes),
        "paper_column": column,
        "window_s": training.window_s,
        "queries_per_class": support.tolist(),
        "queries_left_out": len(windows) - len(queries),
        "copies_left_out": windows.ids(copies),
        "prototypes_per_class": config.prototypes_per_class,
        "metrics": mean_and_std([measure(queries.label[r], scores[r]) for r in repetitions]),
        "chance": classification_chance(support) | retrieval_chance(len(classes), RANKS),
        "majority": majority_baseline(support) | {"r@1": float(support.max() / support.sum())},
        **retrieval,
        "interval": interval_over_groups(queries.label, predicted, groups, len(classes), config.seed),
        "recall": recall_per_class(confusion),
        "confusion": confusion.tolist(),
    }
    of_class = {c: prototypes.ids(np.flatnonzero(owner[prototypes.label] == k)) for k, c in enumerate(classes)}
    write_json(folder / "prototypes.json", of_class)
    prediction_table(queries, predicted).to_csv(folder / "predictions.csv", index=False, lineterminator="\r\n")
    plot_confusion(confusion, classes, folder / "confusion.png", title(results))
    write_results(folder, config, results, started)
    return folder


def embed_imu(model: DualEncoder, windows: Windows, normalize: str, device: torch.device) -> Tensor:
    """(Q, D) unit-norm embeddings of IMU windows."""
    imu = torch.from_numpy(windows.imu(np.arange(len(windows)), normalize))
    with torch.inference_mode():
        return torch.cat([model.embed_imu(part.to(device)) for part in imu.split(IMU_BATCH)])


def embed_video(
    model: DualEncoder, windows: Windows, training: TrainConfig, config: ZeroshotConfig, device: torch.device
) -> Tensor:
    """(P, D) unit-norm embeddings of video windows, the middle frame of each chunk."""
    loader = PairLoader(
        windows,
        LoaderSettings(
            config.batch_size,
            training.clip_len,
            training.normalize,
            num_threads=config.num_workers,
            train=False,
            pin=device.type == "cuda",
            frames_used=model.video_encoder.frames_used(training.clip_len),
        ),
    )
    with torch.inference_mode():
        return torch.cat([model.embed_video(batch.to(device)[1]) for batch in loader.epoch(0)])


def retrieve(
    config: ZeroshotConfig,
    model: DualEncoder,
    training: TrainConfig,
    queries: Windows,
    embedded: Tensor,
    device: torch.device,
) -> dict[str, Any]:
    """Retrieval among the queries' own pairs, for results.json; empty if it was not asked for.

    Args:
        embedded: (Q, D) the queries' embeddings, of the side that asks.
    """
    if not config.retrieval:
        return {"retrieval": {}, "retrieval_chance": {}}
    if config.direction == "imu_to_video":
        found, chance, count = retrieval_both_ways(embedded, embed_video(model, queries, training, config, device))
    else:
        asked = embed_imu(model, queries, training.normalize, device)
        found, chance, count = retrieval_both_ways(asked, embedded)
    print(describe_retrieval(found, chance, count, which="pairs of the queries").strip())
    return {"retrieval": found, "retrieval_chance": chance}


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Metrics of some queries from their (Q, K) class scores."""
    confusion = confusion_matrix(labels, scores.argmax(1), scores.shape[1])
    return classification_metrics(confusion) | retrieval_metrics(scores, labels, RANKS)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{ZeroshotConfig.program}: {problem}")
