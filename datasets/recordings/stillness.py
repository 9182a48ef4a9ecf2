"""When nobody wore the sensor: it lay still for longer than anybody does.

The convention of accelerometry: 10 s are still if the standard deviation of each axis is below 13 mg, and stillness of
90 minutes or more is non-wear (van Hees et al. 2011, https://doi.org/10.1371/journal.pone.0022922; the tools stepcount
and actinet take 15 mg and 90 minutes). Shorter stillness was worn, such as sitting and sleep, and is classified.
"""

import numpy as np

from configs.constants import IMU_RATE_HZ, STANDARD_GRAVITY
from datasets.recordings.signal import EPOCH_S, Epochs

_LEAST_SAMPLES = 0.5 * EPOCH_S * IMU_RATE_HZ  # an epoch of which less is there says nothing


def still_epochs(epochs: Epochs, still_mg: float, acc_factor: float) -> np.ndarray:
    """(E,) bool: the standard deviation of every axis of the acceleration is below the limit.

    Args:
        acc_factor: from the file's unit to m/s².
    """
    limit = still_mg / 1000 * STANDARD_GRAVITY / acc_factor
    return (epochs.std[:, :3] < limit).all(1) & (epochs.samples >= _LEAST_SAMPLES)


def nonwear(epochs: Epochs, still: np.ndarray, least_s: float) -> np.ndarray:
    """(n, 2) start and end, seconds, of stillness without interruption for at least so long."""
    if not still.any():
        return np.zeros((0, 2))
    number = np.round(epochs.start_s[still] / EPOCH_S).astype(np.int64)
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 2) != 1)
    last = np.append(first[1:], len(number)) - 1
    stretches = np.stack([number[first], number[last] + 1], axis=1) * EPOCH_S
    return stretches[stretches[:, 1] - stretches[:, 0] >= least_s]


def within(time_s: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    """(n,) bool: which times lie in one of the (m, 2) stretches, which are in order."""
    if len(stretches) == 0:
        return np.zeros(len(time_s), dtype=bool)
    place = np.searchsorted(stretches[:, 0], time_s, side="right") - 1
    return (place >= 0) & (time_s < stretches[np.maximum(place, 0), 1])
