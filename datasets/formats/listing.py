"""What the formats share when they list a raw folder."""

import re
from pathlib import Path

# Listed in an index of the raw dataset but not on this disk: people hold parts of the large datasets.
NOT_ON_DISK = "not_on_disk"
NO_IMU = "no_imu"  # of videos that the raw dataset's own index says so of
NO_LOSS = (NOT_ON_DISK, NO_IMU)  # reasons that say nothing against the recordings that are there


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
