"""The signal path: every step against a slow definition or a signal whose true value is known at any time."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.signal import resample_poly

from datasets.preparation import signals
from datasets.recording import BadRecording, Recording

SOURCE_RATES = [25.0, 50.0, 60.0, 100.0, 128.0, 198.6, 200.0, 3200.0]


def grid(time_s):
    return time_s[0] + np.arange(int(np.floor((time_s[-1] - time_s[0]) * 50)) + 1) / 50


def tone(frequency_hz, time_s, phase=0.3):
    return np.sin(2 * np.pi * frequency_hz * time_s + phase)[:, None]


def recording(time_s, acc=None, gyro=None, gyro_time_s=None):
    acc = np.tile([0.0, 0.0, 9.81], (len(time_s), 1)) if acc is None else acc
    gyro_time_s = time_s if gyro_time_s is None else gyro_time_s
    gyro = np.zeros((len(gyro_time_s), 3)) if gyro is None else gyro
    return Recording("r", time_s, acc, gyro_time_s, gyro)


# ------------------------------------------------------------- resampling


def bessel_i0(x):
    """I0 by its series."""
    return math.fsum((x / 2) ** (2 * k) / math.factorial(k) ** 2 for k in range(30))


def oracle_resample(time_s, values, grid_s):
    """The definition for evenly spaced samples: one output and one tap at a time, Python floats."""
    count = len(time_s)
    rate = (count - 1) / (time_s[-1] - time_s[0])
    cutoff = min(1.0, 50 / rate)
    half = 25 / cutoff

    def sample(n):
        if n < 0:
            return 2 * values[0] - sample(-n)
        if n >= count:
            return 2 * values[-1] - sample(2 * (count - 1) - n)
        return values[n]

    result = []
    for moment in grid_s:
        position = (moment - time_s[0]) * rate
        total = weight_sum = 0.0
        for n in range(math.ceil(position - half), math.floor(position + half) + 1):
            x = position - n
            if abs(x) >= half:
                continue
            sinc = 1.0 if x == 0 else math.sin(math.pi * cutoff * x) / (math.pi * cutoff * x)
            weight = sinc * bessel_i0(signals._KAISER_BETA * math.sqrt(1 - (x / half) ** 2))
            total, weight_sum = total + weight * sample(n), weight_sum + weight
        result.append(total / weight_sum)
    return np.array(result)


@pytest.mark.parametrize("rate", [25.0, 60.0, 198.6])
def test_resample_matches_its_definition(rate):
    rng = np.random.default_rng(0)
    time_s = 7.3 + np.arange(int(4 * rate)) / rate
    values = rng.standard_normal(len(time_s)) + 9.81
    got = signals.resample(time_s, values[:, None], grid(time_s))[::9, 0]
    # 1e-8: even samples are still read through the interpolator, at times that rounding has moved by 1e-15 s
    np.testing.assert_allclose(got, oracle_resample(time_s, values, grid(time_s)[::9]), rtol=0, atol=1e-8)


@pytest.mark.parametrize("rate", SOURCE_RATES)
@pytest.mark.parametrize("frequency", [0.5, 5.0, 11.0, 20.0])
def test_a_tone_below_both_nyquists_is_kept(rate, frequency):
    if frequency > 0.9 * rate / 2:
        pytest.skip("the source cannot hold this tone")
    time_s = 3.0 + np.arange(int(20 * rate)) / rate
    moments = grid(time_s)
    inner = slice(60, -60)  # of the edges, see the next tests
    error = signals.resample(time_s, tone(frequency, time_s), moments) - tone(frequency, moments)
    assert np.abs(error[inner]).max() < 3e-4  # 80 dB of stop band is 1e-4 of ripple


@pytest.mark.parametrize("rate", [128.0, 198.6, 200.0, 3200.0])
@pytest.mark.parametrize("frequency", [28.0, 40.0, 60.0])
def test_a_tone_above_25_hz_vanishes(rate, frequency):
    time_s = np.arange(int(20 * rate)) / rate
    moments = grid(time_s)
    result = signals.resample(time_s, tone(frequency, time_s), moments)
    assert np.abs(result[60:-60]).max() < 3e-4
    folded = np.interp(moments, time_s, tone(frequency, time_s)[:, 0])
    assert np.abs(folded[60:-60]).max() > 0.5  # what a straight line between samples makes of it


def test_the_whole_path_removes_a_60_hz_tone_at_the_edges_too():
    time_s = np.arange(4000) / 200
    acc = np.concatenate([tone(60, time_s, phase) for phase in (0.0, 1.0, 2.0)], axis=1)
    imu = signals.process(recording(time_s, acc)).parts[0].imu[:, :3]
    assert np.abs(imu[5:-5]).max() < 0.03
    assert np.abs(imu).max() < 0.15  # the first and last 0.1 s have a filter of one side only


@pytest.mark.parametrize("rate", SOURCE_RATES)
def test_a_constant_stays_constant_up_to_the_edges(rate):
    time_s = 1.5e9 + np.arange(int(10 * rate)) / rate  # also as seconds since 1970
    part = signals.process(recording(time_s)).parts[0]
    np.testing.assert_array_equal(part.imu[:, :2], 0)
    np.testing.assert_allclose(part.imu[:, 2], 9.81, rtol=1e-6)  # float32


@pytest.mark.parametrize("rate", [25.0, 200.0])
def test_a_slope_stays_a_slope_up_to_the_edges(rate):
    time_s = np.arange(int(10 * rate)) / rate
    moments = grid(time_s)
    np.testing.assert_allclose(signals.resample(time_s, time_s[:, None], moments)[:, 0], moments, atol=1e-9)


def test_agrees_with_scipy_where_scipy_can():
    time_s = np.arange(4000) / 200
    values = np.random.default_rng(1).standard_normal((4000, 1)).cumsum(0)
    theirs = resample_poly(values, 1, 4, window=("kaiser", 8.0), padtype="line")
    ours = signals.resample(time_s, values, grid(time_s))
    # another filter: its transition band is wider
    assert np.abs(ours - theirs)[60:-60].max() < 0.05 * np.abs(values - values.mean()).max()


def test_a_long_recording_is_interpolated_as_if_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.003, 0.007, 5000))
    values = rng.standard_normal((5000, 3))
    at_once = signals._evenly_spaced(time, values, 200.0)
    monkeypatch.setattr(signals, "_CHUNK", 300)
    np.testing.assert_array_equal(signals._evenly_spaced(time, values, 200.0), at_once)


def test_resampling_takes_little_more_memory_than_the_signal():
    time, values = np.arange(400_000) / 200, np.random.default_rng(0).standard_normal((400_000, 6))
    tracemalloc.start()
    signals.resample(time, values, np.arange(0, 1999, 1 / 50))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * values.nbytes  # the signal at a steady rate, the same padded, and what a piece needs


def test_samples_at_50_hz_pass_unchanged():
    time_s = 0.013 + np.arange(500) / 50
    values = np.random.default_rng(2).standard_normal((500, 3))
    np.testing.assert_allclose(signals.resample(time_s, values, grid(time_s)), values, atol=1e-9)


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_irregular_times_are_honoured(jitter):
    rng = np.random.default_rng(3)
    time_s = np.sort((np.arange(4000) + jitter * rng.uniform(-1, 1, 4000)) / 200)
    moments = grid(time_s)
    error = signals.resample(time_s, tone(5, time_s), moments) - tone(5, moments)
    assert np.sqrt(np.mean(error[60:-60] ** 2)) < 2e-3


def test_a_rate_that_is_no_integer_does_not_drift():
    """198.6 Hz read as 198 Hz is 1.8 s late after 10 minutes."""
    time_s = np.arange(int(600 * 198.6)) / 198.6
    acc = np.zeros((len(time_s), 3))
    acc[:, 0] = np.exp(-(((time_s - 595.0) / 0.1) ** 2))  # a bump near the end
    part = signals.process(recording(time_s, acc)).parts[0]
    assert np.argmax(part.imu[:, 0]) / 50 == pytest.approx(595.0, abs=0.021)
    assert len(part.imu) == pytest.approx(600 * 50, abs=2)


def test_sensors_sampled_at_different_instants_meet_on_one_grid():
    acc_time = 2.0 + np.arange(2000) / 198.6
    gyro_time = 1.4567 + np.arange(4500) / 401.3
    rec = recording(acc_time, np.tile(tone(3, acc_time), 3), np.tile(tone(3, gyro_time), 3), gyro_time)
    part = signals.process(rec).parts[0]
    assert part.start_s == 2.0
    # the same wave reached both; the median filter acts alike on both
    np.testing.assert_allclose(part.imu[60:-60, 0], part.imu[60:-60, 3], atol=1e-3)
    assert part.end_s <= min(acc_time[-1], gyro_time[-1]) + 0.02


# ------------------------------------------------------------- median filter


def test_median_matches_its_definition_in_each_channel():
    signal = np.random.default_rng(4).standard_normal((40, 6))
    want = np.empty_like(signal)
    for t in range(40):
        for c in range(6):
            around = [abs(t + k) if t + k < 40 else 2 * 39 - (t + k) for k in (-2, -1, 0, 1, 2)]
            want[t, c] = sorted(signal[i, c] for i in around)[2]
    np.testing.assert_array_equal(signals.median(signal), want)


def test_median_removes_a_spike_and_leaves_other_channels_alone():
    signal = np.zeros((50, 6))
    signal[20:22, 3] = 100.0
    assert not signals.median(signal).any()


# ------------------------------------------------------------- cleaning, gaps, parts


def test_clean_drops_and_counts():
    time_s = np.array([0.0, 0.02, np.nan, 0.01, 0.02, 0.03, np.inf, 0.04])
    values = np.arange(24, dtype=float).reshape(8, 3)
    values[5, 1] = np.nan
    sensor = signals.clean(time_s, values)
    np.testing.assert_array_equal(sensor.time_s, [0.0, 0.01, 0.02, 0.04])
    np.testing.assert_array_equal(sensor.values, values[[0, 3, 1, 7]])  # of a repeated time, the first
    assert sensor.dropped == {"nan_time": 2, "nan_value": 1, "repeated_time": 1}
    assert sensor.unsorted == 1


def test_runs_split_only_above_the_longest_gap():
    time_s = np.array([0, 0.05, 0.15, 0.2500001, 0.351, 0.4])
    assert signals.runs(time_s) == [slice(0, 4), slice(4, 6)]


def test_common_runs_match_their_definition():
    rng = np.random.default_rng(5)
    for _ in range(50):
        clocks = [np.cumsum(rng.choice([0.02, 0.02, 0.02, 0.3], 60)) + rng.uniform(0, 0.3) for _ in range(2)]
        want = []
        for a in signals.runs(clocks[0]):
            for g in signals.runs(clocks[1]):
                first = max(clocks[0][a][0], clocks[1][g][0])
                last = min(clocks[0][a][-1], clocks[1][g][-1])
                if first < last:
                    want.append((first, last, a, g))
        assert signals.common_runs(*clocks) == want


def test_a_short_gap_is_bridged_and_counted():
    time_s = np.arange(2000) / 200
    keep = np.ones(2000, dtype=bool)
    keep[1000:1018] = False  # 95 ms between neighbours
    acc = np.tile(tone(2, time_s), 3)
    whole = signals.process(recording(time_s, acc))
    gappy = signals.process(recording(time_s[keep], acc[keep]))
    assert len(gappy.parts) == 1
    assert (whole.parts[0].interpolated, gappy.parts[0].interpolated) == (0, 5)  # 5 grid times in 95 ms
    assert gappy.acc.rate_hz == pytest.approx(200, rel=1e-6)  # as if none were missing
    assert np.abs(gappy.parts[0].imu - whole.parts[0].imu).max() < 0.06


@pytest.mark.parametrize("how", ["rows", "nan"])
def test_a_long_gap_splits(how):
    time_s = np.arange(4000) / 200
    acc = np.tile([0.0, 0.0, 9.81], (4000, 1))
    if how == "rows":
        keep = (time_s < 8) | (time_s >= 8.3)
        rec = recording(time_s[keep], acc[keep])
    else:
        acc[(time_s >= 8) & (time_s < 8.3), 1] = np.nan
        rec = recording(time_s, acc)
    done = signals.process(rec)
    assert [round(part.start_s, 3) for part in done.parts] == [0.0, 8.3]
    assert all(np.isfinite(part.imu).all() for part in done.parts)
    np.testing.assert_allclose(done.parts[1].imu[:, 2], 9.81, rtol=1e-6)
    assert done.counts == ({} if how == "rows" else {"acc_nan_value": 60})
    assert done.dropped == (0 if how == "rows" else 60)


def test_parts_below_five_seconds_are_named():
    time_s = np.concatenate([np.arange(0, 3, 0.01), np.arange(4, 12, 0.01), np.arange(13, 17.9, 0.01)])
    done = signals.process(recording(time_s))
    assert [part.start_s for part in done.parts] == [4.0]
    assert [(round(start_s, 2), round(end_s, 2)) for start_s, end_s in done.too_short] == [(0.0, 2.99), (13.0, 17.89)]


@pytest.mark.parametrize("samples, parts", [(249, 0), (250, 1)])
def test_five_seconds_are_250_samples(samples, parts):
    assert len(signals.process(recording(np.arange(samples) / 50)).parts) == parts


def test_bounds_cut_to_the_video():
    part = signals.process(recording(np.arange(-400, 4000) / 200), 0.0, 12.0).parts[0]
    assert (part.start_s, len(part.imu)) == (0.0, 601)


def test_shuffled_and_repeated_samples_give_the_same_signal():
    rng = np.random.default_rng(6)
    time_s = np.arange(2000) / 200
    acc = np.tile(tone(2, time_s), 3)
    order = np.concatenate([rng.permutation(2000), [5, 6, 7]])
    whole, shuffled = signals.process(recording(time_s, acc)), signals.process(recording(time_s[order], acc[order]))
    np.testing.assert_array_equal(shuffled.parts[0].imu, whole.parts[0].imu)
    assert shuffled.counts["acc_repeated_time"] == 3 and shuffled.counts["acc_unsorted"] > 900


def test_one_stamp_far_away_harms_nothing():
    time_s = np.arange(2000) / 200
    time_s[700] = 1e12
    done = signals.process(recording(time_s))
    assert len(done.parts) == 1 and done.acc.rate_hz == pytest.approx(200, rel=1e-6)


@pytest.mark.parametrize(
    "rec, reason",
    [
        (recording(np.arange(900) / 50, acc=np.full((900, 3), np.nan)), "missing_acc"),
        (recording(np.arange(900) / 50, gyro_time_s=np.zeros(0)), "missing_gyro"),
        (recording(np.arange(900) / 10), "low_rate"),
        (recording(np.arange(900) * 5.0), "low_rate"),  # milliseconds taken for seconds
    ],
)
def test_what_cannot_be_used_is_refused_by_name(rec, reason):
    with pytest.raises(BadRecording) as caught:
        signals.process(rec)
    assert caught.value.reason == reason


def test_output_is_float32():
    assert signals.process(recording(np.arange(900) / 50)).parts[0].imu.dtype == np.float32
