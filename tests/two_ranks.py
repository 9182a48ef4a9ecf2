"""What two ranks must do together, as JSON: python -m tests.two_ranks DATA SPOILT RUNS, from tests/test_two_ranks.py.

Everything is in one start, since starting ranks takes longer than all checks. It is a torchrun whose ranks are copies
of it.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

import train
from configs.load import parse, read_yaml
from configs.training import TrainConfig
from datasets.loader import PairLoader
from datasets.prefetch import Batch
from models import build_model
from models.compiling import compile_encoders
from models.losses import contrastive_loss
from tests.forked import torchrun
from tests.training import SIZES, command, losses
from utils import distributed
from utils.optim import NonFiniteError

PAIRS = 6  # in all; 3 on each rank
NO_DROPOUT = ("--imu_dropout", "0", "--head_dropout", "0")
# a batch of two is one row on each rank, whose batch normalisation is over both; augmentation draws for all ranks
AS_ALONE = {
    "rows": ["--batch_size", "2", "--epochs", "1"],
    "rows_imu": ["--model", "imu_only", "--batch_size", "2", "--epochs", "1"],
    "contrast": (
        "--model imu_contrast --positives views time nearest --queue_size 6 --mask_weight 1 --augment_noise 0.1 "
        "--epochs 1"
    ).split(),
    "distilled": (
        "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --epochs 2 --lr 0.0001 "
        "--loss distill --queue_size 6 --video_weights TEACHER --video_draws 2 --video_cache CACHE"
    ).split(),
    "primus": (
        "--loss softmax --unimodal_weight 0.5 --positives views nearest --queue_size 6 --augment_noise 0.1 --epochs 1"
    ).split(),
    "small": (
        "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --epochs 1 --lr 0.0001 "
        "--augment_rotation_deg 15 --augment_noise 0.05 --augment_drop_sensor 0.3 --augment_video_shift 2"
    ).split(),
}


def as_alone(data: Path, runs: Path, name: str) -> list[str]:
    """The command of a run that two ranks and one process make; the teacher is made before both."""
    places = {"TEACHER": f"{data}/teacher/checkpoints/last.pt", "CACHE": str(runs / "cache")}
    return command(data, runs, name, *NO_DROPOUT, *(places.get(word, word) for word in AS_ALONE[name]))


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    video = torch.randint(0, 256, (PAIRS, 2, 16, 16, 3), dtype=torch.uint8, generator=generator)
    return torch.randn(PAIRS, 6, 250, dtype=torch.float64, generator=generator), video


def small_model(loss: str, encoder: str, norm: str):
    torch.manual_seed(0)
    values = {word.removeprefix("--"): value for word, value in zip(SIZES[::2], SIZES[1::2], strict=True)}
    values |= {"imu_dropout": 0, "head_dropout": 0, "imu_encoder": encoder, "imu_norm": norm, "loss": loss}
    return build_model(TrainConfig(dataset="x", **values)).double().train()


CASES = [
    (loss, encoder, norm)
    for loss in ("sigmoid", "softmax", "softmax_soft")
    for encoder, norm in (("patchtst", "batchnorm"), ("patchtst", "layernorm"), ("conv_gru", "batchnorm"))
]


def one_process(case) -> dict[str, torch.Tensor]:
    """Loss, gradients and buffers of the whole batch; called before the ranks have joined."""
    model = small_model(*case)
    loss = contrastive_loss(case[0], *model(*pairs()))
    loss.backward()
    return {"loss": loss.detach()} | snapshot(model)


def snapshot(model) -> dict[str, torch.Tensor]:
    gradients = {f"grad {name}": p.grad for name, p in model.named_parameters() if p.requires_grad}
    return gradients | {f"buffer {name}": b.clone() for name, b in model.named_buffers()}


def both_ranks(case, rank: int, pieces: int | None = None, compiled: bool = False) -> dict[str, torch.Tensor]:
    model = small_model(*case)
    model.micro_batch = pieces
    if compiled:
        compile_encoders(model, backend="aot_eager")
    engine = DistributedDataParallel(model)
    imu, video = (rows[rank * PAIRS // 2 : (rank + 1) * PAIRS // 2] for rows in pairs())
    loss = contrastive_loss(case[0], *engine(imu, video))
    loss.backward()
    return {"loss": distributed.all_reduce_sum(loss) / 2} | snapshot(model)


def largest_difference(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> float:
    """Relative to the largest value of each tensor."""
    assert expected.keys() == found.keys()
    return max(
        float((expected[name] - found[name]).abs().max() / expected[name].abs().max().clamp(min=1e-6))
        for name in expected
    )


def gathered(rank: int) -> dict:
    """Rows in rank order; a row's gradient is what all ranks together want of it."""
    rows = torch.full((2, 3), float(rank + 1), dtype=torch.float64, requires_grad=True)
    everything = distributed.gather(rows)
    weight = torch.arange(12.0, dtype=torch.float64).view(4, 3) * (10 if rank else 1)
    (everything * weight).sum().backward()
    total = torch.arange(12.0, dtype=torch.float64).view(4, 3) * 11
    return {
        "rows": everything[:, 0].tolist(),
        "gradient is right": torch.equal(rows.grad, total[2 * rank : 2 * rank + 2]),
        "objects": distributed.gather_objects(f"rank {rank}"),
        "sum": distributed.all_reduce_sum(torch.tensor([rank + 1.0, float("nan") if rank else 0.0])).tolist(),
    }


def on_first_rank(rank: int) -> dict:
    def work() -> str:
        assert rank == 0
        return "done"

    def fail() -> None:
        raise ValueError("no such thing")

    result = {"result": distributed.on_first_rank(work)}
    try:
        distributed.on_first_rank(fail)
    except (ValueError, distributed.RankError) as error:
        result |= {"error": type(error).__name__, "message": str(error)}
    return result


def not_a_number(data: Path, runs: Path) -> dict:
    """One window of one rank is spoilt: both ranks must stop, neither may change."""
    models = []
    build = train.build_on_first_rank

    def remember(config):
        model, video_config = build(config)
        models.append(model)
        return model, video_config

    train.build_on_first_rank = remember
    try:
        config = parse(TrainConfig, command(data, runs, "spoilt", "--batch_size", "20"))
        with ExitStack() as cleanup:  # train.main would end the process
            train.train(config, runs / "spoilt", distributed.setup("cpu"), cleanup)
        return {"stopped": False}
    except NonFiniteError as error:
        state = models[0].state_dict()
        torch.manual_seed(0)
        fresh = build_model(TrainConfig(**read_yaml(runs / "spoilt" / "config.yaml"))).state_dict()
        same = all(torch.equal(state[name], fresh[name]) for name in fresh)
        return {"stopped": True, "message": str(error), "unchanged": same}
    finally:
        train.build_on_first_rank = build


def recorded(run: Callable[[], object]) -> list[list[str]]:
    """Ids of the windows that this process is given at each step of a run, held-out ones left out."""
    seen: list[list[str]] = []

    class Recorder(PairLoader):
        def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
            for batch in super().epoch(epoch, start_batch):
                seen.extend([self.windows.ids(batch.index.numpy())] if self.settings.train else [])
                yield batch

    train.PairLoader = Recorder
    try:
        run()
    finally:
        train.PairLoader = PairLoader
    return seen


def main() -> None:
    data, spoilt, runs = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    references = [one_process(case) for case in CASES]
    ranks = distributed.setup("cpu")
    found = {"rank": ranks.rank, "cores": sorted(os.sched_getaffinity(0))}
    found |= {"gather": gathered(ranks.rank), "first": on_first_rank(ranks.rank)}
    found["differences"] = {
        "-".join(case): largest_difference(reference, both_ranks(case, ranks.rank))
        for case, reference in zip(CASES, references, strict=True)
    }
    found["differences in pieces"] = {
        "-".join(case): largest_difference(reference, both_ranks(case, ranks.rank, pieces=2))
        for case, reference in zip(CASES, references, strict=True)
    }
    found["differences compiled"] = {
        "-".join(case): largest_difference(reference, both_ranks(case, ranks.rank, compiled=True))
        for case, reference in zip(CASES[::2][:2], references[::2][:2], strict=True)
    }

    distributed.teardown = lambda: None  # the ranks stay together from run to run
    found["not a number"] = not_a_number(spoilt, runs)
    train.main(command(data, runs, "whole"))
    train.main(command(data, runs, "parts", "--max_steps", "3"))
    train.main(command(data, runs, "parts", "--resume", "auto"))
    found["losses"] = [losses(runs / name) for name in ("whole", "parts")]
    found["windows"] = recorded(lambda: train.main(command(data, runs, "same", *NO_DROPOUT)))
    train.main(command(data, runs, "moved", *NO_DROPOUT, "--max_steps", "3"))
    for name in AS_ALONE:
        train.main(as_alone(data, runs, name))
    try:
        with ExitStack() as cleanup:  # train.main would end the process
            config = parse(TrainConfig, command(data, runs, "odd", "--batch_size", "5"))
            train.train(config, runs / "odd", ranks, cleanup)
    except ValueError as error:
        found["odd"] = str(error)
    (runs / f"rank{ranks.rank}.json").write_text(json.dumps(found))
    # torchrun is sent SIGTERM while this goes on; it passes it to the ranks
    status = train.main(command(data, runs, "long", "--epochs", "100000", "--save_interval", "9999"))
    (runs / f"status{ranks.rank}").write_text(str(status))
    sys.exit(status)


if __name__ == "__main__":
    if "RANK" in os.environ:
        main()
    else:
        import torch._inductor.compile_fx  # compiling does

        torchrun(["--standalone", "--nproc_per_node=2", "-m", "tests.two_ranks", *sys.argv[1:]])
