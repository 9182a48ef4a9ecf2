"""What a study goes without where some of its datasets, or of the people that it names, are absent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from configs.base import as_list
from configs.folds import FOLD, PEOPLE_OF, people_of
from configs.study import PlannedRun, Pretraining, Study
from scripts.reporting.document import plural

# Settings that name people, and the setting that names their dataset where it is not ``dataset``
PEOPLE = {"subjects": "dataset", "test_subjects": "test_dataset", "query_subjects": "dataset"}
UNNEEDED = "nothing that is left is measured with it"


def on_those_there(study: Study, absent: Collection[str]) -> Study:
    """The study with every pretraining on several datasets on those of them that are there.

    Such a run is another one: it is called after its datasets, ``NAME_on_hapt+sisfall``. One of whose datasets none is
    there stays as it is.

    Args:
        absent: names of prepared datasets.
    """
    names, parts = {}, {}
    for name, part in study.pretraining.items():
        names[name] = name
        there = [number for number, role in enumerate(part.roles) if study.datasets[role] not in absent]
        if 0 < len(there) < len(part.roles):
            part = _on(part, there)
            names[name] += "_on_" + "+".join(dict.fromkeys(study.datasets[role] for role in part.roles))
        parts[names[name]] = part
    evaluations = {
        name: part if part.of is None else part.model_copy(update={"of": [names[source] for source in part.of]})
        for name, part in study.evaluations.items()
    }
    return study.model_copy(update={"pretraining": parts, "evaluations": evaluations})


def _on(part: Pretraining, there: list[int]) -> Pretraining:
    """The pretraining on some of its datasets, by their numbers."""
    settings = dict(part.settings)
    weights = settings.pop("dataset_weights", None)
    if weights and len(there) > 1:
        settings["dataset_weights"] = [weights[number] for number in there]
    return part.model_copy(update={"dataset": [part.roles[number] for number in there], "settings": settings})


def left_out(planned: Sequence[PlannedRun], data_root: Path, absent: Mapping[str, str]) -> dict[str, str]:
    """Names of the runs that cannot be, or serve nothing, each with the reason.

    An evaluation is left out whose dataset or people are absent, or whose encoder is; a pretraining, if its datasets
    are absent, or all evaluations of it are left out.

    Args:
        planned: each after those that it needs.
        absent: name of a prepared dataset -> a line that says that it is not there.
    """
    people = cache(people_of)
    reasons: dict[str, str] = {}
    for run in planned:
        names = as_list(run.values["dataset"])
        if run.command == "train":
            why = [absent[name] for name in names if name in absent]
            why = [f"none of the datasets of {run.name} is there"] if len(why) > 1 else why
        else:
            names += [name for key in ("test_dataset", "prototypes_from") if (name := run.settings.get(key))]
            why = [absent[name] for name in names if name in absent]
            why += _nobody(run.settings, data_root, people)
            why += [reasons[name] for name in run.needs if name in reasons]
        if why:
            reasons[run.name] = why[0]
    used = {name for run in planned for name in run.needs}
    needed = {name for run in planned if run.name not in reasons for name in run.needs}
    return reasons | {name: UNNEEDED for name in used - needed if name not in reasons}


def _nobody(settings: Mapping[str, Any], data_root: Path, people: Any) -> Iterable[str]:
    """What says of the people that an evaluation names, but folds yet unknown, that its dataset has none of them."""
    from datasets.protocols.people import are_named  # pandas; a study of prepared datasets may need none

    for key, of in PEOPLE.items():
        folder = data_root / (settings.get(of) or settings["dataset"])
        known = people(folder)
        for name in settings.get(key) or ():
            if known and FOLD not in name and not are_named(known, [name]).any():
                yield f"{folder.name} has nobody called {name} ({key})"


def in_words(study: Study, planned: Sequence[PlannedRun], reasons: Mapping[str, str]) -> list[str]:
    """A line for each pretraining left on fewer datasets than its study file says, and for each reason.

    Args:
        study: as its file says.
        planned: runs of ``on_those_there``.
        reasons: of ``left_out``.
    """
    parts = [run for run in planned if run.command == "train"]
    lines = [
        f"{run.name}: pretrained on {run.pretrained_on} only, of {part.on}"
        for run, part in zip(parts, study.pretraining.values(), strict=True)
        if run.pretrained_on != part.on and run.name not in reasons
    ]
    for reason in dict.fromkeys(reasons[run.name] for run in planned if run.name in reasons):
        runs = [run for run in planned if reasons.get(run.name) == reason]
        of = dict.fromkeys(run.evaluation or run.name for run in runs)
        lines.append(f"left out: {plural(len(runs), 'run')} ({', '.join(of)}): {reason}")
    return lines


def never_held_out(study: Study, data_root: Path) -> list[str]:
    """A line for each dataset some of whose people are folds of the study, and others are not."""
    lines = []
    for role in dict.fromkeys(role for part in study.pretraining.values() if part.fold for role in part.roles):
        people = people_of(data_root / study.datasets[role])
        others = [name for name in people if name not in study.folds]
        if 0 < len(others) < len(people):
            everybody = f"folds: {{{PEOPLE_OF}: {role}}} holds everybody out in turn"
            lines.append(f"never held out: {', '.join(others)} of {role}; {everybody}")
    return lines
