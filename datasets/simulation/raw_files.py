"""Simulated raw recordings in the file layouts, conventions and dirt of Ego4D, UESTC-MMEA-CL and the PD study."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from configs.constants import STANDARD_GRAVITY
from datasets.simulation.raycast import camera_rays, render
from datasets.simulation.recording_plans import MMEA_RATE_HZ, PLAN, Take, perform, take_rng
from datasets.simulation.rooms import Room
from datasets.simulation.trajectory import Trajectory
from datasets.simulation.world import Device

MMEA_LSB_PER_G = 8192
MMEA_LSB_PER_DPS = 16.4
PD_RATE_HZ = 50
EGO4D_RATE_HZ = 10  # frames a second
EGO4D_HEADER = "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"
PD_HEADER = "time,date,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"


def film(
    room: Room, device: Device, trajectory: Trajectory, frames: int, rate_hz: float, frame_size: int
) -> np.ndarray:
    """(frames, S, S, 3) uint8: what the device's camera sees, the first frame at 0 s."""
    time_s = np.arange(frames) / rate_hz
    rays = camera_rays(frame_size, device.field_of_view)
    pictures = render(room, trajectory.position(time_s), trajectory.rotation(time_s), rays)
    return np.clip(np.arange(256) * device.gain, 0, 255).astype(np.uint8)[pictures]


def write_video(path: Path, frames: np.ndarray, rate_hz: int) -> None:
    """(n, S, S, 3) uint8 -> H.264 mp4. One thread, so that the bytes do not depend on the machine's cores."""
    import av  # only where source video is written or read: training machines lack it

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "crf": "18"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ---------------------------------------------------------------- Ego4D


def write_ego4d(folder: Path, take: Take, seed: int, frame_size: int) -> dict:
    """Write one video and its IMU table.

    Returns:
        Its entry in ``ego4d.json``.
    """
    room, device, trajectory, rng = perform(take, seed)
    fps = EGO4D_RATE_HZ
    frames = int(take.duration_s * fps)
    has_imu = "no_imu" not in take.dirt
    pictures = film(room, device, trajectory, frames, fps, frame_size)
    write_video(folder / "v2" / "full_scale" / f"{take.stem}.mp4", pictures, fps)
    if has_imu:
        _write(folder / "v2" / "imu" / f"{take.stem}.csv", _ego4d_table(take, device, trajectory, rng))
    return {
        "video_uid": take.stem,
        "duration_sec": frames / fps,
        "has_imu": has_imu,
        "is_stereo": False,
        "video_metadata": {
            "fps": float(fps),
            "num_frames": frames,
            "video_codec": "h264",
            "video_duration_sec": frames / fps,
            "display_resolution_width": frame_size,
            "display_resolution_height": frame_size,
        },
    }


def _ego4d_table(take: Take, device: Device, trajectory: Trajectory, rng: np.random.Generator) -> str:
    true_rate_hz = rng.uniform(197.6, 201.2)
    time_s = np.arange(int((take.duration_s - 0.01) * true_rate_hz)) / true_rate_hz
    acc, gyro = device.sensor.measure(trajectory, time_s, rng)
    stamp_ms = np.abs(1000 * time_s + np.clip(rng.normal(0, 0.25, len(time_s)), -1, 1))
    keep = np.ones(len(time_s), bool)
    if "gap" in take.dirt:
        first = int(len(time_s) * rng.uniform(0.3, 0.6))
        keep[first : first + 60] = False  # 0.3 s
        keep[first // 2 : first // 2 + 12] = False  # 0.06 s
    shown = [f"{value:.4f}" for value in stamp_ms]
    if "non_monotonic" in take.dirt:
        for first in rng.integers(0, len(shown) - 8, 5):
            shown[first : first + 8] = reversed(shown[first : first + 8])
    if "null_stamps" in take.dirt:
        for row in rng.choice(len(shown), 40, replace=False):
            shown[row] = "NULL"
    began_ms = rng.uniform(1e5, 1e6)  # the component's own clock
    values = np.concatenate([gyro, acc], axis=1)
    rows = [EGO4D_HEADER]
    for row in np.flatnonzero(keep):
        numbers = "{:.6f},{:.6f},{:.6f},{:.5f},{:.5f},{:.5f}".format(*values[row])
        rows.append(f"0,{began_ms + 1000 * time_s[row]:.4f},{shown[row]},{numbers}")
    return "\n".join(rows) + "\n"


def finish_ego4d(folder: Path, entries: list[dict], seed: int) -> None:
    """Write ``ego4d.json``, the table of contents."""
    entries = sorted(entries, key=lambda entry: entry["video_uid"])
    content = {"version": "2.0-simulated", "description": "simulated", "videos": entries}
    (folder / "ego4d.json").write_text(json.dumps(content, indent=1))


# ---------------------------------------------------------------- UESTC-MMEA-CL


def write_mmea(folder: Path, take: Take, seed: int, frame_size: int) -> dict:
    """Write one video and its table of raw integers.

    Returns:
        Its stem, frames, IMU rows and class number, for the split lists.
    """
    room, device, trajectory, rng = perform(take, seed)
    frames = round(take.duration_s * MMEA_RATE_HZ)
    rows = frames + int(rng.choice([-1, 0, 0, 0, 1]))  # the two do not always stop together
    acc, gyro = device.sensor.measure(trajectory, np.arange(rows) / MMEA_RATE_HZ, rng)
    counts = np.concatenate([acc / STANDARD_GRAVITY * MMEA_LSB_PER_G, np.degrees(gyro) * MMEA_LSB_PER_DPS], axis=1)
    counts = np.clip(np.round(counts), -32768, 32767).astype(int)
    text = "".join(",".join(map(str, row)) + "\n" for row in counts.tolist())
    _write(folder / "sensor" / f"{take.stem}.csv", text)
    pictures = film(room, device, trajectory, frames, MMEA_RATE_HZ, frame_size)
    write_video(folder / "video" / f"{take.stem}.mp4", pictures, MMEA_RATE_HZ)
    return {"stem": take.stem, "frames": frames, "rows": rows, "class": int(take.stem.split("_")[0])}


def finish_mmea(folder: Path, entries: list[dict], seed: int) -> None:
    """Write the split lists: labels from 0, CRLF line ends, frame count and IMU rows, as in the published ones."""
    entries = sorted(entries, key=lambda entry: entry["stem"])
    order = take_rng(seed, "mmea", PLAN, 1).permutation(len(entries))
    first, second = int(0.7 * len(entries)), int(0.8 * len(entries))
    for name, part in (("train", order[:first]), ("val", order[first:second]), ("test", order[second:])):
        lines = [
            "yourdataset_path/data/{stem} {frames} {rows} ".format(**entries[i]) + f"{entries[i]['class'] - 1}\r\n"
            for i in part
        ]
        (folder / f"{name}.txt").write_bytes("".join(lines).encode())


# ---------------------------------------------------------------- PD


def write_pd(folder: Path, take: Take, seed: int, frame_size: int) -> None:
    """Write one table; there is no video."""
    _, device, trajectory, rng = perform(take, seed)
    time_s = np.arange(int(take.duration_s * PD_RATE_HZ)) / PD_RATE_HZ
    acc, gyro = device.sensor.measure(trajectory, time_s, rng)
    day = (datetime(2023, 3, 1) + timedelta(days=int(take.device))).date().isoformat()
    rows = [PD_HEADER]
    for now, values in zip(time_s, np.concatenate([acc, gyro], axis=1), strict=True):
        rows.append(f"{now:.3f},{day}," + ",".join(f"{value:.5f}" for value in values))
    _write(folder / f"{take.stem}.csv", "\n".join(rows) + "\n")


# By population: what writes a take, and what then writes the tables of contents.
WRITERS = {
    "ego4d": (write_ego4d, finish_ego4d),
    "mmea": (write_mmea, finish_mmea),
    "pd": (write_pd, lambda folder, entries, seed: None),
}
