"""From raw accelerometer and gyroscope samples to clean 50 Hz arrays.

Where times come twice (``clock_restart.py``) a recording does not get here: sorting would mix its stretches.
The order matters: drop samples without a time or a value, sort, drop repeated times; interpolate gaps up to 0.1 s and
split at longer ones; resample from the true timestamps, band-limited; median filter. No NaN may reach a filter, which
would spread it over hundreds of samples.

Letters: N raw samples, M grid samples, C channels, T samples of a part at 50 Hz.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import Akima1DInterpolator
from scipy.ndimage import median_filter
from scipy.special import i0

from configs.constants import IMU_RATE_HZ, MAX_GAP_S, WINDOW_S
from datasets.recording import BadRecording, Recording

MIN_RATE_HZ = 19.5  # below it, two samples in a row would already be a gap, or nearly; phones give 19.9 for 20
MEDIAN_SAMPLES = 5
ZERO_CROSSINGS = 25  # of the sinc, on each side: transition band +-10 % of the cutoff
_KAISER_BETA = 7.857  # 80 dB in the stop band (Kaiser 1974: 0.1102 (80 - 8.7))
_CHUNK = 1 << 16  # samples, or filter weights, made at a time: memory does not grow with the recording
_AKIMA_REACH = 4  # samples beyond the nearest one on which a curve can depend
EPSILON_S = 1e-6  # float64 seconds since 1970 still resolve 0.2 us


@dataclass(frozen=True)
class Sensor:
    """One sensor after cleaning: strictly increasing finite times, finite values.

    Attributes:
        time_s: (N,) float64.
        values: (N, 3) float64.
        dropped: counts by reason: ``nan_time``, ``nan_value``, ``repeated_time``.
        unsorted: samples that were out of order; they were sorted, not dropped.
    """

    time_s: np.ndarray
    values: np.ndarray
    dropped: dict[str, int]
    unsorted: int

    @property
    def rate_hz(self) -> float:
        """True mean rate, missing samples included."""
        return true_rate_hz(self.time_s)


@dataclass(frozen=True)
class Part:
    """A stretch without long gaps.

    Attributes:
        start_s: time of its first sample on the recording's clock.
        imu: (T, 6) float32 at 50 Hz, acceleration m/s² then angular rate rad/s.
        interpolated: grid samples that lie in bridged gaps of either sensor.
    """

    start_s: float
    imu: np.ndarray
    interpolated: int

    @property
    def end_s(self) -> float:
        """End of the last sample, seconds."""
        return self.start_s + len(self.imu) / IMU_RATE_HZ


@dataclass(frozen=True)
class Processed:
    """The processed signals of a recording.

    Attributes:
        parts: in order of time, each at least one window long, or long enough to be padded to one.
        too_short: start and end, seconds, of stretches between gaps that are shorter than a window.
        acc, gyro: the sensors after cleaning, unfiltered.
    """

    parts: tuple[Part, ...]
    too_short: tuple[tuple[float, float], ...]
    acc: Sensor
    gyro: Sensor

    @property
    def counts(self) -> dict[str, int]:
        """Samples dropped or sorted, by sensor and reason, without zeros."""
        sensors = {"acc": self.acc, "gyro": self.gyro}
        counts = {f"{name}_{why}": n for name, s in sensors.items() for why, n in s.dropped.items() if n}
        return counts | {f"{name}_unsorted": s.unsorted for name, s in sensors.items() if s.unsorted}

    @property
    def dropped(self) -> int:
        """Samples of both sensors."""
        return sum(self.acc.dropped.values()) + sum(self.gyro.dropped.values())


def process(
    recording: Recording, start_s: float = -np.inf, end_s: float = np.inf, window_s: float = WINDOW_S
) -> Processed:
    """Take a recording through the whole signal path.

    Args:
        start_s, end_s: bounds on the recording's clock, such as the extent of its video.
        window_s: shorter stretches are left out, unless they are filled up to it.

    Raises:
        BadRecording: ``missing_acc``, ``missing_gyro`` or ``low_rate``.
    """
    acc = clean(recording.acc_time_s, recording.acc)
    gyro = clean(recording.gyro_time_s, recording.gyro)
    for name, sensor in (("acc", acc), ("gyro", gyro)):
        if len(sensor.time_s) < 2:
            raise BadRecording(
                f"missing_{name}",
                f"{recording.id}: {len(sensor.time_s)} usable {name} samples (dropped: {sensor.dropped}); "
                "all six channels are needed",
            )
        if np.median(np.diff(sensor.time_s)) > 1 / MIN_RATE_HZ + EPSILON_S:
            raise BadRecording(
                "low_rate",
                f"{recording.id}: {name} comes at {sensor.rate_hz:.1f} Hz, want at least "
                f"{MIN_RATE_HZ:g} Hz; if the rate is right, look at the unit of its time column",
            )
    parts: list[Part] = []
    too_short: list[tuple[float, float]] = []
    least_samples = round(least_s(recording, window_s) * IMU_RATE_HZ)
    for first_s, last_s, acc_run, gyro_run in common_runs(acc.time_s, gyro.time_s):
        first_s, last_s = max(first_s, start_s), min(last_s, end_s)
        samples = int(np.floor((last_s - first_s + EPSILON_S) * IMU_RATE_HZ)) + 1
        if samples < least_samples:
            too_short += [(first_s, last_s)] if last_s > first_s else []
            continue
        grid = first_s + np.arange(samples) / IMU_RATE_HZ
        pair = [(s.time_s[run], s.values[run]) for s, run in ((acc, acc_run), (gyro, gyro_run))]
        if np.array_equal(pair[0][0], pair[1][0]):  # one clock for both: the filter's weights are made once
            pair = [(pair[0][0], np.concatenate([pair[0][1], pair[1][1]], axis=1))]
        imu = np.concatenate([resample(time, values, grid) for time, values in pair], axis=1)
        bridged = np.any([in_gap(time, grid) for time, _ in pair], axis=0)
        parts.append(Part(first_s, median(imu).astype(np.float32), int(bridged.sum())))
    return Processed(tuple(parts), tuple(too_short), acc, gyro)


def least_s(recording: Recording, window_s: float) -> float:
    """Length of the shortest stretch of a recording that holds a window, or is filled up to one, seconds."""
    return window_s if recording.pad_from_s is None else min(recording.pad_from_s, window_s)


def clean(time_s: np.ndarray, values: np.ndarray) -> Sensor:
    """Drop samples without time or value, sort by time, keep the first of each repeated time.

    A sample with one NaN among its three axes is missing as a whole.

    Args:
        time_s: (N,) float64, any order.
        values: (N, 3) float64.
    """
    timed, valued = np.isfinite(time_s), np.isfinite(values).all(1)
    keep = timed & valued
    dropped = {"nan_time": int((~timed).sum()), "nan_value": int((timed & ~valued).sum())}
    time_s, values = time_s[keep], values[keep]
    unsorted = int((np.diff(time_s) < 0).sum())
    if unsorted:
        order = np.argsort(time_s, kind="stable")
        time_s, values = time_s[order], values[order]
    first = np.concatenate([[True], np.diff(time_s) > 0]) if len(time_s) else np.zeros(0, dtype=bool)
    dropped["repeated_time"] = int((~first).sum())
    return Sensor(time_s[first], values[first], dropped, unsorted)


def runs(time_s: np.ndarray) -> list[slice]:
    """Cut increasing times (N,) wherever two neighbours are further apart than 0.1 s."""
    cuts = np.flatnonzero(np.diff(time_s) > MAX_GAP_S + EPSILON_S) + 1
    edges = [0, *cuts.tolist(), len(time_s)]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def common_runs(acc_time_s: np.ndarray, gyro_time_s: np.ndarray) -> list[tuple[float, float, slice, slice]]:
    """Stretches in which both sensors run without a long gap.

    Returns:
        (first_s, last_s, run of the accelerometer, run of the gyroscope) in order of time.
    """
    found, a, g = [], 0, 0
    acc_runs, gyro_runs = runs(acc_time_s), runs(gyro_time_s)
    while a < len(acc_runs) and g < len(gyro_runs):
        acc_end, gyro_end = acc_time_s[acc_runs[a].stop - 1], gyro_time_s[gyro_runs[g].stop - 1]
        first = max(acc_time_s[acc_runs[a].start], gyro_time_s[gyro_runs[g].start])
        last = min(acc_end, gyro_end)
        if first < last:
            found.append((float(first), float(last), acc_runs[a], gyro_runs[g]))
        if acc_end <= gyro_end:
            a += 1
        else:
            g += 1
    return found


def true_rate_hz(time_s: np.ndarray) -> float:
    """Mean rate of increasing times (N,), as if no sample were missing; long gaps are left out of it."""
    intervals = np.diff(time_s)
    intervals = intervals[intervals <= MAX_GAP_S + EPSILON_S]
    if len(intervals) == 0:
        return 0.0
    steps = np.maximum(np.round(intervals / intervals.mean()), 1)
    return float(steps.sum() / intervals.sum())


def in_gap(time_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Which grid times (M,) lie between two samples that are over 1.5 periods apart: (M,) bool."""
    right = np.clip(np.searchsorted(time_s, grid_s - EPSILON_S), 1, len(time_s) - 1)
    return np.diff(time_s)[right - 1] > 1.5 / true_rate_hz(time_s)


def resample(time_s: np.ndarray, values: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Band-limited samples at ``grid_s`` of a signal taken at irregular times.

    First onto a uniform grid at the true mean rate (where samples are evenly spaced, that changes nothing), by
    modified Akima interpolation, which neither overshoots in gaps nor flattens peaks as a straight line does. Then a
    Kaiser-windowed sinc with its cutoff at the lower of the two Nyquist frequencies, evaluated at each grid time:
    any ratio of rates, up or down. Beyond the ends the signal goes on point-mirrored and the weights sum to 1, so a
    constant or a slope stays what it is up to the edges.

    Args:
        time_s: (N,) strictly increasing, no gap longer than can be bridged.
        values: (N, C) float64, finite.
        grid_s: (M,) evenly spaced at 50 Hz, within ``time_s``.

    Returns:
        (M, C) float64.
    """
    rate = true_rate_hz(time_s)
    uniform = _evenly_spaced(time_s, values, rate)

    cutoff = min(1.0, IMU_RATE_HZ / rate)  # in units of the source's Nyquist frequency
    half = ZERO_CROSSINGS / cutoff  # half length of the filter, source samples
    reach = int(np.ceil(half))
    padded = np.pad(uniform, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    position = (grid_s - time_s[0]) * rate  # of each grid time, in source samples
    offsets = np.arange(-reach + 1, reach + 1)
    result = np.empty((len(grid_s), values.shape[1]))
    step = max(1, _CHUNK // len(offsets))
    for start in range(0, len(grid_s), step):
        here = position[start : start + step]
        base = np.floor(here).astype(np.int64)
        distance = here[:, None] - (base[:, None] + offsets)  # (m, taps)
        weights = sinc_weights(distance, cutoff)
        weights /= weights.sum(1, keepdims=True)
        rows = np.minimum(base[:, None] + offsets + reach, len(padded) - 1)  # rounding may reach one past the end
        for channel in range(values.shape[1]):
            result[start : start + step, channel] = np.einsum("mt,mt->m", weights, padded[rows, channel])
    return result


def sinc_weights(distance: np.ndarray, cutoff: float) -> np.ndarray:
    """Kaiser-windowed sinc, not normalised, at distances in source samples; ``cutoff`` as a share of their Nyquist."""
    half = ZERO_CROSSINGS / cutoff
    inside = np.sqrt(np.maximum(1 - (distance / half) ** 2, 0))
    return np.sinc(cutoff * distance) * i0(_KAISER_BETA * inside) * (np.abs(distance) < half)


def _evenly_spaced(time_s: np.ndarray, values: np.ndarray, rate_hz: float) -> np.ndarray:
    """(K, C) from the first time on at a steady rate: (N, C) interpolated piece by piece.

    The curve between two samples depends on three on either side. All at once, its coefficients would take a
    gigabyte for two hours at 200 Hz.
    """
    count = int(np.floor((time_s[-1] - time_s[0]) * rate_hz + 1e-3)) + 1
    result = np.empty((count, values.shape[1]))
    for start in range(0, count, _CHUNK):
        wanted = np.minimum(time_s[0] + np.arange(start, min(start + _CHUNK, count)) / rate_hz, time_s[-1])
        first, last = np.searchsorted(time_s, (wanted[0], wanted[-1]))
        near = slice(max(first - _AKIMA_REACH, 0), last + _AKIMA_REACH)
        curve = Akima1DInterpolator(time_s[near], values[near], method="makima")
        result[start : start + len(wanted)] = curve(wanted)
    return result


def median(signal: np.ndarray) -> np.ndarray:
    """Median of 5 samples along time, for each channel of (T, C) by itself.

    The ends are mirrored: zeros there, as ``scipy.signal.medfilt`` pads, would pull 9.81 m/s² down, and repeating the
    last sample would let it outvote its neighbours.
    """
    return median_filter(signal, size=(MEDIAN_SAMPLES, 1), mode="mirror")
