"""Which classes an evaluation tells apart: names, and sets of names."""

import difflib
from collections.abc import Sequence

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
    """Class names in the order asked for; a class set stands for its classes, None for all there are.

    Raises:
        ValueError: if a class is not in the dataset (naming near ones), is named twice, or only one is left.
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
        raise ValueError(f"classes: {', '.join(chosen) or 'none'} leaves nothing to tell apart, name at least two")
    return chosen


def near(name: str, known: Sequence[str]) -> str:
    """``; did you mean ...?`` with the known names that are like it, or nothing."""
    found = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {', '.join(found)}?" if found else ""


def paper_column(classes: Sequence[str]) -> str:
    """What a reader must know who sets results on all of MMEA beside the paper's; empty for other classes."""
    if set(classes) != set(CLASS_SETS["mmea"]):
        return ""
    return f"All {len(classes)} classes of MMEA: the paper's column is five of them (--classes mmea5)."
