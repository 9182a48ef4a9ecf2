"""The labelled windows of an evaluation: which there are, what must stay together, and whose they are.

Letter: W windows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from configs.evaluation import FewShotConfig
from datasets.joined import JoinedWindows
from datasets.protocols.leakage import true_recordings
from datasets.protocols.people import of_subjects
from datasets.protocols.splits import centre_positions, groups_of
from datasets.store import Store
from datasets.windows import Windows, list_windows

Classes = Mapping[str, Mapping[str, list[str]]]  # class -> dataset -> what it is called there


def labelled_windows(
    store: Store,
    classes: Classes,
    config: FewShotConfig,
    subjects: Sequence[str] | None,
    setting: str = "subjects",
) -> Windows:
    """The windows that may be drawn.

    Args:
        subjects: names or patterns of the people whose windows are taken; None takes everybody's.
        setting: that they come from, for messages.
    """
    settings = ("stride_s", "label_share", "window_s", "min_coverage")
    listing = {name: getattr(config, name) for name in settings}
    names = [(name, k) for k, of_datasets in enumerate(classes.values()) for name in of_datasets[store.name]]
    windows = list_windows(store, labelled=True, classes=[name for name, _ in names], **listing)
    windows = replace(windows, classes=tuple(classes), label=np.array([k for _, k in names])[windows.label])
    if subjects is not None:
        windows = windows.subset(of_subjects(windows, subjects, setting))
    if config.windows_per_recording == "centre":
        windows = windows.subset(centre_positions(windows)).centred()
    return windows


def recordings_of(windows: Windows) -> np.ndarray:
    """(W,) the name of each window's source recording; copies of one have its name."""
    (recordings,) = true_recordings(windows)
    return np.array([name.partition("\t")[0] for name in recordings.tolist()])


def must_stay_together(split: str, windows: Windows, recordings: np.ndarray) -> tuple[np.ndarray | None, str]:
    """What must not be on both sides, (W,) names (None: windows alone), and what that is in words."""
    if split == "window":
        return None, "window"
    if split == "recording":
        notes = windows.store.recordings["notes"].iloc[np.unique(windows.recording)]
        if len(sensors := {json.loads(text or "{}").get("sensor") for text in notes}) > 1:
            raise ValueError(
                f"split recording: the sensors {', '.join(sorted(map(str, sensors)))} recorded the same seconds, which "
                "would be on both sides; use --split group, or prepare one sensor"
            )
        return recordings, "recording"
    groups, kind = groups_of(windows.subject, windows.session)
    if groups is None:
        raise ValueError(
            f"split {split}: some windows have neither subject nor session, so nobody can tell which belong together; "
            "use --split recording, or prepare the dataset with subjects"
        )
    return groups, f"{kind}, each held out in turn" if split == "leave_one_group_out" else kind


def named_groups(windows: Windows | JoinedWindows, two_datasets: bool) -> np.ndarray | None:
    """The (W,) names of ``groups_of``; of two datasets, each behind that of its own."""
    names, _ = groups_of(windows.subject, windows.session)
    if names is None or not two_datasets:
        return names
    if isinstance(windows, JoinedWindows):
        of = np.array([part.store.name for part in windows.parts])[windows.part]
    else:
        of = np.full(len(windows), windows.store.name)
    return np.char.add(np.char.add(of, " "), names)
