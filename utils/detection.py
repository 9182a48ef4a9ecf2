"""How well events are found in what people do all day: sensitivity against false alarms, precision against recall.

A *stretch* is a recording, or a labelled segment of one, as windows with a score each. An event is a stretch, and is
found at a threshold if any of its windows reaches it: nobody says which of them holds it. In other stretches a
false alarm is a run of successive windows that reach the threshold; however long it lasts, it is one.

Counts at a threshold add up over people, so that a bootstrap over people scores thousands of samples of them.

Letters: W windows, S stretches, G groups (people, or sessions), T thresholds, R replicates, D draws.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from utils.metrics import mean_and_std
from utils.statistics import FEW_GROUPS, UNKNOWN_GROUPS, Interval, bootstrap_interval

RATE_PER_H = 1.0  # false alarms an hour of ``sensitivity_at_1_per_h``
_POINTS = 41  # of the curve in results.json
_REPLICATES = 2000
_CHUNK = 1 << 22  # counts made at a time
FOUND, ALARMS, FLAGGED = range(3)  # what is counted


@dataclass(frozen=True)
class Stretches:
    """Windows in order of time, and the stretches that they belong to.

    Attributes:
        position: (W,) of each window in the list that it was taken from.
        number: (W,) its stretch, 0..S-1, increasing.
        follows: (W,) bool, whether it begins within the window before it or at its end, in the same stretch.
        is_event: (S,) bool.
        hours: (S,) that the windows of each stretch cover.
        group: (S,) name of the person or session of each; None where some are unknown.
    """

    position: np.ndarray
    number: np.ndarray
    follows: np.ndarray
    is_event: np.ndarray
    hours: np.ndarray
    group: np.ndarray | None

    def in_time(self, position: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(W,) values in order of time, from those of the windows at these (W,) positions in any order."""
        order = np.argsort(position)
        return values[order[np.searchsorted(position, self.position, sorter=order)]]

    def number_of(self, position: np.ndarray) -> np.ndarray:
        """The stretches of the windows at these positions."""
        order = np.argsort(self.position)
        return self.number[order[np.searchsorted(self.position, position, sorter=order)]]

    def highest(self, values: np.ndarray) -> np.ndarray:
        """(S,) highest value of each stretch, from (W,) values in order of time."""
        return np.maximum.reduceat(values, np.searchsorted(self.number, np.arange(len(self.is_event))))

    @property
    def other_hours(self) -> float:
        """Hours without an event."""
        return float(self.hours[~self.is_event].sum())


def count_at_thresholds(score: np.ndarray, stretches: Stretches, group: np.ndarray, num_groups: int) -> np.ndarray:
    """What reaches each threshold, in each group.

    The runs of successive windows that reach it are the windows that do, less the pairs of successive ones that both
    do. Windows of equal score reach a threshold together.

    Args:
        score: (W,) in order of time; the higher, the surer of an event.
        group: (S,) number of the group of each stretch.
        num_groups: G.

    Returns:
        (G, T, 3) int64: events found, false alarms, and other stretches with one; thresholds fall, and are those
        at which some count changes.

    Raises:
        ValueError: if a score is not finite.
    """
    if not np.isfinite(score).all():
        raise ValueError(f"{int((~np.isfinite(score)).sum())} of {len(score)} scores of windows are not finite")
    highest, event, owner = stretches.highest(score), stretches.is_event, group[stretches.number]
    other = ~event[stretches.number]
    second = np.flatnonzero(stretches.follows & other)
    steps = [  # threshold at which something begins to count, whose it is, as what, and how much
        (highest[event], group[event], FOUND, 1),
        (score[other], owner[other], ALARMS, 1),
        (np.minimum(score[second], score[second - 1]), owner[second], ALARMS, -1),
        (highest[~event], group[~event], FLAGGED, 1),
    ]
    falling, row = np.unique(-np.concatenate([step[0] for step in steps]), return_inverse=True)
    counts = np.zeros((num_groups, len(falling), 3), dtype=np.int64)
    ends = np.cumsum([len(step[0]) for step in steps[:-1]])
    for (_, whose, kind, change), rows in zip(steps, np.split(row, ends), strict=True):
        np.add.at(counts, (whose, rows, kind), change)
    return counts[:, (counts != 0).any(axis=(0, 2))].cumsum(axis=1)


def sensitivity_at(rate_per_h: float, counts: np.ndarray, events: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """Fraction of the events found at the lowest threshold that gives no more false alarms an hour than this.

    It is a point of the curve of these very scores, as measures of a ROC curve are: no threshold was fixed beforehand.
    Low thresholds merge alarms until one lasts a whole recording, so the number at a threshold is the largest at any
    as high. What shares a score is alarmed together.

    Args:
        counts: (..., T, 3) of ``count_at_thresholds``, summed over people.
        events: (...,) number of events.
        hours: (...,) without an event.

    Returns:
        (...,), 0 where the highest threshold gives too many already, NaN without events.
    """
    alarms = np.maximum.accumulate(counts[..., ALARMS], axis=-1)
    reached = (alarms <= rate_per_h * hours[..., None] + 1e-9).sum(axis=-1, keepdims=True)
    at = np.take_along_axis(counts[..., FOUND], np.maximum(reached - 1, 0), axis=-1)[..., 0]
    return _share(np.where(reached[..., 0] > 0, at, 0), events)


def average_precision(counts: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Area under the precision-recall curve of stretches by their highest score, as scikit-learn sums it.

    sum_k (R_k - R_{k-1}) P_k over falling thresholds; arguments and values without events as in ``sensitivity_at``.
    """
    found = counts[..., FOUND]
    precision = found / np.maximum(found + counts[..., FLAGGED], 1)
    return _share((np.diff(found, axis=-1, prepend=0) * precision).sum(axis=-1), events)


def _share(part: np.ndarray, events: np.ndarray) -> np.ndarray:
    return part / np.where(events > 0, events, np.nan)


def detection_chance(stretches: Stretches) -> dict[str, float]:
    """What guessing gives: the fraction of stretches that are events, and what windows that fire at random find.

    Windows that fire each by itself with probability p give, of m in a row, p + (m - 1) p (1 - p) false alarms on
    average, and find an event of m with probability 1 - (1 - p)^m. Of random scores the threshold falls until one
    false alarm too many would come: p is what gives as many.
    """
    event, sizes = stretches.is_event, np.bincount(stretches.number)
    other = ~event[stretches.number]
    windows, pairs = int(other.sum()), int((stretches.follows & other).sum())
    wanted = np.floor(RATE_PER_H * stretches.other_hours) + 1
    root = np.sqrt(max(windows**2 - 4 * pairs * wanted, 0.0))
    p = min(1.0, 2 * wanted / (windows + root))  # the smaller root of wanted = windows p - pairs p^2
    by_chance = 1 - (1 - p) ** sizes[event]
    return {"sensitivity_at_1_per_h": float(by_chance.mean()), "auprc": float(event.mean())}


def detection_scores(scores: Sequence[np.ndarray], stretches: Stretches, seed: int) -> dict[str, Any]:
    """Sensitivity at one false alarm an hour and AUPRC over draws, their intervals over groups, and the mean curve.

    Args:
        scores: for each draw (W,) in order of time.
        seed: of the bootstrap.

    Returns:
        ``mean_and_std`` of each metric; ``interval``: metric to interval; ``curve``: false alarms an hour, and the
        mean sensitivity at each.
    """
    known = stretches.group is not None
    names, group = np.unique(stretches.group if known else np.zeros(len(stretches.is_event)), return_inverse=True)
    draws = [count_at_thresholds(score, stretches, group, len(names)) for score in scores]
    events = np.bincount(group[stretches.is_event], minlength=len(names))
    hours = np.bincount(group, stretches.hours * ~stretches.is_event, minlength=len(names))
    statistics = {
        "sensitivity_at_1_per_h": lambda c, e, h: sensitivity_at(RATE_PER_H, c, e, h),
        "auprc": lambda c, e, h: average_precision(c, e),
    }

    def resampled(times: np.ndarray, statistic: Any) -> np.ndarray:
        """(R,) mean over draws, each group counted (R, G) times."""
        parts = np.array_split(times, -(-len(times) * max(map(np.size, draws)) // _CHUNK))
        values = [[statistic(np.tensordot(t, d, axes=1), t @ events, t @ hours) for d in draws] for t in parts]
        return np.concatenate([np.mean(of_part, axis=0) for of_part in values])

    def interval(statistic: Any) -> dict[str, Any]:
        if not known:
            return asdict(UNKNOWN_GROUPS)
        for kind, there in (("an event", events > 0), ("hours without one", hours > 0)):
            if there.sum() < FEW_GROUPS:
                note = f"no interval: {there.sum()} of {len(names)} groups have {kind}, fewer than {FEW_GROUPS}"
                return asdict(Interval(None, None, len(names), note))
        tables = np.eye(len(names))  # their sums are how often each group was drawn
        return asdict(bootstrap_interval(tables, lambda times: resampled(times, statistic), seed, _REPLICATES))

    sums = [(d.sum(axis=0), events.sum(), hours.sum()) for d in draws]
    values = [{name: how(*own) for name, how in statistics.items()} for own in sums]
    rates = np.geomspace(1, max((~stretches.is_event).sum(), 2), _POINTS) / hours.sum()
    curve = [float(np.mean([sensitivity_at(rate, *own) for own in sums])) for rate in rates]
    return mean_and_std(values) | {
        "interval": {name: interval(how) for name, how in statistics.items()},
        "curve": {"false_alarms_per_h": rates.tolist(), "sensitivity": curve},
    }


def detection_facts(stretches: Stretches) -> dict[str, Any]:
    """How much there is to detect, and in how many hours of everything else, for results.json."""
    event, hours = stretches.is_event, stretches.other_hours
    return {
        "events": int(event.sum()),
        "other_recordings": int((~event).sum()),
        "hours": hours,
        "least_rate_per_h": 1 / hours,
    }
