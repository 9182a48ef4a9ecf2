"""GoPro footage: mp4 files that carry their own accelerometer and gyroscope.

Any folder tree of mp4 files. A recording is named after its path; subject and label are unknown. The telemetry track
and the video share the container's clock. A payload says how many samples it holds and which time span it covers, not
when each was taken: they are spread evenly over the span, payload by payload, because the sensor's clock drifts
against the camera's and the last payload is shorter than the others.
"""

from functools import partial
from pathlib import Path

import numpy as np

from datasets.formats import gpmf
from datasets.formats.listing import id_from, need_folder
from datasets.mp4 import track_samples
from datasets.recording import BadRecording, Found, Recording, Source
from datasets.source_video import probe

OPTIONS = ()


def find(raw: Path) -> Found:
    """List every mp4 below ``raw``.

    Raises:
        FileNotFoundError: if there is none.
    """
    need_folder(raw, "give the folder with the GoPro files as --raw")
    files = sorted(path for path in raw.rglob("*") if path.suffix.lower() == ".mp4" and path.is_file())
    if not files:
        raise FileNotFoundError(f"{raw} holds no .mp4 file: give the folder with the GoPro files as --raw")
    sources = []
    for path in files:
        recording_id = id_from(*path.relative_to(raw).with_suffix("").parts)
        sources.append(Source(recording_id, (path,), partial(parse, recording_id, path)))
    return Found(tuple(sources))


def parse(recording_id: str, path: Path) -> Recording:
    """Read the telemetry of one file.

    Raises:
        BadRecording: if the video or its telemetry cannot be used.
    """
    info = probe(path)
    try:
        payloads = track_samples(path, "gpmd")
    except ValueError as error:
        raise BadRecording("damaged_telemetry", str(error)) from error
    if not payloads:
        raise BadRecording("no_telemetry", f"{path}: has no GPMF track; was it cut or re-encoded after recording?")
    times: dict[str, list[np.ndarray]] = {key: [] for key in gpmf.UNITS}
    values: dict[str, list[np.ndarray]] = {key: [] for key in gpmf.UNITS}
    for number, payload in enumerate(payloads):
        for key, samples in gpmf.read_payload(payload.data, f"{path}, payload {number}").items():
            share = np.arange(len(samples)) / max(len(samples), 1)
            times[key].append(payload.time_s + share * payload.duration_s - info.start_s)
            values[key].append(samples)
    for key, name in (("ACCL", "acc"), ("GYRO", "gyro")):
        if not values[key]:
            raise BadRecording(f"missing_{name}", f"{path}: its telemetry holds no {key}; all six channels are needed")
    return Recording(
        recording_id,
        np.concatenate(times["ACCL"]),
        np.concatenate(values["ACCL"]),
        np.concatenate(times["GYRO"]),
        np.concatenate(values["GYRO"]),
        video=path,
    )
