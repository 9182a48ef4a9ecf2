"""A recording that a format parses at once, given on in pieces."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from datasets.clock_restart import restarts
from datasets.recording import BadRecording, Recording, Source
from datasets.recordings.clock import clock_of
from datasets.recordings.reader import Reading, Samples
from datasets.sensor_stream import RESTART_S

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

    Where the clock began again at times that it had had, sorting would mix two stretches: they come one after another.
    """
    if not np.isfinite(recording.acc_time_s).any():
        raise BadRecording("missing_time", f"{recording.id}: no sample has a time")
    acc = recording.acc_time_s + shift_s, recording.acc
    gyro = recording.gyro_time_s + shift_s, recording.gyro
    for a, g in _clocks(recording):
        yield from _pieces(*_sorted(acc[0][a], acc[1][a]), *_sorted(gyro[0][g], gyro[1][g]))


def _clocks(recording: Recording) -> list[tuple[slice, slice]]:
    """Samples of both sensors up to where both clocks have begun again; or all."""
    acc_time_s, gyro_time_s = recording.acc_time_s, recording.gyro_time_s
    back = restarts(acc_time_s, recording.acc), restarts(gyro_time_s, recording.gyro)
    if len(back[0]) != len(back[1]) or (np.abs(acc_time_s[back[0]] - gyro_time_s[back[1]]) > RESTART_S).any():
        message = (
            f"{recording.id}: times come twice, and the clock of acc goes back {len(back[0])} times, that of gyro "
            f"{len(back[1])} times, or to others: cut the files into recordings of their own, or mend their times"
        )
        raise BadRecording("clock_back", message)
    ends = (len(acc_time_s), len(gyro_time_s))
    of_each = [pairwise([0, *rows.tolist(), end]) for rows, end in zip(back, ends, strict=True)]
    return [(slice(*a), slice(*g)) for a, g in zip(*of_each, strict=True)]


def _pieces(acc_time: np.ndarray, acc: np.ndarray, gyro_time: np.ndarray, gyro: np.ndarray) -> Iterator[Samples]:
    """Up to the same times. Only 10 minutes that hold samples are a piece: a stray stamp may be years away."""
    times = np.concatenate([acc_time, gyro_time])
    edges = np.unique(np.floor(times[np.isfinite(times)] / PIECE_S))[1:] * PIECE_S
    a, g = ([0, *np.searchsorted(time, edges).tolist(), len(time)] for time in (acc_time, gyro_time))
    for (a0, a1), (g0, g1) in zip(zip(a, a[1:], strict=False), zip(g, g[1:], strict=False), strict=True):
        yield Samples(acc_time[a0:a1], acc[a0:a1], gyro_time[g0:g1], gyro[g0:g1])


def _sorted(time_s: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N, 3) in order of time; samples without a time, which are yet to be counted, come last."""
    order = np.argsort(time_s, kind="stable")
    return time_s[order], values[order]
