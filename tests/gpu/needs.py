"""Says what is missing for the checks of a GPU, before anything slow begins: ``python -m tests.gpu.needs``."""

import importlib.metadata
import os
import re
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
CHECKS = ("pytest", "pytest-timeout")  # of those that are there for checks only


def missing(text: str) -> list[str]:
    """Requirements, as they stand in requirements.txt, of which no version is installed."""
    run_time, _, checks = text.partition("# Checks only.")
    lines = run_time.splitlines() + [line for line in checks.splitlines() if re.split(r"[^\w-]", line)[0] in CHECKS]
    found = []
    for line in lines:
        wanted = line.split("#")[0].split(";")[0].strip()
        if not wanted:
            continue
        try:
            importlib.metadata.version(re.split(r"[^\w.-]", wanted)[0])
        except importlib.metadata.PackageNotFoundError:
            found.append(wanted)
    return found


def main() -> None:
    if absent := missing(REQUIREMENTS.read_text(encoding="utf-8")):
        sys.exit(
            f"gpu_check: {sys.executable} lacks {', '.join(absent)}: pip install them, or name a folder that has "
            "them in PYTHONPATH"
        )
    import torch  # only now is it known to be there

    if os.environ.get("GPU_CHECK_DEVICE") != "cpu" and not torch.cuda.is_available():
        sys.exit(
            f"gpu_check: torch {torch.__version__} of {sys.executable} sees no CUDA device; GPU_CHECK_DEVICE=cpu "
            "makes a dry run without one"
        )


if __name__ == "__main__":
    main()
