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
    return Reading(clock, _samples(recording, shift_s), "m/s2", "rad/s", not recording.missing_gyro, facts)


def _samples(recording: Recording, shift_s: float) -> Iterator[Samples]:
    """Both sensors, sorted by time as preparation sorts them, up to the same times: neither waits long for the other.

    Only stretches of 10 minutes that hold samples are a piece: a stray stamp may be years away.
    """
    acc_time, acc = _sorted(recording.acc_time_s + shift_s, recording.acc)
    gyro_time, gyro = _sorted(recording.gyro_time_s + shift_s, recording.gyro)
    if not np.isfinite(acc_time).any():
        raise BadRecording("missing_time", f"{recording.id}: no sample has a time")
    times = np.concatenate([acc_time, gyro_time])
    edges = np.unique(np.floor(times[np.isfinite(times)] / PIECE_S))[1:] * PIECE_S
    a, g = ([0, *np.searchsorted(time, edges).tolist(), len(time)] for time in (acc_time, gyro_time))
    for (a0, a1), (g0, g1) in zip(zip(a, a[1:], strict=False), zip(g, g[1:], strict=False), strict=True):
        yield Samples(acc_time[a0:a1], acc[a0:a1], gyro_time[g0:g1], gyro[g0:g1])


def _sorted(time_s: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N, 3) in order of time; samples without a time, which are yet to be counted, come last."""
    order = np.argsort(time_s, kind="stable")
    return time_s[order], values[order]
