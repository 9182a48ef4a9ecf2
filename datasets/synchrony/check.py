"""The synchrony check of a dataset: ``sync.csv``, and in ``sync.jsonl`` the rows that the next check need not make.

It is no part of the command, because workers find functions by their module, and a script has none.
"""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from datasets.frames import FrameError
from datasets.preparation.parallel import WorkersError
from datasets.store import Recordings, frame_files, imu_path
from datasets.synchrony.offset import NO_ESTIMATE, estimate_offset
from utils.atomic_io import write_text
from utils.progress_bar import progress

VERSION = 3  # of the method: rows of another one are made again
NO_VIDEO = "no video"  # the detail of a recording that has none
VERDICTS = ("ok", "offset", "cannot tell")
COLUMNS = "id offset_s confidence verdict correlation used_s stretches agreeing spread_s detail".split()


def check_recording(number: int, one: Recordings) -> tuple[int, dict[str, Any]]:
    """Number and row of one recording; what cannot be read has no estimate and says why in ``detail``.

    Args:
        number: its place in the dataset.
        one: the recording by itself.
    """
    stream, estimate, detail = one.frames(0), NO_ESTIMATE, ""
    if len(stream) == 0:
        detail = NO_VIDEO
    else:
        try:
            estimate = estimate_offset(stream, one.imu(0)[:, 3:])
        except (FrameError, ValueError) as error:
            detail = str(error)
    values = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(estimate).items()}
    return number, {"id": one.recordings["id"].iloc[0]} | values | {"detail": detail}


def made_of(store: Recordings, number: int) -> list[int]:
    """What a row follows from: the method, and the recording's files by their times of change."""
    name = store.recordings["id"].iloc[number]
    files = [imu_path(store.root, name), *frame_files(store.root, name)]
    return [VERSION, *(file.stat().st_mtime_ns for file in files if file.exists())]


def check_dataset(store: Recordings, max_offset_s: float, num_workers: int) -> pd.DataFrame:
    """Check the recordings and write ``sync.csv``; a killed check, or one whose files have not changed, goes on.

    Args:
        max_offset_s: a larger offset has the verdict ``offset``.

    Returns:
        A row per recording, in the order of ``recordings.csv``; columns as in ``COLUMNS``.

    Raises:
        ValueError: if no recording has video.
        WorkersError: if a process dies.
    """
    frames, kept = store.recordings["frames"].to_numpy(), store.root / "sync.jsonl"
    if not (frames > 0).any():
        raise ValueError(f"{store.root}: no recording has video, so there is nothing to compare with the IMU")
    # as the files are now, before they are read: what is replaced meanwhile must not count as checked
    of = [made_of(store, number) for number in range(len(frames))]
    lines = {line["row"]["id"]: line for line in _lines(kept.read_bytes() if kept.exists() else b"")}
    rows = {
        number: lines[name]["row"]
        for number, name in enumerate(store.recordings["id"])
        if name in lines and lines[name]["of"] == of[number]
    }
    longest_first = np.argsort(-frames, kind="stable")  # no worker is left alone with a long one at the end
    jobs = [delayed(check_recording)(int(n), store.only(int(n))) for n in longest_first if n not in rows]
    done = Parallel(n_jobs=num_workers, return_as="generator_unordered")(jobs)
    try:
        for number, row in progress(done, total=len(frames), initial=len(rows), desc="check_sync", unit="recording"):
            rows[number] = row
            with open(kept, "a", encoding="utf-8") as file:
                # begun on a line of its own, also after one that was cut off
                file.write("\n" + json.dumps({"of": of[number], "row": row}))
    except TerminatedWorkerError as error:
        raise WorkersError(
            f"{store.root}: a process died during the synchrony check: is there too little memory? Give the same "
            "command again, with fewer --num_workers"
        ) from error
    table = pd.DataFrame([rows[number] for number in range(len(frames))], columns=COLUMNS)
    far = table["offset_s"].abs() > max_offset_s
    table["verdict"] = np.where(table["offset_s"].isna(), "cannot tell", np.where(far, "offset", "ok"))
    write_text(store.root / "sync.csv", table.to_csv(index=False))
    return table


def _lines(content: bytes) -> list[dict[str, Any]]:
    """Lines of JSON, without those that a kill cut off or a disk damaged."""
    found = []
    for line in content.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:  # no JSON, or no text
            continue
    return found
