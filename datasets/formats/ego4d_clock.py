"""When Ego4D's IMU samples were taken, on the clock of a video that may be stitched from several components.

Each row of an IMU table has the time within its component and the time within the whole (canonical) video. The
canonical one may be NULL, impossible, or overlap with another component's.
"""

import numpy as np

from configs.constants import MAX_GAP_S

MAX_OUTSIDE_S = 60.0  # the sensor may run on after the camera, but not for longer
_SAME_OFFSET_S = 0.02  # less than a frame: stamps on both sides of a hole agree
_STITCH_S = 1.2 * MAX_GAP_S  # over the longest gap that is bridged, so that no window spans a stitch


def video_clock(
    component: np.ndarray, component_s: np.ndarray, canonical_s: np.ndarray, duration_s: float | None
) -> tuple[np.ndarray, dict[str, int]]:
    """Times on the video's clock.

    A stamp that is missing or impossible is restored from the component's clock, where the good stamps before and
    after it, in the same component, say the same offset between the two clocks. Of components that overlap, the one
    that comes later in the table loses the samples in common; where two meet, 0.12 s are left out.

    Args:
        component: (N,) number of each row's component.
        component_s: (N,) seconds within the component, NaN where missing.
        canonical_s: (N,) seconds within the video, NaN where missing.
        duration_s: of the video, None if unknown.

    Returns:
        (N,) seconds, NaN where unknown, and counts of what was done, zeros left out.
    """
    time_s = canonical_s.copy()
    last_s = np.inf if duration_s is None else duration_s + MAX_OUTSIDE_S
    impossible = np.isfinite(time_s) & ~((time_s >= -MAX_OUTSIDE_S) & (time_s <= last_s))
    time_s[impossible] = np.nan
    counts = {"impossible_stamps": int(impossible.sum()), "restored_stamps": _restore(component, component_s, time_s)}
    overlapping = at_stitch = 0
    end_s = -np.inf
    for number in dict.fromkeys(component[np.isfinite(component)].tolist()):  # in the table's order
        rows = component == number
        overlap, near = rows & (time_s <= end_s), rows & (time_s > end_s) & (time_s < end_s + _STITCH_S)
        time_s[overlap | near] = np.nan
        overlapping, at_stitch = overlapping + int(overlap.sum()), at_stitch + int(near.sum())
        end_s = max(end_s, np.max(time_s[rows], initial=-np.inf, where=np.isfinite(time_s[rows])))
    counts |= {"overlapping_component_samples": overlapping, "samples_left_out_at_stitches": at_stitch}
    if (components := len(set(component[np.isfinite(component)].tolist()))) > 1:
        counts["components"] = components
    return time_s, {name: count for name, count in counts.items() if count}


def _restore(component: np.ndarray, component_s: np.ndarray, time_s: np.ndarray) -> int:
    """Fill holes of ``time_s`` in place; how many were filled."""
    offset = time_s - component_s
    good = np.flatnonzero(np.isfinite(offset))
    holes = np.flatnonzero(~np.isfinite(time_s) & np.isfinite(component_s))
    after = np.searchsorted(good, holes)
    inside = (after > 0) & (after < len(good))
    holes, before, after = holes[inside], good[after[inside] - 1], good[after[inside]]
    sure = (component[before] == component[holes]) & (component[after] == component[holes])
    sure &= np.abs(offset[after] - offset[before]) <= _SAME_OFFSET_S
    time_s[holes[sure]] = component_s[holes[sure]] + (offset[before[sure]] + offset[after[sure]]) / 2
    return int(sure.sum())
