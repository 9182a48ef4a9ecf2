"""Read every byte of a prepared dataset and name damaged files."""

from pathlib import Path

import pandas as pd

from datasets.store import read_info
from utils.atomic_io import sha256_of


def verify(root: Path) -> tuple[int, list[str]]:
    """Compare the tables with their digests in ``dataset.json``, and all other files with theirs in ``files.csv``.

    Returns:
        number of files read, and a line for each damaged file that begins with its name.

    Raises:
        FileNotFoundError: if the folder holds no prepared dataset.
        ValueError: if ``dataset.json`` or ``files.csv`` is damaged, so that digests are missing.
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
    """The damage of a file, empty if there is none. An unreadable file must not end the check of the others."""
    try:
        return "" if sha256_of(path) == digest else "holds other bytes than were written (SHA-256 differs)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
