"""Probabilities of windows in the light of the windows before and after: a hidden Markov model of activities.

Activities follow each other as a Markov chain in continuous time, whose rates come from labelled recordings, so that
one model serves any hop between windows. Letters: n windows of an uninterrupted run, K classes.
"""

import numpy as np
from scipy.linalg import expm

from models.classifier import ClassifierFacts

DEFAULT_DWELL_S = 10.0
_LEAST = 1e-12  # of a probability: what a window or a step says is impossible is not


def rates_from_jumps(jumps: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The generator of the chain: rates[i, j] is how often per second activity i turns into j; rows sum to 0.

    The maximum likelihood estimate, jumps from i to j / seconds in i, with a prior that weighs as much as one jump:
    each activity lasts 10 s and turns into each of the others equally often. So no change is impossible, and
    activities that were never seen to change have this prior alone.

        rates[i, j] = (jumps[i, j] + 1 / (K - 1)) / (seconds[i] + 10)

    Args:
        jumps: (K, K) changes counted in labelled recordings; the diagonal does not count.
        seconds: (K,) time spent in each activity in the same recordings.
    """
    rates = (jumps + 1 / (len(jumps) - 1)) / (seconds + DEFAULT_DWELL_S)[:, None]
    np.fill_diagonal(rates, 0)
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates


def stationary(rates: np.ndarray) -> np.ndarray:
    """(K,) share of time in each activity in the long run: p with p rates = 0 and sum 1."""
    equations = np.vstack([rates.T, np.ones(len(rates))])
    share = np.linalg.lstsq(equations, np.append(np.zeros(len(rates)), 1.0), rcond=None)[0]
    return np.maximum(share, _LEAST) / np.maximum(share, _LEAST).sum()


class ForwardFilter:
    """Probabilities of each window given those up to it, as windows come.

    What a window says is its posterior over the prior that the classifier learnt with. Windows that overlap say the
    same twice: each counts with the fraction of it that is new, hop over length.

    Args:
        hop_s: from one window to the next, seconds.
        facts: of the classifier; its prior, rates and window length.
    """

    def __init__(self, hop_s: float, facts: ClassifierFacts):
        rates = np.asarray(facts.rates_per_s, dtype=np.float64)
        self.step = np.maximum(expm(rates * hop_s), _LEAST)  # (K, K)
        self.step /= self.step.sum(axis=1, keepdims=True)
        self.prior = np.maximum(np.asarray(facts.prior, dtype=np.float64), _LEAST)
        self.weight = min(1.0, hop_s / facts.window_s)
        self.expected = stationary(rates)  # of the next window, before it is seen

    def push(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, K) probabilities of the next windows, in the light of all before them."""
        said = (np.maximum(probabilities.astype(np.float64), _LEAST) / self.prior) ** self.weight
        out = np.empty_like(said)
        for row, evidence in enumerate(said):
            now = self.expected * evidence
            out[row] = now / now.sum()  # normalised at each step: nothing underflows, as in log space
            self.expected = out[row] @ self.step
        return out


def smooth(probabilities: np.ndarray, hop_s: float, facts: ClassifierFacts) -> np.ndarray:
    """Probabilities of each window given all windows of its run: forward filtering, backward smoothing.

    The posteriors of the forward-backward algorithm (Rabiner 1989, https://doi.org/10.1109/5.18626, section III.A),
    computed without products over the run: from the last window on,

        smoothed[t, i] = filtered[t, i] * sum_j step[i, j] smoothed[t + 1, j] / (filtered[t] @ step)[j]

    Args:
        probabilities: (n, K) of the windows of one uninterrupted run.
        hop_s, facts: as of ``ForwardFilter``.

    Returns:
        (n, K) float64; rows sum to 1.
    """
    forward = ForwardFilter(hop_s, facts)
    smoothed = forward.push(probabilities)
    expected = smoothed @ forward.step
    for row in range(len(smoothed) - 2, -1, -1):
        own = smoothed[row] * (forward.step @ (smoothed[row + 1] / expected[row]))
        smoothed[row] = own / own.sum()
    return smoothed
