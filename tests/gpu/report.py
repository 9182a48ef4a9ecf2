"""gpu_check.json and gpu_check.md: what was checked on which card, and what was measured.

Both are written anew after every check, so that a run that is killed leaves what it found.
"""

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from utils.atomic_io import write_text
from utils.run import commit, package_versions
from utils.tables import markdown

Figure = float | int | str | bool


class GpuReport:
    """The checks of one run, in their order.

    Args:
        folder: to write to.
        device: ``cuda``, or ``cpu`` for a dry run.
        limit_s: what the whole run may take.
    """

    def __init__(self, folder: Path, device: str, limit_s: float):
        self.folder, self.limit_s = folder, limit_s
        self._begun = time.monotonic()
        self._checks: dict[str, dict[str, Any]] = {}
        self._machine = machine(device)

    def left_s(self) -> float:
        """Seconds until the whole run must have ended."""
        return self.limit_s - (time.monotonic() - self._begun)

    def begin(self, name: str) -> None:
        """A check starts; until it has ended it counts as failed."""
        self._checks[name] = {"name": name, "passed": False, "seconds": 0.0, "figures": {}, "why": "did not end"}
        self.write()

    def add(self, name: str, seconds: float, figures: Mapping[str, Figure], problem: str | None) -> None:
        """A part of a check has ended: its preparation, the check itself, or the cleaning up after it.

        Args:
            problem: why it failed; empty if the check itself ended well; None where this part does not say.
        """
        check = self._checks[name]
        check["seconds"] = round(check["seconds"] + seconds, 2)
        check["figures"] |= figures
        if problem is not None:
            check["why"] = problem
        check["passed"] = not check["why"]
        self.write()

    def content(self) -> dict[str, Any]:
        checks = list(self._checks.values())
        return self._machine | {
            "passed": bool(checks) and all(check["passed"] for check in checks),
            "seconds": round(self.limit_s - self.left_s(), 1),
            "checks": checks,
        }

    def write(self) -> None:
        content = self.content()
        texts = {"gpu_check.json": json.dumps(content, indent=2) + "\n", "gpu_check.md": table(content)}
        for name, text in texts.items():
            write_text(self.folder / name, text)


def machine(device: str) -> dict[str, Any]:
    """What was checked, and where."""
    on_gpu = device == "cuda" and torch.cuda.is_available()
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(0) if on_gpu else "CPU, small sizes: a dry run that says nothing of a GPU",
        "memory_gb": round(torch.cuda.get_device_properties(0).total_memory / 1e9, 1) if on_gpu else None,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "packages": package_versions(),
        "cores": len(os.sched_getaffinity(0)),
        "commit": os.environ.get("GPU_CHECK_COMMIT") or commit(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    return found


def table(content: Mapping[str, Any]) -> str:
    """The same as Markdown."""
    packages = content["packages"]
    where = [
        f"**{content['device']}**" + (f", {content['memory_gb']:g} GB" if content["memory_gb"] else ""),
        f"{content['cores']} cores",
        f"Python {content['python']}",
        *(f"{name} {packages[name]}" for name in ("torch", "torchvision", "transformers")),
        f"commit {content['commit'][:12]}",
    ]
    rows = [
        (
            check["name"].removeprefix("test_").replace("_", " "),
            "; ".join(f"{name}: {show(value)}" for name, value in check["figures"].items()),
            "passed" if check["passed"] else "FAILED",
            f"{check['seconds']:.1f}",
        )
        for check in content["checks"]
    ]
    failed = [f"* {check['name']}: {check['why']}" for check in content["checks"] if not check["passed"]]
    end = f"{len(rows) - len(failed)} of {len(rows)} checks passed, in {content['seconds']:.0f} s."
    checks = markdown(("check", "measured", "", "s"), rows)
    return "\n".join([", ".join(where) + ".", "", checks, "", *failed, end, ""])


def show(value: Figure) -> str:
    """A figure as it stands in the table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
