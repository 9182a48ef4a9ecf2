"""How far a mean over cohorts holds: its interval over the people of all cohorts.

Letters: C cohorts, G_c people of one, R replicates.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

import numpy as np

from utils.statistics import CONFIDENCE, FEW_GROUPS, REPLICATES, Interval

FEWEST_DRAWN = 3  # people; fewer stay as they are


def cohorts_interval(
    tables: Sequence[np.ndarray],
    people: Sequence[Sequence[Hashable]],
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int,
    replicates: int = REPLICATES,
) -> Interval:
    """95 % bootstrap interval of a mean over cohorts: people are drawn with replacement within each cohort.

    Of n people n - 1 are drawn, which gives a sum over small strata its right variance (Rao and Wu 1988,
    https://doi.org/10.1080/01621459.1988.10478591); the ends are plain percentiles. In simulated people with normal
    effects, 95 % intervals of a mean over cohorts of 22, 10, 22, 5, 8 and 8 people held the truth in 94 % (n drawn:
    92 %). Cohorts that have somebody in common are drawn from together, everybody for all of them at once; replicates
    without anybody of one are left out. One or two people stay as they are, and the interval has none of their luck:
    balanced accuracy of both together may lie far from that of either, which is all that a draw of one would give.

    Args:
        tables: of each cohort (G_c, ...), as for ``bootstrap_interval``; for a difference, both methods' side by side.
        people: of each cohort (G_c,), equal for the same person.
        statistic: from sums of tables (R, ...) to values (R,), of which the mean over cohorts is taken.
    """
    times, freedom = _times_drawn(tuple(map(tuple, people)), seed, replicates)
    everybody = len(set().union(*people))
    if freedom < FEW_GROUPS - 1:
        return Interval(None, None, everybody, f"no interval: {everybody} people, too few for {len(people)} cohorts")
    with np.errstate(invalid="ignore"):  # NaN where nobody of a cohort is drawn
        values = [statistic(np.tensordot(drawn, table, axes=1)) for drawn, table in zip(times, tables, strict=True)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(np.mean(values, axis=0), [tail, 1 - tail])
    return Interval(float(low), float(high), everybody, note="")


@lru_cache(maxsize=4)  # rows of a table have the same people
def _times_drawn(people: tuple[tuple[Hashable, ...], ...], seed: int, replicates: int) -> tuple[list[np.ndarray], int]:
    """How often each person of each cohort is drawn, (R, G_c) float64; and how many people are drawn in all."""
    parts: list[tuple[list[Hashable], list[int]]] = []  # people, and the cohorts that they are in
    for number, names in enumerate(people):
        joined = [part for part in parts if set(part[0]) & set(names)]
        parts = [part for part in parts if part not in joined]
        together = dict.fromkeys(name for part in joined for name in part[0]) | dict.fromkeys(names)
        parts.append((list(together), [*(n for part in joined for n in part[1]), number]))
    rng, times = np.random.default_rng(seed), [np.ones((replicates, len(names))) for names in people]
    for names, cohorts in parts:
        if len(names) >= FEWEST_DRAWN:
            drawn = rng.multinomial(len(names) - 1, np.full(len(names), 1 / len(names)), size=replicates)
            for cohort in cohorts:
                times[cohort] = drawn[:, [names.index(name) for name in people[cohort]]].astype(np.float64)
    return times, sum(len(names) - 1 for names, _ in parts if len(names) >= FEWEST_DRAWN)
