"""Estimate the offset between video and IMU of every recording: ``python -m scripts.check_sync data/ego4d``.

Writes ``sync.csv`` (a row per recording) and ``sync.png`` into the dataset's folder. A positive offset means that the
video shows an event later than the IMU does. Where head and camera hardly turn, the verdict is ``cannot tell``.
"""

import json
import os
import sys
from dataclasses import fields

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from configs.data import CheckSyncConfig
from configs.load import parse
from datasets.preparation.parallel import WorkersError
from datasets.store import Recordings, Store, frame_files
from datasets.synchrony.check import COLUMNS, NO_VIDEO, check_recording
from datasets.synchrony.kept_rows import KeptRows
from datasets.synchrony.offset import VERDICTS, SyncSettings
from datasets.synchrony.plot import draw_offsets
from utils.atomic_io import write_text
from utils.progress_bar import progress
from utils.tables import markdown

SETTINGS = "sync.json"  # beside sync.csv: the settings that it follows from
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


def check_and_write(store: Recordings, settings: SyncSettings, num_workers: int) -> pd.DataFrame:
    """``check_dataset``, its table as ``sync.csv`` its settings and its picture, in the dataset's folder."""
    kept = KeptRows(store, settings)
    table = check_dataset(store, settings, num_workers, kept)
    (store.root / SETTINGS).unlink(missing_ok=True)  # never beside a table that it does not speak of
    write_text(store.root / "sync.csv", table.to_csv(index=False))
    write_text(store.root / SETTINGS, json.dumps(settings.facts()))
    kept.remove()
    draw_offsets(store, table, settings, store.root / "sync.png")
    return table


def is_current(store: Recordings, settings: SyncSettings) -> bool:
    """Whether ``sync.csv`` has all recordings with video, is younger than their frames, and was made with these
    settings; ``max_offset_s`` may differ, since it changes verdicts, not offsets."""
    table, facts = store.root / "sync.csv", store.root / SETTINGS
    try:
        checked, used = pd.read_csv(table, dtype={"id": str}), json.loads(facts.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    filmed = store.recordings.loc[store.recordings["frames"] > 0, "id"]
    files = [file for name in filmed for file in frame_files(store.root, name)]
    written = table.stat().st_mtime_ns
    return (
        set(filmed) <= set(checked["id"])
        and all(file.stat().st_mtime_ns < written for file in files)
        and used | {"max_offset_s": settings.max_offset_s} == settings.facts()
    )


def check_dataset(store: Recordings, settings: SyncSettings, num_workers: int, kept: KeptRows) -> pd.DataFrame:
    """A row per recording, in the order of ``recordings.csv``; columns as in ``COLUMNS``.

    Args:
        kept: rows of a call that was killed; only the others are made, and kept.

    Raises:
        ValueError: if no recording has video.
        WorkersError: if a process dies.
    """
    frames = store.recordings["frames"].to_numpy()
    if not (frames > 0).any():
        raise ValueError(f"{store.root}: no recording has video, so there is nothing to compare with the IMU")
    rows = kept.load()
    longest_first = np.argsort(-frames, kind="stable")  # no worker is left alone with a long one at the end
    left = [int(number) for number in longest_first if number not in rows]
    jobs = (delayed(check_recording)(number, store.only(number), settings) for number in left)
    done = Parallel(n_jobs=num_workers, return_as="generator_unordered")(jobs)
    try:
        for number, row in progress(done, total=len(frames), initial=len(rows), desc="check_sync", unit="recording"):
            kept.add(number, row)
            rows[number] = row
    except TerminatedWorkerError as error:
        raise WorkersError(
            f"{store.root}: a process died during the synchrony check: is there too little memory? Give the same "
            "command again, with fewer --num_workers"
        ) from error
    return pd.DataFrame([rows[recording] for recording in range(len(frames))], columns=COLUMNS)


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
