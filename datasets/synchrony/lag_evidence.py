"""How well a stretch of picture motion fits the gyroscope at every lag, as a Bayes factor.

The camera's rotation between two frames moves the picture (``image_motion``); the gyroscope's integral over
the same time is that rotation in other axes and other units. At every lag a linear map between the two is fitted, which
settles the unknown orientation of the IMU on the camera, the lens and the signs, and its evidence is weighed against
"these two have nothing to do with each other". Both signals are first whitened by one filter (prewhitening: Box and
Jenkins 1976, chapter 11), for two slow or rhythmic signals fit at many lags by chance, two white ones only at the true
one.

Letters: K pairs of frames, T samples at 50 Hz, L lags.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_toeplitz

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ
from datasets.synchrony.image_motion import ImageMotion

STEP = IMU_RATE_HZ // FRAME_RATE_HZ  # samples per frame
WHITENING_ORDER = 2
MEMORY = 12  # frames over which leftover rhythm is looked for: a stride of slow walking
MIN_PAIRS = 30  # fewer matched pairs of frames say nothing
# Picture rotation over gyroscope rotation, in units of an 80 degree lens (lenses of 40 to 130 degrees: 2.3 to 0.4).
# A match far outside is chance: sensor noise against a picture that moves, or the reverse.
PLAUSIBLE_GAIN = (0.25, 3.0)


@dataclass(frozen=True)
class Evidence:
    """What one stretch says.

    Attributes:
        lag_s: (L,) seconds.
        log_bayes: (L,) natural logarithm of the Bayes factor of "related at this lag" against "unrelated".
        correlation: (L,) at each lag.
        gain: (L,) rotation in the picture over rotation of the gyroscope.
        used_s: seconds of video whose frames could be matched.
    """

    lag_s: np.ndarray
    log_bayes: np.ndarray
    correlation: np.ndarray
    gain: np.ndarray
    used_s: float

    @property
    def best(self) -> int:
        return int(self.log_bayes.argmax())

    @property
    def peak_s(self) -> float:
        """The best lag between grid points, at the top of a parabola."""
        k, curve = self.best, self.log_bayes
        bend = curve[k - 1] - 2 * curve[k] + curve[k + 1]
        shift = 0.5 * (curve[k - 1] - curve[k + 1]) / bend if bend < 0 else 0.0
        return float(self.lag_s[k] + shift / IMU_RATE_HZ)

    def posterior(self) -> np.ndarray:
        """(L,) probability of each lag; what is missing to 1 is the probability that nothing can be learnt here.

        Prior: unrelated with one half, else every lag alike. A best lag at the end of the range, or one that asks for
        an impossible lens, is chance.
        """
        low, high = PLAUSIBLE_GAIN
        around = self.log_bayes[max(self.best - 1, 0) : self.best + 2]
        if len(around) < 3 or not np.isfinite(around).all() or not low <= self.gain[self.best] <= high:
            return np.zeros(len(self.lag_s))
        top = max(self.log_bayes.max(), 0.0)
        related = np.exp(self.log_bayes - top) / len(self.lag_s)
        return related / (related.sum() + np.exp(-top))


def stretch_evidence(motion: ImageMotion, gyro: np.ndarray, first_sample: int, max_lag_s: float) -> Evidence:
    """Evidence for each lag between a stretch of picture motion and the recording's gyroscope.

    Args:
        motion: of the K pairs of frames.
        gyro: (T, 3) rad/s at 50 Hz of the whole recording.
        first_sample: sample of ``gyro`` at the time of the stretch's first frame.
    """
    lags = np.arange(-round(max_lag_s * IMU_RATE_HZ), round(max_lag_s * IMU_RATE_HZ) + 1)
    used_s = float(motion.weight.sum() / FRAME_RATE_HZ)
    silent = Evidence(lags / IMU_RATE_HZ, np.full(len(lags), -np.inf), np.zeros(len(lags)), np.zeros(len(lags)), used_s)
    filter_taps = whitening_filter(motion)
    turned = turned_between_frames(gyro)
    if filter_taps is None or len(turned) < STEP * MIN_PAIRS:
        return silent
    order = len(filter_taps) - 1
    picture = np.stack([np.convolve(axis, filter_taps)[: len(axis)] for axis in _filled(motion).T], axis=1)  # (K, 3)
    whitened = np.zeros_like(turned)
    for back, tap in enumerate(filter_taps):  # the filter steps from frame to frame: STEP samples
        whitened[STEP * back :] += tap * turned[: len(turned) - STEP * back]

    sample = first_sample + STEP * np.arange(len(picture)) - lags[:, None]  # (L, K) where each pair falls at each lag
    covered = (sample >= STEP * order) & (sample < len(turned))
    x = np.where(covered[..., None], whitened[np.clip(sample, 0, len(turned) - 1)], 0.0)  # (L, K, 3)
    weight = np.where(np.arange(len(picture)) < order, 0.0, motion.weight)
    memory = common_memory(whitened[STEP * order :: STEP], picture[order:])
    trust = covered * weight
    log_bayes, _, _, error = _fit(x, picture, trust, memory)
    # once more without the pairs that do not fit even at the best lag: frames matched wrongly
    used = trust[log_bayes.argmax()] > 0
    typical = np.median(error[used]) / 1.54 + 1e-9 if used.any() else 1.0
    trust = trust / (1 + (np.where(used, error, 0.0) / (4 * typical)) ** 2)
    return Evidence(lags / IMU_RATE_HZ, *_fit(x, picture, trust, memory)[:3], used_s)


def whitening_filter(motion: ImageMotion) -> np.ndarray | None:
    """Taps (1, a1, .. ap) that whiten the picture motion: Yule-Walker on all three axes together.

    None if fewer than MIN_PAIRS pairs matched or nothing moves at all.
    """
    if (motion.weight > 0).sum() < MIN_PAIRS:
        return None
    y = _filled(motion)
    products = np.array([(y[back:] * y[: len(y) - back]).sum() for back in range(WHITENING_ORDER + 1)])
    if products[0] < 1e-12 * len(y):
        return None
    products[0] *= 1 + 1e-3  # keeps the equations well posed for motion without any noise
    return np.concatenate([[1.0], -solve_toeplitz(products[:-1], products[1:])])


def turned_between_frames(gyro: np.ndarray) -> np.ndarray:
    """(T - STEP, 3) rad: the gyroscope's integral (trapezoids) from each sample to one frame later."""
    whole = np.concatenate([np.zeros((1, 3)), np.cumsum((gyro[1:] + gyro[:-1]) / (2.0 * IMU_RATE_HZ), axis=0)])
    return whole[STEP:] - whole[:-STEP]


def common_memory(x: np.ndarray, y: np.ndarray) -> float:
    """How many neighbouring pairs carry the information of one: 1 + 2 sum_k r_x(k) r_y(k), at least 1.

    Bartlett 1946: correlations of two unrelated series vary by that much more than those of white ones. It catches what
    the short whitening filter leaves: rhythm, and motion that is much slower than the frames.

    Args:
        x: (N, 3) of the gyroscope and y: (K, 3) of the picture, whitened, a row per frame.
    """
    reach = min(MEMORY, len(x) - 1, len(y) - 1)
    correlations = []
    for series in (x, y):
        series = series - series.mean(0)
        products = np.array([(series[k:] * series[: len(series) - k]).sum() for k in range(reach + 1)])
        correlations.append(products[1:] / max(products[0], 1e-30))
    return max(1.0, 1 + 2 * float(correlations[0] @ correlations[1]))


def _filled(motion: ImageMotion) -> np.ndarray:
    """(K, 3) picture motion without its mean; pairs that did not match get a straight line."""
    good = motion.weight > 0
    y = motion.turn - np.average(motion.turn, axis=0, weights=motion.weight)
    pair = np.arange(len(y))
    return np.stack([np.interp(pair, pair[good], axis[good]) for axis in y.T], axis=1)


def _fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, memory: float) -> tuple[np.ndarray, ...]:
    """Regress y on x at every lag and weigh the evidence: logarithm of the Bayes factor, correlation and gain (L,).

    The fourth is the error (K,) at the best lag.

    With Zellner's g-prior on the 3 x 3 map and Jeffreys' on the noise the Bayes factor against "no relation" is, for n
    effective pairs and Y'Y, X'Y, X'X about the weighted means,

        (1 + g)^(-9/2) * ( det(Y'Y - g / (1 + g) Y'X (X'X)^-1 X'Y) / det(Y'Y) )^(-(n - 1) / 2).

    g = n, the information of one effective pair (Berger, Bayarri and Pericchi 2014: the effective sample size): counted
    in pairs, the prior would ask a few turns of a head for more evidence than they can hold.

    Motion comes in bursts, and two bursts that meet look alike by chance: n is reduced by the largest coincidence of
    their energies over all lags, which is Bartlett's formula for uneven variances. (A value for each lag would punish
    the true one, where the bursts do meet.) 5/3 makes up for what Gaussian vectors of three axes lose themselves.

    Args:
        x: (L, K, 3) whitened rotation of the gyroscope; y: (K, 3) of the picture; weight: (L, K).
    """
    pairs = weight.sum(1)
    share = weight / np.maximum(pairs, 1e-9)[:, None]
    x = x - (share[:, None] @ x)
    y = y - (share @ y)[:, None]  # (L, K, 3)
    weighted_x, weighted_y = x * weight[..., None], y * weight[..., None]
    xx, xy, yy = weighted_x.mT @ x, weighted_x.mT @ y, weighted_y.mT @ y
    xx, yy = _conditioned(xx, 1e-6), _conditioned(yy, 1e-4)
    explained = xy.mT @ np.linalg.solve(xx, xy)
    energy_x, energy_y = (x * x).sum(2), (y * y).sum(2)
    enough = pairs >= MIN_PAIRS
    together = (weight * energy_x * energy_y).sum(1) * pairs
    apart = (weight * energy_x).sum(1) * (weight * energy_y).sum(1)
    coincidence = (together[enough] / np.maximum(apart[enough], 1e-30)).max(initial=5 / 3)
    effective = pairs * (5 / 3) / coincidence / memory
    g = np.maximum(effective, 1)
    shrunk = (g / (1 + g))[:, None, None] * explained
    log_ratio = np.linalg.slogdet(yy - shrunk)[1] - np.linalg.slogdet(yy)[1]
    log_bayes = -4.5 * np.log1p(g) - np.maximum(effective - 1, 0) / 2 * log_ratio
    log_bayes = np.where(enough, log_bayes, -np.inf)
    best = int(log_bayes.argmax())
    error = np.sqrt(((y[best] - x[best] @ np.linalg.solve(xx[best], xy[best])) ** 2).sum(1))
    moved = _trace(explained)
    correlation = np.sqrt(np.clip(moved / _trace(yy), 0, 1))
    return log_bayes, correlation, np.sqrt(np.maximum(moved, 0) / _trace(xx)), error


def _conditioned(moments: np.ndarray, ridge: float) -> np.ndarray:
    """Moments (L, 3, 3) kept invertible where an axis stands still or repeats another."""
    return moments + (ridge * _trace(moments)[:, None, None] + 1e-12) * np.eye(3)


def _trace(matrices: np.ndarray) -> np.ndarray:
    return np.trace(matrices, axis1=1, axis2=2)
