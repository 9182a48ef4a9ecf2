"""The order in which an epoch goes through the windows of several datasets.

Every dataset is gone through in random order, again and again, without an end: no window comes a second time before
all others of its dataset have come as often. An epoch takes the next windows of each, as many as the weights say, and
spreads them evenly, so that every batch holds the datasets in nearly these proportions. All draws follow from
(seed, epoch): neither threads, ranks nor the place where a run was interrupted change them.

Letters: K datasets, n windows of an epoch.
"""

import math
from collections.abc import Sequence

import numpy as np

_STREAM = (0, 2)  # tells these random numbers from those of other draws, see placing.py


def windows_per_epoch(sizes: Sequence[int], weights: Sequence[float] | None) -> list[int]:
    """Windows of each dataset in an epoch, which has as many windows as all datasets together.

    Args:
        sizes: K, windows of each dataset.
        weights: K, proportions of the datasets; None: their sizes, so that every window comes once.

    Returns:
        K; with weights the nearest whole numbers, by largest remainders.

    Raises:
        ValueError: if a dataset would have none.
    """
    if weights is None:
        return list(sizes)
    exact = sum(sizes) * np.array(weights, dtype=np.float64) / sum(weights)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: sum(sizes) - counts.sum()]] += 1
    if not counts.all():
        raise ValueError(
            f"dataset_weights {' '.join(f'{w:g}' for w in weights)}: of {sum(sizes)} windows of an epoch a dataset "
            "would have none: give it more weight, or leave it out"
        )
    return counts.tolist()


def mixed_order(
    sizes: Sequence[int], weights: Sequence[float] | None, seed: int, epoch: int, global_batch: int
) -> np.ndarray:
    """The windows of an epoch in their order.

    Args:
        sizes, weights: as of ``windows_per_epoch``.
        epoch: from 0.
        global_batch: windows of a batch of all ranks; none of them holds a window twice.

    Returns:
        (n,) positions in the datasets joined end to end.

    Raises:
        ValueError: if a batch would have to hold windows of a small dataset twice.
    """
    counts, first = windows_per_epoch(sizes, weights), np.cumsum([0, *sizes])
    drawn, keys = [], []
    for k, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        apart = 0  # without weights an epoch ends where the permutation does
        if weights is not None:
            apart = math.ceil(count * (global_batch + len(sizes)) / sum(sizes))  # and one more are in a batch, at most
            if 2 * apart > size:
                raise ValueError(
                    f"dataset_weights: a batch of {global_batch} would hold some of the {size} windows of dataset "
                    f"{k + 1} twice: give it less weight, or use a smaller batch_size"
                )
        drawn.append(first[k] + endless(size, epoch * count, count, apart, (seed, k)))
        offset = np.random.default_rng([seed, epoch, *_STREAM, k]).random()
        keys.append((np.arange(count) + offset) / count)
    return np.concatenate(drawn)[np.argsort(np.concatenate(keys), kind="stable")]


def endless(size: int, first: int, count: int, apart: int, key: tuple[int, int]) -> np.ndarray:
    """Part of an endless row of permutations of 0 to size - 1.

    Args:
        first, count: place and length of the part.
        apart: at least so many others lie between two equal numbers; at most half of ``size``.
        key: seed and number of the dataset.

    Returns:
        (count,).
    """
    seed, number = key
    begun, chosen, recent = first // size, [], np.empty(0, int)
    for cycle in range(0 if apart else begun, (first + count - 1) // size + 1):
        permutation = np.random.default_rng([seed, cycle, *_STREAM, number, 1]).permutation(size)
        again = np.isin(permutation, recent)  # of the end of the permutation before: they come last
        permutation = np.concatenate([permutation[~again], permutation[again]])
        recent = permutation[size - apart :]
        if cycle >= begun:
            chosen.append(permutation)
    return np.concatenate(chosen)[first - begun * size :][:count]
