"""GoPro footage: mp4 files that carry their own accelerometer and gyroscope.

Any folder tree of mp4 files. A recording is named after its path; subject and label are unknown. m/s² and rad/s, axes
X right/left, Y forward/back, Z up/down for all cameras (``gpmf``). The telemetry track and the video share the
container's clock. A payload says how many samples it holds and which time span it covers, not when each was taken:
they are spread evenly over the span, payload by payload, because the sensor's clock drifts against the camera's and the
last payload is shorter than the others.

Cameras cut a long shot into chapter files. Each chapter is a recording, so that they are prepared side by side; the
shot is their session. The telemetry runs on over the cut: a second of each neighbour's is joined on, so that filters
meet no edge there.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from datasets.formats import gpmf
from datasets.formats.listing import id_from, need_folder
from datasets.mp4 import track_samples
from datasets.recording import BadRecording, Found, Recording, Source
from datasets.source_video import probe

OPTIONS = ()
JOINED_S = 1.0  # of each neighbour's telemetry; no filter reaches further
# GX010123: chapter 01 of shot 0123 (Hero6 and later, Max). GOPR0123, then GP010123: Hero5. GPFR, GF01: Fusion.
_CHAPTER = re.compile(r"(?P<kind>G[HXLSPFB])(?P<chapter>\d{2})(?P<shot>\d{4})")
_FIRST = {"GOPR": "GP", "GPFR": "GF", "GPBK": "GB"}  # names of first chapters: how the others begin


@dataclass(frozen=True)
class Telemetry:
    """Of one file, on the container's clock with 0 at the video's first frame.

    Attributes:
        times_s: of ``ACCL`` and of ``GYRO``, (N,).
        values: m/s² and rad/s, axes X, Y, Z, (N, 3).
        duration_s: of the video.
    """

    times_s: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    duration_s: float


def find(raw: Path) -> Found:
    """List every mp4 below ``raw``.

    Raises:
        FileNotFoundError: if there is none.
    """
    need_folder(raw, "give the folder with the GoPro files as --raw")
    files = sorted(path for path in raw.rglob("*") if path.suffix.lower() == ".mp4" and path.is_file())
    if not files:
        raise FileNotFoundError(f"{raw} holds no .mp4 file: give the folder with the GoPro files as --raw")
    shots: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    for path in files:
        shot, number = chapter_of(path.stem)
        shots[path.parent, shot][number] = path
    sources = []
    for (folder, shot), chapters in shots.items():
        session = id_from(*folder.relative_to(raw).parts, shot)
        for number, path in sorted(chapters.items()):
            recording_id = id_from(*path.relative_to(raw).with_suffix("").parts)
            beside = tuple(chapters.get(n) for n in (number - 1, number + 1))
            job = partial(parse, recording_id, path, *beside, session)
            sources.append(Source(recording_id, (path, *(p for p in beside if p is not None)), job))
    return Found(tuple(sorted(sources, key=lambda source: source.id)))


def chapter_of(stem: str) -> tuple[str, int]:
    """Shot that a file name speaks of, and the chapter's number in it; any other name is a shot of its own."""
    name = stem.upper()
    if name[:4] in _FIRST and re.fullmatch(r"\d{4}", name[4:]):
        return f"{_FIRST[name[:4]]}{name[4:]}", 0
    if found := _CHAPTER.fullmatch(name):
        return f"{found['kind']}{found['shot']}", int(found["chapter"])
    return stem, 0


def parse(
    recording_id: str, path: Path, before: Path | None = None, after: Path | None = None, session: str = ""
) -> Recording:
    """Read the telemetry of one file, and of the chapters beside it what touches it.

    Raises:
        BadRecording: if the video or its telemetry cannot be used.
    """
    telemetry = read_telemetry(path)
    neighbours, notes = [], {}
    for neighbour, name in ((before, "before"), (after, "after")):
        try:
            neighbours.append(read_telemetry(neighbour) if neighbour is not None else None)
        except BadRecording as error:  # a recording of its own, where this is said in full
            neighbours.append(None)
            notes[f"chapter_{name}"] = error.reason
    joined = join(telemetry, *neighbours)
    return Recording(
        recording_id,
        joined.times_s["ACCL"],
        joined.values["ACCL"],
        joined.times_s["GYRO"],
        joined.values["GYRO"],
        session=session,
        video=path,
        notes=notes,
    )


def join(telemetry: Telemetry, before: Telemetry | None, after: Telemetry | None) -> Telemetry:
    """A chapter with the last second of the one before it and the first of the one after, on its own clock."""
    times, values = {}, {}
    for key in gpmf.UNITS:
        pieces = [(telemetry.times_s[key], telemetry.values[key])]
        first, last = pieces[0][0][0], pieces[0][0][-1]
        if before is not None:
            time = before.times_s[key] - before.duration_s
            chosen = (time >= -JOINED_S) & (time < first)
            pieces.insert(0, (time[chosen], before.values[key][chosen]))
        if after is not None:
            time = after.times_s[key] + telemetry.duration_s
            chosen = (time < telemetry.duration_s + JOINED_S) & (time > last)
            pieces.append((time[chosen], after.values[key][chosen]))
        times[key], values[key] = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return Telemetry(times, values, telemetry.duration_s)


def read_telemetry(path: Path) -> Telemetry:
    """Accelerometer and gyroscope of one file.

    Raises:
        BadRecording: ``no_telemetry``, ``damaged_telemetry``, ``missing_acc``, ``missing_gyro``, or as ``probe`` and
            ``gpmf.read_payload``.
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
        if not sum(map(len, values[key])):
            raise BadRecording(f"missing_{name}", f"{path}: its telemetry holds no {key}; all six channels are needed")
    return Telemetry(
        {key: np.concatenate(times[key]) for key in gpmf.UNITS},
        {key: np.concatenate(values[key]) for key in gpmf.UNITS},
        info.duration_s,
    )
