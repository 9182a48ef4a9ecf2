"""The synchrony check of a dataset: a row of ``sync.csv`` for each recording, which a killed check resumes from.

It is no part of the command, because workers find functions by their module, and a script has none.
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from datasets.frames import FrameError
from datasets.preparation.parallel import WorkersError
from datasets.store import Recordings, frame_files, imu_path
from datasets.synchrony.offset import NO_ESTIMATE, OffsetEstimate, SyncSettings, estimate_stored_offset
from datasets.synchrony.plot import draw_offsets
from utils.atomic_io import write_text
from utils.progress_bar import progress

SETTINGS = "sync.json"  # beside sync.csv: the settings that it follows from
_KEPT = "sync.partial.jsonl"
NO_VIDEO = "no video"  # the detail of a recording that has none
COLUMNS = ["id", *(field.name for field in fields(OffsetEstimate)), "detail"]


def check_recording(number: int, one: Recordings, settings: SyncSettings) -> tuple[int, dict]:
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
            estimate = estimate_stored_offset(stream, one.imu(0)[:, 3:], settings)
        except (FrameError, ValueError) as error:
            detail = str(error)
    values = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(estimate).items()}
    return number, {"id": one.recordings["id"].iloc[0]} | values | {"detail": detail}


class KeptRows:
    """A line of JSON for each recording that has been checked.

    Args:
        recordings: those that are checked; files of theirs that have changed since do not count as checked.
        settings: of the check; rows of another are not used.
    """

    def __init__(self, recordings: Recordings, settings: SyncSettings):
        self._path = recordings.root / _KEPT
        self._numbers = {name: number for number, name in enumerate(recordings.recordings["id"])}
        # as the files are now, before they are read: what is replaced meanwhile must not count as checked
        self._of = [_made_of(recordings, number, settings) for number in self._numbers.values()]

    def load(self) -> dict[int, dict[str, Any]]:
        """Rows by the recording's number. A line that was cut off by a kill, or damaged, is not among them."""
        if not self._path.is_file():
            return {}
        kept = {}
        for line in self._path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # no JSON, or no text
                continue
            kept[entry["row"]["id"]] = entry
        return {
            number: kept[name]["row"]
            for name, number in self._numbers.items()
            if name in kept and kept[name]["of"] == self._of[number]
        }

    def add(self, number: int, row: dict[str, Any]) -> None:
        """Keep the row of one recording."""
        with open(self._path, "a", encoding="utf-8") as file:
            # begun on a line of its own, also after one that was cut off
            file.write("\n" + json.dumps({"of": self._of[number], "row": row}))

    def remove(self) -> None:
        """Once the whole table is written."""
        self._path.unlink(missing_ok=True)


def _made_of(recordings: Recordings, number: int, settings: SyncSettings) -> dict[str, Any]:
    """What a row follows from: settings, method, and the recording's files as they are now."""
    root, name = recordings.root, recordings.recordings["id"].iloc[number]
    files = [imu_path(root, name)]
    if recordings.recordings["frames"].iloc[number]:
        files += frame_files(root, name)
    return {"settings": settings.facts(), "files": [_stamp(file) for file in files]}


def _stamp(file: Path) -> list[int] | None:
    """Size and time of change; None of a file that is gone."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


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


def check_and_write(store: Recordings, settings: SyncSettings, num_workers: int) -> pd.DataFrame:
    """``check_dataset``, its table as ``sync.csv``, its settings and its picture, in the dataset's folder."""
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
