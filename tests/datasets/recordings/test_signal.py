"""The signal on disk, units from all of it, stillness and calibration."""

import itertools
import tracemalloc

import numpy as np
import pytest

from datasets.recording import BadRecording
from datasets.recordings.clock import Clock
from datasets.recordings.gravity import calibrate
from datasets.recordings.reader import Reading, Samples
from datasets.recordings.signal import Signal
from datasets.recordings.stillness import nonwear, still_epochs, within
from datasets.recordings.units import acc_unit, gyro_unit
from tests.predicting import MAY_DAY_S, samples

G = 9.80665


def of(data, kind="relative", piece=1000):
    """A reading of (N, 7) rows."""
    parts = (data[a : a + piece] for a in range(0, len(data), piece))
    pieces = (Samples(part[:, 0], part[:, 1:4], part[:, 0], part[:, 4:]) for part in parts)
    return Reading(Clock(kind), pieces, None, None)


def test_the_signal_comes_back_in_pieces(tmp_path):
    data = np.delete(samples(60, seed=1), slice(2000, 2300), axis=0)  # a gap of 3 s
    data[:, 0] += 12345.67
    signal = Signal(of(data), tmp_path)
    assert list(tmp_path.iterdir()) == []  # it has no name
    assert [run.samples for run in signal.runs] == [1000, 1850]
    assert [run.start_s for run in signal.runs] == pytest.approx([12345.67, 12368.67])
    pieces = list(signal.pieces(300))
    assert [piece.new_run for piece in pieces] == [True, False, False, False, True, *[False] * 6]
    joined = np.concatenate([piece.imu for piece in pieces])
    assert np.array_equal(joined, signal.read(0, signal.samples))

    at_s = np.concatenate([run.start_s + np.arange(run.samples) / 50 for run in signal.runs])
    number = np.floor(at_s / 10 + 1e-9)
    epochs = signal.epochs
    assert epochs.start_s.tolist() == (np.unique(number) * 10).tolist()
    for place, k in enumerate(np.unique(number)):
        own = joined[number == k].astype(float)
        assert epochs.samples[place] == len(own)
        assert np.allclose(epochs.mean[place], own.mean(0)) and np.allclose(epochs.std[place], own.std(0), atol=1e-7)
        assert epochs.turning[place] == pytest.approx(np.linalg.norm(own[:, 3:], axis=1).sum())


def set_back(data, at, by_s):
    data = data.copy()
    data[at:, 0] -= by_s
    return data


@pytest.mark.parametrize("kind", ["relative", "local", "absolute"])
def test_a_clock_that_begins_again_goes_on(tmp_path, kind):
    """300 s, and 200 s from 0 on again: to be placed where nothing else tells when; times that come twice otherwise."""
    data = samples(500, rate_hz=50)
    signal = Signal(of(set_back(data, 300 * 50, 300), kind), tmp_path)
    assert signal.set_back == [(pytest.approx(300), 0.0)] and signal.counts == {}
    assert signal.overlap == (kind != "relative")
    if kind == "relative":
        assert [(run.start_s, run.samples) for run in signal.runs] == [(0.0, 15_000), (pytest.approx(300), 10_000)]
        assert signal.epochs.start_s.tolist() == [10.0 * k for k in range(50)]


def test_runs_are_in_order_of_time(tmp_path):
    """The second half of the file comes first."""
    data = samples(400, rate_hz=50)
    data[:, 0] += MAY_DAY_S
    signal = Signal(of(np.concatenate([data[10_000:], data[:10_000]]), "absolute"), tmp_path)
    assert not signal.overlap and len(signal.set_back) == 1 and signal.samples == 20_000
    assert [run.start_s - MAY_DAY_S for run in signal.runs] == pytest.approx([0, 200])
    assert (signal.first_s - MAY_DAY_S, signal.last_s - MAY_DAY_S) == pytest.approx((0, 400 - 1 / 50))
    whole = np.concatenate([piece.imu for piece in signal.pieces(1000)])
    assert np.abs(whole - data[:, 1:])[:, :3].max() < 0.2  # noise and steps through a median


def test_memory_does_not_grow_with_the_recording(tmp_path):
    """Four times as long takes less than 1 MB more: 36 KB of sums an hour."""
    piece = samples(600, rate_hz=50)

    def endless(count):
        for k in range(count):
            time_s = piece[:, 0] + 600 * k
            yield Samples(time_s, piece[:, 1:4], time_s, piece[:, 4:])

    peaks = []
    for count in (6, 24):
        tracemalloc.start()
        signal = Signal(Reading(Clock("relative"), endless(count), None, None), tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert signal.samples == pytest.approx(count * 30_000, abs=2)
    assert peaks[1] - peaks[0] < 1e6


@pytest.mark.parametrize("acc, factor", [("m/s2", 1), ("g", 1 / G), ("mg", 1000 / G)])
@pytest.mark.parametrize("gyro, turn", [("rad/s", 1), ("deg/s", 180 / np.pi)])
def test_units_are_guessed(tmp_path, acc, factor, gyro, turn):
    signal = Signal(of(samples(120) * [1, *[factor] * 3, *[turn] * 3]), tmp_path)
    assert acc_unit(signal.epochs, None) == acc_unit(signal.epochs, acc) == acc
    assert gyro_unit(signal, None, 1 / factor)[0] == gyro
    other = "deg/s" if gyro == "rad/s" else "rad/s"
    assert gyro_unit(signal, other, 1 / factor)[::2][0] == other and gyro_unit(signal, other, 1 / factor)[2]
    assert not gyro_unit(signal, gyro, 1 / factor)[2]


def test_units_of_nothing_known(tmp_path):
    signal = Signal(of(samples(60) * [1, *[4096 / G] * 3, 1, 1, 1]), tmp_path)
    with pytest.raises(BadRecording) as error:
        acc_unit(signal.epochs, None)
    assert error.value.reason == "wrong_units"
    signal = Signal(of(samples(60) * [1, *[1 / G] * 3, 1, 1, 1]), tmp_path)
    with pytest.raises(BadRecording) as error:
        acc_unit(signal.epochs, "m/s2")
    assert "--acc_unit g" in error.value.message


def test_zeros_of_a_sensor_not_yet_connected_are_no_rest(tmp_path):
    data = samples(120)
    data[data[:, 0] < 30, 1:] = 0
    assert acc_unit(Signal(of(data), tmp_path).epochs, None) == "m/s2"
    data[:, 1:] = 0
    with pytest.raises(BadRecording):
        acc_unit(Signal(of(data), tmp_path).epochs, None)


def test_non_wear_is_long_stillness(tmp_path):
    """Still from 100 to 400 s and from 500 to 560 s; an interruption within stillness cuts it."""
    data = samples(700, rate_hz=50, quiet=(100, 400))
    data[500 * 50 : 560 * 50, 1:4] = [0, 0, G]
    signal = Signal(of(data), tmp_path)
    still = still_epochs(signal.epochs, 13, 1.0)
    assert np.flatnonzero(still).tolist() == [*range(10, 40), *range(50, 56)]
    assert nonwear(signal.epochs, still, 300).tolist() == [[100, 400]]
    assert nonwear(signal.epochs, still, 60).tolist() == [[100, 400], [500, 560]]
    assert nonwear(signal.epochs, still, 301).tolist() == []
    signal = Signal(of(np.delete(data, slice(200 * 50, 215 * 50), axis=0)), tmp_path)
    still = still_epochs(signal.epochs, 13, 1.0)
    assert nonwear(signal.epochs, still, 60).tolist() == [[100, 200], [210, 400], [500, 560]]
    stretches = np.array([[1.0, 2.0], [5.0, 6.0]])
    assert within(np.array([0.9, 1.0, 2.0, 5.5, 6.1]), stretches).tolist() == [False, True, False, True, False]


def off_by(gain, offset, directions=26, repeats=4, noise_g=0.001, seed=0):
    """Still means of a sensor whose axes have this gain and offset, in directions all around."""
    rng = np.random.default_rng(seed)
    around = np.array([d for d in itertools.product((-1, 0, 1), repeat=3) if any(d)], float)[:directions]
    truth = np.repeat(around / np.linalg.norm(around, axis=1, keepdims=True), repeats, axis=0)
    return truth, (truth - offset) / gain + rng.normal(0, noise_g, truth.shape)


def test_calibration_finds_gain_and_offset():
    gain, offset = np.array([1.03, 0.98, 1.01]), np.array([0.02, -0.03, 0.01])
    truth, read = off_by(gain, offset)
    found = calibrate(read)
    assert found.applied and found.before_mg > 15 and found.after_mg < 1.5
    assert np.allclose(found.gain, gain, atol=3e-3) and np.allclose(found.offset, offset, atol=2e-3)
    assert np.allclose(found.gain * read + found.offset, truth, atol=5e-3)


def test_calibration_is_left_out_where_it_cannot_help():
    _, read = off_by(np.ones(3), np.array([0.02, 0, 0]))
    for points in (read[:20], np.abs(read), read[:0]):
        found = calibrate(points)
        assert not found.applied and found.why and found.gain.tolist() == [1, 1, 1]
    rng = np.random.default_rng(0)
    torn = read * rng.uniform(0.8, 1.2, (len(read), 1))  # no gain of an axis explains these lengths
    assert not calibrate(torn).applied
    assert not calibrate(read, wanted=False).applied
