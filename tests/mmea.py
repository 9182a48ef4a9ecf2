"""A small raw folder in the layout of UESTC-MMEA-CL: csv and video of a few seconds."""

import shutil
from pathlib import Path

import numpy as np

from tests.videos import write_video

NAMES = {1: "upstairs", 2: "downstairs"}


def write_mmea(raw: Path, recordings: int, frames: int = 180) -> Path:
    """Half of the recordings of each class, all of them different; the videos are one and the same."""
    video = write_video(raw.parent / f"{raw.name}.mp4", frames, 25)
    rng = np.random.default_rng(0)
    for k in range(recordings):
        number = 1 + k % 2
        stem = f"{number}_{NAMES[number]}/{number}_{NAMES[number]}_2021_01_{1 + k // 60:02d}_15_{k % 60:02d}_01"
        for path in (raw / "sensor" / f"{stem}.csv", raw / "video" / f"{stem}.mp4"):
            path.parent.mkdir(parents=True, exist_ok=True)
        counts = rng.integers(-300, 300, (frames, 6)) + [0, 16384, 0, 0, 0, 164]
        np.savetxt(raw / "sensor" / f"{stem}.csv", counts, fmt="%d", delimiter=",")
        shutil.copy(video, raw / "video" / f"{stem}.mp4")
    return raw


def contents(dataset: Path) -> dict[str, bytes]:
    """Every file of a prepared dataset that is not part of its journal; the name of the folder is left out."""
    files = {path.relative_to(dataset).as_posix(): path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    kept = {name: data for name, data in files.items() if not name.startswith(".journal/")}
    if "dataset.json" in kept:
        kept["dataset.json"] = kept["dataset.json"].replace(dataset.name.encode(), b"NAME")
    return kept
