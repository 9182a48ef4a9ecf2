"""Closing a prepared dataset while it changes, and opening it when its sources are prepared.

The tables are merged from the journal. ``dataset.json`` is written last: without it nothing reads the dataset. Files
that no journal entry names are removed, except those of a source that some process is at work on.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from datasets.masking import mask_table
from datasets.preparation.journal import FOLDERS, possible_sources, read_journal, started_path
from datasets.recording import Rejection
from datasets.store import FORMAT_VERSION, RECORDING_COLUMNS
from utils.atomic_io import temporary, write_temporary


def recordings_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """``recordings.csv`` of the rows that journal entries hold, in the order of ids."""
    return pd.DataFrame(list(rows), columns=RECORDING_COLUMNS).sort_values("id", ignore_index=True)


def finish(
    root: Path,
    source_ids: Iterable[str],
    rejected: Iterable[Rejection],
    classes: Sequence[str],
    info: dict[str, Any],
    masked: Iterable[dict[str, Any]] = (),
    known: Iterable[str] = (),
) -> None:
    """Merge the journal into the tables and write ``dataset.json``: from here on the dataset can be opened.

    Args:
        source_ids: the sources that belong to the dataset.
        rejected: sources that were refused before they could be read.
        classes: labels in order; labels that the recordings add come after them, sorted.
        info: what ``dataset.json`` holds beside totals: name, format, settings, versions, ``simulated``,
            ``frame_size``.
        masked: rows of ``masked.csv``, see ``datasets.masking``.
        known: ``known_sources`` from before the sources were listed. Those that are not among ``source_ids`` have
            vanished, and their files are removed; those of a source that another call has found since are not.

    Raises:
        ValueError: if a file that the journal names is gone.
    """
    ids = list(source_ids)
    entries = [entry for entry in (read_journal(root, source) for source in ids) if entry is not None]
    rows = recordings_table(row for e in entries for row in e["recordings"])
    segments = pd.DataFrame([s for e in entries for s in e["segments"]], columns=["id", "start_s", "end_s", "label"])
    refused = [asdict(r) for r in rejected] + [r for e in entries for r in e["rejected"]]
    table = pd.DataFrame(refused, columns=["id", "reason", "detail", "start_s", "end_s"])
    files = pd.DataFrame([f for e in entries for f in e["files"]], columns=["file", "bytes", "sha256"])
    tables = {"recordings": rows, "segments": segments, "rejected": table, "masked": mask_table(masked)}
    tables["files"] = files.sort_values("file", ignore_index=True)
    if gone := [name for name in tables["files"]["file"] if not (root / name).is_file()]:
        raise ValueError(
            f"{root / gone[0]}: was prepared and is gone ({len(gone)} such files): give the same command again, it "
            "prepares these recordings anew"
        )

    found = (set(rows["label"]) | set(segments["label"])) - {""}
    in_order = [name for name in classes if name in found]
    info = info | {
        "format_version": FORMAT_VERSION,
        "classes": in_order + sorted(found - set(in_order)),
        "subjects": sorted(set(rows["subject"]) - {""}),
        "recordings": len(rows),
        "hours": round(float(rows["duration_s"].sum()) / 3600, 4),
        "rejected": len(table),
    }
    texts = {root / f"{name}.csv": frame.to_csv(index=False) for name, frame in tables.items()}
    info["tables"] = {path.name: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    texts[root / "dataset.json"] = json.dumps(info, indent=2, default=str) + "\n"
    write_temporary({path: text.encode() for path, text in texts.items()})  # a full disk leaves the old ones
    unfinish(root)
    _remove_strays(root, set(tables["files"]["file"]), set(known) - set(ids))
    for path in texts:  # dataset.json comes last
        temporary(path).replace(path)


def unfinish(root: Path) -> None:
    """Close the dataset to readers until ``finish``: files that its tables speak of are about to change."""
    (root / "dataset.json").unlink(missing_ok=True)


def _remove_strays(root: Path, named: set[str], vanished: set[str]) -> None:
    """Delete what vanished sources left, and files that no journal names: but nothing of a source at work.

    Other calls may be preparing sources of this dataset, also some that this one has never heard of. Their files have
    their names before the journal names them; until then there is a note that the source was started.

    Args:
        named: files of the dataset.
        vanished: ids of sources.
    """
    for folder in FOLDERS:
        for path in (root / folder).glob("*"):
            sources = possible_sources(path)
            if path.relative_to(root).as_posix() in named or any(started_path(root, s).exists() for s in sources):
                continue
            nameless = folder != ".journal" and path.suffix != ".tmp"
            # the journal is read after the note was looked for: its entry is written before the note goes
            if sources & vanished or (nameless and not any(_names(root, s, path) for s in sources)):
                path.unlink(missing_ok=True)  # another call may be ending at the same moment


def _names(root: Path, source_id: str, path: Path) -> bool:
    """Whether the journal entry of a source, as it is now, names a file."""
    entry = read_journal(root, source_id)
    return entry is not None and path.relative_to(root).as_posix() in {file["file"] for file in entry["files"]}
