"""MiniRocket features of windows: Dempster et al. 2021 (https://arxiv.org/abs/2012.08791), by ``aeon``, an extra."""

from collections.abc import Callable

import numpy as np

REMEDY = (
    "features minirocket needs the package aeon: pip install aeon (it may ask for an older numpy: use an environment "
    "of its own), or leave minirocket out of --features"
)


def fit_minirocket(signals: np.ndarray, seed: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The multivariate transform, fitted on the windows learnt from.

    Its about 10,000 features are each the share of positive values after a convolution with a fixed kernel; which
    signals a kernel reads is drawn at random, and its bias is a quantile of what it gives on one of these windows.

    Args:
        signals: (n, S, T) of windows, such as ``models.invariant.invariant_signals``, not z-scored.
        seed: of the draws.
        threads: 0 takes every core.

    Returns:
        From (m, S, T) signals to their (m, about 10,000) features, float32.

    Raises:
        ValueError: if aeon is not installed.
    """
    try:
        from aeon.transformations.collection.convolution_based import MiniRocket
    except ImportError as error:
        raise ValueError(f"{REMEDY} ({error})") from error
    transform = MiniRocket(random_state=seed % 2**31, n_jobs=threads or -1)
    transform.fit(signals.astype(np.float32))
    return lambda others: transform.transform(others.astype(np.float32)).astype(np.float32)
