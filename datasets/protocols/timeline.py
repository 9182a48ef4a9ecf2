"""How labelled activities follow each other. Letter: K classes."""

from collections.abc import Mapping

import numpy as np

from configs.constants import MAX_GAP_S
from datasets.store import Store


def count_changes(
    store: Store, class_of: Mapping[str, int], recordings: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Changes between classes, and the time in each, in recordings that change activity.

    A recording with one label says nothing of how long an activity lasts, because it was cut to that length, and does
    not count. A change counts where one segment ends and the next begins within 0.1 s; between segments further apart,
    or through an activity that is no class, nothing is known.

    Args:
        class_of: number of each of the dataset's labels that is (part of) a class; others are no class.
        recordings: rows of ``store.recordings``.

    Returns:
        (K, K) changes from a class to another, (K,) seconds in each.
    """
    changes, seconds = np.zeros((num_classes, num_classes)), np.zeros(num_classes)
    chosen = set(store.recordings["id"].iloc[recordings])
    for name, segments in store.segments.groupby("id", sort=False):
        if name not in chosen or segments["label"].nunique() < 2:
            continue
        last, ended = -1, -np.inf
        for segment in segments.sort_values("start_s").itertuples():
            now = class_of.get(segment.label, -1)
            if now >= 0:
                seconds[now] += segment.end_s - segment.start_s
                if last >= 0 and last != now and segment.start_s - ended <= MAX_GAP_S:
                    changes[last, now] += 1
            last, ended = now, segment.end_s
    return changes, seconds
