"""Every handcrafted feature against its definition, one window and one number at a time."""

import cmath
import math
import statistics

import numpy as np
import pytest

from configs.constants import CHANNELS, IMU_RATE_HZ, STANDARD_GRAVITY, WINDOW_SAMPLES
from models.handcrafted import FEATURES, SIGNALS, handcrafted_features

BANDS_HZ = {"0.3_3": (0.3, 3), "3_8": (3, 8), "4_6": (4, 6), "8_20": (8, 20)}


def quantile(values, share):
    """Linear between the two nearest of the sorted values."""
    ordered, position = sorted(values), share * (len(values) - 1)
    low = math.floor(position)
    return ordered[low] + (position - low) * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


def spectrum(values):
    """[(Hz, squared units)] by the sum that defines a discrete Fourier transform, Hann-windowed, one-sided."""
    n, mean = len(values), sum(values) / len(values)
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * t / n) for t in range(n)]
    lines = []
    for k in range(1, n // 2 + 1):
        turn = -2j * math.pi * k / n
        line = sum(h * (x - mean) * cmath.exp(turn * t) for t, (h, x) in enumerate(zip(hann, values, strict=True)))
        sides = 1 if 2 * k == n else 2
        lines.append((k * IMU_RATE_HZ / n, sides * abs(line) ** 2 / (n * sum(h * h for h in hann))))
    return lines


def describe(values):
    """Features of one signal, a list of floats."""
    mean, std = statistics.fmean(values), statistics.pstdev(values)
    steps = [(b - a) * IMU_RATE_HZ for a, b in zip(values, values[1:], strict=False)]
    lines = spectrum(values)
    power = sum(p for _, p in lines)
    shares = [p / power for _, p in lines]
    return {
        "mean": mean,
        "std": std,
        "min": min(values),
        "max": max(values),
        "q25": quantile(values, 0.25),
        "median": quantile(values, 0.5),
        "q75": quantile(values, 0.75),
        "rms": math.sqrt(sum(v * v for v in values) / len(values)),
        "jerk_rms": math.sqrt(sum(s * s for s in steps) / len(steps)),
        "zero_crossings": IMU_RATE_HZ
        * sum((a >= mean) != (b >= mean) for a, b in zip(values, values[1:], strict=False))
        / len(steps),
        "dominant_hz": max(lines, key=lambda line: line[1])[0],
        "spectral_entropy": -sum(s * math.log(s) for s in shares if s > 0) / math.log(len(lines)),
        **{f"power_{name}hz": sum(p for f, p in lines if a <= f < b) for name, (a, b) in BANDS_HZ.items()},
    }


def oracle(window):
    """{feature: value} of one (6, 250) window."""
    channels = window.astype(np.float64).tolist()
    signals = dict(zip(CHANNELS, channels, strict=True))
    signals["acc_norm"] = [math.hypot(*xyz) for xyz in zip(*channels[:3], strict=True)]
    signals["gyro_norm"] = [math.hypot(*xyz) for xyz in zip(*channels[3:], strict=True)]
    found = {f"{name}_{key}": value for name, values in signals.items() for key, value in describe(values).items()}
    for first in range(6):
        for second in range(first + 1, 6):
            name = f"corr_{CHANNELS[first]}_{CHANNELS[second]}"
            found[name] = statistics.correlation(channels[first], channels[second])
    gravity = [statistics.fmean(axis) for axis in channels[:3]]
    for axis, value in zip("xyz", gravity, strict=True):
        found[f"gravity_{axis}"] = value / math.hypot(*gravity)
    return found


def walk(seed):
    """(6, 250) something like a head while walking: gravity, two steps a second, tremor, noise, a tilt that drifts."""
    rng = np.random.default_rng(seed)
    t = np.arange(WINDOW_SAMPLES) / IMU_RATE_HZ
    phase = rng.uniform(0, 2 * np.pi, (6, 3, 1))
    size = rng.uniform(0.1, 2, (6, 3, 1))
    waves = (size * np.sin(2 * np.pi * np.array([[2.0], [4.7], [11.0]]) * t + phase)).sum(1)
    level = np.concatenate([rng.normal(0, 6, 3), rng.normal(0, 0.1, 3)])[:, None]
    return (level + waves + 0.3 * rng.standard_normal((6, 250)) + 0.2 * t).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_each_feature_is_its_definition(seed):
    expected = oracle(walk(seed))
    assert sorted(expected) == sorted(FEATURES)  # none without an oracle
    found = dict(zip(FEATURES, handcrafted_features(walk(seed)[None])[0].tolist(), strict=True))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-7), name  # float32 results


def test_a_sine_is_recognised():
    """2 m/s² at 5 Hz on one axis of a head at rest: power 2, all of it in the tremor band and the band around it."""
    t = np.arange(WINDOW_SAMPLES) / IMU_RATE_HZ
    imu = np.zeros((1, 6, WINDOW_SAMPLES), dtype=np.float32)
    imu[0, 1] = -STANDARD_GRAVITY
    imu[0, 0] = 2 * np.sin(2 * np.pi * 5 * t)
    found = dict(zip(FEATURES, handcrafted_features(imu)[0].tolist(), strict=True))
    assert found["acc_x_dominant_hz"] == pytest.approx(5)
    assert found["acc_x_power_4_6hz"] == pytest.approx(2, rel=1e-5)  # amplitude² / 2
    assert found["acc_x_power_3_8hz"] == pytest.approx(2, rel=1e-5)
    assert found["acc_x_power_0.3_3hz"] == pytest.approx(0, abs=1e-6)
    assert found["acc_x_power_8_20hz"] == pytest.approx(0, abs=1e-6)
    assert found["acc_x_spectral_entropy"] < 0.2  # Hann spreads a line over three
    assert found["acc_x_zero_crossings"] == pytest.approx(10, abs=0.3)
    assert found["acc_x_jerk_rms"] == pytest.approx(2 * 2 * np.pi * 5 / np.sqrt(2), rel=0.02)
    assert found["gravity_y"] == pytest.approx(-1)
    assert found["acc_norm_min"] == pytest.approx(STANDARD_GRAVITY)


def test_white_noise_has_entropy_near_one():
    noise = np.random.default_rng(0).standard_normal((40, 6, 250)).astype(np.float32)
    entropy = handcrafted_features(noise)[:, [FEATURES.index(f"{name}_spectral_entropy") for name in CHANNELS]]
    assert 0.88 < entropy.mean() < 0.95  # 1 less the scatter of a single periodogram


@pytest.mark.parametrize("level", [0.0, STANDARD_GRAVITY, 1 / 3])
def test_a_sensor_that_does_not_vary_gives_numbers(level):
    """Rounding of a mean must not look like a signal: no crossing, no line in the spectrum, no correlation."""
    found = handcrafted_features(np.full((1, 6, 250), level, dtype=np.float32))[0]
    assert np.isfinite(found).all()
    values = dict(zip(FEATURES, found.tolist(), strict=True))
    still = [f"{name}_{key}" for name in SIGNALS for key in ("zero_crossings", "dominant_hz", "spectral_entropy")]
    still += [name for name in FEATURES if name.startswith("corr_") or name.endswith("_jerk_rms")]
    assert {name: values[name] for name in still} == pytest.approx(dict.fromkeys(still, 0), abs=1e-12)
    assert values["gravity_x"] == pytest.approx(np.sign(level) / np.sqrt(3))


def test_windows_do_not_see_each_other(monkeypatch):
    imu = np.stack([walk(seed) for seed in range(7)])
    together = handcrafted_features(imu)
    assert together.shape == (7, len(FEATURES)) and together.dtype == np.float32
    monkeypatch.setattr("models.handcrafted.CHUNK", 3)
    assert np.array_equal(handcrafted_features(imu), together)
    assert np.array_equal(handcrafted_features(imu[4:5])[0], together[4])


@pytest.mark.parametrize("samples", [50, 125, 750])
def test_features_of_any_length(samples):
    """A tone has its frequency, its strength in its band and its moments, however long it is heard."""
    t = np.arange(samples) / IMU_RATE_HZ
    imu = np.zeros((1, 6, samples), dtype=np.float32)
    imu[0, 2] = STANDARD_GRAVITY + 2 * np.sin(2 * np.pi * 6 * t)
    found = dict(zip(FEATURES, handcrafted_features(imu)[0], strict=True))
    assert found["acc_z_dominant_hz"] == pytest.approx(6, abs=0.5 * IMU_RATE_HZ / samples)
    assert found["acc_z_mean"] == pytest.approx(STANDARD_GRAVITY, abs=0.05)
    assert found["acc_z_std"] == pytest.approx(2**0.5, rel=0.05) and found["acc_z_power_3_8hz"] > 1.5
    assert found["gravity_z"] == pytest.approx(1)


def test_names_are_unique():
    assert len(set(FEATURES)) == len(FEATURES)


def test_windows_that_are_not_finite_are_counted():
    with pytest.raises(ValueError, match="3 of 3 windows are not finite"):
        handcrafted_features(np.full((3, 6, 250), np.nan, dtype=np.float32))
