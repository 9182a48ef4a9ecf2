"""Rows of a synchrony check that are done, kept as they come: a check of days that is killed goes on from them."""

import json
from pathlib import Path
from typing import Any

from datasets.store import Recordings, frame_files, imu_path
from datasets.synchrony.offset import SyncSettings

_FILE = "sync.partial.jsonl"


class KeptRows:
    """A line of JSON for each recording that has been checked.

    Args:
        recordings: those that are checked; files of theirs that have changed since do not count as checked.
        settings: of the check; rows of another are not used.
    """

    def __init__(self, recordings: Recordings, settings: SyncSettings):
        self._path = recordings.root / _FILE
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
