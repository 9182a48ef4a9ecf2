"""What the formats share when they list a raw folder."""

import re
from dataclasses import replace
from pathlib import Path

from datasets.recording import MAX_ID_LENGTH, Found, Rejection, Source

# Listed in an index of the raw dataset but not on this disk: people hold parts of the large datasets.
NOT_ON_DISK = "not_on_disk"
NO_IMU = "no_imu"  # of videos that the raw dataset's own index says so of
NO_LOSS = (NOT_ON_DISK, NO_IMU)  # reasons that say nothing against the recordings that are there
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are no UTF-8


def need_folder(folder: Path, remedy: str) -> Path:
    """Check that a folder of the layout exists.

    Raises:
        FileNotFoundError: naming it and the remedy.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: {remedy}")
    return folder


def need_file(file: Path, remedy: str) -> Path:
    """Check that a file of the layout exists.

    Raises:
        FileNotFoundError: naming it and the remedy.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: {remedy}")
    return file


def id_from(*words: str) -> str:
    """An id from names that people gave their files: what may not stand in a file name becomes ``_``."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(words))
    return text if text[:1].isalnum() else f"r{text}"


def with_usable_names(raw: Path, found: Found) -> Found:
    """Refuse sources that tables cannot name, or that cannot be told from another: each costs itself alone.

    Of several with one id the first keeps it. ``x_part2`` gives way to ``x``, whose second part would be called so.

    Args:
        raw: folder that was listed; names of files count from there.
    """
    ids = {source.id for source in found.sources}
    kept: dict[str, Source] = {}
    rejected = list(found.rejected)
    for source in found.sources:
        name = ", ".join(str(path).removeprefix(f"{raw}/") for path in source.files)
        whole = re.sub(r"_part\d+$", "", source.id)
        if _NO_TEXT.search(name):
            reason, says = "unreadable_name", "its name holds control characters, or is not UTF-8"
        elif len(source.id) > MAX_ID_LENGTH:
            reason, says = "long_id", f"its id has {len(source.id)} characters, want {MAX_ID_LENGTH} at most"
        elif source.id in kept:
            first = ", ".join(str(path) for path in kept[source.id].files)
            reason, says = "same_id", f"its id {source.id} is that of {first}, too"
        elif whole != source.id and whole in ids:
            reason, says = "same_id", f"its id {source.id} would be that of a part of {whole}"
        else:
            kept[source.id] = source
            continue
        rejected.append(Rejection(source.id[:MAX_ID_LENGTH], reason, f"{name}: {says}; rename it"))
    return replace(found, sources=tuple(kept.values()), rejected=tuple(rejected))
