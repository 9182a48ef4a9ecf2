"""A signal that comes piece by piece: however it is cut, and beside the signal path of whole recordings."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import Akima1DInterpolator

from datasets import sensor_run
from datasets.preparation import signals
from datasets.recording import Recording
from datasets.sensor_run import SensorRun, makima
from datasets.streaming import LONGEST_LAG_S, SignalStream, WindowCutter

NOTHING = np.empty(0), np.empty((0, 3))


def clock(seconds, rate_hz, seed=0, start_s=0.0, jitter=0.0):
    rng = np.random.default_rng(seed)
    number = np.arange(int(seconds * rate_hz))
    return start_s + (number + jitter * rng.uniform(-0.5, 0.5, len(number))) / rate_hz


def movement(time_s, seed=0):
    """Tones up to 11 Hz that add to gravity: their value is known at any time."""
    rng = np.random.default_rng(seed)
    values = np.tile([0.5, -3.0, 9.81], (len(time_s), 1))
    for frequency_hz in (0.4, 1.7, 4.0, 11.0):
        values += rng.uniform(0.2, 1.0, 3) * np.sin(2 * np.pi * frequency_hz * time_s[:, None] + rng.uniform(0, 6, 3))
    return values


def sensor(time_s, seed=0):
    return time_s, movement(time_s, seed)


def without(data, *spans):
    keep = np.ones(len(data[0]), dtype=bool)
    for start_s, end_s in spans:
        keep &= (data[0] < start_s) | (data[0] > end_s)
    return data[0][keep], data[1][keep]


def inserted(data, index, time_s):
    """With one more sample before ``index``."""
    return np.insert(data[0], index, time_s), np.insert(data[1], index, [100.0, 100.0, 100.0], axis=0)


def pushed(acc, gyro, cuts=((), ())):
    """Pieces of a stream that is given the samples cut at positions, as many cuts for each sensor."""
    stream = SignalStream()
    edges = [[0, *own, len(data[0])] for own, data in zip(cuts, (acc, gyro), strict=True)]
    pieces = []
    for a, b, c, d in zip(edges[0][:-1], edges[0][1:], edges[1][:-1], edges[1][1:], strict=True):
        pieces += stream.push(acc[0][a:b], acc[1][a:b], gyro[0][c:d], gyro[1][c:d])
    return stream, pieces + stream.finish()


def joined(pieces):
    """(start, signal, interpolated samples) of each run."""
    found = []
    for piece in pieces:
        if piece.new_run:
            found.append([piece.start_s, [], 0])
        assert piece.start_s == pytest.approx(found[-1][0] + sum(map(len, found[-1][1])) / 50, abs=1e-6)
        found[-1][1].append(piece.imu)
        found[-1][2] += piece.interpolated
    return [(start_s, np.concatenate(parts), interpolated) for start_s, parts, interpolated in found]


def restarted(time_s, at, start_s):
    """The clock shows ``start_s`` at sample number ``at``."""
    return np.where(np.arange(len(time_s)) < at, time_s, time_s - time_s[at] + start_s)


def two_restarts():
    """Clocks of their own that begin again twice: after 40 s, and 90 s later at times that they have had."""
    acc, gyro = sensor(clock(200, 104.17, 1, 500.0, 0.2), 1), sensor(clock(200, 98.6, 2, 500.3, 0.2), 2)
    ends_s = 540.1, 630.2

    def twice(data):
        first, second = np.searchsorted(data[0], ends_s)
        time_s = restarted(restarted(data[0], first, data[0][first] - 539.0), second, data[0][second] - 600.0)
        return time_s, data[1]

    acc, gyro = twice(acc), twice(gyro)
    gyro[0][3000:3040] -= 300.0  # 0.4 s are no restart
    return acc, gyro


def damaged():
    """Both sensors with every fault, on clocks of their own."""
    acc = sensor(clock(90, 104.17, 1, 5.0, 0.6), 1)
    acc = without(acc, (20.0, 20.07), (31.0, 31.5), (31.9, 33.0), (60.0, 75.0))
    acc = inserted(inserted(inserted(acc, 900, 1e9), 2500, 3.0), 3000, acc[0][2999])
    gyro = sensor(clock(93, 198.6, 2, 3.5, 0.2), 2)
    gyro = without(gyro, (45.0, 45.2), (74.0, 76.0))
    gyro[1][5000, 1] = gyro[0][6000] = np.nan
    gyro[0][8000:8040] -= 1.0
    return acc, gyro


CASES = {
    "clean": lambda: (sensor(clock(40, 100.0)),) * 2,
    "damaged": damaged,
    "since_1970": lambda: tuple(sensor(clock(40, 50.3, k, 1.7e9 + k, 0.5), k) for k in range(2)),
    "restarts": two_restarts,
    "slow_and_fast": lambda: (sensor(clock(40, 25.0, 0, 0.0, 0.1)), sensor(clock(40, 999.1, 1, 0.4))),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chunks", [3, 40, 700])
def test_cutting_changes_nothing(case, chunks):
    acc, gyro = CASES[case]()
    whole, pieces = pushed(acc, gyro)
    rng = np.random.default_rng(chunks)
    cuts = [np.sort(rng.integers(0, len(data[0]), chunks - 1)) for data in (acc, gyro)]
    other, cut = pushed(acc, gyro, cuts)
    assert len(joined(pieces)) == {"damaged": 5, "restarts": 4}.get(case, 1)
    assert other.counts == whole.counts
    assert other.rates_hz == pytest.approx(whole.rates_hz, rel=1e-9)
    for (start_s, imu, bridged), (start_cut_s, imu_cut, bridged_cut) in zip(joined(pieces), joined(cut), strict=True):
        assert start_cut_s == start_s and bridged_cut == bridged
        np.testing.assert_allclose(imu_cut, imu, rtol=0, atol=1e-9)


def test_samples_one_by_one_and_one_sensor_first():
    acc, gyro = sensor(clock(15, 50.0), 1), sensor(clock(15, 60.0, 1, 0.1), 2)
    ((start_s, imu, _),) = joined(pushed(acc, gyro)[1])
    stream, pieces = SignalStream(), []
    for k in range(len(acc[0])):
        pieces += stream.push(acc[0][k : k + 1], acc[1][k : k + 1], *NOTHING)
    for k in range(len(gyro[0])):
        pieces += stream.push(*NOTHING, gyro[0][k : k + 1], gyro[1][k : k + 1])
    ((start_one_s, imu_one, _),) = joined(pieces + stream.finish())
    assert start_one_s == start_s
    np.testing.assert_array_equal(imu_one, imu)


# ------------------------------------------------------------- against the whole recording


def differences(acc, gyro, window_s=2.0):
    """Largest difference from ``signals.process`` but for the first and last second of a run, of acc and gyro."""
    whole = signals.process(Recording("r", *acc, *gyro), window_s=window_s)
    found = [run for run in joined(pushed(acc, gyro)[1]) if len(run[1]) >= window_s * 50]
    assert len(found) == len(whole.parts)
    largest = np.zeros(2)
    for (start_s, imu, bridged), part in zip(found, whole.parts, strict=True):
        assert start_s == part.start_s and len(imu) == len(part.imu)
        assert bridged == pytest.approx(part.interpolated, abs=0.05 * len(imu) + 1)
        apart = np.abs(imu - part.imu)[50:-50].reshape(-1, 2, 3)
        largest = np.maximum(largest, apart.max((0, 2), initial=0))
    return largest


@pytest.mark.parametrize("rate", [25.0, 50.0, 60.0, 100.0, 128.0, 198.6, 200.0, 400.1, 1000.0])
def test_close_to_the_whole_recording_at_any_rate(rate):
    acc, gyro = sensor(clock(30, rate), 1), sensor(clock(30, rate, 0, 0.004), 2)
    # Of tones of up to 1 m/s2: float32. 400.1 Hz takes more phases than the filter has, and is read as 400.
    assert differences(acc, gyro).max() < (3e-4 if rate == 400.1 else 1e-5)


def test_close_to_the_whole_recording_with_gaps_and_jitter():
    acc, gyro = sensor(clock(60, 104.17, 1, 5.0, 0.2), 1), sensor(clock(60, 98.2, 2, 4.5, 0.2), 2)
    acc, gyro = without(acc, (20.0, 20.07), (31.0, 31.5)), without(gyro, (45.0, 47.0))
    assert differences(acc, gyro).max() < 0.1  # times between samples move, and with them the error of the curve


def test_every_value_is_that_of_the_true_signal():
    acc, gyro = sensor(clock(30, 100.0), 1), sensor(clock(30, 128.0, 0, 0.33), 2)
    ((start_s, imu, bridged),) = joined(pushed(acc, gyro)[1])
    grid_s = start_s + np.arange(len(imu)) / 50
    truth = signals.median(np.concatenate([movement(grid_s, 1), movement(grid_s, 2)], axis=1))
    np.testing.assert_allclose(imu[60:-60], truth[60:-60], atol=3e-3)  # 80 dB of stop band, four tones
    assert bridged == 0 and grid_s[-1] <= min(acc[0][-1], gyro[0][-1])


def test_close_to_the_whole_recording_on_phones_and_watches(real_data):
    """Jittering clocks of about 102 and 104 Hz: their signals have a standard deviation of 3.9 m/s2 and 0.9 rad/s."""
    for name in ("s01/s01_01_sp.csv.gz", "s01/s01_01_sw.csv.gz"):
        table = pd.read_csv(real_data / "sp_sw_har" / name)
        columns = [[f"{axis}_{kind}" for axis in "xyz"] for kind in ("acc", "gyro")]
        time_s = table["timestamp"].to_numpy() / 1000
        acc, gyro = ((time_s, table[names].to_numpy(float)) for names in columns)
        assert (differences(acc, gyro) < np.array([0.5, 0.2])).all()  # at single moments of fast movement


def test_a_steady_clock_gives_what_the_whole_recording_gives(real_data):
    table = pd.read_csv(sorted((real_data / "stanford_fog" / "csv_chest_head").glob("*.csv.gz"))[0])
    columns = [[f"imu_chest_{kind}{axis}" for axis in "xyz"] for kind in "ag"]
    time_s = table["time"].to_numpy(float)
    acc, gyro = ((time_s, table[names].to_numpy(float)) for names in columns)
    assert differences(acc, gyro).max() < 2e-5


# ------------------------------------------------------------- clocks


def test_gaps_split_and_short_ones_are_bridged():
    acc = without(sensor(clock(30, 100.0)), (5.0, 5.08), (12.0, 12.2))
    runs = joined(pushed(acc, sensor(clock(30, 100.0)))[1])
    assert [run[0] for run in runs] == [0.0, pytest.approx(12.21, abs=0.011)]
    assert len(runs[0][1]) == 600 and runs[0][2] in (4, 5) and runs[1][2] == 0


def test_a_clock_that_goes_back_is_waited_for():
    time_s, values = sensor(clock(40, 100.0))
    back = time_s.copy()
    back[2000:] -= 5.0  # 20 s, then 15 s again
    stream, pieces = pushed((back, values), (back, values))
    assert stream.counts == {"acc_backwards": 500, "gyro_backwards": 500}
    (run,) = joined(pieces)
    assert len(run[1]) == 1750 and run[0] == 0.0


@pytest.mark.parametrize("start_s", [0.0, 55.0])
def test_a_clock_that_begins_again_begins_a_run(start_s):
    """After 120 s, at its first sample or more than a minute back; what follows is as if it came alone."""
    time_s, values = sensor(clock(200, 100.0))
    back = restarted(time_s, 12_000, start_s)
    stream, pieces = pushed((back, values), (back, values))
    first, second = joined(pieces)
    assert stream.counts == {} and stream.rates_hz == pytest.approx({"acc": 100, "gyro": 100}, rel=1e-3)
    assert [first[0], second[0]] == [0.0, start_s] and [len(first[1]), len(second[1])] == [6000, 4000]
    alone = back[12_000:], values[12_000:]
    np.testing.assert_array_equal(second[1], joined(pushed(alone, alone)[1])[0][1])


def test_a_sensor_whose_clock_alone_begins_again():
    """The other one is waited for: all of what both have is there, and memory is bounded."""
    time_s, values = sensor(clock(60, 50.0))
    back = restarted(time_s, 1500, 0.0)
    stream, pieces = pushed((back, values), (time_s, values))
    assert [len(run[1]) for run in joined(pieces)] == [1500] and stream.counts == {}
    stream, held = SignalStream(), []
    for minute in range(40):
        time_s = np.arange(3000) / 50
        acc_s = time_s + 60 * (minute if minute < 3 else minute - 3)
        stream.push(acc_s, np.ones((3000, 3)), time_s + 60 * minute, np.ones((3000, 3)))
        held.append(sum(len(time) for s in stream._sensors.values() for time, _ in s._behind))
    assert 0 < max(held) <= 11 * 3000


def test_a_clock_that_jumps_ahead_begins_a_run():
    time_s, values = sensor(clock(40, 100.0))
    ahead = np.where(np.arange(4000) < 2000, time_s, time_s + 3600)
    stream, pieces = pushed((ahead, values), (ahead, values))
    assert [run[0] for run in joined(pieces)] == [0.0, 3620.0] and stream.counts == {}


def test_a_stray_time_splits_nothing():
    acc = sensor(clock(30, 100.0))
    stray = inserted(inserted(acc, 1500, 1e9), 700, 2e9)
    stream, pieces = pushed(stray, acc)
    ((start_s, imu, _),) = joined(pieces)
    np.testing.assert_array_equal(imu, joined(pushed(acc, acc)[1])[0][1])
    assert stream.counts == {"acc_stray": 2}


def test_repeated_times_keep_the_first():
    acc = sensor(clock(30, 100.0))
    twice = np.repeat(acc[0], 2), np.repeat(acc[1], 2, axis=0)
    twice[1][1::2] = 100.0
    stream, pieces = pushed(twice, acc)
    np.testing.assert_array_equal(joined(pieces)[0][1], joined(pushed(acc, acc)[1])[0][1])
    assert stream.counts == {"acc_repeated_time": 3000}


def test_values_that_are_missing_are_left_out_whole():
    acc = sensor(clock(30, 100.0))
    acc[1][1000, 1] = np.nan
    acc[0][2000] = np.inf
    stream, pieces = pushed(acc, acc)
    assert stream.counts == {f"{s}_{why}": 1 for s in ("acc", "gyro") for why in ("nan_time", "nan_value")}
    assert np.isfinite(joined(pieces)[0][1]).all()


def test_slow_and_lonely_samples_give_nothing_and_are_counted():
    good, slow = sensor(clock(60, 100.0)), sensor(clock(60, 12.0))
    stream, pieces = pushed(slow, good)
    assert pieces == [] and stream.counts == {"acc_low_rate": 720}
    assert stream.rates_hz == pytest.approx({"acc": 12.0, "gyro": 100.0})
    stream, pieces = pushed(sensor(clock(60, 5.0)), good)
    assert pieces == [] and stream.counts == {"acc_short_run": 300}
    stream, pieces = pushed(good, NOTHING)
    assert pieces == [] and stream.rates_hz["gyro"] is None


def test_a_sensor_is_not_waited_for_too_long():
    """The gyroscope pauses for a quarter of an hour while the accelerometer goes on."""
    acc, gyro = sensor(clock(1800, 50.0)), without(sensor(clock(1800, 50.0)), (300.0, 1200.0))
    cuts = [np.searchsorted(data[0], np.arange(1.0, 1800.0, 7.0)) for data in (acc, gyro)]
    whole, cut = (joined(pushed(acc, gyro, c)[1]) for c in (((), ()), cuts))
    assert LONGEST_LAG_S < 900 and [run[0] for run in whole] == [run[0] for run in cut] == [0.0, 1200.02]
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one[1], other[1])


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="gyro"):
        SignalStream().push(*NOTHING, np.zeros(3), np.zeros((2, 3)))


# ------------------------------------------------------------- memory, parts


@pytest.mark.parametrize("gyro_comes", [True, False])
def test_memory_does_not_grow(gyro_comes):
    stream, held = SignalStream(), []
    tracemalloc.start()
    for minute in range(40):
        time_s = minute * 60 + np.arange(3000) / 50
        values = np.ones((3000, 3))
        stream.push(time_s, values, *((time_s, values) if gyro_comes else NOTHING))
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[-1] < 1.2 * held[14] + 1e5  # after 10 minutes nothing more is held


@pytest.mark.parametrize("flat", [False, True])
def test_makima_matches_scipy(flat):
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.uniform(0.5, 1.5, 200))
    values = rng.standard_normal((200, 3))
    if flat:
        values[50:80] = 2.0
        values[:, 1] = 9.81
    wanted = np.linspace(time_s[0], time_s[-1], 1001)
    expected = Akima1DInterpolator(time_s, values, method="makima")(wanted)
    np.testing.assert_allclose(makima(time_s, values, wanted), expected, rtol=0, atol=1e-12)


def test_blocks_of_interpolation_change_nothing(monkeypatch):
    def steady():
        run = SensorRun(*sensor(clock(30, 100.0, 0, 0.0, 0.5)))
        run.close()
        run.advance()
        run.begin_grid(0.5)
        return run.grid(0, 1000)

    at_once = steady()
    monkeypatch.setattr(sensor_run, "_BLOCK", 70)
    np.testing.assert_array_equal(steady(), at_once)


@pytest.mark.parametrize("window_s, hop_s", [(5.0, 5.0), (5.0, 1.0), (2.0, 3.5), (1.0, 0.02)])
def test_windows_match_their_definition(window_s, hop_s):
    acc, gyro = damaged()
    expected = []
    for start_s, imu, _ in joined(pushed(acc, gyro)[1]):
        first, samples = 0, round(window_s * 50)
        while first + samples <= len(imu):
            expected.append((start_s + first / 50, imu[first : first + samples].T))
            first += round(hop_s * 50)
    cuts = [np.linspace(0, len(data[0]), 120).astype(int) for data in (acc, gyro)]
    stream, cutter, got = SignalStream(), WindowCutter(window_s, hop_s), []
    for a, b, c, d in zip(cuts[0][:-1], cuts[0][1:], cuts[1][:-1], cuts[1][1:], strict=True):
        got.append(cutter.push(stream.push(acc[0][a:b], acc[1][a:b], gyro[0][c:d], gyro[1][c:d])))
    got.append(cutter.push(stream.finish()))
    start_s, windows = (np.concatenate(parts) for parts in zip(*got, strict=True))
    assert windows.dtype == np.float32 and windows.shape[1:] == (6, round(window_s * 50))
    np.testing.assert_allclose(start_s, [time for time, _ in expected], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(windows, [window for _, window in expected])


def test_a_hop_is_whole_samples():
    with pytest.raises(ValueError, match="hop_s 0.03"):
        WindowCutter(5.0, 0.03)
