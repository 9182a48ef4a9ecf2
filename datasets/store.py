"""A prepared dataset on disk: where its files lie, and reading them.

    dataset.json     format version, name, classes in order, totals, preparation settings, tool versions
    recordings.csv   a row per recording       segments.csv   labelled stretches       rejected.csv   what was left out
                     (of one that a gap cut, a row per part; ``source`` names the raw recording, the same for its parts)
    imu/<id>.npy     (T, 6) float32 at 50 Hz, m/s² and rad/s, median-filtered, not z-scored
    frames/<id>.mjpeg, <id>.idx.npy            10 fps, square JPEG frames and their offsets
    masked.csv       stretches whose windows are not used, and why       files.csv   length and SHA-256 of each file
    quality/<id>.npy (W, 8) float32, measures of quality of every 5 s, from which masked.csv follows
    .journal/        one JSON per source, written last: what a killed preparation had finished

``datasets.preparation`` writes it: ``journal`` what a source gave, ``finalize`` the tables and ``dataset.json``.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.constants import CHANNELS
from datasets.frames import FrameStream, index_path
from datasets.recording import ID_PATTERN

FORMAT_VERSION = 1
RECORDING_COLUMNS = (
    ["id", "source", "subject", "session", "label", "split", "duration_s", "source_rate_hz", "samples", "frames"]
    + [f"mean_{c}" for c in CHANNELS]
    + [f"std_{c}" for c in CHANNELS]
    + ["dropped_samples", "interpolated_samples", "notes", "source_hash"]
)
_TEXT = ["id", "source", "subject", "session", "label", "split", "notes", "source_hash"]


def checked_id(recording_id: str) -> str:
    """An id becomes part of a path: one that could leave its dataset is refused."""
    if not ID_PATTERN.fullmatch(recording_id):
        raise ValueError(f"recording id {recording_id!r} is not allowed: it must match {ID_PATTERN.pattern}")
    return recording_id


def imu_path(root: Path, recording_id: str) -> Path:
    return root / "imu" / f"{checked_id(recording_id)}.npy"


def quality_path(root: Path, recording_id: str) -> Path:
    return root / "quality" / f"{checked_id(recording_id)}.npy"


def frames_path(root: Path, recording_id: str) -> Path:
    return root / "frames" / f"{checked_id(recording_id)}.mjpeg"


def frame_files(root: Path, recording_id: str) -> list[Path]:
    """All files that the frames of a recording take."""
    path = frames_path(root, recording_id)
    return [path, index_path(path)]


def read_info(root: Path) -> dict[str, Any]:
    """What ``dataset.json`` holds.

    Raises:
        ValueError: if it is no JSON.
    """
    try:
        return json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    except ValueError as error:
        remedy = "remove dataset.json and give the same scripts.prepare command again"
        raise ValueError(f"{root / 'dataset.json'}: damaged ({error}): {remedy}") from error


class Recordings:
    """Signals and frames of prepared recordings; they are read when first used.

    Those of a dataset that may not be opened yet are read through this class, those of an open one through ``Store``.

    Args:
        root: folder of the dataset.
        info: what ``dataset.json`` holds, or will hold.
        recordings: a row per recording, numbered from 0; columns of ``recordings.csv``.
    """

    def __init__(self, root: Path, info: dict[str, Any], recordings: pd.DataFrame):
        self.root, self.info, self.recordings = root, info, recordings
        for recording_id in recordings["id"]:
            checked_id(recording_id)

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def simulated(self) -> bool:
        return bool(self.info["simulated"])

    @property
    def accelerometer_only(self) -> bool:
        """Whether there was no gyroscope, so that angular rates are zeros."""
        return self.info["settings"].get("missing_gyro") is not None

    def only(self, recording: int) -> "Recordings":
        """One recording by itself, as number 0: what is sent to a worker."""
        return Recordings(self.root, self.info, self.recordings.iloc[[recording]])

    def imu(self, recording: int) -> np.ndarray:
        """(T, 6) float32 of one recording, memory-mapped.

        Raises:
            ValueError: if the file is missing, damaged, or not as long as the table says.
        """
        row = self.recordings.iloc[recording]
        path = imu_path(self.root, row["id"])
        try:
            signal = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read ({error}); prepare the dataset again") from error
        if signal.shape != (row["samples"], len(CHANNELS)) or signal.dtype != np.float32:
            raise ValueError(f"{path}: holds {signal.dtype} {signal.shape}, the table says {row['samples']} samples")
        return signal

    def frames(self, recording: int) -> FrameStream:
        """The stored frames of one recording; it has none if ``len`` is 0."""
        return self._frame_streams[recording]

    @cached_property
    def _frame_streams(self) -> list[FrameStream]:
        # made once: looking a row up in a table takes as long as reading a frame's bytes
        size = int(self.info["frame_size"])
        rows = zip(self.recordings["id"], self.recordings["frames"].tolist(), strict=True)
        return [FrameStream(frames_path(self.root, name), frames, size) for name, frames in rows]


class Store(Recordings):
    """A prepared dataset, opened for reading.

    Attributes:
        segments: id, start_s, end_s, label.
        masked: id, start_s, end_s, reason, value, threshold of stretches that windows must not touch.
        classes: labels in order.
    """

    def __init__(self, root: Path):
        if not (root / "dataset.json").is_file():
            if (root / ".journal").is_dir():
                raise FileNotFoundError(
                    f"{root}: its preparation has not ended: give the same scripts.prepare command again to resume it"
                )
            raise FileNotFoundError(
                f"{root} is not a prepared dataset (it has no dataset.json): "
                f"make it with python -m scripts.prepare --format F --raw DIR --out {root}"
            )
        info = read_info(root)
        version = info["format_version"]
        if version != FORMAT_VERSION:
            raise ValueError(f"{root}: format version {version}, this code reads {FORMAT_VERSION}: prepare it again")
        table = pd.read_csv(
            root / "recordings.csv", dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values={}
        )
        super().__init__(root, info, table)
        self.segments = pd.read_csv(root / "segments.csv", dtype={"id": str, "label": str}, keep_default_na=False)
        self.masked = pd.read_csv(root / "masked.csv", dtype={"id": str, "reason": str})
        self.classes: list[str] = list(self.info["classes"])

    @cached_property
    def source_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """(R, 6) float64 mean and standard deviation over all parts of the raw recording that each row belongs to."""
        unit = pd.factorize(self.recordings["source"])[0]
        means, stds = pool_moments(self.measured_samples, self.means, self.stds, unit)
        return means[unit], stds[unit]

    @cached_property
    def dataset_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """(6,) float64 mean and standard deviation over all recordings."""
        one = np.zeros(len(self.recordings), dtype=int)
        means, stds = pool_moments(self.measured_samples, self.means, self.stds, one)
        return means[0], stds[0]

    @cached_property
    def measured_samples(self) -> np.ndarray:
        """(R,) samples of each recording that its mean and standard deviation count: not those that fill its end."""
        filled = [json.loads(notes).get("padded_samples", 0) for notes in self.recordings["notes"]]
        return self.recordings["samples"].to_numpy() - np.array(filled, dtype=int)

    @cached_property
    def means(self) -> np.ndarray:
        """(R, 6) float64 mean of each recording's channels."""
        return self.recordings[[f"mean_{c}" for c in CHANNELS]].to_numpy(np.float64)

    @cached_property
    def stds(self) -> np.ndarray:
        """(R, 6) float64 standard deviation of each recording's channels."""
        return self.recordings[[f"std_{c}" for c in CHANNELS]].to_numpy(np.float64)

    def fingerprint(self) -> dict[str, Any]:
        """What a result should say of the data that it was computed on.

        The digest is over the tables: they hold every recording's moments and the digest of its source files.
        """
        facts = {k: self.info[k] for k in ("name", "classes", "recordings", "hours", "simulated", "settings")}
        if licence := self.info.get("notes", {}).get("licence"):
            facts["licence"] = licence
        names = ["recordings", "segments"] + (["masked"] if len(self.masked) else [])
        tables = [(self.root / f"{name}.csv").read_bytes() for name in names]
        return facts | {"sha256": hashlib.sha256(b"".join(tables)).hexdigest()}


def joint_fingerprint(stores: Sequence[Store]) -> dict[str, Any]:
    """What a checkpoint says of its data: of one dataset its fingerprint, of several those of all under ``parts``."""
    parts = [store.fingerprint() for store in stores]
    if len(parts) == 1:
        return parts[0]
    names = " + ".join(part["name"] for part in parts)
    return {"name": names, "simulated": any(part["simulated"] for part in parts), "parts": parts}


def pool_moments(
    samples: np.ndarray, means: np.ndarray, stds: np.ndarray, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of signals joined end to end, from those of each: exact, no signal is read.

        M = sum_i n_i m_i / N,    S^2 = sum_i n_i (s_i^2 + (m_i - M)^2) / N

    Args:
        samples: (R,) length of each signal.
        means, stds: (R, C) of each signal; the standard deviation divides by the length.
        unit: (R,) int, which signals are joined, numbered from 0 without gaps.

    Returns:
        (U, C) mean and (U, C) standard deviation of each unit, float64.
    """
    total = np.bincount(unit, samples)[:, None]
    mean, square = np.zeros((2, len(total), means.shape[1]))
    np.add.at(mean, unit, samples[:, None] * means)
    mean /= total
    np.add.at(square, unit, samples[:, None] * (stds**2 + (means - mean[unit]) ** 2))
    return mean, np.sqrt(square / total)


def open_store(data_root: Path, name: str) -> Store:
    """Open ``data_root/name``; where it does not exist, the error names the datasets that do."""
    root = data_root / name
    if not root.is_dir():
        there = sorted(path.parent.name for path in data_root.glob("*/dataset.json"))
        raise FileNotFoundError(
            f"no dataset {name!r} under {data_root}: there is {', '.join(there) or 'none'}; "
            f"make it with python -m scripts.prepare --format F --raw DIR --out {root}"
        )
    return Store(root)
