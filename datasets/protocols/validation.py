"""Windows left out of pretraining: those held out for its report, and classes kept for evaluation."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from configs.constants import IMU_RATE_HZ
from datasets.windows import Windows


def hold_out(windows: Windows, fraction: float, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide windows into training and held-out windows, so that no unit is on both sides.

    The unit is the session; where sessions are unknown the subject, else the raw recording. If recordings show one
    activity each, it is the raw recording, and at most ``fraction`` of each class is held out: in MMEA a session is a
    day, on which most recordings of a class may have been made.

    Units are taken in random order, and each that still fits is held out. If all are too large, the smallest is held
    out; its windows beyond ``most`` are used on neither side.

    Args:
        fraction: of the windows (of each class), held out at most.
        most: windows held out at most, of all.
        seed: decides the draw.

    Returns:
        Positions of the training windows and of the held-out windows, increasing. The latter are empty where
        ``fraction`` is 0 or there is only one unit.

    Raises:
        ValueError: if the signal of a held-out window is not finite.
    """
    label = windows.store.recordings["label"].to_numpy(str)[windows.recording]
    _, first, unit, sizes = np.unique(
        _units(windows, label), return_index=True, return_inverse=True, return_counts=True
    )
    if fraction == 0 or len(sizes) < 2:
        return np.arange(len(windows)), np.arange(0)
    stratum = np.unique(label, return_inverse=True)[1]
    room = np.floor(min(fraction, most / len(windows)) * np.bincount(stratum) + 1e-9).astype(int)
    stratum_of_unit = stratum[first]
    rng = np.random.default_rng(seed)
    order, chosen = rng.permutation(len(sizes)), np.zeros(len(sizes), dtype=bool)
    for number in order:
        if sizes[number] <= room[stratum_of_unit[number]]:
            room[stratum_of_unit[number]] -= sizes[number]
            chosen[number] = True
    if not chosen.any():
        chosen[order[sizes[order].argmin()]] = True
    held_out = chosen[unit]
    kept = np.sort(rng.permutation(np.flatnonzero(held_out))[:most])
    spoilt = kept[~np.isfinite(windows.imu(kept, "none")).all((1, 2))]
    if len(spoilt):
        raise ValueError(
            f"IMU signal not finite in {', '.join(windows.ids(spoilt))}, held out for the report: "
            "scripts.prepare --verify says which files are damaged"
        )
    return np.flatnonzero(~held_out), kept


def _units(windows: Windows, label: np.ndarray) -> np.ndarray:
    """(W,) name of the unit of each window."""
    recording = "recording " + windows.sources().astype(object)
    subject = "subject " + windows.subject.astype(object)
    session = "session " + windows.session.astype(object) + " of " + subject  # people's sessions may share a name
    unit = np.where(windows.session != "", session, np.where(windows.subject != "", subject, recording))
    return np.where(label != "", recording, unit).astype(str)


def exclude_classes(windows: Windows, names: Sequence[str]) -> Windows:
    """The windows without those of some classes.

    Where a recording changes activity, a window goes as soon as it overlaps a stretch of such a class, and those that
    stay must avoid it.

    Raises:
        ValueError: if the dataset has no such class, or no window is left.
    """
    store = windows.store
    if strange := sorted(set(names) - set(store.classes)):
        raise ValueError(
            f"exclude_classes: {store.root} has no class {', '.join(strange)}: it has "
            + (", ".join(store.classes) or "no labels at all")
        )
    unwanted = store.recordings["label"].isin(names).to_numpy()[windows.recording]
    rows = {recording_id: row for row, recording_id in enumerate(store.recordings["id"])}
    avoid = dict(windows.avoid)
    for name, segments in store.segments[store.segments["label"].isin(names)].groupby("id"):
        stretches = np.round(segments[["start_s", "end_s"]].to_numpy() * IMU_RATE_HZ, 6)  # 4.1 s: 205, not 204.999...
        avoid[rows[name]] = np.concatenate([avoid.get(rows[name], stretches[:0]), stretches])
    windows = replace(windows, avoid=avoid)
    unwanted |= windows.touching(windows.start, np.full(len(windows), windows.samples))
    if unwanted.all():
        raise ValueError(f"exclude_classes: without {', '.join(names)} no window of {store.root} is left")
    return windows.subset(~unwanted)
