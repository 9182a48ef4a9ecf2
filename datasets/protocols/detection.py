"""Detection: an event, such as a fall, against everything else that people do.

The label of a recording says that an event happened in it, not when: a fall lasts 1 to 3 s of its 15 s. So a
recording (or a labelled segment) counts as a whole in what is measured, see ``utils.detection``, and gives one window
to learn from. Letters: W windows, S stretches, T samples.
"""

from collections.abc import Sequence

import numpy as np

from configs.constants import IMU_RATE_HZ
from datasets.joined import JoinedWindows
from datasets.protocols.classes import near
from datasets.protocols.labelled import Classes
from datasets.protocols.people import are_named
from datasets.windows import Windows
from utils.detection import Stretches

CLASSES = ("other", "event")  # in this order: the score of a window is that of the second


def event_and_others(classes: Classes, names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Two classes of all: those that are named, and all others.

    Args:
        classes: class -> dataset -> what it is called there.
        names: of classes, or patterns such as ``fall_*`` (of ``fnmatch``).

    Raises:
        ValueError: if a name fits no class (naming near ones), or nothing else is left.
    """
    for name in names:
        if not are_named(classes, [name]).any():
            hint = near(name, list(classes)) or f"; there are {', '.join(classes)}"
            raise ValueError(f"detect: no class is called {name!r}{hint}")
    is_event = are_named(classes, names)
    if is_event.all():
        raise ValueError(f"detect: {' '.join(names)} leaves no other class to tell it from: name fewer")
    merged: dict[str, dict[str, list[str]]] = {name: {} for name in CLASSES}
    for own, event in zip(classes.values(), is_event, strict=True):
        for dataset, theirs in own.items():
            merged[CLASSES[int(event)]].setdefault(dataset, []).extend(theirs)
    return merged


def in_stretches(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The windows in order of time, and which of them begins a stretch.

    A stretch is a recording with one label, or the segments of one side of a recording that touch.

    Returns:
        (W,) positions, and (W,) bool in that order.
    """
    order = np.lexsort((windows.start, windows.recording))
    recording, label, bounds = windows.recording[order], windows.label[order], windows.bounds[order]
    same = (recording[1:] == recording[:-1]) & (label[1:] == label[:-1]) & (bounds[1:, 0] <= bounds[:-1, 1])
    return order, np.concatenate([[True], ~same])


def learnable(windows: Windows, detect: bool) -> np.ndarray:
    """(W,) bool: which windows can be shots: all, but of an event that is to be detected only that of its impact.

    That is the window with the highest peak of the length of acceleration; of several that hold this peak, the one
    in whose middle it is.
    """
    if not detect:
        return np.ones(len(windows), dtype=bool)
    order, begins = in_stretches(windows)
    number, may = np.cumsum(begins), windows.label != CLASSES.index("event")
    own = np.flatnonzero(~may[order])
    length = np.linalg.norm(windows.imu(order[own], "none")[:, :3], axis=1)  # (n, T)
    off_centre = np.abs(length.argmax(axis=1) - (windows.samples - 1) / 2)
    best_first = np.lexsort((off_centre, -length.max(axis=1), number[own]))
    _, first = np.unique(number[own][best_first], return_index=True)
    may[order[own[best_first[first]]]] = True
    return may


def stretches(windows: Windows | JoinedWindows, groups: np.ndarray | None) -> Stretches:
    """The stretches of the windows that are predicted: all, or of two lists the second.

    Args:
        groups: (W,) names of people or sessions, None if some are unknown.
    """
    predicted = windows.parts[-1]
    order, begins = in_stretches(predicted)
    start, number = predicted.start[order], np.cumsum(begins) - 1
    end = np.minimum(start + predicted.samples, predicted.bounds[order, 1])
    follows = np.concatenate([[False], start[1:] <= start[:-1] + predicted.samples]) & ~begins
    not_before = np.where(follows, np.concatenate([[0], end[:-1]]), start)  # what windows share counts once
    hours = np.bincount(number, end - not_before) / IMU_RATE_HZ / 3600
    is_event = predicted.label[order][begins] == CLASSES.index("event")
    position = len(windows) - len(predicted) + order
    of_stretch = None if groups is None else groups[position[begins]]
    return Stretches(position, number, follows, is_event, hours, of_stretch)
