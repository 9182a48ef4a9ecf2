"""Small prepared datasets for tests, written through the code that writes them."""

from pathlib import Path

import numpy as np

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ
from datasets.frames import frame_writer
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.recording import Rejection, Segment
from datasets.store import Store, frames_path


def write_dataset(
    root: Path,
    labels: list[str],
    seconds: float = 15,
    video: bool = True,
    frame_size: int = 32,
    subjects: int | list[str] = 3,
    segments: tuple[Segment, ...] = (),
    simulated: bool = True,
    seed: int = 0,
) -> Store:
    """One recording per label; frame k of a recording is a smooth picture of brightness 5k (modulo 250).

    Each label's IMU is a sine of its own frequency, so that there is something to learn. So many ``subjects`` take
    turns, or each recording is of the one named.
    """
    rng = np.random.default_rng(seed)
    kinds = sorted(set(labels))
    for number, label in enumerate(labels):
        recording_id = f"rec{number:03d}"
        time = np.arange(round(seconds * IMU_RATE_HZ)) / IMU_RATE_HZ
        wave = np.sin(2 * np.pi * (0.5 + kinds.index(label)) * time)
        imu = (
            wave[:, None] * [1, 2, 3, 0.1, 0.2, 0.3] + [0, 9.81, 0, 0, 0, 0] + 0.1 * rng.standard_normal((len(time), 6))
        )
        frames = round(seconds * FRAME_RATE_HZ) if video else 0
        if video:
            with frame_writer(frames_path(root, recording_id)) as writer:
                for k in range(frames):
                    writer.write(np.full((frame_size, frame_size, 3), 5 * k % 250, dtype=np.uint8))
        prepared = PreparedRecording(
            id=recording_id,
            source=recording_id,
            imu=imu.astype(np.float32),
            subject=subjects[number] if isinstance(subjects, list) else f"s{number % subjects}" if subjects else "",
            session=f"day{number}",
            label="" if segments else label,
            source_rate_hz=100.0,
            source_hash=f"{root.name} {seed} {label}",
            frames=frames,
            segments=segments,
        )
        write_source(root, recording_id, "fingerprint", [prepared])
    info = {"name": root.name, "simulated": simulated, "frame_size": frame_size, "settings": {}, "versions": {}}
    finalize(
        root, [f"rec{n:03d}" for n in range(len(labels))], [Rejection("lost", "empty_csv", "a test row")], kinds, info
    )
    return Store(root)
