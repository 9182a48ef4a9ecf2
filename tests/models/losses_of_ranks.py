"""One, two and three ranks against a loop over pairs; started from tests/models/test_losses.py, prints what differs.

Ranks are forked from one process, since importing takes longer than all that they do.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.losses import contrastive_loss

PAIRS, NAMES, WORLDS = 12, ("sigmoid", "softmax"), (1, 2, 3)


class TwoLines(nn.Module):
    """Two linear encoders, scale and bias: the smallest thing that has all that a loss reaches."""

    def __init__(self):
        super().__init__()
        self.imu, self.video = nn.Linear(5, 4), nn.Linear(6, 4)
        self.log_scale, self.bias = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(-3.0))

    def forward(self, imu: Tensor, video: Tensor) -> tuple[Tensor, ...]:
        u, v = F.normalize(self.imu(imu), dim=1), F.normalize(self.video(video), dim=1)
        return u, v, self.log_scale.exp(), self.bias


def model_and_pairs(name: str) -> tuple[TwoLines, Tensor, Tensor]:
    torch.manual_seed(0)
    model = TwoLines().double()
    model.bias.requires_grad_(name == "sigmoid")
    return model, torch.randn(PAIRS, 5, dtype=torch.float64), torch.randn(PAIRS, 6, dtype=torch.float64)


def loop(name: str) -> dict[str, Tensor]:
    """The equation as written, one pair at a time; gradients follow from those steps alone."""
    model, imu, video = model_and_pairs(name)
    u, v, scale, bias = model(imu, video)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(PAIRS):
        if name == "sigmoid":
            for j in range(PAIRS):
                total = total + torch.log1p(torch.exp(-(1 if i == j else -1) * (scale * (u[i] * v[j]).sum() + bias)))
            continue
        for rows, columns in ((u, v), (v, u)):
            exponentials = [torch.exp(scale * (rows[i] * columns[j]).sum()) for j in range(PAIRS)]
            total = total - torch.log(exponentials[i] / sum(exponentials)) / 2
    loss = total / PAIRS
    loss.backward()
    return learnt(model, loss)


def learnt(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {"loss": loss.detach()} | gradients


def be_rank(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world)
    found = {}
    for name in NAMES:
        model, imu, video = model_and_pairs(name)
        engine = DistributedDataParallel(model)
        part = slice(rank * PAIRS // world, (rank + 1) * PAIRS // world)
        loss = contrastive_loss(name, *engine(imu[part], video[part]))
        loss.backward()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        mine, expected = learnt(model, mean / world), loop(name)
        assert mine.keys() == expected.keys()
        found[name] = {key: float((mine[key] - expected[key]).abs().max()) for key in expected}
    (folder / f"{world}-{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def main(folder: Path) -> None:
    for world in WORLDS:
        ranks = []
        for rank in range(world):
            if (process := os.fork()) == 0:
                status = 1
                try:
                    be_rank(rank, world, folder)
                    status = 0
                except Exception:  # what started the ranks shows it
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            ranks.append(process)
        assert all(os.waitpid(process, 0)[1] == 0 for process in ranks)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
