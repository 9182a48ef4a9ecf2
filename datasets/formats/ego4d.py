"""Ego4D (https://ego4d-data.org), the videos that have an IMU.

    ego4d.json                       videos[]: video_uid, has_imu, ...
    v2/full_scale/<uid>.mp4          or v2/video_540ss/<uid>.mp4
    v2/imu/<uid>.csv                 component_idx, component_timestamp_ms, canonical_timestamp_ms,
                                     gyro_x, gyro_y, gyro_z, accl_x, accl_y, accl_z     (gyroscope first; rad/s, m/s²)

The canonical timestamp is on the video's clock; it may be NULL, repeat, or run backwards. Videos without IMU are not
recordings here.
"""

import json
from functools import partial
from pathlib import Path

from datasets.formats.delimited import read_numbers
from datasets.formats.listing import NOT_ON_DISK, need_file, need_folder
from datasets.recording import ID_PATTERN, Found, Recording, Rejection, Source

OPTIONS = ()
_TIME = "canonical_timestamp_ms"
_ACC, _GYRO = ["accl_x", "accl_y", "accl_z"], ["gyro_x", "gyro_y", "gyro_z"]


def find(raw: Path) -> Found:
    """List the videos with IMU; the full-scale video is taken where both sizes are there.

    Raises:
        FileNotFoundError: if the folder or ``ego4d.json`` is missing.
        ValueError: if ``ego4d.json`` is damaged or lists no video with IMU.
    """
    need_folder(raw, "give the folder with ego4d.json and v2 as --raw")
    path = need_file(raw / "ego4d.json", "it lists the videos")
    try:
        videos = [video for video in json.loads(path.read_text(encoding="utf-8"))["videos"] if video["has_imu"]]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: is not an Ego4D index ({error!r}); download it again") from error
    if not videos:
        raise ValueError(f"{path}: lists no video with has_imu true")
    sources, rejected = [], []
    for video in videos:
        uid = str(video["video_uid"])
        if not ID_PATTERN.fullmatch(uid):
            raise ValueError(f"{path}: video_uid {uid!r} is not allowed, it becomes a file name")
        imu = raw / "v2" / "imu" / f"{uid}.csv"
        mp4 = [raw / "v2" / size / f"{uid}.mp4" for size in ("full_scale", "video_540ss")]
        mp4 = [file for file in mp4 if file.is_file()]
        if not mp4 and not imu.is_file():
            rejected.append(Rejection(uid, NOT_ON_DISK, f"neither video nor {imu.name}"))
        elif not imu.is_file():
            rejected.append(Rejection(uid, "missing_csv", f"{imu}: there is a video but no IMU"))
        elif not mp4:
            rejected.append(
                Rejection(uid, "missing_video", f"{imu}: no v2/full_scale or v2/video_540ss video beside it")
            )
        else:
            sources.append(Source(uid, (imu, mp4[0]), partial(parse, uid, imu, mp4[0], _wearer(video))))
    return Found(tuple(sources), tuple(rejected))


def _wearer(video: dict) -> str:
    """Participants are numbered within the university that filmed them; many are not told."""
    number = video.get("fb_participant_id")
    return "" if number is None else f"{video.get('video_source', 'unknown')}-{number:g}"


def parse(uid: str, imu: Path, video: Path, subject: str) -> Recording:
    """Read one IMU table.

    Raises:
        BadRecording: if it cannot be used.
    """
    table, cut = read_numbers(imu, [_TIME, *_ACC, *_GYRO])
    time_s = table[_TIME].to_numpy() / 1000
    return Recording(
        uid,
        time_s,
        table[_ACC].to_numpy(),
        time_s,
        table[_GYRO].to_numpy(),
        subject=subject,
        video=video,
        notes={"cut_off_rows": cut} if cut else {},
    )
