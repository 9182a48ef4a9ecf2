"""The few-shot protocol: which windows are for training and which are held out.

A probe of an encoder and a forest on handcrafted features predict the classes of the same windows. Letter: W windows.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from configs.evaluation import FewShotConfig
from datasets.joined import JoinedWindows
from datasets.protocols.classes import common_classes, resolve_classes
from datasets.protocols.detection import event_and_others, learnable, stretches
from datasets.protocols.group_splits import draw_apart, draw_leaving_one_group_out, remedy
from datasets.protocols.labelled import Classes, labelled_windows, must_stay_together, named_groups, recordings_of
from datasets.protocols.leakage import copies_on_both_sides, refuse_leaks, refuse_shared, siblings_share
from datasets.protocols.people import of_subjects
from datasets.protocols.splits import Draw, DrawSettings, draw_transfer, draw_windows, small_classes
from datasets.store import Store, open_store
from datasets.windows import Windows, list_windows
from utils.detection import Stretches


@dataclass(frozen=True)
class FewShotTask:
    """Windows and draws of an evaluation.

    Attributes:
        windows: all labelled windows of the classes; of a transfer those that may give labels, then those predicted.
        draws: folds of one draw follow one another.
        shots: numbers of windows per class to learn from.
        settings: of the draws, at the most shots.
        split: the setting, or ``transfer``.
        kept_apart: what the split keeps on one side, in words.
        groups: (W,) subject or session of each window, of two datasets with its name; None if some window has neither.
        class_names: of each class, what each dataset calls it.
        dropped: classes left out for want of windows, and why.
        copies: pairs of windows with the same samples that a split by windows let on both sides.
        siblings: fraction of the held-out windows of whose recording another is among the most shots; 0 unless the
            split is by windows.
        stretches: of the windows that are predicted, where an event is to be detected; every draw predicts them all.
    """

    windows: Windows | JoinedWindows
    draws: list[Draw]
    shots: tuple[int, ...]
    settings: DrawSettings
    split: str
    kept_apart: str
    groups: np.ndarray | None
    class_names: Classes
    dropped: dict[str, str]
    copies: list[tuple[str, str]]
    siblings: float
    stretches: Stretches | None = None

    @property
    def parts(self) -> tuple[Windows, ...]:
        """The windows that give labels, and those that are predicted; one list where they are the same."""
        return self.windows.parts

    @property
    def used(self) -> np.ndarray:
        """Positions of the windows of any draw, sorted."""
        return np.unique(np.concatenate([np.r_[draw.learnt_from, draw.test] for draw in self.draws]))

    @property
    def held_out(self) -> str:
        """What is predicted, in words."""
        if self.split == "transfer":
            return f"all {len(self.draws[0].test)} windows of {len(self.draws[0].held_out_groups)} people or sessions"
        if self.settings.held_out is None:
            return "all windows of each group in turn"
        sizes = [len(own) for draw in self.draws for own in draw.held_out]
        least, most = min(sizes), max(sizes)
        return f"{most} windows per class" if least == most else f"{least} to {most} windows per class"

    def shortened(self) -> dict[str, dict[str, int]]:
        """Classes with fewer shots than the most, or fewer held-out windows, in some draw: of how many, how many."""
        found, labels = {}, self.parts[0].label
        for k, name in enumerate(self.windows.classes):
            fewer = {}
            for side, asked in (("shots", self.settings.shots), ("held_out", self.settings.held_out)):
                sizes = [len(getattr(draw, side)[k]) for draw in self.draws]
                if min(sizes) < (asked or 0):
                    fewer |= {f"fewest_{side}": min(sizes), f"most_{side}": max(sizes)}
            if fewer:
                found[name] = {"windows": int((labels == k).sum())} | fewer
        return found

    @property
    def wearers(self) -> np.ndarray:
        """(W,) whose each window is: its group, or where that is unknown its raw recording."""
        return self.windows.sources() if self.groups is None else self.groups

    @property
    def people(self) -> np.ndarray:
        """The wearers of the used windows."""
        return self.wearers[self.used]

    def of_people(self, min_coverage: float) -> Iterator[tuple[str, Windows]]:
        """Everybody (session where the subject is unknown) with a window of some draw, and all their windows.

        These are of the whole dataset, labelled or not, whatever the classes.

        Raises:
            ValueError: if it is unknown of whom some window is.
        """
        if self.groups is None:
            raise ValueError("calibrate person: some windows have neither subject nor session, so nobody knows whose")
        drawn = set(np.unique(self.groups[self.used]).tolist())
        for store in dict.fromkeys(part.store for part in self.parts):
            everything = list_windows(store, window_s=self.windows.window_s, min_coverage=min_coverage)
            everything = everything.subset((everything.subject != "") | (everything.session != ""))
            names = named_groups(everything, len({part.store.name for part in self.parts}) > 1)
            for name in sorted(drawn & set(names.tolist())):
                drawn.remove(name)
                yield name, everything.subset(names == name)
        if drawn:
            raise ValueError(f"calibrate person: no whole window of {', '.join(sorted(drawn))}; take shorter windows")


def build_task(config: FewShotConfig, select: int = 0) -> FewShotTask:
    """List the windows of the dataset and draw.

    Args:
        config: its ``window_s`` is set, see ``with_window``.
        select: windows per class to choose among states of the training.

    Raises:
        ValueError: if the windows do not allow the split, or a person or a copy of a window is on both sides of a split
            by groups or of a transfer.
    """
    stores = [open_store(config.data_root, config.dataset)]
    if config.transfers:
        other = config.test_dataset not in (None, config.dataset)
        stores.append(open_store(config.data_root, config.test_dataset) if other else stores[0])
    classes, dropped = common_classes(config.class_map, {store.name: store.classes for store in stores})
    classes = {name: classes[name] for name in resolve_classes(config.classes, tuple(classes))}
    if config.classes is not None:  # of those asked for none is absent, or they had been refused
        dropped = {}
    if config.detect:
        classes = event_and_others(classes, config.detect)
    task = (_transfer if config.transfers else _within)(config, stores, classes, select)
    if config.detect:
        task = replace(task, stretches=stretches(task.windows, task.groups))
    return replace(task, dropped=dropped | task.dropped)


def _within(config: FewShotConfig, stores: list[Store], classes: Classes, select: int) -> FewShotTask:
    """Shots and held-out windows of one dataset."""
    (store,), split = stores, config.split
    held_out = None if split == "leave_one_group_out" else config.val_samples
    shorten = config.small_classes == "shorten"
    settings = DrawSettings(max(config.shots), held_out, config.draws, config.seed, select, shorten)
    windows = labelled_windows(store, classes, config, config.subjects)
    recordings = recordings_of(windows)
    apart, kind = must_stay_together(split, windows, recordings)
    may = learnable(windows, config.detect is not None)
    dropped = small_classes(windows.label[may], None if apart is None else apart[may], windows.classes, settings)
    classes = _without_small(classes, dropped, config, split, settings)
    if dropped:
        windows = labelled_windows(store, classes, config, config.subjects)
        recordings = recordings_of(windows)
        apart, _ = must_stay_together(split, windows, recordings)
        may = learnable(windows, config.detect is not None)
    if split == "window":
        draws = draw_windows(windows.label, len(classes), settings)
    elif split == "leave_one_group_out":
        draws = draw_leaving_one_group_out(windows.label, apart, len(classes), settings, may)
    else:
        draws = draw_apart(split, windows.label, apart, windows.classes, settings)
    copies = copies_on_both_sides(draws, windows)
    if apart is not None:
        refuse_leaks(draws, apart, copies)
    return FewShotTask(
        windows,
        draws,
        tuple(config.shots),
        settings,
        split,
        kind + (", one window of each recording" if config.windows_per_recording == "centre" else ""),
        groups=named_groups(windows, False),
        class_names=classes,
        dropped=dropped,
        copies=copies,
        siblings=siblings_share(draws, recordings),
    )


def _transfer(config: FewShotConfig, stores: list[Store], classes: Classes, select: int) -> FewShotTask:
    """Shots of one dataset, or of some of its people, and all windows of another one or of other people held out."""
    source, target = stores
    shorten = config.small_classes == "shorten"
    settings = DrawSettings(max(config.shots), 0, config.draws, config.seed, select, shorten)

    def listed() -> JoinedWindows:
        theirs = labelled_windows(target, classes, config, config.test_subjects, "test_subjects")
        ours = labelled_windows(source, classes, config, config.subjects)
        if config.subjects is None and source is target:
            ours = ours.subset(~of_subjects(ours, config.test_subjects or ["*"], "test_subjects"))
        return JoinedWindows.of(ours, theirs)

    windows = listed()
    ours, theirs = windows.parts
    may = learnable(ours, config.detect is not None)
    dropped = small_classes(ours.label[may], None, ours.classes, settings)
    absent = np.bincount(theirs.label, minlength=len(theirs.classes)) == 0
    dropped |= {theirs.classes[k]: f"no window of it is predicted in {target.name}" for k in np.flatnonzero(absent)}
    classes = _without_small(classes, dropped, config, "transfer", settings)
    if dropped:
        windows = listed()
        ours, theirs = windows.parts
        may = learnable(ours, config.detect is not None)
    refuse_shared(ours, theirs)
    groups = named_groups(windows, source is not target)
    gives_labels, may = windows.part == 0, np.r_[may, np.ones(len(theirs), dtype=bool)]
    people = [] if groups is None else np.unique(groups[~gives_labels]).tolist()
    draws = draw_transfer(windows.label, gives_labels, people, len(classes), settings, may)
    refuse_leaks(draws, np.where(gives_labels, "labels", "predicted"), copies_on_both_sides(draws, windows))
    sides = [(source.name, config.subjects), (target.name, config.test_subjects)]
    gives, tested = (name + (f" ({' '.join(who)})" if who else "") for name, who in sides)
    return FewShotTask(
        windows,
        draws,
        tuple(config.shots),
        settings,
        "transfer",
        f"people: labels of {gives}, tested on {tested}",
        groups=groups,
        class_names=classes,
        dropped=dropped,
        copies=[],
        siblings=0.0,
    )


def _without_small(
    classes: Classes, small: dict[str, str], config: FewShotConfig, split: str, settings: DrawSettings
) -> Classes:
    """The classes that can be drawn, if those that cannot may be dropped."""
    if small and config.small_classes != "drop":
        listed = "; ".join(f"{name}: {why}" for name, why in small.items())
        hint = remedy("recording" if config.transfers else split, settings)
        raise ValueError(f"split {split}: too few windows of a class ({listed}). {hint}")
    left = [name for name in classes if name not in small]
    return {name: classes[name] for name in resolve_classes(left, tuple(classes))}


def cell_seed(seed: int, draw: Draw, shots: int) -> int:
    """Seed of the training on these shots of this draw (fold), independent of the other draws and shots."""
    fold = [zlib.crc32(draw.held_out_groups[0].encode())] if draw.is_fold else []
    return int(np.random.SeedSequence([seed, draw.number, shots, *fold]).generate_state(1)[0])
