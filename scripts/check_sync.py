"""Estimate the offset between video and IMU of every recording: ``python -m scripts.check_sync data/ego4d``.

Writes ``sync.csv`` (a row per recording) and ``sync.png`` into the dataset's folder. A positive offset means that the
video shows an event later than the IMU does. Where head and camera hardly turn, the verdict is ``cannot tell``.
"""

import os
import sys
from dataclasses import fields

import numpy as np
import pandas as pd

from configs.data import CheckSyncConfig
from configs.load import parse
from datasets.preparation.parallel import WorkersError
from datasets.store import Store
from datasets.synchrony.check import NO_VIDEO, check_and_write
from datasets.synchrony.offset import VERDICTS, SyncSettings
from utils.tables import markdown

SHOWN = 30  # rows of the printed table; sync.csv has them all


def main(argv: list[str] | None = None) -> None:
    cfg = parse(CheckSyncConfig, argv)
    settings = build_settings(cfg)
    try:
        store = Store(cfg.data)
        table = check_and_write(store, settings, cfg.num_workers or os.cpu_count() or 1)
    except (OSError, ValueError, WorkersError) as error:
        sys.exit(f"{CheckSyncConfig.program}: {error}")
    print(report(table))
    print(f"{'simulated: ' if store.simulated else ''}{store.root / 'sync.csv'}, {store.root / 'sync.png'}")


def build_settings(cfg: CheckSyncConfig) -> SyncSettings:
    """The settings of the estimate among those of the command."""
    return SyncSettings(**{field.name: getattr(cfg, field.name) for field in fields(SyncSettings)})


def report(table: pd.DataFrame) -> str:
    """Counts by verdict, and the recordings with the largest offsets."""
    order = (-table["offset_s"].abs()).argsort(kind="stable")  # without an estimate: last
    rows = [
        (
            row.id,
            "-" if np.isnan(row.offset_s) else f"{row.offset_s:+.3f}",
            f"{row.confidence:.3f}",
            row.verdict,
            f"{row.used_s:.0f}",
            f"{row.agreeing}/{row.stretches}",
            row.detail,
        )
        for row in table.iloc[order[:SHOWN]].itertuples()
    ]
    header = ("id", "offset, s", "confidence", "verdict", "used, s", "stretches", "detail")
    left = f"\n... and {len(table) - SHOWN} more in sync.csv" if len(table) > SHOWN else ""
    blind = table["detail"] == NO_VIDEO  # their verdict says nothing of the check
    counts = table.loc[~blind, "verdict"].value_counts()
    verdicts = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
    verdicts += f", {blind.sum()} without video" if blind.any() else ""
    return f"{markdown(header, rows)}{left}\n{len(table)} recordings: {verdicts}"


if __name__ == "__main__":
    main()
