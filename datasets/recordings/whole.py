"""A recording that a format parses at once, given on in pieces."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

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
    for a, g in _clocks(acc[0], gyro[0]):
        yield from _pieces(*_sorted(acc[0][a], acc[1][a]), *_sorted(gyro[0][g], gyro[1][g]))


def _clocks(acc_time_s: np.ndarray, gyro_time_s: np.ndarray) -> list[tuple[slice, slice]]:
    """Samples of both sensors up to where both clocks go back by over a minute, if times come twice; or all."""
    found = _until_back(acc_time_s), _until_back(gyro_time_s)
    pairs, everything = list(zip(*found, strict=False)), [(slice(None), slice(None))]
    if len(found[0]) == 1 or len(found[0]) != len(found[1]):
        return everything
    spans = [[np.nanmin(acc_time_s[a]), np.nanmax(acc_time_s[a]), np.nanmin(gyro_time_s[g])] for a, g in pairs]
    apart = any(abs(start - other) > RESTART_S for start, _, other in spans)
    twice = any(b[0] < a[1] - RESTART_S for a, b in pairwise(sorted(spans)))
    return pairs if twice and not apart else everything


def _until_back(time_s: np.ndarray) -> list[slice]:
    timed = np.flatnonzero(np.isfinite(time_s))
    cuts = timed[1:][np.diff(time_s[timed]) < -RESTART_S].tolist()
    return [slice(a, b) for a, b in pairwise([0, *cuts, len(time_s)])]


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
