"""Dates that are written as text, in any common layout; which layout it is, is decided by the first rows."""

import re
from collections.abc import Sequence
from datetime import tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from datasets.recording import BadRecording

TIME_OF_DAY = re.compile(r"\d\d?:\d\d(:\d\d([.,]\d+)?)?(\s*[ap]\.?\s?m\.?)?", re.IGNORECASE)
_LAYOUT = re.compile(  # of a stamp without the fraction of its second
    r"\s*(?P<one>\d{4}|\d\d?)(?P<mark>[/.-]?)(?P<two>\d\d?)(?P=mark)(?P<three>\d{4}|\d\d?)(T|,?\s+)"
    r"(?P<clock>\d\d?:\d\d:\d\d)(\s*(?P<half>[ap])\.?\s?m\.?)?(\s*(?P<offset>Z|[+-]\d\d:?\d\d))?"
    r"(\s*\[(?P<zone>[\w/+-]+)\])?\s*",  # 2014-05-07 13:29:50.430+0100 [Europe/London]
    re.IGNORECASE,
)
_ORDERS = {"ymd": ("year", "month", "day"), "dmy": ("day", "month", "year"), "mdy": ("month", "day", "year")}
_CODES = {"year": "%Y", "month": "%m", "day": "%d"}
_LONGEST = 80  # characters of a stamp; what is longer is no date


class Dates:
    """Dates of a recording, in the layout of its first rows.

    Args:
        first: (n,) text of the first rows, "" where missing; one at least is not.
        unit: ``dmy`` or ``mdy``: the order of day, month and year; ``date`` and None: that in which no month of these
            rows is over 12. Points between the numbers mean the day first.

    Attributes:
        name: of the layout, such as ``ISO 8601`` or ``month/day/year AM/PM``.
        zone: that the first row names, or its offset from UTC; None: it has none.

    Raises:
        BadRecording: ``time_format`` if the first is no date, or the order is not ``unit`` or not known.
    """

    def __init__(self, first: np.ndarray, unit: str | None):
        stamps = first[first != ""]
        order, self.name, self.zone, self._format = "ymd", "ISO 8601", None, None  # no format: as pandas reads ISO 8601
        try:
            self.zone: tzinfo | None = pd.to_datetime(stamps[0], format="ISO8601").tzinfo
        except ValueError:
            keys = pd.unique(_without_fraction(stamps)[0]).tolist()
            how = _LAYOUT.fullmatch(keys[0])
            if how is None or (len(how["one"]) == 4) == (len(how["three"]) == 4):
                raise _no_date(stamps[0]) from None
            order = "ymd" if len(how["one"]) == 4 else _order(keys, how, stamps[0], unit)
            self.name = (how["mark"] or "-").join(_ORDERS[order]) + (" AM/PM" if how["half"] else "")
            clock = "%I:%M:%S %p" if how["half"] else "%H:%M:%S"
            self._format = f"{'-'.join(map(_CODES.get, _ORDERS[order]))} {clock}{'%z' if how['offset'] else ''}"
            self.zone = self._zone_of(how, stamps[0])
        if unit in _ORDERS and unit != order:
            message = f"the first time is {stamps[0]!r} ({self.name}), --time_unit says {unit}: want --time_unit date"
            raise BadRecording("time_format", message)

    def _zone_of(self, how: re.Match[str], stamp: str) -> tzinfo | None:
        try:
            offset = pd.to_datetime(_canonical(how), format=self._format).tzinfo
        except ValueError as error:
            raise self._other_layout(stamp) from error
        return ZoneInfo(how["zone"]) if how["zone"] else offset

    def read(self, stamps: np.ndarray) -> pd.Series:
        """(n,) text to dates in UTC; those without a zone as if UTC were theirs; NaT where it is "".

        Rows of the same second are told apart by its fraction alone: one date is parsed for all of them.

        Raises:
            BadRecording: ``time_format`` if a text is no date of the layout.
        """
        if self._format is None:
            try:
                return pd.to_datetime(pd.Series(stamps, dtype=object).replace("", None), format="ISO8601", utc=True)
            except ValueError as error:
                raise BadRecording("time_format", f"a time is no ISO 8601: {error}") from error
        keys, fraction = _without_fraction(stamps)
        begins = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
        seconds = [_canonical(how) if (how := _LAYOUT.fullmatch(key)) else "" for key in keys[begins].tolist()]
        dates = pd.to_datetime(pd.Series(seconds, dtype=object), format=self._format, utc=True, errors="coerce")
        whole = dates.dt.tz_localize(None).to_numpy("datetime64[us]")[np.cumsum(begins) - 1]
        if (wrong := np.isnat(whole) & (stamps != "")).any():
            raise self._other_layout(stamps[wrong][0])
        return pd.Series(whole + fraction).dt.tz_localize("UTC")

    def _other_layout(self, stamp: str) -> BadRecording:
        message = f"the time {stamp[:_LONGEST]!r} is not {self.name}, as the first rows are: mend it"
        return BadRecording("time_format", f"{message}, or say the order of all rows, --time_unit dmy or mdy")


def _order(keys: Sequence[str], how: re.Match[str], stamp: str, unit: str | None) -> str:
    """Whether day or month comes first: ``dmy`` or ``mdy``."""
    if unit in _ORDERS:
        return unit
    pairs = [(int(each["one"]), int(each["two"])) for key in keys if (each := _LAYOUT.fullmatch(key))]
    day_first, month_first = (any(pair[place] > 12 for pair in pairs) for place in (0, 1))
    if day_first != month_first:
        return "dmy" if day_first else "mdy"
    if day_first:
        message = f"times such as {stamp!r}: a number over 12 stands first in some rows, second in others; mend them"
        raise BadRecording("time_format", message)
    if how["mark"] == ".":
        return "dmy"
    message = f"the first time is {stamp!r}, day or month first: say --time_unit dmy or --time_unit mdy"
    raise BadRecording("time_format", message)


def _without_fraction(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) text without the fractions of seconds, and these as timedelta64[us]."""
    width = min(max(map(len, stamps), default=0), _LONGEST) + 1
    hour, _, rest = np.strings.partition(stamps.astype(f"U{width}"), ":")  # 11/22/2026 3 and 04:05.120 PM
    rest = rest.astype(f"U{max(width, 7)}")
    codes = rest.view(np.uint32).reshape(len(rest), -1)
    inside = (codes[:, 5] == ord(".")) | (codes[:, 5] == ord(","))
    fraction = np.zeros(len(rest), np.int64)
    for place in range(min(6, codes.shape[1] - 6)):
        digit = codes[:, 6 + place].astype(np.int64) - ord("0")
        inside &= (digit >= 0) & (digit < 10)
        fraction += np.where(inside, digit * 10 ** (5 - place), 0)
    keys = hour + ":" + _text(codes[:, :5]) + np.strings.lstrip(_text(codes[:, 5:]), ".,0123456789")
    return keys, fraction.astype("timedelta64[us]")


def _text(codes: np.ndarray) -> np.ndarray:
    """(n, W) code points to (n,) text."""
    return np.ascontiguousarray(codes).view(f"U{codes.shape[1]}")[:, 0]


def _canonical(how: re.Match[str]) -> str:
    """A stamp as the formats of ``Dates`` have it, such as ``11-22-2026 3:04:05 pm+01:00``."""
    half = f" {how['half']}m" if how["half"] else ""
    return f"{how['one']}-{how['two']}-{how['three']} {how['clock']}{half}{how['offset'] or ''}"


def _no_date(stamp: str) -> BadRecording:
    message = (
        f"the first time is {stamp[:_LONGEST]!r}, want seconds, ISO 8601, such as 2024-05-01T10:00:00.25, or day, "
        "month and a year of four digits, such as 22.11.2024 15:00:00.25 or 11/22/2024 3:00:00.25 PM (or a date in a "
        "column of its own)"
    )
    return BadRecording("time_format", message)
