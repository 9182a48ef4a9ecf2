"""Read a prepared dataset again, every byte of it, and name what is damaged."""

from pathlib import Path

import pandas as pd

from datasets.store import read_info
from utils.atomic_io import sha256_of


def verify(root: Path) -> tuple[int, list[str]]:
    """Compare the tables with their digests in ``dataset.json``, and all other files with theirs in ``files.csv``.

    Returns:
        how many files were read, and a line per damaged file, which it begins with.

    Raises:
        FileNotFoundError: if the folder holds no prepared dataset.
        ValueError: if ``dataset.json`` or ``files.csv`` is damaged, so that there are no digests to compare with.
    """
    if not (root / "dataset.json").is_file():
        raise FileNotFoundError(f"{root} is not a prepared dataset, or its preparation has not ended: no dataset.json")
    problems = {name: _problem(root / name, digest) for name, digest in read_info(root)["tables"].items()}
    if problems["files.csv"]:
        raise ValueError(f"{root / 'files.csv'}: {problems['files.csv']}: give the same scripts.prepare command again")
    table = pd.read_csv(root / "files.csv", dtype=str)
    problems |= {row.file: _problem(root / row.file, row.sha256) for row in table.itertuples()}
    return len(problems), [f"{name}: {problem}" for name, problem in problems.items() if problem]


def _problem(path: Path, digest: str) -> str:
    """What is wrong with a file, empty if nothing is; what cannot be read must not hide the rest."""
    try:
        return "" if sha256_of(path) == digest else "holds other bytes than were written (SHA-256 differs)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
