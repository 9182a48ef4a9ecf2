"""What the header of an mp4 file says, without decoding anything.

Two questions are answered from its boxes (ISO/IEC 14496-12): how the video track must be read (sample durations,
edit list, rotation, codec), and where the samples of a track lie that no video library decodes. The header is a few
megabytes, whatever the length of the video.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_CONTAINERS = {b"trak", b"mdia", b"minf", b"stbl", b"edts"}
_UPRIGHT = (1.0, 0.0, 0.0, 1.0)
_MAX_HEADER_BYTES = 1 << 28
_MAX_SAMPLES = 1 << 24  # two days at 90 frames a second
_DAMAGED = (struct.error, KeyError, IndexError, ZeroDivisionError, ValueError)
Boxes = dict[bytes, bytes]  # name -> content


@dataclass(frozen=True)
class VideoTrack:
    """The first video track.

    Attributes:
        complete: no box of the file reaches beyond its end, as in a copy that was cut off.
        codec: four-letter code of the sample description, such as ``avc1``.
        constant_rate: every frame but the last lasts equally long.
        frame_s: how long the first frame lasts, seconds.
        open_gops: frames are shown before the key frame that they are stored after, so that decoding cannot begin
            at that key frame.
        edited: an edit list cuts frames away or shifts the beginning.
        rotated: frames must be turned or mirrored for display.
    """

    complete: bool
    codec: str
    constant_rate: bool
    frame_s: float
    open_gops: bool
    edited: bool
    rotated: bool


@dataclass(frozen=True)
class Sample:
    """One sample of a track: what a player would show from ``time_s`` for ``duration_s``."""

    time_s: float
    duration_s: float
    data: bytes


def video_track(path: Path) -> VideoTrack | None:
    """Describe the video track; None where the file is no mp4 with a whole header and a sample table.

    Raises:
        OSError: if the file cannot be read.
    """
    with open(path, "rb") as file:
        header, complete = _header(file)
    try:
        for track in _tracks(header):
            if track[b"hdlr"][8:12] == b"vide":
                return _video_track(track, _timescale(dict(_boxes(header))[b"mvhd"]), complete)
    except _DAMAGED:
        pass  # damaged: the decoder's own message will say more
    return None


def track_samples(path: Path, codec: str) -> list[Sample]:
    """Read all samples of the first track whose sample description is ``codec``; empty without such a track.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no whole header, or samples beyond its end.
    """
    with open(path, "rb") as file:
        header, _ = _header(file)
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


def _header(file: BinaryIO) -> tuple[bytes, bool]:
    """Content of the ``moov`` box (empty without a whole one), and whether every box ends within the file."""
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
            return header, False
        if kind == b"moov" and size <= _MAX_HEADER_BYTES:
            header = file.read(size - taken)
        position += size
    return header, position == end


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
    """Ticks per second of ``mvhd`` or ``mdhd``."""
    return struct.unpack_from(">I", header_box, 20 if header_box[0] == 1 else 12)[0]


def _runs(table: bytes, form: str = "I") -> list[tuple[int, int]]:
    """Run-length table of ``stts`` and ``ctts``: (number of samples, value)."""
    count = struct.unpack_from(">I", table, 4)[0]
    return [struct.unpack_from(f">I{form}", table, 8 + 8 * i) for i in range(count)]


def _video_track(track: Boxes, movie_ticks_per_s: int, complete: bool) -> VideoTrack | None:
    runs = _runs(track[b"stts"])
    if not runs:
        return None  # a fragmented file keeps its sample table elsewhere
    ticks_per_s = _timescale(track[b"mdhd"])
    durations = {delta for _, delta in (runs if runs[-1][0] > 1 else runs[:-1])}  # the last frame may differ
    frame_s = runs[0][1] / ticks_per_s
    first_shown = _runs(track[b"ctts"], "i")[0][1] if b"ctts" in track else 0
    media_s = sum(count * delta for count, delta in runs) / ticks_per_s
    matrix = struct.unpack_from(">9i", track[b"tkhd"], 52 if track[b"tkhd"][0] == 1 else 40)
    return VideoTrack(
        complete=complete,
        codec=track[b"stsd"][12:16].decode("latin-1"),
        constant_rate=len(durations) <= 1,
        frame_s=frame_s,
        open_gops=_open_gops(track),
        edited=b"elst" in track and _cuts(track[b"elst"], first_shown, media_s - 1.5 * frame_s, movie_ticks_per_s),
        rotated=tuple(matrix[i] / 65536 for i in (0, 1, 3, 4)) != _UPRIGHT,
    )


def _open_gops(track: Boxes) -> bool:
    if b"ctts" not in track or b"stss" not in track:
        return False  # shown in the order of storage, or nothing but key frames
    durations = _per_sample(track, b"stts", "I")
    shown = durations.cumsum() - durations + _per_sample(track, b"ctts", "i")
    count = struct.unpack_from(">I", track[b"stss"], 4)[0]
    keys = np.array(struct.unpack_from(f">{count}I", track[b"stss"], 8), dtype=np.int64) - 1
    first_shown_later = np.minimum.accumulate(shown[::-1])[::-1]  # of this frame and all after it
    return bool((first_shown_later[keys] < shown[keys]).any())


def _per_sample(track: Boxes, name: bytes, form: str) -> np.ndarray:
    """A run-length table as one int64 per sample."""
    counts, values = np.array(_runs(track[name], form), dtype=np.int64).T
    if counts.sum() != len(_sizes(track)):  # a damaged count could ask for all memory there is
        raise ValueError(f"{name!r} speaks of {counts.sum()} samples, there are {len(_sizes(track))}")
    return np.repeat(values, counts)


def _sizes(track: Boxes) -> np.ndarray:
    """Bytes of each sample."""
    table = track[b"stsz"]
    one_size, count = struct.unpack_from(">II", table, 4)
    if count > _MAX_SAMPLES:
        raise ValueError(f"{count} samples in a track")
    return np.full(count, one_size) if one_size else np.frombuffer(table, ">u4", count, 12).astype(np.int64)


def _cuts(edit_list: bytes, first_shown: int, needed_s: float, movie_ticks_per_s: int) -> bool:
    """Whether an edit list does more than the usual one, which runs from the first frame shown to the last."""
    wide = edit_list[0] == 1
    form, width = (">Qqi", 20) if wide else (">Iii", 12)
    count = struct.unpack_from(">I", edit_list, 4)[0]
    if count != 1:
        return count > 1
    duration, media_time, rate = struct.unpack_from(form, edit_list, 8)
    return rate != 65536 or media_time != first_shown or duration / movie_ticks_per_s < needed_s


def _read_samples(file: BinaryIO, track: Boxes) -> Iterator[Sample]:
    ticks_per_s = _timescale(track[b"mdhd"])
    durations, sizes = _per_sample(track, b"stts", "I").tolist(), _sizes(track).tolist()
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
