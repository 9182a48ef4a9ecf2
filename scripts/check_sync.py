"""Estimate the offset between video and IMU of every recording: ``python -m scripts.check_sync data/ego4d``.

Writes ``sync.csv`` (a row per recording) into the dataset's folder; ``scripts.describe`` draws it. A positive offset
means that the video shows an event later than the IMU does. Where head and camera hardly turn, the verdict is
``cannot tell``.
"""

import os
import sys
from math import isfinite

import pandas as pd

from configs.data import CheckSyncConfig
from configs.load import parse
from datasets.preparation.parallel import WorkersError
from datasets.store import Store
from datasets.synchrony.check import NO_VIDEO, VERDICTS, check_dataset
from utils.tables import markdown

SHOWN = 30  # rows of the printed table; sync.csv has them all


def main(argv: list[str] | None = None) -> None:
    cfg = parse(CheckSyncConfig, argv)
    try:
        store = Store(cfg.data)
        table = check_dataset(store, cfg.max_offset_s, cfg.num_workers or os.cpu_count() or 1)
    except (OSError, ValueError, WorkersError) as error:
        sys.exit(f"{CheckSyncConfig.program}: {error}")
    print(report(table))
    print(f"{'simulated: ' if store.simulated else ''}{store.root / 'sync.csv'}")


def report(table: pd.DataFrame) -> str:
    """Counts by verdict, and the recordings with the largest offsets."""
    largest = table.iloc[(-table["offset_s"].abs()).argsort(kind="stable")[:SHOWN]]  # without an estimate: last
    rows = [
        (
            row.id,
            f"{row.offset_s:+.3f}" if isfinite(row.offset_s) else "-",
            f"{row.confidence:.3f}",
            row.verdict,
            f"{row.used_s:.0f}",
            row.detail,
        )
        for row in largest.itertuples()
    ]
    shown = markdown(("id", "offset, s", "confidence", "verdict", "used, s", "detail"), rows)
    left = f"\n... and {len(table) - SHOWN} more in sync.csv" if len(table) > SHOWN else ""
    blind = table["detail"] == NO_VIDEO  # their verdict says nothing of the check
    counts = table.loc[~blind, "verdict"].value_counts()
    verdicts = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
    verdicts += f", {blind.sum()} without video" if blind.any() else ""
    return f"{shown}{left}\n{len(table)} recordings: {verdicts}"


if __name__ == "__main__":
    main()
