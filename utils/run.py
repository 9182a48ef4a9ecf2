"""A run's folder: settings, environment, and metrics over steps."""

import csv
import importlib.metadata
import json
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from utils.atomic_io import replacing, write_text

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("torch", "torchvision", "transformers", "numpy", "scipy", "pandas", "scikit-learn", "simplejpeg")


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def commit() -> str:
    """The commit of this code, with ``+changes`` where tracked files differ from it; ``unknown`` outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def environment(device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Where and with what a run happens. No user or host is recorded, and of absolute paths only the last part."""
    return {
        "commit": commit(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": " ".join(Path(word).name if word.startswith("/") else word for word in sys.argv),
        "python": platform.python_version(),
        "packages": package_versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "cores": torch.get_num_threads(),
        "world_size": world_size,
    }


def default_name(*parts: str) -> str:
    """A run name that sorts by time."""
    return "-".join([*parts, time.strftime("%Y%m%d-%H%M%S")])


def open_run(folder: Path, config_yaml: str, device: torch.device, world_size: int = 1) -> Path:
    """Create a run folder with ``config.yaml`` and ``environment.json``; a resumed run keeps its first ones.

    Args:
        config_yaml: the resolved config as text, see ``configs.load.dump``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = json.dumps(environment(device, world_size), indent=2) + "\n"
    for path, text in ((folder / "config.yaml", config_yaml), (folder / "environment.json", facts)):
        if path.exists():
            path = path.with_stem(f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}")
        path.write_text(text, encoding="utf-8")
    return folder


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a result file in one step."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


class MetricsLog:
    """Metrics over steps, in ``metrics.csv`` (long form: step, name, value) and TensorBoard.

    Reopened in the same folder, it continues: rows from ``first_step`` on, which a resumed run repeats, are dropped.
    """

    def __init__(self, folder: Path, first_step: int = 0):
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only training needs it

        self.path = folder / "metrics.csv"
        rows = []
        if self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                rows = [r for r in csv.reader(file) if len(r) == 3 and r[0].isdigit() and int(r[0]) < first_step]
        with replacing(self.path) as path, open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["step", "name", "value"], *rows])  # a run killed here keeps its history
        self._file = open(self.path, "a", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._csv = csv.writer(self._file)
        with mock.patch("socket.gethostname", return_value="run"):  # it would become part of the file's name
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)

    def write(self, step: int, **values: float) -> None:
        """Record values at a step."""
        for name, value in values.items():
            self._csv.writerow([step, name, repr(float(value))])
            self._board.add_scalar(name, value, step)
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self._board.close()
