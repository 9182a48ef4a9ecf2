"""Windows of some people, and of all others."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from datasets.protocols.classes import near
from datasets.windows import Windows


def of_subjects(windows: Windows, names: Sequence[str], setting: str) -> np.ndarray:
    """Which windows are of these people.

    Args:
        names: subjects of the dataset, or patterns such as ``SA*`` (of ``fnmatch``).
        setting: that they come from, for messages.

    Returns:
        (W,) bool.

    Raises:
        ValueError: if the dataset has no such subject (naming near ones), or it has none of these windows.
    """
    known = sorted(set(windows.store.recordings["subject"]) - {""})
    wanted = set()
    for name in names:
        found = {subject for subject in known if fnmatchcase(subject, name)}
        if not found:
            hint = near(name, known) or f"; it has {', '.join(known) or 'no names of people'}"
            raise ValueError(f"{setting}: {windows.store.root} has no subject {name!r}{hint}")
        if not found & set(windows.subject):
            raise ValueError(f"{setting}: {windows.store.root} has no usable window of {name}: leave out")
        wanted |= found
    return np.isin(windows.subject, sorted(wanted))


def without_subjects(windows: Windows, names: Sequence[str], setting: str) -> Windows:
    """The windows of all other people, and those of nobody known.

    Raises:
        ValueError: as ``of_subjects``, or if no window is left.
    """
    theirs = of_subjects(windows, names, setting)
    if theirs.all():
        raise ValueError(f"{setting}: without {', '.join(names)} no window of {windows.store.root} is left")
    return windows.subset(~theirs)
