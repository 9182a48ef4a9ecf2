"""Ego4D (https://ego4d-data.org), the videos that have an IMU.

    ego4d.json                       videos[]: video_uid, has_imu, ...
    v2/full_scale/<uid>.mp4          or v2/video_540ss/<uid>.mp4
    v2/imu/<uid>.csv                 component_idx, component_timestamp_ms, canonical_timestamp_ms,
                                     gyro_x, gyro_y, gyro_z, accl_x, accl_y, accl_z     (gyroscope first; rad/s, m/s²)

The canonical timestamp is on the clock of the whole video, which may be stitched from several components; it may be
NULL, repeat, or run backwards. Axes are the camera's own, and differ between the cameras that were worn. Videos without
IMU are left out by name where they lie on the disk, or where a list asks for them.
"""

import json
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.formats.delimited import read_numbers
from datasets.formats.ego4d_clock import MAX_OUTSIDE_S, video_clock
from datasets.formats.listing import NO_IMU, NOT_ON_DISK, id_from, need_file, need_folder
from datasets.recording import ID_PATTERN, BadRecording, Found, Recording, Rejection, Source

OPTIONS = ("uids", "video_size")
SIZES = ("full_scale", "video_540ss")
_COMPONENT, _COMPONENT_TIME, _TIME = "component_idx", "component_timestamp_ms", "canonical_timestamp_ms"
_ACC, _GYRO = ["accl_x", "accl_y", "accl_z"], ["gyro_x", "gyro_y", "gyro_z"]


def find(raw: Path, uids: Path | None = None, video_size: str | None = None) -> Found:
    """List the videos with IMU.

    Args:
        uids: take only these videos: a text file, a uid per line, which may be followed by a tab and anything.
        video_size: ``full_scale`` or ``video_540ss``; default: full scale where both are there.

    Raises:
        FileNotFoundError: if the folder, ``ego4d.json`` or ``uids`` is missing.
        ValueError: if ``ego4d.json`` is damaged or lists no video with IMU, or ``uids`` is empty.
    """
    need_folder(raw, "give the folder with ego4d.json and v2 as --raw")
    path = need_file(raw / "ego4d.json", "it lists the videos")
    try:
        index = {str(video["video_uid"]): video for video in json.loads(path.read_text(encoding="utf-8"))["videos"]}
        with_imu = [uid for uid, video in index.items() if video["has_imu"]]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: is not an Ego4D index ({error!r}); download it again") from error
    if not with_imu:
        raise ValueError(f"{path}: lists no video with has_imu true")
    sources, rejected = [], []
    for uid in index if uids is None else read_uids(uids):
        if uid not in index:
            rejected.append(Rejection(id_from(uid), "not_in_index", f"{uid}: is in {uids.name}, not in {path.name}"))
            continue
        if not index[uid]["has_imu"]:
            if uids is not None or any((raw / "v2" / size / f"{uid}.mp4").is_file() for size in SIZES):
                rejected.append(Rejection(id_from(uid), NO_IMU, f"{uid}: {path.name} says that it has no IMU"))
            continue
        if not ID_PATTERN.fullmatch(uid):
            raise ValueError(f"{path}: video_uid {uid!r} is not allowed, it becomes a file name")
        found = _on_disk(raw, uid, SIZES if video_size is None else (video_size,))
        if isinstance(found, Rejection):
            rejected.append(found)
            continue
        job = partial(parse, uid, *found, _wearer(index[uid]), _duration_s(index[uid]))
        sources.append(Source(uid, found, job))
    return Found(tuple(sources), tuple(rejected))


def read_uids(path: Path) -> list[str]:
    """Uids of a list, each once; blank lines are passed over.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no uid.
    """
    lines = need_file(path, "give a file with one video uid per line as --uids").read_text(encoding="utf-8-sig")
    if not (uids := list(dict.fromkeys(line.split()[0] for line in lines.splitlines() if line.strip()))):
        raise ValueError(f"{path}: holds no video uid; want one per line")
    return uids


def _on_disk(raw: Path, uid: str, sizes: Sequence[str]) -> tuple[Path, Path] | Rejection:
    imu = raw / "v2" / "imu" / f"{uid}.csv"
    mp4 = [file for size in sizes if (file := raw / "v2" / size / f"{uid}.mp4").is_file()]
    if mp4 and imu.is_file():
        return imu, mp4[0]
    if mp4:
        return Rejection(uid, "missing_csv", f"{imu}: there is a video but no IMU")
    if imu.is_file():
        return Rejection(uid, "missing_video", f"{imu}: no video beside it in v2/{' or v2/'.join(sizes)}")
    return Rejection(uid, NOT_ON_DISK, f"neither video nor {imu.name}")


def _wearer(video: dict) -> str:
    """Participants are numbered within the university that filmed them; many are not told."""
    number = video.get("fb_participant_id")
    return "" if number is None else f"{video.get('video_source', 'unknown')}-{number:g}"


def _duration_s(video: dict) -> float | None:
    """Length that the index tells, if it does."""
    duration = (video.get("video_metadata") or {}).get("video_duration_sec")
    return None if duration is None else float(duration)


def parse(uid: str, imu: Path, video: Path, subject: str, duration_s: float | None) -> Recording:
    """Read one IMU table.

    Raises:
        BadRecording: ``missing_time``, ``copied_axes``, or as ``read_numbers``.
    """
    table, cut = read_numbers(imu, [_COMPONENT, _COMPONENT_TIME, _TIME, *_ACC, *_GYRO])
    for axes in (_ACC, _GYRO):
        _check_axes(imu, table[axes])
    time_s, counts = video_clock(
        table[_COMPONENT].to_numpy(),
        table[_COMPONENT_TIME].to_numpy() / 1000,
        table[_TIME].to_numpy() / 1000,
        duration_s,
    )
    if not np.isfinite(time_s).any():
        length = "" if duration_s is None else f" within {MAX_OUTSIDE_S:g} s of the video's {duration_s:g} s"
        missing = int(table[_TIME].isna().sum())
        message = f"{imu}: of {len(table)} rows, {missing} have no {_TIME}, and none has one{length}"
        raise BadRecording("missing_time", message)
    return Recording(
        uid,
        time_s,
        table[_ACC].to_numpy(),
        time_s,
        table[_GYRO].to_numpy(),
        subject=subject,
        video=video,
        notes=counts | ({"cut_off_rows": cut} if cut else {}),
    )


def _check_axes(imu: Path, sensor: pd.DataFrame) -> None:
    """Refuse a sensor of which one axis is a copy of another: a fault of its export, seen in several uploads."""
    values = sensor.dropna()
    for one, other in combinations(values, 2):
        if values[one].nunique() > 1 and (values[one] == values[other]).all():
            raise BadRecording("copied_axes", f"{imu}: {other} is a copy of {one} in all {len(values)} rows")
