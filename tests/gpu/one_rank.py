"""What a single rank does, started by torchrun from test_steps.py; writes what it found as JSON.

With one rank our own functions have nothing to say to others, so the collectives that they use are called here.
"""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import train
from configs.load import parse
from configs.training import TrainConfig
from models import build_model, build_objective
from tests.gpu.running import NO_DROPOUT
from utils import distributed


def collectives(device: torch.device) -> dict[str, bool]:
    """Whether each gives back what one rank put in."""
    rows = torch.arange(6.0, device=device).view(2, 3).requires_grad_()
    gathered = distributed._Gather.apply(rows)
    weight = torch.arange(6.0, device=device).view(2, 3)
    (gathered * weight).sum().backward()
    total = rows.detach().clone()
    dist.all_reduce(total)
    objects, message = [None], ["from rank 0"]
    dist.all_gather_object(objects, {"rank": 0})
    dist.broadcast_object_list(message)
    return {
        "gather": torch.equal(gathered, rows),
        "its gradient": torch.equal(rows.grad, weight),
        "sum": torch.equal(total, rows),
        "objects": objects == [{"rank": 0}],
        "broadcast": message == ["from rank 0"],
    }


def gradients(model: nn.Module, engine: nn.Module, config: TrainConfig, device: torch.device) -> dict:
    """Of one batch of random windows."""
    generator = torch.Generator().manual_seed(0)
    imu = torch.randn(4, 6, 250, generator=generator)
    side = config.image_size
    video = torch.randint(0, 256, (4, config.clip_len, side, side, 3), generator=generator, dtype=torch.uint8)
    model.zero_grad()
    build_objective(config).loss(engine(imu.to(device), video.to(device))).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


def wrapped_against_plain(config: TrainConfig, device: torch.device) -> float:
    """Largest difference of a gradient under DistributedDataParallel, relative to the largest of its tensor."""
    torch.manual_seed(0)
    model = build_model(config).to(device).train()
    plain = gradients(model, model, config, device)
    ids = [device.index] if device.type == "cuda" else None
    engine = DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)
    wrapped = gradients(model, engine, config, device)
    return max(float((wrapped[n] - g).abs().max() / g.abs().max().clamp(min=1e-6)) for n, g in plain.items())


def main() -> None:
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    config = parse(TrainConfig, [*arguments, *NO_DROPOUT])
    device = distributed.setup(config.device).device
    found = {"backend": dist.get_backend(), "collectives": collectives(device)}
    found["gradients"] = wrapped_against_plain(config, device)
    status = train.main(arguments)
    found["left"] = not dist.is_initialized()
    (folder / "one_rank.json").write_text(json.dumps(found))
    sys.exit(status)


if __name__ == "__main__":
    main()
