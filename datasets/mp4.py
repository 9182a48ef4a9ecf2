"""Samples of a track of an mp4 file that no video library decodes, such as a camera's telemetry.

Where they lie is said by boxes of its header (ISO/IEC 14496-12), a few megabytes whatever the length of the video.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_CONTAINERS = {b"trak", b"mdia", b"minf", b"stbl"}
_MAX_HEADER_BYTES = 1 << 28
_MAX_SAMPLES = 1 << 24  # two days at 90 frames a second
_DAMAGED = (struct.error, KeyError, IndexError, ZeroDivisionError, ValueError)
Boxes = dict[bytes, bytes]  # name -> content


@dataclass(frozen=True)
class Sample:
    """One sample of a track: what a player would show from ``time_s`` for ``duration_s``."""

    time_s: float
    duration_s: float
    data: bytes


def track_samples(path: Path, codec: str) -> list[Sample]:
    """Read all samples of the first track whose sample description is ``codec``; empty without such a track.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no whole header, or samples beyond its end.
    """
    with open(path, "rb") as file:
        header = _header(file)
        if not header:
            raise ValueError(f"{path}: no whole mp4 header; the file may be cut off, copy it again")
        try:
            for track in _tracks(header):
                if track[b"stsd"][12:16] == codec.encode("latin-1"):
                    return list(_read_samples(file, track))
        except _DAMAGED as error:
            raise ValueError(f"{path}: its mp4 header is damaged ({error!r}); copy it again") from error
        except EOFError as error:
            raise ValueError(f"{path}: {error}; the file is cut off, copy it again") from error
    return []


def _header(file: BinaryIO) -> bytes:
    """Content of the ``moov`` box; empty without a whole one."""
    end = file.seek(0, 2)
    position, header = 0, b""
    while position + 8 <= end:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        taken = 8
        if size == 1 and position + 16 <= end:
            size, taken = struct.unpack(">Q", file.read(8))[0], 16
        elif size == 0:  # to the end of the file
            size = end - position
        if size < taken or position + size > end:
            break
        if kind == b"moov" and size <= _MAX_HEADER_BYTES:
            header = file.read(size - taken)
        position += size
    return header


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < 8:
            return
        yield kind, data[position + 8 : position + size]
        position += size


def _tracks(header: bytes) -> Iterator[Boxes]:
    """The boxes of each track, flat: the names that matter here occur once in a track."""
    for kind, body in _boxes(header):
        if kind == b"trak":
            yield _flatten(body)


def _flatten(data: bytes) -> Boxes:
    found: Boxes = {}
    for kind, body in _boxes(data):
        found |= _flatten(body) if kind in _CONTAINERS else {kind: body}
    return found


def _timescale(header_box: bytes) -> int:
    """Ticks per second of ``mdhd``."""
    return struct.unpack_from(">I", header_box, 20 if header_box[0] == 1 else 12)[0]


def _durations(track: Boxes) -> list[int]:
    """Ticks that each sample lasts, from the run-length table ``stts``: (number of samples, ticks)."""
    table = track[b"stts"]
    runs = [struct.unpack_from(">II", table, 8 + 8 * i) for i in range(struct.unpack_from(">I", table, 4)[0])]
    counts, ticks = np.array(runs, dtype=np.int64).T
    if counts.sum() != len(_sizes(track)):  # a damaged count could ask for all memory there is
        raise ValueError(f"stts speaks of {counts.sum()} samples, there are {len(_sizes(track))}")
    return np.repeat(ticks, counts).tolist()


def _sizes(track: Boxes) -> np.ndarray:
    """Bytes of each sample."""
    table = track[b"stsz"]
    one_size, count = struct.unpack_from(">II", table, 4)
    if count > _MAX_SAMPLES:
        raise ValueError(f"{count} samples in a track")
    return np.full(count, one_size) if one_size else np.frombuffer(table, ">u4", count, 12).astype(np.int64)


def _read_samples(file: BinaryIO, track: Boxes) -> Iterator[Sample]:
    ticks_per_s = _timescale(track[b"mdhd"])
    durations, sizes = _durations(track), _sizes(track).tolist()
    now = 0
    for duration, size, offset in zip(durations, sizes, _offsets(track, sizes), strict=True):
        file.seek(offset)
        data = file.read(size)
        if len(data) < size:
            raise EOFError(f"a sample of {size} bytes at {offset} has only {len(data)}")
        yield Sample(now / ticks_per_s, duration / ticks_per_s, data)
        now += duration


def _offsets(track: Boxes, sizes: list[int]) -> Iterator[int]:
    """Where each sample begins: samples lie end to end within a chunk."""
    form, name = ("Q", b"co64") if b"co64" in track else ("I", b"stco")
    chunks = struct.unpack_from(f">{struct.unpack_from('>I', track[name], 4)[0]}{form}", track[name], 8)
    entries = struct.unpack_from(">I", track[b"stsc"], 4)[0]
    rules = [struct.unpack_from(">III", track[b"stsc"], 8 + 12 * i) for i in range(entries)]
    sample = 0
    for number, offset in enumerate(chunks, start=1):
        for _ in range([per_chunk for first, per_chunk, _ in rules if first <= number][-1]):
            if sample < len(sizes):
                yield offset
                offset += sizes[sample]
                sample += 1
