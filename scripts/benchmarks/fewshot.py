"""The few-shot grid of one encoder by linear probes, against the way of the authors' code.

They push every batch of 8 windows through the frozen encoder again in each of 25 epochs, each draw and number of shots
by itself, and evaluate the held-out windows after every epoch, to choose the best. Here each window is embedded once
and all heads are trained together. Windows are random numbers: what they hold does not change the time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from configs.reporting import BenchmarkConfig
from datasets.protocols.splits import Draw, DrawSettings, draw_windows
from models.imu import PatchTSTEncoder
from models.probe import LinearHeads, embed_imu, initial_weight, shuffled_batches, train_linear_heads
from scripts.benchmarks.measure import Report, in_turn, ratio

SHOTS, DRAWS, CLASSES, HELD_OUT, EPOCHS, BATCH_SIZE, LR = (10, 20, 50, 100), 5, 5, 20, 25, 8, 1e-3
WINDOWS_PER_CLASS = 200


@dataclass
class Grid:
    """An encoder, windows, and the cells of the paper's protocol."""

    encoder: nn.Module
    imu: Tensor
    labels: Tensor
    cells: list[tuple[int, Draw]]

    def sets(self) -> list[Tensor]:
        return [torch.from_numpy(draw.train(shots)) for shots, draw in self.cells]


def run(cfg: BenchmarkConfig, _: Path) -> Report:
    """Measure both ways in turn; one epoch of the authors' is timed: all are alike, and 25 would take minutes."""
    grid = make_grid(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    costs = in_turn({"ours": lambda: len(ours(grid).weight), "authors": lambda: len(authors(grid))}, cfg.repeats)
    mine, theirs = [c.wall_s for c in costs["ours"]], [c.wall_s * EPOCHS for c in costs["authors"]]
    number = f"{len(SHOTS)} numbers of shots x {DRAWS} draws, {CLASSES} classes, {EPOCHS} epochs"
    report = Report(f"Few-shot grid of one encoder, linear probe: {number}, on {grid.imu.device.type}")
    report.add("seconds, ours", mine, key="ours_s")
    report.add(f"seconds, the authors' way: {EPOCHS} times one epoch of each cell", theirs, key="authors_s")
    report.add("  so many times faster", ratio(theirs, mine), "80", "ratio_vs_authors")
    return report


def make_grid(device: torch.device) -> Grid:
    """The paper's encoder with random weights, random windows, and the draws of ``--split window``."""
    torch.manual_seed(0)
    labels = np.arange(CLASSES * WINDOWS_PER_CLASS) % CLASSES
    draws = draw_windows(labels, CLASSES, DrawSettings(max(SHOTS), HELD_OUT, DRAWS, seed=0))
    return Grid(
        encoder=PatchTSTEncoder().to(device).eval(),
        imu=torch.randn(len(labels), 6, 250).to(device),
        labels=torch.from_numpy(labels).to(device),
        cells=[(shots, draw) for shots in SHOTS for draw in draws],
    )


def ours(grid: Grid) -> LinearHeads:
    """Every head of the grid, and its predictions."""
    embeddings = embed_imu(grid.encoder, grid.imu)
    heads = train_linear_heads(
        embeddings,
        grid.labels,
        grid.sets(),
        seeds=list(range(len(grid.cells))),
        num_classes=CLASSES,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        lr=LR,
        weight_decay=0.01,
    )
    for head, (_, draw) in enumerate(grid.cells):
        heads.logits(head, embeddings[torch.from_numpy(draw.test).to(embeddings.device)]).argmax(1).cpu()
    return heads


def authors(grid: Grid, epochs: int = 1) -> list[nn.Linear]:
    """Every head of the grid by itself, evaluated after each epoch."""
    layers = []
    for seed, ((_, draw), windows) in enumerate(zip(grid.cells, grid.sets(), strict=True)):
        layer = nn.Linear(grid.encoder.dim, CLASSES).to(grid.imu.device)
        initial = initial_weight(CLASSES, grid.encoder.dim, seed).to(grid.imu)  # those of ours, so that results agree
        layer.weight.data, layer.bias.data = initial[:, :-1].clone(), initial[:, -1].clone()
        optimizer = torch.optim.AdamW(layer.parameters(), lr=LR, weight_decay=0.01)
        test = torch.from_numpy(draw.test).to(grid.imu.device)
        for epoch in shuffled_batches(windows, epochs, BATCH_SIZE, seed).to(grid.imu.device).chunk(epochs):
            for batch in epoch:
                batch = batch[batch >= 0]
                with torch.no_grad():
                    features = grid.encoder(grid.imu[batch])
                optimizer.zero_grad()
                nn.functional.cross_entropy(layer(features), grid.labels[batch]).backward()
                optimizer.step()
            with torch.no_grad():
                for batch in test.split(BATCH_SIZE):
                    layer(grid.encoder(grid.imu[batch])).argmax(1).cpu()
        layers.append(layer)
    return layers
