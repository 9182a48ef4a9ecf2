"""The few-shot grid of one encoder by linear probes, against the way of the authors' code.

They push every batch of 8 windows through the frozen encoder again in each of 25 epochs, each draw and number of shots
by itself, and evaluate the held-out windows after every epoch, to choose the best. Here each window is embedded once
and all heads are trained together. Windows are random numbers: what they hold does not change the time.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from configs.reporting import BenchmarkConfig
from datasets.protocols.splits import Draw, draw_windows
from models.imu import PatchTSTEncoder
from models.probe import LinearHeads, embed_imu, initial_weight, shuffled_batches, train_linear_heads
from scripts.benchmarks.measure import Cost, Report, cpu_ratio, in_turn, measure, spread, wall_ratio

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


def run(cfg: BenchmarkConfig) -> Report:
    """Measure both ways in turn."""
    grid = make_grid(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    evaluation: list[Cost] = []
    contenders = {"ours": lambda: ours(grid)[1], "the authors' way": lambda: authors_epoch(grid, evaluation)[1]}
    costs = in_turn(contenders, cfg.repeats)
    # one epoch of every cell is timed: all are alike, and 25 of them would take minutes
    theirs = [Cost(c.amount, c.cpu_s * EPOCHS, c.wall_s * EPOCHS) for c in costs["the authors' way"]]
    looking = [Cost(c.amount, c.cpu_s * EPOCHS, c.wall_s * EPOCHS) for c in evaluation[1:]]
    training = [Cost(a.amount, a.cpu_s - e.cpu_s, a.wall_s - e.wall_s) for a, e in zip(theirs, looking, strict=True)]
    number = f"{len(SHOTS)} numbers of shots x {DRAWS} draws, {CLASSES} classes, {EPOCHS} epochs"
    report = Report(f"Few-shot grid of one encoder, linear probe: {number}, on {grid.imu.device.type}")
    report.add("seconds, ours", spread([c.wall_s for c in costs["ours"]]), key="ours_s")
    report.add("seconds, the authors' way", spread([c.wall_s for c in theirs]), key="authors_s")
    report.add("  so many times faster", wall_ratio(costs["ours"], theirs), "80", "ratio_vs_authors")
    report.add("  in CPU time", cpu_ratio(costs["ours"], theirs), key="cpu_ratio_vs_authors")
    report.add(
        "  without their evaluation after every epoch",
        wall_ratio(costs["ours"], training),
        key="ratio_without_evaluation",
    )
    report.note(f"The authors' way is extrapolated: one epoch of each of the {len(grid.cells)} cells, times {EPOCHS}.")
    return report


def make_grid(device: torch.device) -> Grid:
    """The paper's encoder with random weights, random windows, and the draws of ``--split window``."""
    torch.manual_seed(0)
    labels = np.arange(CLASSES * WINDOWS_PER_CLASS) % CLASSES
    names = [f"class {k}" for k in range(CLASSES)]
    draws = draw_windows(labels, names, shots=max(SHOTS), held_out=HELD_OUT, draws=DRAWS, seed=0)
    return Grid(
        encoder=PatchTSTEncoder().to(device).eval(),
        imu=torch.randn(len(labels), 6, 250).to(device),
        labels=torch.from_numpy(labels).to(device),
        cells=[(shots, draw) for shots in SHOTS for draw in draws],
    )


def ours(grid: Grid) -> tuple[LinearHeads, float]:
    """Every head of the grid, and its predictions; returns the heads and how many grids were done."""
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
    return heads, 1.0


def authors_epoch(grid: Grid, evaluation: list[Cost], epochs: int = 1) -> tuple[list[nn.Linear], float]:
    """One epoch of every cell by itself; what the evaluation after it took is added to ``evaluation``."""
    layers, spent = [], []
    for seed, ((_, draw), windows) in enumerate(zip(grid.cells, grid.sets(), strict=True)):
        layer = nn.Linear(grid.encoder.dim, CLASSES).to(grid.imu.device)
        initial = initial_weight(CLASSES, grid.encoder.dim, seed).to(grid.imu)  # those of ours, so that results agree
        layer.weight.data, layer.bias.data = initial[:, :-1].clone(), initial[:, -1].clone()
        optimizer = torch.optim.AdamW(layer.parameters(), lr=LR, weight_decay=0.01)
        plan = shuffled_batches(windows, epochs, BATCH_SIZE, seed).to(grid.imu.device)
        for epoch in plan.chunk(epochs):
            for batch in epoch:
                batch = batch[batch >= 0]
                with torch.no_grad():
                    features = grid.encoder(grid.imu[batch])
                optimizer.zero_grad()
                nn.functional.cross_entropy(layer(features), grid.labels[batch]).backward()
                optimizer.step()
            spent.append(measure(lambda: evaluate(grid, layer, torch.from_numpy(draw.test))))  # noqa: B023 - called here
        layers.append(layer)
    evaluation.append(Cost(1.0, sum(c.cpu_s for c in spent), sum(c.wall_s for c in spent)))
    return layers, 1.0


@torch.no_grad()
def evaluate(grid: Grid, layer: nn.Linear, test: Tensor) -> float:
    """Share of held-out windows that are answered right, a batch at a time through the encoder."""
    right = 0
    for batch in test.to(grid.imu.device).split(BATCH_SIZE):
        right += int((layer(grid.encoder(grid.imu[batch])).argmax(1) == grid.labels[batch]).sum())
    return right / len(test)
