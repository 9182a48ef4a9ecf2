"""GoPro footage: mp4 files that carry their own accelerometer and gyroscope.

Any folder tree of mp4 files. A recording is named after its path; subject and label are unknown. m/s² and rad/s, axes
X right/left, Y forward/back, Z up/down for all cameras (``gpmf``). When a sample was taken is found out in
``gopro_clock``; it may be before the first frame, and what lies outside the video is left out later, so that filters
meet no edge there.

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
from datasets.formats.common import id_from, need_folder
from datasets.formats.gopro_clock import Batch, sample_times
from datasets.recording import BadRecording, Found, Recording, Source
from datasets.source_video import open_container, probe

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
    files = sorted(path for path in raw.rglob("*") if path.suffix.lower() == ".mp4" and not path.is_dir())
    if not files:
        raise FileNotFoundError(f"{raw} holds no .mp4 file: give the folder with the GoPro files as --raw")
    shots: dict[tuple[Path, str], list[tuple[int, Path]]] = defaultdict(list)
    for path in files:
        shot, number = chapter_of(path.stem)
        shots[path.parent, shot].append((number, path))
    sources = []
    for (folder, shot), chapters in shots.items():
        session = id_from(*folder.relative_to(raw).parts, shot)
        first_of = dict(reversed(chapters))  # two files may claim to be the same chapter
        for number, path in chapters:
            recording_id = id_from(*path.relative_to(raw).with_suffix("").parts)
            beside = tuple(first_of.get(n) for n in (number - 1, number + 1))
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
    batches: dict[str, list[Batch]] = {key: [] for key in gpmf.UNITS}
    values: dict[str, list[np.ndarray]] = {key: [] for key in gpmf.UNITS}
    for number, (start_s, duration_s, payload) in enumerate(read_payloads(path)):
        where = f"{path}, payload {number}"
        stamps = gpmf.time_stamps(payload, where)
        frame_stamp_s = next((stamps[key] for key in gpmf.OF_FRAMES if key in stamps), np.nan)
        for key, samples in gpmf.read_payload(payload, where).items():
            if len(samples):
                stamp_s = stamps.get(key, np.nan)
                batches[key].append(Batch(start_s - info.start_s, duration_s, len(samples), stamp_s, frame_stamp_s))
                values[key].append(samples)
    for key, name in (("ACCL", "acc"), ("GYRO", "gyro")):
        if not values[key]:
            raise BadRecording(f"missing_{name}", f"{path}: its telemetry holds no {key}; all six channels are needed")
    return Telemetry(
        {key: sample_times(batches[key]) for key in gpmf.UNITS},
        {key: np.concatenate(values[key]) for key in gpmf.UNITS},
        info.duration_s,
    )


def read_payloads(path: Path) -> list[tuple[float, float, bytes]]:
    """Start and duration on the container's clock, seconds, and content of each payload of the telemetry track.

    Raises:
        BadRecording: ``no_telemetry`` or ``damaged_telemetry``, or as ``probe``.
    """
    import av  # only where source video is read
    from av.stream import Discard

    # FFmpeg's full treatment of edit lists begins a track with a whole payload, up to a second early or late
    with open_container(path, {"advanced_editlist": "0"}) as container:
        tracks = [stream for stream in container.streams.data if stream.name == "bin_data"]  # its name for gpmd
        if not tracks:
            raise BadRecording("no_telemetry", f"{path}: has no GPMF track; was it cut or re-encoded after recording?")
        track = tracks[0]
        for stream in container.streams:
            if stream.index != track.index:
                stream.discard = Discard.all  # gigabytes that are passed over unread
        try:
            packets = [packet for packet in container.demux(track) if packet.size]
        except av.FFmpegError as error:
            raise BadRecording("damaged_telemetry", f"{path}: {error.strerror}; copy it again") from error
        whole = sum(not packet.is_corrupt and packet.pts is not None for packet in packets)
        if whole < max(track.frames, len(packets)):
            detail = f"{path}: {whole} of {track.frames} payloads are whole; the file is cut off, copy it again"
            raise BadRecording("damaged_telemetry", detail)
        base = track.time_base
        return [(float(p.pts * base), float((p.duration or 0) * base), bytes(p)) for p in packets]
