"""Picture of windows as a pretrained IMU encoder sees them, coloured by class and by dataset.

    python -m scripts.embed --checkpoint runs/NAME/checkpoints/last.pt --datasets mmea pd --out runs/NAME_embedding

Equally many labelled windows of each class are embedded by the IMU encoder alone and laid out in two dimensions: by
PCA and t-SNE (van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html), or by PCA alone. Writes
embedding.png and .pdf, embedding.csv (a row per window) and results.json; ``scripts.report`` shows what it finds among
its runs.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import StandardScaler

from configs.evaluation import EmbedConfig
from configs.load import dump, parse
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from models import load_imu_encoder
from models.probe import embed_imu
from utils import distributed
from utils.plots import embedding_map
from utils.results import checkpoint_facts, public_settings
from utils.run import commit, open_run, seed_everything, write_json
from utils.tables import encoder_origin, marked

PCA_FIRST = 50  # dimensions that t-SNE sees: the rest is mostly noise, and slow
NEIGHBOURS = 10  # of a window, that the layout is held to account for


@dataclass(frozen=True)
class Layout:
    """Windows in two dimensions.

    Attributes:
        points: (W, 2) float64.
        axes: names of the two dimensions.
        projection: how it was made, in words.
        trustworthiness: see ``lay_out``.
    """

    points: np.ndarray
    axes: tuple[str, str]
    projection: str
    trustworthiness: float


def main(argv: list[str] | None = None) -> Path:
    """Draw the picture; returns its folder."""
    config = parse(EmbedConfig, argv)
    device = distributed.setup(config.device).device
    seed_everything(config.seed)
    encoder, training = load_imu_encoder(config.checkpoint)
    encoder = encoder.to(device)
    stores = [open_store(config.data_root, name) for name in config.datasets]
    embeddings, rows = [], []
    for number, store in enumerate(stores):
        windows = list_windows(store, labelled=True)
        chosen = balanced(windows, config.windows_per_class, [config.seed, number])
        imu = torch.from_numpy(windows.imu(chosen, config.normalize or training.normalize))
        embeddings.append(embed_imu(encoder, imu).cpu().numpy())
        ids = windows.ids(chosen)
        rows += [(store.name, windows.classes[windows.label[i]], ids[k]) for k, i in enumerate(chosen)]
    layout = lay_out(np.concatenate(embeddings), config.projection, config.perplexity, config.seed)

    folder = open_run(config.out, dump(config), device)
    simulated = any(store.simulated for store in stores)
    results = {
        "command": "embed",
        "simulated": simulated,
        "datasets": [store.fingerprint() for store in stores],
        "checkpoint": checkpoint_facts(config.checkpoint),
        "model": training.model,
        "windows": len(rows),
        "windows_per_class": config.windows_per_class,
        "projection": layout.projection,
        "neighbours": NEIGHBOURS,
        "trustworthiness": layout.trustworthiness,
        "seed": config.seed,
        "commit": commit(),
        "config": public_settings(config.model_dump()),
    }
    write_points(folder / "embedding.csv", rows, layout.points)
    datasets = {store.name: marked(store.name, store.simulated) for store in stores}
    title = f"{', '.join(datasets.values())}: {training.model}, {encoder_origin(results)}; {layout.projection}"
    labels, names = [label for _, label, _ in rows], [datasets[name] for name, _, _ in rows]
    embedding_map(layout.points, labels, names, layout.axes, folder / "embedding.png", title)
    write_json(folder / "results.json", results)
    print(f"{len(rows)} windows: {folder / 'embedding.png'}")
    return folder


def balanced(windows: Windows, most: int, seed: list[int]) -> np.ndarray:
    """Positions of equally many windows of each class, by class: ``most``, or as many as the smallest class has."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(windows.label, minlength=len(windows.classes))
    number = min(most, counts[counts > 0].min())
    present = np.flatnonzero(counts)
    drawn = [rng.choice(np.flatnonzero(windows.label == k), number, replace=False) for k in present]
    return np.concatenate([np.sort(positions) for positions in drawn])


def lay_out(embeddings: np.ndarray, projection: str, perplexity: float, seed: int) -> Layout:
    """Two dimensions for embeddings, each of whose dimensions is standardised first.

    The trustworthiness (Venna and Kaski 2001) says how far a point's neighbours in the layout are its neighbours among
    the embeddings: 1 at best, about 0.5 for a layout at random.

    Args:
        embeddings: (W, D).
        projection: ``tsne`` or ``pca``.

    Raises:
        ValueError: if there are too few windows for the perplexity.
    """
    if projection == "tsne" and len(embeddings) <= 3 * perplexity:
        raise ValueError(
            f"perplexity {perplexity:g} needs more than {3 * perplexity:g} windows, and there are {len(embeddings)}: "
            "lower it, or take more --windows_per_class"
        )
    if len(embeddings) <= 2 * NEIGHBOURS:
        raise ValueError(f"{len(embeddings)} windows are too few for a picture: it takes more than {2 * NEIGHBOURS}")
    scaled = StandardScaler().fit_transform(embeddings.astype(np.float64))
    pca = PCA(min(PCA_FIRST, *scaled.shape), random_state=seed)
    reduced = pca.fit_transform(scaled)
    explained = pca.explained_variance_ratio_
    if projection == "pca":
        points = reduced[:, :2]
        axes = tuple(f"component {k + 1} ({100 * explained[k]:.0f} % of the variance)" for k in range(2))
        words = "PCA"
    else:
        points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced).astype(np.float64)
        axes = ("t-SNE 1", "t-SNE 2")
        words = (
            f"t-SNE (perplexity {perplexity:g}, seed {seed}) of the first {reduced.shape[1]} principal components, "
            f"{100 * explained.sum():.0f} % of the variance"
        )
    return Layout(points, axes, words, float(trustworthiness(scaled, points, n_neighbors=NEIGHBOURS)))


def write_points(path: Path, rows: list[tuple[str, str, str]], points: np.ndarray) -> None:
    """One row per window: where it lies, and what it is."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["x", "y", "dataset", "class", "window"])
        table.writerows((repr(float(x)), repr(float(y)), *row) for (x, y), row in zip(points, rows, strict=True))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{EmbedConfig.program}: {problem}")
