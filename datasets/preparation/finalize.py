"""The end of a preparation: the journal merged into the tables of the dataset.

``dataset.json`` is written last: without it the dataset cannot be opened. Files without a journal entry are removed.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from datasets.masking import mask_table
from datasets.preparation.journal import FOLDERS, journal_path, read_journal
from datasets.preparation.lock import LOCK_FILES
from datasets.recording import Rejection
from datasets.store import FORMAT_VERSION, RECORDING_COLUMNS
from utils.atomic_io import replacing


def recordings_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """``recordings.csv`` from the rows of journal entries, sorted by id."""
    return pd.DataFrame(list(rows), columns=RECORDING_COLUMNS).sort_values("id", ignore_index=True)


def finalize(
    root: Path,
    source_ids: Iterable[str],
    rejected: Iterable[Rejection],
    classes: Sequence[str],
    info: dict[str, Any],
    masked: Iterable[dict[str, Any]] = (),
) -> None:
    """Merge the journal into the tables and write ``dataset.json``. Afterwards the dataset can be opened.

    Args:
        source_ids: the sources that belong to the dataset; files of all others are removed.
        rejected: sources that were rejected before they were read.
        classes: labels in order; other labels of the recordings follow, sorted.
        info: content of ``dataset.json`` beside totals: name, format, settings, versions, ``simulated``,
            ``frame_size``.
        masked: rows of ``masked.csv``, see ``datasets.masking``.

    Raises:
        ValueError: if a file that the journal lists is missing.
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
            f"{root / gone[0]}: was prepared and is missing ({len(gone)} such files): give the same command again to "
            "prepare these recordings again"
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
    with ExitStack() as files:  # renamed in the reverse order, dataset.json last
        for path, text in reversed(texts.items()):
            files.enter_context(replacing(path)).write_bytes(text.encode())  # a full disk leaves the old ones
        invalidate(root)
        keep = {root / name for name in tables["files"]["file"]} | {journal_path(root, source) for source in ids}
        keep |= {root / ".journal" / name for name in LOCK_FILES}
        for folder in FOLDERS:
            for path in set((root / folder).glob("*")) - keep:
                path.unlink(missing_ok=True)


def invalidate(root: Path) -> None:
    """Make the dataset unreadable until ``finalize``: files that its tables list are about to change."""
    (root / "dataset.json").unlink(missing_ok=True)
