"""Stamps of any kind become seconds, and seconds dates in the recording's zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from datasets.recording import BadRecording
from datasets.recordings.clock import Clock, Stamps, guess_unit

T = 1714557600.0
UNITS = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}


def text(*stamps):
    return np.array(stamps, dtype=object)


@pytest.mark.parametrize("unit, factor", UNITS.items())
@pytest.mark.parametrize("start_s", [0.0, 407.8, T])
@pytest.mark.parametrize("rate_hz", [20, 100, 1000])
def test_unit_is_guessed(unit, factor, start_s, rate_hz):
    stamps = (start_s + np.arange(200) / rate_hz) * factor
    assert guess_unit(stamps) == unit
    found = Stamps(stamps, None, None, None)
    assert found.clock.kind == ("absolute" if start_s == T else "relative")
    assert np.allclose(found.seconds(stamps) - start_s, np.arange(200) / rate_hz, atol=1e-6)


def test_a_start_makes_a_clock_of_seconds():
    stamps = np.arange(100) / 50
    found = Stamps(stamps, "s", "Europe/Berlin", "2024-05-01T12:00:00")
    assert found.clock.kind == "absolute" and found.seconds(stamps)[0] == T
    assert found.clock.iso(np.array([T]))[0] == "2024-05-01T12:00:00.000+02:00"


@pytest.mark.parametrize(
    "stamp, zone, first, written",
    [
        ("2024-05-01T12:00:00.5+02:00", None, T + 0.5, "2024-05-01T12:00:00.500+02:00"),
        ("2024-05-01 10:00:00.5Z", None, T + 0.5, "2024-05-01T10:00:00.500+00:00"),
        ("2024-05-01 11:00:00.500+0100 [Europe/London]", None, T + 0.5, "2024-05-01T11:00:00.500+01:00"),
        ("2024-05-01T12:00:00.5", "Europe/Berlin", T + 0.5, "2024-05-01T12:00:00.500+02:00"),
        ("2024-05-01T12:00:00.5+02:00", "UTC", T + 0.5, "2024-05-01T10:00:00.500+00:00"),
        ("2024-05-01T12:00:00.5", None, T + 7200.5, "2024-05-01T12:00:00.500"),
        ("2024/05/01 10:00:00,5", "UTC", T + 0.5, "2024-05-01T10:00:00.500+00:00"),
        ("01.05.2024 12:00:00,500", None, T + 7200.5, "2024-05-01T12:00:00.500"),
        ("05/31/2024 12:00:00.5 PM", "Europe/Berlin", T + 30 * 86400 + 0.5, "2024-05-31T12:00:00.500+02:00"),
        ("31/05/2024 12:00:00.5 PM +02:00", None, T + 30 * 86400 + 0.5, "2024-05-31T12:00:00.500+02:00"),
    ],
)
def test_dates(stamp, zone, first, written):
    found = Stamps(text(stamp), None, zone, None)
    seconds = found.seconds(text(stamp, ""))
    assert seconds[0] == first and np.isnan(seconds[1])
    assert found.clock.iso(seconds[:1])[0] == written
    assert found.clock.kind == ("local" if written.endswith("500") else "absolute")


@pytest.mark.parametrize("layout", ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %I:%M:%S %p"])
@pytest.mark.parametrize("cut", [1, 7, 400])
def test_an_hour_that_there_is_twice(cut, layout):
    """Local times of a logger that was set back: instants go on evenly, however the rows are cut."""
    zone = ZoneInfo("Europe/Berlin")
    instants = pd.date_range("2024-10-26T23:00Z", periods=400, freq="30s")
    local = text(*instants.tz_convert(zone).strftime(layout))
    found = Stamps(local, None, "Europe/Berlin", None)
    seconds = np.concatenate([found.seconds(local[a : a + cut]) for a in range(0, 400, cut)])
    assert np.array_equal(seconds, instants.as_unit("s").asi8)


def test_iso_agrees_with_datetime():
    clock = Clock("absolute", ZoneInfo("Europe/Berlin"))
    times = np.array([0.0, T, 1711846799.999, 1711846800.0, 1729989000.25, 1729992600.25])
    wanted = [datetime.fromtimestamp(t, clock.zone).isoformat(timespec="milliseconds") for t in times]
    assert clock.iso(times).tolist() == wanted


def test_midnights_of_days_with_another_length():
    clock = Clock("absolute", ZoneInfo("Europe/Berlin"))
    days = [date(2024, 3, 30), date(2024, 3, 31), date(2024, 4, 1), date(2024, 10, 27), date(2024, 10, 28)]
    begin = [clock.midnight(day) for day in days]
    assert [(b - a) / 3600 for a, b in zip(begin, begin[1:], strict=False)][0:2] == [24, 23]
    assert (begin[4] - begin[3]) / 3600 == 25
    assert Clock("local").midnight(date(1970, 1, 2)) == 86400


def test_what_is_no_time_is_refused():
    for stamps, unit in ((text("soon"), None), (np.arange(9.0), "date"), (text("2024-05-01"), "ms")):
        with pytest.raises(BadRecording) as error:
            Stamps(stamps, unit, None, None)
        assert error.value.reason == "time_format"
    with pytest.raises(BadRecording) as error:
        Stamps(np.full(5, np.nan), None, None, None)
    assert error.value.reason == "missing_time"
    found = Stamps(T + np.arange(5.0), "s", None, None)
    assert np.isnan(found.seconds(np.array([T, -5.0, 1e13]))).tolist() == [False, True, True]
