"""Windows that pretraining sets aside, to see whether IMU finds its video among recordings it never trained on."""

import numpy as np

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
    """
    recordings = windows.store.recordings["id"].to_numpy(str)[windows.recording]
    unit = np.where(windows.session != "", "session " + windows.session.astype(object), "recording " + recordings)
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
    kept = rng.permutation(everything[held_out])[:most]
    return everything[~held_out], np.sort(kept)
