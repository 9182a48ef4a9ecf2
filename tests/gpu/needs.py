"""Says what is missing for the checks of a GPU, before anything slow begins: ``python -m tests.gpu.needs``."""

import importlib.metadata
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ("pytest", "pytest-timeout")  # what is needed of requirements-dev.txt


def missing(use: str, dev: str) -> list[str]:
    """Requirements of which no version is installed, from the texts of requirements.txt and requirements-dev.txt."""
    lines = use.splitlines() + [line for line in dev.splitlines() if re.split(r"[^\w-]", line)[0] in CHECKS]
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
    use, dev = (ROOT / name for name in ("requirements.txt", "requirements-dev.txt"))
    if absent := missing(use.read_text(encoding="utf-8"), dev.read_text(encoding="utf-8")):
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
