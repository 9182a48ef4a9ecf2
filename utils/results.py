"""What every results.json says of the checkpoint that it measured."""

import hashlib
from pathlib import Path
from typing import Any

from utils import checkpoint


def checkpoint_facts(path: Path) -> dict[str, Any]:
    """Digest of a checkpoint file, and what it says of its training; the name without folders.

    Raises:
        CheckpointError: if the file cannot be read.
    """
    payload = checkpoint.load(path, kind="pretrain")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": path.name,
        "sha256": digest,
        "epoch": payload["epoch"],
        "step": payload["step"],
        "dataset": payload["dataset"],
    }
