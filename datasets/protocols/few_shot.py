"""The few-shot protocol: which windows are learnt from and which are held out.

A probe of an encoder and a forest on handcrafted features predict the classes of the same windows. Letter: W windows.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from configs.evaluation import FewShotConfig
from datasets.protocols.classes import resolve_classes
from datasets.protocols.group_splits import draw_apart, draw_leaving_one_group_out, remedy
from datasets.protocols.leakage import copies_on_both_sides, refuse_leaks, siblings_share, true_recordings
from datasets.protocols.people import of_subjects
from datasets.protocols.splits import (
    Draw,
    DrawSettings,
    centre_positions,
    draw_windows,
    groups_of,
    small_classes,
)
from datasets.store import Store, open_store
from datasets.windows import Windows, list_windows


@dataclass(frozen=True)
class FewShotTask:
    """Windows and draws of an evaluation.

    Attributes:
        windows: all labelled windows of the classes.
        draws: folds of one draw follow one another.
        shots: numbers of windows per class to learn from.
        settings: of the draws, at the most shots.
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
    settings: DrawSettings
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
            if min(learnt) < self.settings.shots:
                windows = int((self.windows.label == k).sum())
                found[name] = {"windows": windows, "fewest_shots": min(learnt), "most_shots": max(learnt)}
        return found


def build_task(config: FewShotConfig, select: int = 0) -> FewShotTask:
    """List the windows of the dataset and draw.

    Args:
        config: its ``window_s`` is set, see ``with_window``.
        select: windows per class to choose among states of the training.

    Raises:
        ValueError: if the windows do not allow the split, or a copy of a window is on both sides of a split by groups.
    """
    store, split = open_store(config.data_root, config.dataset), config.split
    held_out = None if split == "leave_one_group_out" else config.val_samples
    shorten = config.small_classes == "shorten"
    settings = DrawSettings(max(config.shots), held_out, config.draws, config.seed, select, shorten)
    classes = resolve_classes(config.classes, store.classes)
    windows, recordings = _labelled(store, classes, config)
    apart, kept_apart = _kept_apart(split, windows, recordings)
    dropped = small_classes(windows.label, apart, classes, settings)
    if dropped and config.small_classes != "drop":
        listed = "; ".join(f"{name}: {why}" for name, why in dropped.items())
        raise ValueError(f"split {split}: too few windows of a class ({listed}). {remedy(split)}")
    if dropped:
        classes = resolve_classes([name for name in classes if name not in dropped], store.classes)
        windows, recordings = _labelled(store, classes, config)
        apart, _ = _kept_apart(split, windows, recordings)
    if split == "window":
        draws = draw_windows(windows.label, len(classes), settings)
    elif split == "leave_one_group_out":
        draws = draw_leaving_one_group_out(windows.label, apart, len(classes), settings)
    else:
        draws = draw_apart(split, windows.label, apart, classes, settings)
    copies = copies_on_both_sides(draws, windows)
    if apart is not None:
        refuse_leaks(draws, apart, copies)
    return FewShotTask(
        windows,
        draws,
        tuple(config.shots),
        settings,
        split,
        kept_apart + (", one window of each recording" if config.windows_per_recording == "centre" else ""),
        groups=groups_of(windows.subject, windows.session)[0],
        dropped=dropped,
        copies=copies,
        siblings=siblings_share(draws, recordings),
    )


def _labelled(store: Store, classes: tuple[str, ...], config: FewShotConfig) -> tuple[Windows, np.ndarray]:
    """The windows that may be drawn, and (W,) the name of each one's source recording; copies of one have its name."""
    names = ("stride_s", "label_share", "window_s", "min_coverage")
    windows = list_windows(store, labelled=True, classes=classes, **{name: getattr(config, name) for name in names})
    if config.subjects:
        windows = windows.subset(of_subjects(windows, config.subjects, "subjects"))
    if config.windows_per_recording == "centre":
        windows = windows.subset(centre_positions(windows)).centred()
    (recordings,) = true_recordings(windows)
    return windows, np.array([name.partition("\t")[0] for name in recordings.tolist()])


def _kept_apart(split: str, windows: Windows, recordings: np.ndarray) -> tuple[np.ndarray | None, str]:
    """What must not be on both sides, (W,) names (None: windows alone), and what that is in words."""
    if split == "window":
        return None, "window"
    if split == "recording":
        return recordings, "recording"
    groups, kind = groups_of(windows.subject, windows.session)
    if groups is None:
        raise ValueError(
            f"split {split}: some windows have neither subject nor session, so nobody can tell which belong together; "
            "use --split recording, or prepare the dataset with subjects"
        )
    return groups, f"{kind}, each held out in turn" if split == "leave_one_group_out" else kind


def cell_seed(seed: int, draw: Draw, shots: int) -> int:
    """The seed of what learns from these shots of this draw (fold): the same whatever else is asked for."""
    fold = [zlib.crc32(draw.held_out_groups[0].encode())] if draw.is_fold else []
    return int(np.random.SeedSequence([seed, draw.number, shots, *fold]).generate_state(1)[0])
