"""Which device is checked, the time that is left, what is written of each check, and the data that all of them use."""

import os
from pathlib import Path

import pytest
import torch

from tests.gpu.report import GpuReport
from tests.gpu.running import DEVICE, DRY_RUN, make_data

LIMIT_S = float(os.environ.get("GPU_CHECK_LIMIT_S", 520))  # of all checks together
REPORT = pytest.StashKey[GpuReport]()


def pytest_configure(config):
    if (folder := os.environ.get("GPU_CHECK_OUT")) is not None:
        config.stash[REPORT] = GpuReport(Path(folder), DEVICE, LIMIT_S)


def pytest_runtest_setup(item):
    """Nothing is begun that needs a card and finds none, or that may not end in time."""
    if not DRY_RUN and not torch.cuda.is_available():
        pytest.skip("no CUDA device: what is checked here can only be seen on one")
    if (report := item.config.stash.get(REPORT, None)) is None:
        return
    report.begin(item.name)
    limit_s, left_s = item.get_closest_marker("timeout").args[0], report.left_s()
    if left_s < limit_s:
        pytest.fail(f"not run: it may take {limit_s} s, and {left_s:.0f} s of {LIMIT_S:.0f} are left", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    found = yield
    report = item.config.stash.get(REPORT, None)
    if report is not None and not found.skipped:
        problem = None
        if found.failed:
            problem = " ".join(call.excinfo.exconly().split())[:400]
        elif found.when == "call":
            problem = ""
        report.add(item.name, found.duration, dict(item.user_properties), problem)
    return found


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device(DEVICE, 0) if DEVICE == "cuda" else torch.device(DEVICE)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Data root with ``sim_ego4d`` and ``sim_mmea``: simulated, prepared, frames of 64 pixels."""
    return make_data(tmp_path_factory.mktemp("gpu_data"))
