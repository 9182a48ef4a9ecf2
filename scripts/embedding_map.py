"""Picture of windows as a pretrained IMU encoder sees them, coloured by class and by dataset.

    python -m scripts.embedding_map --checkpoint runs/NAME/checkpoints/last.pt --datasets mmea pd --out runs/NAME_map

Equally many labelled windows of each class are embedded by the IMU encoder alone and laid out in two dimensions by
PCA and t-SNE (van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html). Writes embedding.png
and .pdf, embedding.csv (a row per window) and results.json; ``scripts.report`` shows what it finds among its runs.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import StandardScaler

from configs.evaluation import EmbeddingMapConfig
from configs.load import dump, parse
from datasets.store import open_store
from datasets.windows import Windows, list_windows
from models import load_imu_encoder
from models.probe import embed_imu
from utils import distributed
from utils.long_table import encoder_origin, marked
from utils.plots import embedding_map
from utils.results import checkpoint_facts, public_settings
from utils.run import commit, open_run, seed_everything, write_json

PCA_FIRST = 50  # dimensions that t-SNE sees: the rest is mostly noise, and slow
PERPLEXITY = 30  # neighbours that t-SNE holds a window to, about; fewer where there are few windows
NEIGHBOURS = 10  # of a window, that the layout is held to account for


def main(argv: list[str] | None = None) -> Path:
    """Draw the picture; returns its folder."""
    config = parse(EmbeddingMapConfig, argv)
    device = distributed.setup(config.device).device
    seed_everything(config.seed)
    encoder, training = load_imu_encoder(config.checkpoint, window_s=config.window_s)
    encoder = encoder.to(device)
    stores = [open_store(config.data_root, name) for name in config.datasets]
    embeddings, rows = [], []
    for number, store in enumerate(stores):
        windows = list_windows(store, labelled=True, window_s=training.window_s, min_coverage=config.min_coverage)
        if windows.too_short:
            print(f"{store.name}: {windows.describe_too_short()}")
        chosen = balanced(windows, config.windows_per_class, [config.seed, number])
        imu = torch.from_numpy(windows.imu(chosen, training.normalize))
        embeddings.append(embed_imu(encoder, imu).cpu().numpy())
        ids = windows.ids(chosen)
        rows += [(store.name, windows.classes[windows.label[i]], ids[k]) for k, i in enumerate(chosen)]
    points, projection, trust = lay_out(np.concatenate(embeddings), config.seed)

    folder = open_run(config.out, dump(config), device)
    results = {
        "command": "embed",
        "simulated": any(store.simulated for store in stores),
        "datasets": [store.fingerprint() for store in stores],
        "checkpoint": checkpoint_facts(config.checkpoint),
        "model": training.model,
        "window_s": training.window_s,
        "windows": len(rows),
        "windows_per_class": config.windows_per_class,
        "projection": projection,
        "neighbours": NEIGHBOURS,
        "trustworthiness": trust,
        "seed": config.seed,
        "commit": commit(),
        "config": public_settings(config.model_dump()),
    }
    table = pd.DataFrame(rows, columns=["dataset", "class", "window"])
    table.insert(0, "x", points[:, 0])
    table.insert(1, "y", points[:, 1])
    table.to_csv(folder / "embedding.csv", index=False)
    datasets = {store.name: marked(store.name, store.simulated) for store in stores}
    title = f"{', '.join(datasets.values())}: {training.model}, {encoder_origin(results)}; {projection}"
    names, axes = table["dataset"].map(datasets).tolist(), ("t-SNE 1", "t-SNE 2")
    embedding_map(points, table["class"].tolist(), names, axes, folder / "embedding.png", title)
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


def lay_out(embeddings: np.ndarray, seed: int) -> tuple[np.ndarray, str, float]:
    """Two dimensions for embeddings, each of whose dimensions is standardised first.

    Args:
        embeddings: (W, D).

    Returns:
        (W, 2) float64 points; how they were made, in words; and their trustworthiness (Venna and Kaski 2001), which
        says how far a point's neighbours are its neighbours among the embeddings: 1 at best, about 0.5 for a layout at
        random.

    Raises:
        ValueError: if there are too few windows.
    """
    if len(embeddings) <= 2 * NEIGHBOURS:
        raise ValueError(f"{len(embeddings)} windows are too few for a picture: it takes more than {2 * NEIGHBOURS}")
    scaled = StandardScaler().fit_transform(embeddings.astype(np.float64))
    pca = PCA(min(PCA_FIRST, *scaled.shape), random_state=seed)
    reduced = pca.fit_transform(scaled)
    perplexity = min(PERPLEXITY, len(reduced) / 3)
    points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced).astype(np.float64)
    words = (
        f"t-SNE (perplexity {perplexity:g}, seed {seed}) of the first {reduced.shape[1]} principal components, "
        f"{100 * pca.explained_variance_ratio_.sum():.0f} % of the variance"
    )
    return points, words, float(trustworthiness(scaled, points, n_neighbors=NEIGHBOURS))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{EmbeddingMapConfig.program}: {problem}")
