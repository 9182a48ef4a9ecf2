"""Time stamps to seconds, and seconds back to dates in the recording's own zone.

Within this package a time is float64 seconds: since 1970 (UTC) where stamps say so; as if UTC were the local time where
they are dates without a zone; since a start where they count from one.
"""

from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from configs.constants import DATE_UNITS, TIME_UNITS
from datasets.recording import BadRecording
from datasets.recordings.dates import Dates

Kind = Literal["absolute", "local", "relative"]

MOST_ABSOLUTE_S = 4.1e9  # year 2099
LEAST_ABSOLUTE_S = 3e8  # year 1979; smaller numbers count from a start
LONGEST_STEP_S = 0.4  # between samples, to tell units of 1000 apart; 2.5 Hz
_COARSEST_STEP_S = 2.0  # between dates, which may be of whole seconds
DAYS = "days"  # as spreadsheets count: 25569 is 1970-01-01, in local time
_DAY_S, _EPOCH_DAY, _DAYS = 86400.0, 25569, (2e4, 8e4)  # years 1954 to 2119
_BACK_S = 1800.0  # local time that goes back by more, in an hour that there is twice, has come to its second


@dataclass(frozen=True)
class Clock:
    """What times of a recording mean.

    Attributes:
        kind: ``absolute``: an instant; ``local``: date and time of day of an unknown zone; ``relative``: since a start.
        zone: in which tables give times; None: they name none.
    """

    kind: Kind
    zone: tzinfo | None = None

    @property
    def name(self) -> str | None:
        """Of the zone, such as ``Europe/Berlin`` or ``UTC+01:00``."""
        return None if self.zone is None else str(self.zone)

    def local(self, time_s: np.ndarray) -> pd.DatetimeIndex:
        """Date and time of day, without the zone, of (n,) seconds; to the millisecond."""
        utc = pd.DatetimeIndex(np.round(np.asarray(time_s) * 1e3).astype("datetime64[ms]"))
        return utc if self.zone is None else utc.tz_localize("UTC").tz_convert(self.zone).tz_localize(None)

    def iso(self, time_s: np.ndarray) -> np.ndarray:
        """(n,) ISO 8601 text, with the offset from UTC where the zone is known."""
        local = self.local(time_s).to_numpy().astype("datetime64[ms]")
        text = np.datetime_as_string(local).astype(object)
        if self.zone is None:
            return text
        ahead = (local.astype(np.int64) - np.round(np.asarray(time_s) * 1e3).astype(np.int64)) // 60_000
        for minutes in np.unique(ahead):
            sign, rest = "-" if minutes < 0 else "+", abs(int(minutes))
            text[ahead == minutes] += f"{sign}{rest // 60:02d}:{rest % 60:02d}"
        return text

    def midnight(self, day: date) -> float:
        """Seconds at which a local day begins; its first instant, where the clock skips midnight."""
        begin = pd.Timestamp(day)
        if self.zone is None:
            begin = begin.tz_localize("UTC")
        else:
            begin = begin.tz_localize(self.zone, ambiguous=True, nonexistent="shift_forward")
        return begin.timestamp()


class Stamps:
    """Turns the stamps of a recording into seconds, piece by piece; what they are is decided by the first piece.

    Args:
        first: (n,) of the first rows: numbers (float64, NaN where missing) or text.
        unit: ``s``, ``ms``, ``us``, ``ns``, ``date``, ``dmy`` or ``mdy`` (see ``Dates``); None: guessed.
        zone: of the tables, and of stamps without one; None: that of the stamps.
        start: ISO 8601 at which a clock that counts from a start is 0.

    Raises:
        BadRecording: ``missing_time`` or ``time_format``.
    """

    def __init__(self, first: np.ndarray, unit: str | None, zone: str | None, start: str | None):
        self.guessed = unit is None
        self._zone, self._shift_s, self._second = ZoneInfo(zone) if zone else None, 0.0, False
        self._latest = -np.inf  # local time, to know the second of an hour that there is twice
        if first.dtype == np.float64:
            if unit in DATE_UNITS:
                raise BadRecording("time_format", f"times such as {_shown(first)} are numbers: give their --time_unit")
            self._of_numbers(first, unit, start)
        else:
            self._of_dates(first, unit)

    def _of_numbers(self, first: np.ndarray, unit: str | None, start: str | None) -> None:
        timed = first[np.isfinite(first)]
        if len(timed) < 2:
            raise BadRecording("missing_time", "no row has a time; give --sample_rate if rows are evenly spaced")
        self.unit = unit or guess_unit(timed)
        if self.unit == DAYS:
            self.clock = Clock("absolute" if self._zone else "local", self._zone)
            return
        typical = float(np.median(timed)) * TIME_UNITS[self.unit]
        if LEAST_ABSOLUTE_S < typical < MOST_ABSOLUTE_S:
            self.clock = Clock("absolute", self._zone or ZoneInfo("UTC"))
        else:
            self.clock, self._shift_s = _relative(self._zone, start)

    def _of_dates(self, first: np.ndarray, unit: str | None) -> None:
        if unit not in (None, *DATE_UNITS):
            raise BadRecording("time_format", f"times such as {_shown(first)} are no numbers: want --time_unit date")
        self.unit = "date"
        if not (first != "").any():
            raise BadRecording("missing_time", "no row has a time; give --sample_rate if rows are evenly spaced")
        self._dates = Dates(first, unit)
        self.layout = self._dates.name
        if self._dates.zone or self._zone:
            self.clock = Clock("absolute", self._zone or self._dates.zone)
        else:
            self.clock = Clock("local")

    def seconds(self, stamps: np.ndarray) -> np.ndarray:
        """(n,) float64 of the next rows, NaN where there is no time, or none that can be.

        Raises:
            BadRecording: ``time_format`` if a text is no date.
        """
        if self.unit == DAYS:
            return self._seconds_of_days(stamps)
        dated = self.unit == "date"
        out = self._seconds_of_dates(stamps) if dated else stamps * TIME_UNITS[self.unit] + self._shift_s
        if self.clock.kind == "absolute":
            out[~((out >= 0) & (out < MOST_ABSOLUTE_S))] = np.nan
        return out

    def _seconds_of_days(self, stamps: np.ndarray) -> np.ndarray:
        local_s = (stamps - _EPOCH_DAY) * _DAY_S
        if self._zone is None:
            return local_s
        return self._with_zone(pd.Series(pd.to_datetime(local_s, unit="s", utc=True)), local_s)

    def _seconds_of_dates(self, stamps: np.ndarray) -> np.ndarray:
        dates = self._dates.read(stamps)
        since = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64, copy=True)
        return since if self._dates.zone or self.clock.zone is None else self._with_zone(dates, since)

    def _with_zone(self, dates: pd.Series, local_s: np.ndarray) -> np.ndarray:
        """Local times to instants. Of an hour that there is twice, the second begins where the local time goes back."""
        second = self._second_time(local_s)
        naive = dates.dt.tz_localize(None)
        options = {"tz": self.clock.zone, "nonexistent": "shift_forward"}
        times = [naive.dt.tz_localize(ambiguous=np.full(len(naive), summer), **options) for summer in (True, False)]
        chosen = times[0].where(~second, times[1])
        return (chosen - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64, copy=True)

    def _second_time(self, local_s: np.ndarray) -> np.ndarray:
        """(n,) bool: local time has gone back by more than half an hour, and not come to where it was."""
        known = np.where(np.isfinite(local_s), local_s, -np.inf)
        before = np.maximum.accumulate(np.append(self._latest, known))
        number = np.arange(1, len(known) + 1)
        ahead = np.maximum.accumulate(np.where(known > before[:-1], number, -1 if self._second else 0))
        back = np.isfinite(known) & (known < before[:-1] - _BACK_S)
        back = np.maximum.accumulate(np.where(back, number, 0 if self._second else -1))
        second = back > ahead
        self._latest, self._second = float(before[-1]), bool(second[-1]) if len(second) else self._second
        return second


def guess_unit(stamps: np.ndarray) -> str:
    """Unit of numeric stamps: that in which they are dates of 1979 to 2099, or samples are up to 0.4 s apart.

    ``days`` are those of a spreadsheet, such as 45000.5: as seconds they would come at over 40 kHz.

    Args:
        stamps: (n,) finite, of the first rows.

    Raises:
        BadRecording: ``time_format``.
    """
    typical, steps = np.median(stamps), np.abs(np.diff(stamps))
    step = np.median(steps[steps > 0]) if (steps > 0).any() else 0.0
    if _DAYS[0] < typical < _DAYS[1] and 0 < step <= _COARSEST_STEP_S / _DAY_S:
        return DAYS
    for unit, factor in TIME_UNITS.items():
        if LEAST_ABSOLUTE_S < typical * factor < MOST_ABSOLUTE_S and step * factor <= _COARSEST_STEP_S:
            return unit
    for unit, factor in TIME_UNITS.items():
        if 0 < step * factor <= LONGEST_STEP_S and (step * factor * 1000 > LONGEST_STEP_S or unit == "s"):
            return unit
    message = f"times such as {_shown(stamps)}, {step:g} apart, are neither dates nor seconds: give their --time_unit"
    raise BadRecording("time_format", message)


def clock_of(first_s: float | None, zone: str | None, start: str | None) -> tuple[Clock, float]:
    """Clock of a recording whose times count from its first sample, and what to add to them, seconds.

    Args:
        first_s: the first stamp in its file, seconds; None: unknown.
    """
    own = ZoneInfo(zone) if zone else None
    if first_s is not None and LEAST_ABSOLUTE_S < first_s < MOST_ABSOLUTE_S:
        return Clock("absolute", own or ZoneInfo("UTC")), first_s
    clock, shift_s = _relative(own, start)
    return clock, shift_s + (first_s or 0.0)


def _relative(zone: tzinfo | None, start: str | None) -> tuple[Clock, float]:
    """Clock of times since a start, and what to add to them."""
    if start is None:
        return Clock("relative"), 0.0
    begin = pd.Timestamp(start)
    if begin.tzinfo is None and zone is None:
        return Clock("local"), begin.tz_localize("UTC").timestamp()
    begin = begin.tz_localize(zone) if begin.tzinfo is None else begin
    return Clock("absolute", zone or begin.tzinfo), begin.timestamp()


def _shown(stamps: np.ndarray) -> str:
    return ", ".join(str(value) for value in stamps[:3])
