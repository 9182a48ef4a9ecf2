"""Windows of some people, and of all others."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np

from datasets.protocols.classes import near
from datasets.windows import Windows


def are_named(subjects: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """Which of these (n,) people are named; a name may be a pattern such as ``SA*`` (of ``fnmatch``).

    Nobody unknown is: an empty subject fits no pattern.
    """
    return np.array([s != "" and any(fnmatchcase(s, name) for name in names) for s in subjects], dtype=bool)


def of_subjects(windows: Windows, names: Sequence[str], setting: str) -> np.ndarray:
    """Which windows are of these people.

    Args:
        names: subjects of the dataset, or patterns, see ``are_named``.
        setting: that they come from, for messages.

    Returns:
        (W,) bool.

    Raises:
        ValueError: if the dataset has no such subject (naming near ones), or it has none of these windows.
    """
    known = sorted(set(windows.store.recordings["subject"]) - {""})
    for name in names:
        if not are_named(known, [name]).any():
            hint = near(name, known) or f"; it has {', '.join(known) or 'no names of people'}"
            raise ValueError(f"{setting}: {windows.store.root} has no subject {name!r}{hint}")
        if not are_named(windows.subject, [name]).any():
            raise ValueError(f"{setting}: {windows.store.root} has no usable window of {name}: leave out")
    return are_named(windows.subject, names)


def without_subjects(windows: Windows, names: Sequence[str], setting: str) -> Windows:
    """The windows of all other people, and those of nobody known.

    Raises:
        ValueError: as ``of_subjects``, or if no window is left.
    """
    theirs = of_subjects(windows, names, setting)
    if theirs.all():
        raise ValueError(f"{setting}: without {', '.join(names)} no window of {windows.store.root} is left")
    return windows.subset(~theirs)
