"""Handcrafted features of an IMU window: the baseline without any pretraining.

They read un-normalised windows, because posture is in the direction of gravity and effort in the amplitude, both
of which a z-score takes away. Eight signals are described alike, the six channels and the two magnitudes |acc| and
|gyro|; the correlations of the channels and the direction of gravity follow.

Letters: n windows, C = 6 channels, S signals, T samples (250 for 5 s), F frequencies.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from configs.constants import CHANNELS, IMU_RATE_HZ

SIGNALS = (*CHANNELS, "acc_norm", "gyro_norm")
_PAIRS = tuple(combinations(range(len(CHANNELS)), 2))
# Hz, the lower end belongs to the band. Gait and posture; freezing of gait (Moore et al. 2008,
# https://doi.org/10.1016/j.jneumeth.2007.08.023); resting tremor of Parkinson's disease, within it; impacts.
BANDS_HZ = {"0.3_3": (0.3, 3.0), "3_8": (3.0, 8.0), "4_6": (4.0, 6.0), "8_20": (8.0, 20.0)}
_TIME = ("mean", "std", "min", "max", "q25", "median", "q75", "rms", "jerk_rms", "zero_crossings")
_FREQUENCY = ("dominant_hz", "spectral_entropy", *(f"power_{band}hz" for band in BANDS_HZ))

STATISTICS = (*_TIME, *_FREQUENCY)

FEATURES = (
    *(f"{signal}_{name}" for name in STATISTICS for signal in SIGNALS),
    *(f"corr_{CHANNELS[a]}_{CHANNELS[b]}" for a, b in _PAIRS),
    *(f"gravity_{axis}" for axis in "xyz"),
)
CHUNK = 1024  # windows at a time: memory does not grow with their number
_CONSTANT = 1e-8  # in m/s² or rad/s: a standard deviation below it is rounding


def handcrafted_features(imu: np.ndarray) -> np.ndarray:
    """Features of windows, in the order of ``FEATURES``.

    Per signal: mean, standard deviation, extremes, quartiles, root mean square; root mean square of the derivative
    (jerk for acceleration), per second; zero crossings of the signal less its mean, per second; and, from the Hann
    periodogram of the signal less its mean, the frequency of the highest peak, the entropy of the spectrum (0 a
    single line, 1 white) and the power in bands, in squared units of the signal. A signal that does not vary
    has correlation, dominant frequency and entropy 0. ``gravity_*`` is the mean acceleration as a unit vector.

    Args:
        imu: (n, 6, T) acceleration m/s² then angular rate rad/s, **not** z-scored (``normalize="none"``).

    Returns:
        (n, len(FEATURES)) float32.

    Raises:
        ValueError: if a value is not finite.
    """
    return in_chunks(_features, imu)


def in_chunks(describe: Callable[[np.ndarray], np.ndarray], imu: np.ndarray) -> np.ndarray:
    """Features of (n, 6, T) windows, some windows at a time.

    Raises:
        ValueError: if a value is not finite.
    """
    if not np.isfinite(imu).all():
        raise ValueError(f"imu: {int((~np.isfinite(imu)).any(axis=(1, 2)).sum())} of {len(imu)} windows are not finite")
    return np.concatenate([describe(imu[n : n + CHUNK]) for n in range(0, len(imu), CHUNK)])


def statistics(signals: np.ndarray) -> np.ndarray:
    """(n, 16 S) the features of ``STATISTICS``, each of all signals, from (n, S, T) float64."""
    return np.concatenate([*_time_domain(signals), *_frequency_domain(signals)], axis=1)


def _features(imu: np.ndarray) -> np.ndarray:
    """(n, len(FEATURES)) from (n, C, T)."""
    channels = imu.astype(np.float64)
    norms = np.stack([np.linalg.norm(channels[:, :3], axis=1), np.linalg.norm(channels[:, 3:], axis=1)], axis=1)
    signals = np.concatenate([channels, norms], axis=1)  # (n, S, T)
    gravity = channels[:, :3].mean(axis=2)
    length = np.linalg.norm(gravity, axis=1, keepdims=True)
    columns = [statistics(signals), _correlations(channels), gravity / np.maximum(length, _CONSTANT)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _time_domain(signals: np.ndarray) -> list[np.ndarray]:
    """The features of ``_TIME``, each (n, S), from (n, S, T)."""
    mean = signals.mean(axis=2)
    centred = signals - mean[..., None]
    above = centred >= 0
    return [
        mean,
        signals.std(axis=2),
        signals.min(axis=2),
        signals.max(axis=2),
        *np.quantile(signals, [0.25, 0.5, 0.75], axis=2),
        np.sqrt((signals**2).mean(axis=2)),
        np.sqrt((np.diff(signals, axis=2) ** 2).mean(axis=2)) * IMU_RATE_HZ,
        (above[..., 1:] != above[..., :-1]).mean(axis=2) * IMU_RATE_HZ,
    ]


def _frequency_domain(signals: np.ndarray) -> list[np.ndarray]:
    """The features of ``_FREQUENCY``, each (n, S), from (n, S, T)."""
    from scipy.signal import periodogram  # slow to import, and encoders do without

    frequency, density = periodogram(signals, fs=IMU_RATE_HZ, window="hann", detrend="constant", axis=2)
    frequency, power = frequency[1:], density[..., 1:] * frequency[1]  # the mean is gone; (n, S, F) per line
    total = power.sum(axis=2, keepdims=True)
    varies = signals.std(axis=2) > _CONSTANT
    share = power / np.where(varies[..., None], total, 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=2) / np.log(len(frequency))
    bands = [power[..., (frequency >= low) & (frequency < high)].sum(axis=2) for low, high in BANDS_HZ.values()]
    return [np.where(varies, frequency[power.argmax(axis=2)], 0), np.where(varies, entropy, 0), *bands]


def _correlations(channels: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every two channels: (n, 15) from (n, C, T)."""
    centred = channels - channels.mean(axis=2, keepdims=True)
    unit = centred / np.maximum(channels.std(axis=2, keepdims=True), _CONSTANT)
    every = unit @ unit.transpose(0, 2, 1) / channels.shape[2]  # (n, C, C)
    first, second = zip(*_PAIRS, strict=True)
    return every[:, first, second]
