"""The paper's sizes with random weights: VideoMAE-base on 10 frames of 224 pixels, PatchTST of width 128, 32 windows.

Timed is train.py as anybody runs it. It reads and decodes frames that scripts.benchmark makes, 16 kB each as those of
a real camera. The first steps do not count.
"""

import gc
import shutil

import pytest
import torch

import train
from configs.load import parse
from configs.reporting import BenchmarkConfig
from configs.training import TrainConfig
from datasets.store import Store
from models import build_model, build_objective
from scripts.benchmarks import train as benchmark
from tests.gpu.running import DRY_RUN, NO_DROPOUT, ROOT, differences, logged, within
from tests.training import SIZES
from utils.optim import autocast_dtype

GOAL = 0.4  # of what the card gives in a big matrix product
STEPS = 10 if DRY_RUN else 40
THREADS = 2 if DRY_RUN else 8
RECIPE = BenchmarkConfig(
    benchmark="train",
    recipe=ROOT / "configs" / "pretrain" / "ego4d.yaml",
    batch_size=8 if DRY_RUN else 32,
    steps=STEPS,
)


class Runs:
    """Runs of train.py on one dataset that is longer than each of them."""

    def __init__(self, folder, device: torch.device):
        self.folder, self.device = folder, device
        self.config = parse(TrainConfig, self._arguments(0))
        self.dtype = autocast_dtype(self.config.precision, device)
        benchmark.prepare(RECIPE, folder, self.config)
        self._number = 0

    def _arguments(self, number: int, *more: str) -> list[str]:
        sizes = SIZES if DRY_RUN else []
        words = ["--num_workers", str(THREADS), "--device", self.device.type, *NO_DROPOUT, *sizes]
        return benchmark.arguments(RECIPE, self.folder, number, *words, *more)

    def __call__(self, *more: str) -> tuple[dict[str, float], float, list[float]]:
        """Timings, peak memory in GB and the losses of a run; what it wrote is removed, which is a gigabyte."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self._number += 1
        run = self.folder / "runs" / f"run{self._number}"
        assert train.main(self._arguments(self._number, *more)) == 0
        found = benchmark.timings(run), max(logged(run, "memory_gb")), logged(run, "loss")
        shutil.rmtree(run)
        return found


@pytest.fixture(scope="module")
def runs(device, tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("throughput"), device)


@pytest.fixture(scope="module")
def whole(runs):
    """What the other runs are compared with."""
    return runs()


def gradients_repeat(config: TrainConfig, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether forward and backward of the same batch give the same bits twice."""
    torch.manual_seed(0)
    model, objective = build_model(config).to(device).train(), build_objective(config)
    imu = torch.randn(config.batch_size, 6, 250, device=device)
    clip = (config.batch_size, config.clip_len, config.image_size, config.image_size, 3)
    video = torch.randint(0, 256, clip, dtype=torch.uint8, device=device)
    found = []
    for _ in range(2):
        model.zero_grad()
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            outputs = model(imu, video)
        objective.loss(outputs).backward()
        found.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    return all(map(torch.equal, *found))


@within(200)
def test_paper_sizes(runs, whole, record_property):
    timings, memory_gb, losses = whole
    costs = [benchmark.measure_peak(runs.device, runs.dtype) for _ in range(1 if DRY_RUN else 5)]
    peak = max(cost.amount / cost.wall_s for cost in costs)
    flop = benchmark.flop_per_window(runs.config)
    share = flop * timings["windows_per_s"] / peak
    frames = Store(runs.folder / "data" / "benchmark").frames(0)
    record_property("windows per second", timings["windows_per_s"])
    record_property(f"share of the measured peak (goal {GOAL:g})", share)
    record_property(f"measured peak, TFLOP/s of a {str(runs.dtype).removeprefix('torch.')} product", peak / 1e12)
    record_property("GFLOP a window", flop / 1e9)
    record_property("share of waiting for data (goal 0.02)", timings["wait_share"])
    for phase in ("forward", "backward", "optimizer"):
        record_property(f"of {phase}", timings[f"{phase}_share"])
    record_property("peak memory, GB", memory_gb)
    record_property("threads that decode", THREADS)
    record_property("kB a frame", frames.path.stat().st_size / len(frames) / 1e3)
    record_property("gradients repeat to the bit", gradients_repeat(runs.config, runs.device, runs.dtype))
    assert losses[-1] < losses[0]
    assert 0 < share < 1 and timings["wait_share"] < 0.5


@within(90)
def test_paper_sizes_in_less_memory(runs, whole, record_property):
    pieces = str(RECIPE.batch_size // 4)
    timings, memory_gb, losses = runs("--max_steps", str(benchmark.WARM_UP + 10), "--micro_batch_size", pieces)
    record_property("peak memory, GB", memory_gb)
    record_property("windows per second", timings["windows_per_s"])
    assert max(differences(losses, whole[2][: len(losses)])) <= 0.05
    if runs.device.type == "cuda":  # a CPU's peak is that of the process, which never falls
        assert memory_gb < whole[1]


@within(150)
def test_paper_sizes_compiled(runs, whole, record_property):
    torch._dynamo.reset()  # what was compiled before counts towards the most that is
    timings, memory_gb, losses = runs("--compile")
    record_property("windows per second", timings["windows_per_s"])
    record_property("times as fast", timings["windows_per_s"] / whole[0]["windows_per_s"])
    record_property("peak memory, GB", memory_gb)
    record_property("largest difference of a loss (at most 0.05)", max(differences(losses, whole[2])))
    assert max(differences(losses, whole[2])) <= 0.05
