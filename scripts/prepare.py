"""Raw recordings to a prepared dataset: ``python -m scripts.prepare --format mmea --raw DIR --out data/mmea``.

Recordings are prepared in parallel, and each has a journal entry when it is complete. A second call prepares only
those that are missing, or whose files or settings have changed: the same command resumes after any interruption.
"""

import errno
import os
import platform
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.data import PrepareConfig, QualityLimitsConfig
from configs.load import build, parse, read_yaml
from datasets.formats import FORMATS
from datasets.formats.common import NO_LOSS, with_usable_names
from datasets.frames import JPEG_QUALITY
from datasets.masking import VIDEO_OFFSET, mask_row, mask_rows
from datasets.preparation.cluster import connected, on_cluster
from datasets.preparation.finalize import finalize, invalidate, recordings_table
from datasets.preparation.journal import read_journal, remove_temporary_files
from datasets.preparation.listed_windows import listed_rows, read_listed
from datasets.preparation.lock import LockedError, locked
from datasets.preparation.parallel import WorkersError, in_processes, prepare_all
from datasets.preparation.source import Status, prepare_source
from datasets.preparation.verify import verify
from datasets.recording import Found, without_folder
from datasets.store import Recordings, Store, quality_path, read_info
from datasets.synchrony.check import check_dataset
from scripts.reporting.preparation_summary import check_strict, summary
from utils.atomic_io import write_text

SIMULATED_NOTE = "SIMULATED.txt"  # lies in a raw folder that no person recorded
# What workers use. Not this module: they run it as their main program, which must not be loaded before
WORKERS_LOAD = ("datasets.formats", "datasets.preparation.source", "datasets.synchrony.check")
_PACKAGES = ("numpy", "scipy", "pandas", "av", "simplejpeg")


def main(argv: list[str] | None = None) -> None:
    cfg = parse(PrepareConfig, argv)
    try:
        if cfg.verify is not None:
            files, damage = verify(cfg.verify)
            print(f"{cfg.verify}: read {files} files, {len(damage) or 'none'} damaged", *damage, sep="\n")
            if damage:
                sys.exit("prepare: remove the damaged files and give the same command again, it writes them anew")
            return
        if cfg.scheduler is not None:  # workers of a cluster have working folders of their own
            cfg = cfg.model_copy(update={"raw": cfg.raw.absolute(), "out": cfg.out.absolute()})
        check_out(cfg)
        given = {} if cfg.quality_limits is None else read_yaml(cfg.quality_limits)
        limits = build(QualityLimitsConfig, given, str(cfg.quality_limits)).model_dump()
        listed = {} if cfg.skip_windows is None else read_listed(cfg.skip_windows)
        found = with_usable_names(cfg.raw, FORMATS[cfg.format].find(cfg.raw, **options_of(cfg)))
        with locked(cfg.out):
            remove_temporary_files(cfg.out)
            counts = prepare_found(cfg, found)
            print(
                f"\n{counts['prepared']} prepared, {counts['kept']} kept from before, {counts['rejected']} left out\n"
            )
            write_tables(cfg, found, limits, listed)
            store = Store(cfg.out)
            print(summary(store, cfg.window_s))
    except (FileNotFoundError, ValueError, LockedError, WorkersError) as error:
        sys.exit(f"prepare: {error}")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = (
            f"no space left for {cfg.out}: make room" if full else f"{error}: see to it that {cfg.out} can be written"
        )
        sys.exit(f"prepare: {problem} and give the same command again, it resumes from here")
    check_rejected(cfg, found)
    if cfg.strict:
        check_strict(store)


def check_out(cfg: PrepareConfig) -> None:
    """Refuse a folder that holds something else, because stray files in a prepared dataset are removed."""
    if (cfg.out / "dataset.json").is_file():
        there = read_info(cfg.out)["settings"]["format"]
        if there != cfg.format:
            raise ValueError(f"{cfg.out} holds a dataset of format {there}, not {cfg.format}: choose another --out")
    elif cfg.out.exists() and not (cfg.out / ".journal").is_dir() and any(cfg.out.iterdir()):
        raise ValueError(f"{cfg.out} is no prepared dataset and not empty: choose another --out")


def options_of(cfg: PrepareConfig) -> dict[str, Any]:
    """The settings of the format alone."""
    return {name: getattr(cfg, name) for name in FORMATS[cfg.format].OPTIONS}


def prepare_found(cfg: PrepareConfig, found: Found) -> Counter[Status]:
    """Prepare every source, on this machine or on a cluster; how many have each status."""
    work = partial(prepare_source, raw=cfg.raw, root=cfg.out, frame_size=cfg.frame_size, window_s=cfg.window_s)
    if cfg.scheduler is not None:
        with connected(cfg.scheduler, [cfg.raw, cfg.out / ".journal" / "lock"]) as client:
            return prepare_all(work, found.sources, cfg.out, partial(on_cluster, client=client))
    workers = min(cfg.num_workers or os.cpu_count() or 1, max(len(found.sources), 1))
    engine = partial(in_processes, root=cfg.out, workers=workers, loaded=WORKERS_LOAD)
    return prepare_all(work, found.sources, cfg.out, engine)


def write_tables(
    cfg: PrepareConfig, found: Found, limits: dict[str, float], listed: dict[str, list[tuple[float, float]]]
) -> None:
    """Write the tables.

    Args:
        listed: bad stretches by source, see ``datasets.preparation.listed_windows``.

    Raises:
        ValueError: if not one recording could be prepared (``rejected.csv`` says why), or none has the video that
            ``--max_offset_s`` needs.
    """
    rejected = [without_folder(rejection, cfg.raw) for rejection in found.rejected]
    journal = [entry for source in found.sources if (entry := read_journal(cfg.out, source.id))]
    if not any(entry["recordings"] for entry in journal):
        rows = [asdict(r) for r in rejected] + [r for entry in journal for r in entry["rejected"]]
        write_text(cfg.out / "rejected.csv", pd.DataFrame(rows).to_csv(index=False))
        reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(r["reason"] for r in rows).most_common())
        raise ValueError(f"nothing could be prepared from {cfg.raw} ({reasons}); see {cfg.out / 'rejected.csv'}")
    settings = {"format": cfg.format, "frame_size": cfg.frame_size, "jpeg_quality": JPEG_QUALITY}
    settings |= {"window_s": cfg.window_s} | options_of(cfg)
    info = {
        "name": cfg.out.name,
        "simulated": (cfg.raw / SIMULATED_NOTE).is_file(),
        "frame_size": cfg.frame_size,
        "settings": {name: value.name if isinstance(value, Path) else value for name, value in settings.items()},
        "notes": found.notes,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "quality": limits,
    }
    recordings = recordings_table(row for entry in journal for row in entry["recordings"])
    masked = []
    for row in recordings.itertuples():
        measures = np.load(quality_path(cfg.out, row.id), allow_pickle=False)
        masked += mask_rows(row.id, measures, row.samples, limits)
    if cfg.skip_windows is not None:
        info["quality"] |= {"skip_windows": cfg.skip_windows.name}
        masked += listed_rows(recordings.to_dict("records"), listed)
        if absent := sorted(set(listed) - set(recordings["source"])):
            print(
                f"WARNING, skip_windows: {len(absent)} of the {len(listed)} videos in {cfg.skip_windows} are not in "
                f"the dataset, such as {absent[0]!r}"
            )
    if cfg.max_offset_s is not None:
        info["quality"] |= {"max_offset_s": cfg.max_offset_s}
        prepared = Recordings(cfg.out, info, recordings)
        masked += offset_rows(prepared, cfg.max_offset_s, cfg.num_workers or os.cpu_count() or 1)
    finalize(cfg.out, [source.id for source in found.sources], rejected, found.classes, info, masked)


def offset_rows(store: Recordings, max_offset_s: float, num_workers: int) -> list[dict]:
    """Rows of ``masked.csv`` of recordings whose video is further off than this; those without an estimate are kept.

    Recordings that ``scripts.check_sync`` has checked are not checked again. The dataset cannot be opened until the
    outcome is among the tables.

    Raises:
        ValueError: if no recording has video.
    """
    if not (store.recordings["frames"] > 0).any():
        raise ValueError(f"{store.root}: no recording has video to compare with the IMU: leave --max_offset_s out")
    invalidate(store.root)  # it may take long, and a dataset without the mask that was asked for must not open
    offsets = check_dataset(store, max_offset_s, num_workers)
    duration_s = store.recordings.set_index("id")["duration_s"]
    far = offsets[offsets["offset_s"].abs() > max_offset_s]
    return [
        mask_row(row.id, 0.0, duration_s[row.id], VIDEO_OFFSET, row.offset_s, max_offset_s) for row in far.itertuples()
    ]


def check_rejected(cfg: PrepareConfig, found: Found) -> None:
    """End with an error if too many recordings were left out whole; what is only listed somewhere does not count."""
    lost = sum(rejection.reason not in NO_LOSS for rejection in found.rejected)
    total = lost + len(found.sources)
    for source in found.sources:
        entry = read_journal(cfg.out, source.id)
        lost += not (entry and entry["recordings"])
    if lost > cfg.max_rejected_share * total:
        sys.exit(
            f"prepare: {lost} of {total} recordings were left out whole, more than --max_rejected_share "
            f"{cfg.max_rejected_share:g}: see {cfg.out / 'rejected.csv'}, mend the cause or raise the fraction"
        )


if __name__ == "__main__":
    main()
