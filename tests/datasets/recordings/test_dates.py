"""Dates of any layout become times, and what may be two dates is refused."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from datasets.recording import BadRecording
from datasets.recordings.dates import Dates


def text(*stamps):
    return np.array(stamps, dtype=object)


def refused(stamps, unit=None):
    with pytest.raises(BadRecording) as error:
        Dates(text(*stamps), unit).read(text(*stamps))
    assert error.value.reason == "time_format"
    return error.value.message


@pytest.mark.parametrize(
    "layout, name",
    [
        ("%m/%d/%Y %I:%M:%S.%f %p", "month/day/year AM/PM"),
        ("%m/%d/%Y, %I:%M:%S %p", "month/day/year AM/PM"),
        ("%d/%m/%Y %H:%M:%S,%f", "day/month/year"),
        ("%d-%m-%Y %H:%M:%S.%f", "day-month-year"),
        ("%d.%m.%YT%H:%M:%S.%f", "day.month.year"),
        ("%Y-%m-%d %I:%M:%S.%f%p", "year-month-day AM/PM"),
        ("%Y%m%d %I:%M:%S.%f %p", "year-month-day AM/PM"),
        ("%Y/%m/%d %H:%M:%S,%f", "year/month/day"),
        ("%m/%d/%Y %I:%M:%S.%f %p %z", "month/day/year AM/PM"),
        ("%m/%d/%Y %H:%M:%S.%f%z", "month/day/year"),
        ("%m/%d/%Y %I:%M:%S\u202f%p", "month/day/year AM/PM"),
    ],
)
def test_layouts_against_strptime(layout, name):
    """Over midnight, noon and a month's end, also without leading zeros."""
    instants = pd.date_range("2026-11-22 23:59:50", "2026-12-01 13:10", freq="4h17min9.251s", tz="+05:30")
    stamps = [instant.strftime(layout) for instant in instants]
    dates = Dates(text(*stamps), None)
    found = dates.read(text(*stamps, ""))
    want = [pd.Timestamp(datetime.strptime(stamp, layout)) for stamp in stamps]
    want = [stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp for stamp in want]
    assert found.tolist()[:-1] == want and found.isna().tolist() == [False] * len(want) + [True]
    assert dates.name == name and (dates.zone is None) == ("%z" not in layout)
    bare = text(*[stamp.replace("/0", "/").replace(" 0", " ") for stamp in stamps])
    assert Dates(bare, None).read(bare).tolist() == want


def test_fractions_of_any_length():
    """Also none, where a logger leaves out zeros; what is finer than a microsecond is cut off."""
    parts = ["", ".5", ".25", ".004", ".1234567", ",75"]
    stamps = text(*[f"11/22/2026 1:59:59{part} pm" for part in parts], "11/22/2026 02:00:00 P.M.")
    seconds = (Dates(stamps, None).read(stamps) - pd.Timestamp("2026-11-22T13:59:59Z")).dt.total_seconds()
    assert seconds.tolist() == [0, 0.5, 0.25, 0.004, 0.123456, 0.75, 1]


def test_twelve_o_clock():
    stamps = text(*[f"11/22/2026 12:30:00 {half}" for half in ("AM", "PM")])
    assert Dates(stamps, None).read(stamps).dt.hour.tolist() == [0, 12]


@pytest.mark.parametrize(
    "days, unit, month",
    [
        (["03/04/2026", "03/13/2026"], None, 3),
        (["03/04/2026", "13/04/2026"], None, 4),
        (["13/04/2026", "03/04/2026"], "date", 4),
        (["03/04/2026"], "dmy", 4),
        (["03/04/2026"], "mdy", 3),
        (["03.04.2026"], None, 4),
        (["03.04.2026"], "mdy", 3),
        (["03.04.2026", "03.13.2026"], None, 3),
    ],
)
def test_order_of_day_and_month(days, unit, month):
    stamps = text(*[f"{day} 10:00:00" for day in days])
    assert Dates(stamps, unit).read(stamps)[0].month == month


@pytest.mark.parametrize("day", ["03/04/2026", "3-4-2026", "05/05/2026"])
@pytest.mark.parametrize("unit", [None, "date"])
def test_two_possible_orders_are_refused(day, unit):
    message = refused([f"{day} 10:00:00.5 AM"], unit)
    assert f"{day} 10:00:00.5 AM" in message and "--time_unit dmy" in message and "--time_unit mdy" in message


@pytest.mark.parametrize(
    "stamps, unit",
    [
        (["13/04/2026 10:00:00", "04/13/2026 10:00:00"], None),  # both orders
        (["13/04/2026 10:00:00"], "mdy"),
        (["2026-04-13 10:00:00"], "dmy"),
        (["2026-04-13 10:00:00 AM"], "mdy"),
        (["11/22/26 10:00:00 AM"], None),
        (["11/31/2026 10:00:00"], None),
        (["11/22/2026 13:00:00 PM"], None),
        (["11/22/2026 10:00:00 AM", "11/22/2026 11:00:00"], None),
        (["11/22/2026 10:00:00", "11/22/2026 11:00:00 PM"], None),
        (["11/22/2026 10:00:00", "soon"], None),
        (["11/22/2026 10:00:00", "11/22/2026 10:00:00.5 and more" + "." * 99], None),
        (["3:04:05 PM"], None),
    ],
)
def test_what_is_no_date(stamps, unit):
    refused(stamps, unit)


def test_later_rows_obey_the_first():
    """A month that cannot be names its row's time and the remedy."""
    dates = Dates(text("11/22/2026 10:00:00"), None)
    assert dates.read(text("12/01/2026 10:00:00"))[0].month == 12
    with pytest.raises(BadRecording, match="'13/01/2026 10:00:00.*month/day/year.*--time_unit"):
        dates.read(text("12/01/2026 10:00:00", "13/01/2026 10:00:00"))
