"""A recording that a format parses at once, given on in pieces."""

from collections.abc import Iterator

import numpy as np

from datasets.recording import BadRecording, Recording, Source
from datasets.recordings.clock import clock_of
from datasets.recordings.reader import Reading, Samples

PIECE_S = 600.0


def open_source(source: Source, format_name: str, zone: str | None, start: str | None) -> Reading:
    """Parse a recording of a known format, in SI units.

    Raises:
        BadRecording: if it cannot be used.
    """
    recording = source.parse()
    notes = dict(recording.notes)
    clock, shift_s = clock_of(notes.get("first_stamp_s"), zone, start)
    facts = {
        "format": format_name,
        "columns": None,
        "columns_guessed": False,
        "time_format": "as the format says",
        "time_format_guessed": False,
        "rows": len(recording.acc_time_s),
    }
    return Reading(clock, _samples(recording, shift_s), "m/s2", "rad/s", facts=facts)


def _samples(recording: Recording, shift_s: float) -> Iterator[Samples]:
    """Both sensors up to the same times, so that neither waits long for the other."""
    acc_time, gyro_time = recording.acc_time_s + shift_s, recording.gyro_time_s + shift_s
    finite = acc_time[np.isfinite(acc_time)]
    if len(finite) == 0:
        raise BadRecording("missing_time", f"{recording.id}: no sample has a time")
    edges = np.arange(finite.min(), finite.max(), PIECE_S)[1:]
    a, g = _cuts(acc_time, edges), _cuts(gyro_time, edges)
    for (a0, a1), (g0, g1) in zip(zip(a, a[1:], strict=False), zip(g, g[1:], strict=False), strict=True):
        yield Samples(acc_time[a0:a1], recording.acc[a0:a1], gyro_time[g0:g1], recording.gyro[g0:g1])


def _cuts(time_s: np.ndarray, edges: np.ndarray) -> list[int]:
    """Where to cut samples in the order of their file: before the first one that is later than each edge."""
    latest = np.maximum.accumulate(np.where(np.isfinite(time_s), time_s, -np.inf))
    return [0, *np.searchsorted(latest, edges).tolist(), len(time_s)]
