"""Ego4D (https://ego4d-data.org), the videos that have an IMU.

    ego4d.json                       videos[]: video_uid, has_imu, ...
    v2/full_scale/<uid>.mp4          or v2/video_540ss/<uid>.mp4
    v2/imu/<uid>.csv                 component_idx, component_timestamp_ms, canonical_timestamp_ms,
                                     gyro_x, gyro_y, gyro_z, accl_x, accl_y, accl_z     (gyroscope first; rad/s, m/s²)

The canonical timestamp is on the clock of the whole video, which may be stitched from several components; it may be
NULL, repeat, or run backwards. Axes are the camera's own, and differ between the cameras that were worn. Videos without
IMU are left out by name where they lie on the disk, or where a list asks for them. An entry of the index that says
something impossible (``bad_index_entry``) costs its video alone.
"""

import json
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasets.formats.common import NO_IMU, NOT_ON_DISK, id_from, need_file, need_folder
from datasets.formats.delimited import read_numbers
from datasets.formats.ego4d_clock import MAX_OUTSIDE_S, video_clock
from datasets.recording import ID_PATTERN, MAX_ID_LENGTH, BadRecording, Found, Recording, Rejection, Source

OPTIONS = ("uids", "video_size")
SIZES = ("full_scale", "video_540ss")
BAD_ENTRY = "bad_index_entry"
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
    index, rejected = _read_index(path)
    sources = []
    for uid in index if uids is None else read_uids(uids):
        if uid not in index:
            rejected.append(Rejection(id_from(uid), "not_in_index", f"{uid}: is in {uids.name}, not in {path.name}"))
            continue
        try:
            if not _has_imu(index[uid]):
                if uids is not None or _has_video(raw, uid):
                    rejected.append(Rejection(uid, NO_IMU, f"{uid}: {path.name} says that it has no IMU"))
                continue
            files = _on_disk(raw, uid, SIZES if video_size is None else (video_size,))
            facts = _wearer(index[uid]), _duration_s(index[uid])
        except BadRecording as error:
            if uids is not None or error.reason != BAD_ENTRY or _has_video(raw, uid):
                rejected.append(Rejection(uid, error.reason, error.message))
            continue
        sources.append(Source(uid, files, partial(parse, uid, *files, *facts)))
    return Found(tuple(sources), tuple(rejected))


def _read_index(path: Path) -> tuple[dict[str, dict[str, Any]], list[Rejection]]:
    """Entries of ``ego4d.json`` by uid, and those that cannot be told apart or cannot be a file's name."""
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        if not isinstance(videos, list):
            raise TypeError(f"videos is a {type(videos).__name__}, want a list")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: is not an Ego4D index ({error!r}); download it again") from error
    index: dict[str, dict[str, Any]] = {}
    rejected = []
    for number, video in enumerate(videos, start=1):
        uid = video.get("video_uid") if isinstance(video, dict) else None
        if not isinstance(uid, str) or not ID_PATTERN.fullmatch(uid) or len(uid) > MAX_ID_LENGTH:
            detail = f"{path}: video {number} has the video_uid {uid!r:.99}, want a name of letters, digits and -"
            rejected.append(Rejection(f"video_{number}", BAD_ENTRY, detail))
        elif uid in index:
            rejected.append(Rejection(uid, "same_id", f"{path}: video {number} has the video_uid of an earlier one"))
        else:
            index[uid] = video
    if not any(video.get("has_imu") is True for video in index.values()):
        raise ValueError(f"{path}: lists no video with has_imu true")
    return index, rejected


def read_uids(path: Path) -> list[str]:
    """Uids of a list, each once; blank lines are passed over.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no text, or holds no uid.
    """
    try:
        lines = need_file(path, "give a file with one video uid per line as --uids").read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text ({error.reason}); want one video uid per line") from error
    if not (uids := list(dict.fromkeys(line.split()[0] for line in lines.splitlines() if line.strip()))):
        raise ValueError(f"{path}: holds no video uid; want one per line")
    return uids


def _has_video(raw: Path, uid: str) -> bool:
    return any((raw / "v2" / size / f"{uid}.mp4").is_file() for size in SIZES)


def _on_disk(raw: Path, uid: str, sizes: Sequence[str]) -> tuple[Path, Path]:
    """IMU table and video; raises BadRecording where one is missing."""
    imu = raw / "v2" / "imu" / f"{uid}.csv"
    mp4 = [file for size in sizes if (file := raw / "v2" / size / f"{uid}.mp4").is_file()]
    if mp4 and imu.is_file():
        return imu, mp4[0]
    if mp4:
        raise BadRecording("missing_csv", f"{imu}: there is a video but no IMU")
    if imu.is_file():
        raise BadRecording("missing_video", f"{imu}: no video beside it in v2/{' or v2/'.join(sizes)}")
    raise BadRecording(NOT_ON_DISK, f"neither video nor {imu.name}")


def _has_imu(video: dict[str, Any]) -> bool:
    if not isinstance(has_imu := video.get("has_imu"), bool):
        raise _bad_entry(video, "has_imu", has_imu, "true or false")
    return has_imu


def _wearer(video: dict[str, Any]) -> str:
    """Participants are numbered within the university that filmed them; many are not told."""
    number = _number(video, video, "fb_participant_id")
    university = video.get("video_source")
    if number is None:
        return ""
    if university is not None and not (isinstance(university, str) and university.isprintable()):
        raise _bad_entry(video, "video_source", university, "a name or null")
    return f"{university or 'unknown'}-{number:.15g}"


def _duration_s(video: dict[str, Any]) -> float | None:
    """Length that the index tells, if it does."""
    metadata = video.get("video_metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise _bad_entry(video, "video_metadata", metadata, "a table or null")
    duration_s = _number(video, metadata, "video_duration_sec")
    if duration_s is not None and duration_s <= 0:
        raise _bad_entry(video, "video_duration_sec", duration_s, "seconds or null")
    return duration_s


def _number(video: dict[str, Any], table: dict[str, Any], name: str) -> float | None:
    """What a table of a video's entry says, None where it says nothing."""
    value = table.get(name)
    if value is None:
        return None
    # JSON's integers have no bounds: 1e300 is one that no participant or length has
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise _bad_entry(video, name, value, "a number or null")
    return float(value)


def _bad_entry(video: dict[str, Any], name: str, value: object, want: str) -> BadRecording:
    says = f"{video['video_uid']}: ego4d.json says {name} {value!r:.99}, want {want}; mend the entry"
    return BadRecording(BAD_ENTRY, says)


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
