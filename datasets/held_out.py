"""Windows that pretraining does not see: whole sessions held out for its report, and classes kept for evaluation."""

from collections.abc import Sequence

import numpy as np

from configs.constants import IMU_RATE_HZ, WINDOW_S
from datasets.windows import Windows


def hold_out_sessions(windows: Windows, share: float, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide windows so that no session is on both sides; where sessions are unknown, no subject, else no recording.

    Args:
        share: of the windows, to be held out; whole sessions are drawn until it is reached.
        most: held-out windows that are kept, drawn from all that were held out; the others serve nobody.
        seed: decides both draws.

    Returns:
        Positions of the training windows and of the held-out windows, increasing. The latter are empty where
        ``share`` is 0 or there is only one session.

    Raises:
        ValueError: if the signal of a held-out window holds what is no number: there would be no report.
    """
    recordings = windows.store.recordings["id"].to_numpy(str)[windows.recording]
    session = (
        "session " + windows.session.astype(object) + " of " + windows.subject.astype(object)
    )  # two may share a name
    unit = np.where(windows.session != "", session, "recording " + recordings)
    known_subject = (windows.session == "") & (windows.subject != "")
    unit = np.where(known_subject, "subject " + windows.subject.astype(object), unit).astype(str)
    names = np.unique(unit)
    everything = np.arange(len(windows))
    if share == 0 or len(names) < 2:
        return everything, everything[:0]
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    reached = 0
    for name in rng.permutation(names)[:-1]:  # one session is left to train on, whatever the share
        if reached >= share * len(windows):
            break
        chosen.append(name)
        reached += int((unit == name).sum())
    held_out = np.isin(unit, chosen)
    kept = np.sort(rng.permutation(everything[held_out])[:most])
    spoilt = kept[~np.isfinite(windows.imu(kept, "none")).all((1, 2))]
    if len(spoilt):
        raise ValueError(
            f"IMU signal not finite in {', '.join(windows.ids(spoilt))}, held out for the report: "
            "scripts.prepare --verify says which files are damaged"
        )
    return everything[~held_out], kept


def exclude_classes(windows: Windows, names: Sequence[str]) -> Windows:
    """The windows that hold nothing of some classes.

    Where a recording changes activity, a window goes as soon as it overlaps a stretch of such a class.

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
    start_s = windows.start / IMU_RATE_HZ
    for segment in store.segments[store.segments["label"].isin(names)].itertuples():
        touches = (start_s < segment.end_s) & (start_s + WINDOW_S > segment.start_s)
        unwanted |= touches & (windows.recording == rows[segment.id])
    if unwanted.all():
        raise ValueError(f"exclude_classes: without {', '.join(names)} no window of {store.root} is left")
    return windows.subset(~unwanted)
