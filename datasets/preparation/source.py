"""One source recording to the files of a prepared dataset: the work of a worker process.

An error in reading or processing a recording becomes a row of ``rejected.csv``. An error in writing, such as a full
disk, ends the preparation.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ, MAX_GAP_S, WINDOW_S
from datasets.clock_restart import refuse_restarts
from datasets.frames import JPEG_QUALITY, frame_writer
from datasets.masking import IMU_MEASURES, stretch_starts
from datasets.preparation.finalize import invalidate
from datasets.preparation.journal import (
    PreparedRecording,
    fingerprint,
    hash_files,
    journal_path,
    read_journal,
    write_source,
)
from datasets.preparation.quality_measures import FrameMeasures, measure_imu
from datasets.preparation.signals import Part, Processed, Sensor, least_s, process
from datasets.preparation.units_check import check_units
from datasets.recording import BadRecording, Recording, Rejection, Segment, Source, unexpected_error, without_folder
from datasets.source_video import frames_at, probe
from datasets.store import frames_path

VERSION = 3  # of the signal path and the frames; increase it when the same files would give other results
_SAMPLES_PER_FRAME = IMU_RATE_HZ // FRAME_RATE_HZ


Status = Literal["prepared", "kept", "rejected"]


def prepare_source(source: Source, raw: Path, root: Path, frame_size: int, window_s: float = WINDOW_S) -> Status:
    """Prepare one source, unless its journal entry says that this was done with these files and settings.

    Args:
        raw: folder of the raw recordings; messages name files within it.
        root: folder of the prepared dataset.
        frame_size: side of the stored frames, pixels.
        window_s: shorter recordings, and parts of them, are left out.

    Raises:
        OSError: if the dataset cannot be written.
    """
    settings = {"version": VERSION, "frame_size": frame_size, "jpeg_quality": JPEG_QUALITY, "window_s": window_s}
    recordings: list[PreparedRecording] = []
    try:
        source_hash = hash_files(source.files)
        mark = fingerprint(source, source_hash, settings)
        entry = read_journal(root, source.id)
        if entry is not None and entry["fingerprint"] == mark and _all_there(root, entry):
            return "kept" if entry["recordings"] else "rejected"
        recording, video_s, processed, rejected = _read(source, window_s)
    except BadRecording as error:
        rejected = [Rejection(source.id, error.reason, error.message)]
    except OSError as error:  # perhaps temporary: without a fingerprint, the next call tries again
        mark, rejected = "", [Rejection(source.id, "unreadable_file", f"{error}")]
    except Exception as error:  # one bad recording must not end the preparation; rejected.csv names it
        mark, rejected = "", [unexpected_error(source.id, error)]
    else:
        if journal_path(root, source.id).is_file():
            invalidate(root)
        stored, more = _store_parts(source, recording, video_s, processed, root, frame_size, source_hash, window_s)
        recordings += stored
        rejected += more
    if not recordings and not rejected:
        rejected = [Rejection(source.id, "no_samples", "no stretch where both sensors and the video run")]
    write_source(root, source.id, mark, recordings, [without_folder(r, raw) for r in rejected])
    return "prepared" if recordings else "rejected"


def reject_crashed(source: Source, root: Path) -> Status:
    """Record a source whose worker process died."""
    detail = "the process died while preparing it (damaged video, or out of memory); the next call tries again"
    write_source(root, source.id, "", [], [Rejection(source.id, "crashed", detail)])
    return "rejected"


def _all_there(root: Path, entry: dict[str, Any]) -> bool:
    """Whether every file exists with its length; ``--verify`` compares the content."""
    files = ((root / file["file"], file["bytes"]) for file in entry["files"])
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


def _read(source: Source, window_s: float) -> tuple[Recording, float, Processed, list[Rejection]]:
    """Parse and process; with a video, only where it runs. The second value is its length, seconds."""
    recording = source.parse()
    refuse_restarts(recording, (*source.files, source.id)[0])
    start_s, end_s = (0.0, probe(recording.video).duration_s) if recording.video else (-np.inf, np.inf)
    # the last sample, too, lasts within the video
    processed = process(recording, start_s, end_s - 1 / IMU_RATE_HZ, window_s)
    rejected = [
        Rejection(
            source.id,
            "too_short",
            f"{end - begin:.2f} s without a gap over {MAX_GAP_S:g} s, want {least_s(recording, window_s):g} s",
            begin,
            end,
        )
        for begin, end in processed.too_short
    ]
    first, last = float(np.nanmin(recording.acc_time_s)), float(np.nanmax(recording.acc_time_s))
    for begin, end in ((first, min(start_s, last)), (max(end_s, first), last)):
        if end - begin >= window_s:
            detail = f"{end - begin:.1f} s of IMU outside the video, which lasts {end_s:.1f} s"
            rejected.append(Rejection(source.id, "outside_video", detail, begin, end))
    return recording, end_s, processed, rejected


def _store_parts(
    source: Source,
    recording: Recording,
    video_s: float,
    processed: Processed,
    root: Path,
    frame_size: int,
    source_hash: str,
    window_s: float,
) -> tuple[list[PreparedRecording], list[Rejection]]:
    """Write the frames of all parts in one pass over the video."""
    stored: list[PreparedRecording] = []
    rejected: list[Rejection] = []
    frames, window_samples = None, round(window_s * IMU_RATE_HZ)
    if recording.video and processed.parts:
        times = np.concatenate([_frame_times(part) for part in processed.parts])
        frames = _decoded(frames_at(recording.video, times, frame_size), recording.video)
    mismatch_s = _duration_mismatch_s(recording, video_s, processed.acc)
    for number, part in enumerate(processed.parts, start=1):
        part_id = source.id if number == 1 else f"{source.id}_part{number}"
        samples, count = len(part.imu), 0
        seen = FrameMeasures()
        if frames is not None:
            try:
                count = _write_frames(frames, len(_frame_times(part)), frames_path(root, part_id), seen)
            except BadRecording as error:
                rejected.append(Rejection(source.id, error.reason, error.message, part.start_s, part.end_s))
                break
            samples = min(samples, count * _SAMPLES_PER_FRAME)
            if len(part.imu) - samples > IMU_RATE_HZ or samples < window_samples:
                begin = part.start_s + samples / IMU_RATE_HZ
                detail = f"the video can be decoded up to {begin:.1f} s only; it is cut off or damaged"
                rejected.append(Rejection(source.id, "truncated_video", detail, begin, part.end_s))
            if samples < window_samples:
                continue
        notes = dict(recording.notes)
        split = str(notes.pop("split", ""))
        gyro = None if recording.missing_gyro else processed.gyro
        of_gyro = {"gyro_rate_hz": round(gyro.rate_hz, 3)} if gyro else {"missing_gyro": "zeros"}
        notes |= {"start_s": round(part.start_s, 6)} | of_gyro
        imu = part.imu[:samples]
        notes |= check_units(imu)
        padded = 0 if recording.pad_from_s is None else -samples % window_samples
        notes |= {"padded_samples": padded} if padded else {}
        filling = np.full((padded, 6), imu.mean(0, dtype=np.float64), np.float32)  # 0 once it is z-scored
        rows = len(stretch_starts(samples + padded))
        of_imu = np.full((rows, len(IMU_MEASURES)), np.nan)  # stretches that are padding only have no measures
        of_imu[: len(stretch_starts(samples))] = measure_imu(processed.acc, gyro, part.start_s, samples)
        measures = np.concatenate([of_imu, seen.table(rows), np.full((rows, 1), mismatch_s)], axis=1)
        stored.append(
            PreparedRecording(
                id=part_id,
                source=source.id,
                imu=np.concatenate([imu, filling]),
                subject=recording.subject,
                session=recording.session or source.id,
                label=recording.label,
                source_rate_hz=round(processed.acc.rate_hz, 3),
                source_hash=source_hash,
                frames=count,
                split=split,
                segments=_segments_of(recording, part, samples),
                dropped_samples=processed.dropped if number == 1 else 0,
                interpolated_samples=part.interpolated,
                padded_samples=padded,
                notes=notes | (processed.counts if number == 1 else {}),
                measures=measures,
            )
        )
    return stored, rejected


def _duration_mismatch_s(recording: Recording, video_s: float, acc: Sensor) -> float:
    """Difference in length between IMU and video, for recordings whose times are counted from row numbers."""
    if recording.video is None or not recording.counted_time:
        return np.nan
    length_s = acc.time_s[-1] - acc.time_s[0] + np.median(np.diff(acc.time_s))
    return float(abs(length_s - video_s))


def _frame_times(part: Part) -> np.ndarray:
    """(F,) times of the part's frames on the recording's clock: one for every 5 samples, the first with the first."""
    return part.start_s + np.arange((len(part.imu) - 1) // _SAMPLES_PER_FRAME + 1) / FRAME_RATE_HZ


def _decoded(frames: Iterator[np.ndarray], video: Path) -> Iterator[np.ndarray]:
    """Frames; any error of the decoder becomes ``unreadable_video``, so that errors of writing stay apart."""
    try:
        yield from frames
    except BadRecording:
        raise
    except Exception as error:
        raise BadRecording("unreadable_video", f"{video}: {type(error).__name__}: {error}") from error


def _write_frames(frames: Iterator[np.ndarray], count: int, path: Path, measures: FrameMeasures) -> int:
    """Write the next ``count`` frames, or as many as there are, and measure them."""
    with frame_writer(path) as writer:
        for frame in islice(frames, count):
            writer.write(frame)
            measures.add(frame)
        return len(writer)


def _segments_of(recording: Recording, part: Part, samples: int) -> tuple[Segment, ...]:
    """Labelled stretches on the part's clock, cut at its ends."""
    length = samples / IMU_RATE_HZ
    moved = [
        Segment(max(s.start_s - part.start_s, 0.0), min(s.end_s - part.start_s, length), s.label)
        for s in recording.segments
    ]
    return tuple(segment for segment in moved if segment.end_s > segment.start_s)
