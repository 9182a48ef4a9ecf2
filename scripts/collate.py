"""One table of all summaries that ``scripts.predict`` wrote below a folder: ``python -m scripts.collate DIR``.

A row for each recording, also for those that could not be read; keys within keys are joined by dots.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from configs.load import parse
from configs.predict import CollateConfig
from scripts.predicting import ENDINGS
from utils.atomic_io import write_text


def main(argv: list[str] | None = None) -> Path:
    """Write the table; returns its path."""
    config = parse(CollateConfig, argv)
    files = sorted(config.folder.rglob(f"*{ENDINGS[0]}"))
    if not files:
        raise ValueError(f"{config.folder}: holds no file like *{ENDINGS[0]}: give the folder of scripts.predict --out")
    rows = []
    for file in files:
        try:
            rows.append(flattened(json.loads(file.read_text(encoding="utf-8"))))
        except ValueError as error:
            raise ValueError(f"{file}: is not JSON ({error}): predict this recording again") from error
    out = config.out or config.folder / "summaries.csv"
    write_text(out, pd.DataFrame(rows).to_csv(index=False))
    print(f"{out}: {len(rows)} recordings, {sum(not row['read_ok'] for row in rows)} of them not read")
    return out


def flattened(summary: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """One level of keys, joined by dots; lists as text, separated by blanks."""
    flat: dict[str, Any] = {}
    for key, value in summary.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{name}.")
        else:
            flat[name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{CollateConfig.program}: {problem}")
