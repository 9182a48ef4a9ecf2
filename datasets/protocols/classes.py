"""Classes of an evaluation: names, and named sets of classes."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from configs.load import read_yaml

# mmea5: the classes on which the paper's MMEA columns were almost certainly computed (its zero-shot baseline sits at
# five-class chance).
CLASS_SETS = {
    "mmea": tuple(
        """
        upstairs downstairs drinking fall reading sweep_floor cut_fruits mop_floor writing wipe_table wash_hand
        standing play_phone type_pc eating cooking pick_up_phone drop_trush fold_clothes walking play_card
        brush_teeth wash_dish moving_sth type_phone chat open_close_door ride_bike sit_stand take_drop_sth shopping
        watch_TV
        """.split()
    ),
    "mmea5": ("standing", "walking", "sit_stand", "downstairs", "fall"),
    "pd": ("walking", "turning", "bending", "standing", "sitting"),
}


def resolve_classes(names: Sequence[str] | None, available: Sequence[str]) -> tuple[str, ...]:
    """Class names in the order asked for; a class set stands for its classes, None for all classes.

    Raises:
        ValueError: if a class is unknown (the message suggests similar names) or given twice, or there is only one.
    """
    wanted = available if names is None else names
    chosen = tuple(c for name in wanted for c in ([name] if name in available else CLASS_SETS.get(name, [name])))
    for name in chosen:
        if name not in available:
            hint = near(name, [*available, *CLASS_SETS])
            raise ValueError(f"classes: the dataset has no {name!r}{hint}; it has {', '.join(available)}")
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"classes: {', '.join(chosen)} names a class twice")
    if len(chosen) < 2:
        raise ValueError(f"classes: {', '.join(chosen) or 'none'} is too few to classify, give at least two")
    return chosen


def common_classes(
    file: Path | None, datasets: Mapping[str, Sequence[str]]
) -> tuple[dict[str, dict[str, list[str]]], dict[str, str]]:
    """What each dataset calls the classes that several share.

    A class map is a YAML of ``class: {dataset: name, dataset: [name, name], ...}``; a name may be a pattern such as
    ``F*`` (of ``fnmatch``), and names of other datasets do not matter. Without a map classes of the same name are one.

    Args:
        file: the class map.
        datasets: name -> classes, of those that are compared.

    Returns:
        Common class -> dataset -> its classes, and common classes that some dataset has none of, with the reason.

    Raises:
        ValueError: if an entry is of another form, names a class that its dataset does not have (naming near ones) or a
            class twice, or the map has none of a dataset.
    """
    if file is None:
        first, *others = datasets.values()
        return {name: dict.fromkeys(datasets, [name]) for name in first if all(name in own for own in others)}, {}
    found, missing = {}, {}
    owner: dict[tuple[str, str], str] = {}
    for common, entry in read_yaml(file).items():
        if not isinstance(entry, dict):
            raise ValueError(f"{file}: {common!r}: {entry!r} is not {{dataset: class}} or {{dataset: [class, class]}}")
        names = {
            dataset: _named(file, common, dataset, entry[dataset], own)
            for dataset, own in datasets.items()
            if dataset in entry
        }
        for dataset, own in names.items():
            for name in own:
                if (other := owner.setdefault((dataset, name), common)) != common:
                    raise ValueError(f"{file}: {dataset}: {name} is {other} and {common}: leave one out")
        if absent := [dataset for dataset in datasets if dataset not in names]:
            missing[common] = f"the class map has none of {', '.join(absent)}"
        else:
            found[common] = names
    for dataset in datasets:
        if all(dataset != known for known, _ in owner):
            raise ValueError(f"{file}: no class has an entry {dataset!r}: add what {dataset} calls them")
    return found, missing


def _named(file: Path, common: str, dataset: str, value: object, known: Sequence[str]) -> list[str]:
    """Classes of a dataset that an entry of a class map stands for."""
    listed = value if isinstance(value, list) else [value]
    named = []
    for name in listed:
        own = [one for one in known if fnmatchcase(one, str(name))]
        if not own:
            hint = near(str(name), known)
            raise ValueError(f"{file}: {common}: {dataset} has no class {name!r}{hint}; it has {', '.join(known)}")
        named += [one for one in own if one not in named]
    return named


def near(name: str, known: Sequence[str]) -> str:
    """``; did you mean ...?`` with similar known names, or an empty text."""
    found = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {', '.join(found)}?" if found else ""


def paper_column(classes: Sequence[str]) -> str:
    """A note that results on all classes of MMEA do not compare with the paper's; empty for other classes."""
    if set(classes) != set(CLASS_SETS["mmea"]):
        return ""
    return f"All {len(classes)} classes of MMEA: the paper's column is five of them (--classes mmea5)."
