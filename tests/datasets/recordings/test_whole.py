"""A recording that a format has parsed at once: stray and unsorted stamps cost themselves alone."""

import numpy as np
import pytest

from datasets.recording import BadRecording, Recording, Source
from datasets.recordings.signal import Signal
from datasets.recordings.whole import open_source
from tests.predicting import samples

HOUR = samples(3600, rate_hz=50)


def stray(data):
    """One accelerometer stamp after 1000 s is 1e6 s."""
    acc_time = data[:, 0].copy()
    acc_time[50_000] = 1e6
    return acc_time, data


def unsorted(data):
    """The two halves of the file are exchanged."""
    data = np.concatenate([data[len(data) // 2 :], data[: len(data) // 2]])
    return data[:, 0], data


def untimed(data):
    acc_time = data[:, 0].copy()
    acc_time[100:102] = np.nan
    return acc_time, data


@pytest.mark.parametrize("first_stamp_s", [None, 1.7e9])
def test_a_clock_that_begins_again_mixes_nothing(tmp_path, first_stamp_s):
    """After 30 minutes; each of the two halves is what it is alone."""
    data = HOUR.copy()
    data[90_000:, 0] -= 1800.02
    notes = {} if first_stamp_s is None else {"first_stamp_s": first_stamp_s}
    recording = Recording("a", data[:, 0], data[:, 1:4], data[:, 0], data[:, 4:], notes=notes)
    reading = open_source(Source("a", (), lambda: recording), "table", None, None)
    signal = Signal(reading, tmp_path)
    assert [run.samples for run in signal.runs] == [90_000, 90_000] and signal.counts == {}
    assert signal.overlap == (first_stamp_s is not None) and len(signal.set_back) == 1
    assert np.abs(signal.read(90_000, 90_000) - data[90_000:, 1:])[:, :3].max() < 0.2


@pytest.mark.parametrize(
    "change, counts", [(stray, {"acc_short_run": 1}), (unsorted, {}), (untimed, {"acc_nan_time": 2})]
)
def test_odd_stamps_cost_themselves_alone(tmp_path, change, counts):
    acc_time, data = change(HOUR)
    recording = Recording("a", acc_time, data[:, 1:4], data[:, 0], data[:, 4:])
    reading = open_source(Source("a", (), lambda: recording), "table", None, None)
    signal = Signal(reading, tmp_path)
    assert signal.samples == pytest.approx(3600 * 50, abs=2) and len(signal.runs) == 1
    assert (signal.first_s, signal.last_s) == pytest.approx((0, 3600 - 1 / 50), abs=0.03)
    assert signal.counts == counts


@pytest.mark.parametrize("back_s, samples", [(20.02, [1000, 500]), (5.01, [1249])])
def test_a_short_recording_that_begins_again_mixes_nothing(tmp_path, back_s, samples):
    """From its beginning it goes on behind; in its middle what comes twice is dropped."""
    data = HOUR[:1500].copy()
    data[1000:, 0] -= back_s
    recording = Recording("a", data[:, 0], data[:, 1:4], data[:, 0], data[:, 4:])
    signal = Signal(open_source(Source("a", (), lambda: recording), "table", None, None), tmp_path)
    assert [run.samples for run in signal.runs] == samples
    assert np.abs(signal.read(0, 1000) - data[:1000, 1:])[:, :3].max() < 0.2


def test_one_sensor_that_begins_again_is_refused(tmp_path):
    data = HOUR[:9000].copy()
    again = data[:, 0].copy()
    again[6000:] -= 120.02
    recording = Recording("a", data[:, 0], data[:, 1:4], again, data[:, 4:])
    with pytest.raises(BadRecording, match="clock_back: a: .* gyro"):
        Signal(open_source(Source("a", (), lambda: recording), "table", None, None), tmp_path)
