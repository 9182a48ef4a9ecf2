"""The windows of a pretraining: of each of its datasets those trained on, and those held out for the report."""

from collections.abc import Sequence
from typing import Any

from datasets.joined import JoinedWindows
from datasets.mixing import windows_per_epoch
from datasets.protocols.people import are_named, without_subjects
from datasets.protocols.validation import exclude_classes, hold_out
from datasets.store import Store
from datasets.windows import Windows, list_windows


def pretraining_windows(
    stores: Sequence[Store],
    needs_video: bool,
    exclude: tuple[Sequence[str], Sequence[str]],
    held_out: float,
    max_held_out: int,
    seed: int,
    **cut: Any,
) -> tuple[Windows | JoinedWindows, list[Windows]]:
    """List the windows of all datasets and hold some of each out.

    Args:
        exclude: classes and people that are left out; of several datasets each name must be one of some of them.
        held_out, seed: see ``hold_out``.
        max_held_out: of all datasets together; each has a part in proportion to its windows.
        cut: of ``list_windows``.

    Returns:
        The windows to train on, and of each dataset those that are held out.

    Raises:
        ValueError: if a name is of no dataset, a dataset has no window left, or frames differ in size.
    """
    if needs_video and len(sizes := {store.info["frame_size"] for store in stores}) > 1:
        raise ValueError(
            f"{', '.join(store.name for store in stores)}: stored frames have sides of {sorted(sizes)} pixels: prepare "
            "them with the same --frame_size"
        )
    lists = [list_windows(store, needs_video, **cut) for store in stores]
    classes, people = exclude
    if len(lists) > 1:
        lists = _without_known(lists, classes, people)
    else:
        lists = [without_subjects(exclude_classes(lists[0], classes), people, "exclude_subjects")]
    total = sum(map(len, lists))
    halves = [hold_out(own, held_out, max(1, round(max_held_out * len(own) / total)), seed) for own in lists]
    trained = [own.subset(kept) for own, (kept, _) in zip(lists, halves, strict=True)]
    reported = [own.subset(kept) for own, (_, kept) in zip(lists, halves, strict=True)]
    return (JoinedWindows.of(*trained) if len(trained) > 1 else trained[0]), reported


def _without_known(lists: Sequence[Windows], classes: Sequence[str], people: Sequence[str]) -> list[Windows]:
    """Of each dataset the windows without the classes and people that it knows."""
    left = []
    for own in lists:
        own = exclude_classes(own, [name for name in classes if name in own.store.classes])
        left.append(without_subjects(own, [p for p in people if are_named(own.subject, [p]).any()], "exclude_subjects"))
    names = ", ".join(own.store.name for own in lists)
    if strange := set(classes) - {name for own in lists for name in own.store.classes}:
        raise ValueError(f"exclude_classes: none of {names} has a class {', '.join(sorted(strange))}")
    if strange := [p for p in people if not any(are_named(own.subject, [p]).any() for own in lists)]:
        raise ValueError(f"exclude_subjects: none of {names} has a usable window of {', '.join(strange)}")
    return left


def datasets_of(
    training: Windows | JoinedWindows, weights: Sequence[float] | None, held_out: Sequence[Windows]
) -> list[dict[str, Any]]:
    """Of each dataset its windows to train on, how many windows of it an epoch draws, and those held out.

    Args:
        weights: see ``windows_per_epoch``.
        held_out: as ``pretraining_windows`` gives them.
    """
    sizes = training.sizes if isinstance(training, JoinedWindows) else [len(training)]
    drawn = windows_per_epoch(sizes, weights)
    stores = [windows.store for windows in held_out]
    facts = [{"name": s.name, "simulated": s.simulated, "accelerometer_only": s.accelerometer_only} for s in stores]
    return [
        fact | {"windows": count, "windows_per_epoch": per_epoch, "held_out": len(kept)}
        for fact, count, per_epoch, kept in zip(facts, sizes, drawn, held_out, strict=True)
    ]
