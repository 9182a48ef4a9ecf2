"""The few-shot protocol: which windows are learnt from and which are held out.

A probe of an encoder and a forest on handcrafted features predict the classes of the same windows. Letter: W windows.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from configs.evaluation import FewShotConfig
from datasets.protocols.group_splits import draw_by_group, draw_by_recording, draw_leaving_one_group_out
from datasets.protocols.leakage import (
    check_groups_apart,
    copies_on_both_sides,
    refuse_copies,
    siblings_share,
    true_recordings,
)
from datasets.protocols.splits import (
    Draw,
    centre_windows,
    draw_windows,
    groups_of,
    resolve_classes,
    small_classes,
)
from datasets.store import Store, open_store
from datasets.windows import Windows, list_windows


@dataclass(frozen=True)
class Protocol:
    """Windows and draws of an evaluation.

    Attributes:
        windows: all labelled windows of the classes.
        draws: folds of one draw follow one another.
        shots: numbers of windows per class to learn from.
        held_out: windows per class to be measured on; None where a group is held out with all its windows.
        seed: of the draws.
        split: the setting.
        kept_apart: what the split keeps on one side, in words.
        groups: (W,) subject or session of each window; None if some window has neither.
        dropped: classes left out for want of windows, and why.
        copies: pairs of windows with the same samples that a split by windows let on both sides.
        siblings: fraction of the held-out windows of whose recording another is among the most shots; 0 unless the
            split is by windows.
    """

    windows: Windows
    draws: list[Draw]
    shots: tuple[int, ...]
    held_out: int | None
    seed: int
    split: str
    kept_apart: str
    groups: np.ndarray | None
    dropped: dict[str, str]
    copies: list[tuple[str, str]]
    siblings: float

    @property
    def used(self) -> np.ndarray:
        """Positions of the windows of any draw, sorted."""
        return np.unique(np.concatenate([np.r_[draw.learnt_from, draw.test] for draw in self.draws]))

    def shortened(self) -> dict[str, dict[str, int]]:
        """Classes that some draw learns from with fewer windows than the most shots: of how many, with how many."""
        found = {}
        for k, name in enumerate(self.windows.classes):
            learnt = [len(draw.shots[k]) for draw in self.draws]
            if min(learnt) < max(self.shots):
                windows = int((self.windows.label == k).sum())
                found[name] = {"windows": windows, "fewest_shots": min(learnt), "most_shots": max(learnt)}
        return found

    def truth(self) -> list[np.ndarray]:
        """For each draw (fold) the classes of its held-out windows."""
        return [self.windows.label[draw.test] for draw in self.draws]


def build_protocol(config: FewShotConfig, store: Store | None = None, select: int = 0) -> Protocol:
    """List the windows of the dataset and draw.

    Args:
        select: windows per class to choose among states of the training.

    Raises:
        SplitError: if the windows do not allow the split, or a copy of a window is on both sides of a split by groups.
    """
    store = store or open_store(config.data_root, config.dataset)
    centre, split = config.windows_per_recording == "centre", config.split
    held_out = None if split == "leave_one_group_out" else config.val_samples
    listing = {"stride_s": config.stride_s, "label_share": config.label_share, "centre": centre}
    classes = resolve_classes(config.classes, store.classes)
    windows, recordings = _labelled(store, classes, **listing)
    dropped = {}
    if config.small_classes == "drop":
        needed = max(config.shots) + select + (held_out or 0)
        groups = _kept_apart(split, windows, recordings)[0]
        dropped = small_classes(windows.label, groups, classes, needed, whole_group=held_out is None)
        classes = resolve_classes([name for name in classes if name not in dropped], store.classes)
        windows, recordings = _labelled(store, classes, **listing)
    apart, kind = _kept_apart(split, windows, recordings)
    numbers = {"shots": max(config.shots), "draws": config.draws, "seed": config.seed, "select": select}
    draws = _draw(split, windows, apart, held_out, shorten=config.small_classes == "shorten", **numbers)
    copies = copies_on_both_sides(draws, windows)
    if apart is not None:
        check_groups_apart(draws, apart)
        refuse_copies(copies)
    nameless = (windows.subject == "") & (windows.session == "")
    return Protocol(
        windows,
        draws,
        shots=tuple(config.shots),
        held_out=held_out,
        seed=config.seed,
        split=split,
        kept_apart=f"{kind}, one window of each recording" if centre else kind,
        groups=None if nameless.any() else groups_of(windows.subject, windows.session)[0],
        dropped=dropped,
        copies=copies,
        siblings=siblings_share(draws, recordings),
    )


def _labelled(
    store: Store, classes: tuple[str, ...], stride_s: float, label_share: float, centre: bool
) -> tuple[Windows, np.ndarray]:
    """The windows that may be drawn, and (W,) the name of each one's source recording; copies of one have its name."""
    windows = list_windows(store, labelled=True, classes=classes, stride_s=stride_s, label_share=label_share)
    if centre:
        ids = store.recordings["id"].tolist()
        in_time = sorted(range(len(ids)), key=lambda row: (len(ids[row]), ids[row]))  # part 10 comes after part 2
        part = np.argsort(in_time)[windows.recording]
        windows = windows.subset(centre_windows(windows.sources(), windows.label, part, windows.start))
    (recordings,) = true_recordings(windows)
    return windows, np.array([name.partition("\t")[0] for name in recordings.tolist()])


def _kept_apart(split: str, windows: Windows, recordings: np.ndarray) -> tuple[np.ndarray | None, str]:
    """What must not be on both sides, (W,) names (None: windows alone), and what that is in words."""
    if split == "window":
        return None, "window"
    if split == "recording":
        return recordings, "recording"
    groups, kind = groups_of(windows.subject, windows.session)
    return groups, f"{kind}, each held out in turn" if split == "leave_one_group_out" else kind


def _draw(
    split: str, windows: Windows, apart: np.ndarray | None, held_out: int | None, **numbers: int | bool
) -> list[Draw]:
    """All draws."""
    labels, classes = windows.label, windows.classes
    if split == "leave_one_group_out":
        return draw_leaving_one_group_out(labels, apart, classes, **numbers)
    if split == "window":
        return draw_windows(labels, classes, held_out=held_out, **numbers)
    divide = draw_by_recording if split == "recording" else draw_by_group
    return divide(labels, apart, classes, held_out=held_out, **numbers)


def cell_seed(seed: int, draw: Draw, shots: int) -> int:
    """The seed of what learns from these shots of this draw (fold): the same whatever else is asked for."""
    fold = [zlib.crc32(draw.held_out_groups[0].encode())] if draw.is_fold else []
    return int(np.random.SeedSequence([seed, draw.number, shots, *fold]).generate_state(1)[0])
