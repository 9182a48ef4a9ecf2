"""The planned runs of a study and the finished ones as one table: a row per value that the study plans."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Any

import pandas as pd

from configs.paper import paper_results
from configs.study import BETWEEN, PlannedRun, Study
from scripts.reporting.runs import Run, measured, windows_measured
from scripts.studies.done import PLACES, alike, other_class_map
from utils.long_table import METRICS, datasets_of_pretraining, named

APPROACHES = {  # in the order of the tables
    "imu_only": "IMU-only",
    "imu2clip": "IMU2CLIP",
    "softmax": "ours with softmax loss",
    "conv_gru": "ours with 1D-CNN + RNN",
    "clip": "ours with ViT-CLIP",
    "ours": "ours",
    "recommended": "recommended",
    "supervised": "supervised from scratch",
    "handcrafted": "handcrafted features",
    "random": "random weights",
}
MODES = {"lp": "linear probing", "finetune": "finetuning"}
MARKS = {
    "†": "pretrained, without labels, on recordings of the evaluated dataset: in-distribution",
    "≠": "measured on other windows than most of its column: not comparable",
    "‡": "run with other settings than the study has now",
}


def match(planned: Sequence[PlannedRun], runs: Sequence[Run]) -> dict[str, Run]:
    """Finished runs of a study, by the names of their folders.

    Raises:
        ValueError: if two runs have the name of one planned run, or a run is a result of another command.
    """
    commands, found = {wanted.name: wanted.command for wanted in planned}, {}
    for run in runs:
        name = run.folder.name
        if name not in commands:
            continue
        if other := found.get(name):
            raise ValueError(f"runs: {other.folder} and {run.folder} are both the study's {name}: name one of them")
        if run.command != commands[name]:
            raise ValueError(f"{run.folder}: is a result of {run.command}, the study's {name} is {commands[name]}")
        found[name] = run
    return found


def measured_of(found: dict[str, Run], metrics: Sequence[str]) -> pd.DataFrame:
    """The rows of ``measured``, where ``run`` is the name of the planned run."""
    names = {run.name: name for name, run in found.items()}
    values = measured(list(found.values()), metrics)
    return values.assign(run=values["run"].map(names))


def other_settings(planned: PlannedRun, found: dict[str, Run]) -> list[str]:
    """Names of the settings in which a finished run differs from the study."""
    if planned.name not in found:
        return []
    results, asked = found[planned.name].results, planned.settings
    there = results["config"]
    other = {k for k in there.keys() & asked.keys() - PLACES if not alike(there[k], asked[k])}
    return sorted(other | ({"class_map"} if other_class_map(results, asked) else set()))


def study_table(study: Study, planned: Sequence[PlannedRun], found: dict[str, Run]) -> pd.DataFrame:
    """A row for each evaluation, encoder (or baseline), number of shots and metric, in the order of the tables.

    Columns:
        evaluation, source, approach, role: name of the evaluation, of the encoder or baseline, its method
            (``APPROACHES``), and the role of the evaluated dataset.
        pretrained_on: role of the dataset of pretraining, empty for a baseline.
        table, mode: few-shot: split and number of the table, linear probing or finetuning; zero-shot: ``zero_shot``
            and the direction.
        shots, metric: of the value.
        asked: False where the table has this number of shots, but the study does not plan it for this row.
        on, label, target: pretrained_on, source and role in words, simulated datasets marked.
        run, value, std, low, high, chance, majority, folder: of the long table; value is NaN if the run is missing.
        windows: equal for values that were measured on the same windows.
        marks: signs of footnotes (``MARKS``).
        paper: mean and standard deviation in the paper, None if it has none.
    """
    rows = pd.DataFrame([row for wanted in planned if wanted.evaluation for row in _asked(study, planned, wanted)])
    rows["shots"] = rows["shots"].astype("Int64")
    values = measured_of(found, list(METRICS)).drop(columns=["command", "method", "dataset", "draw"])
    rows = rows.merge(values, how="left", on=["run", "shots", "metric"])
    rows["value"] = rows["value"].where(rows["asked"])
    facts = {p.evaluation: found[p.name].results["dataset"] for p in planned if p.evaluation and p.name in found}
    unknown = {"simulated": False}
    rows["target"] = [named(facts.get(row.evaluation, unknown) | {"name": row.role}) for row in rows.itertuples()]
    rows["windows"] = pd.Series([_windows(row, found) for row in rows.itertuples()], dtype=object)
    rows["marks"] = _marks(rows, planned, found)
    paper = paper_results()
    rows["paper"] = [
        paper.zero_shot.get((row.pretrained_on, row.approach, row.role, row.metric))
        if row.mode == "imu_to_video"
        else paper.few_shot.get((row.pretrained_on, row.approach, row.mode, row.role, row.shots))
        for row in rows.itertuples()
    ]
    rows["on"] = rows["source"].map({name: _on(study, name, planned, found) for name in rows["source"].unique()})
    alike_sources = rows.groupby(["pretrained_on", "approach"])["source"].transform("nunique") > 1
    labels = rows["approach"].map(APPROACHES)
    rows["label"] = labels.where(~alike_sources, labels + " (" + rows["source"] + ")")
    return rows.sort_values("order", kind="stable").reset_index(drop=True)


def _asked(study: Study, planned: Sequence[PlannedRun], wanted: PlannedRun) -> list[dict]:
    """Rows of a planned run. A baseline without an encoder is listed with all evaluations of its dataset."""
    columns = few_shot_columns(study, planned)
    places = [wanted.evaluation]
    if study.evaluations[wanted.evaluation].of == []:
        taken = {p.evaluation for p in planned if p.evaluation and _source(p) == _source(wanted)}
        places += [n for n in columns if study.evaluations[n].dataset == wanted.dataset_role and n not in taken]
    alone, several = list(study.datasets), [part.on for part in study.pretraining.values() if len(part.roles) > 1]
    order = [*alone, *several, None].index(wanted.pretrained_on)
    order = 100 * order + list(APPROACHES).index(wanted.approach)
    row = {"source": _source(wanted), "approach": wanted.approach, "role": wanted.dataset_role, "order": order}
    row |= {"metric": "balanced_accuracy", "run": wanted.name, "pretrained_on": wanted.pretrained_on or ""}
    if wanted.command == "zeroshot":
        row |= {"evaluation": wanted.evaluation, "table": "zero_shot", "mode": wanted.settings["direction"]}
        return [row | {"shots": None, "metric": metric, "asked": True} for metric in METRICS]
    return [
        row | columns[place] | {"evaluation": place, "shots": n, "asked": n in wanted.settings["shots"]}
        for place in places
        if place in columns
        for n in columns[place]["shots"]
    ]


def _source(wanted: PlannedRun) -> str:
    return wanted.needs[0] if wanted.pretrained_on else wanted.approach


def few_shot_columns(study: Study, planned: Sequence[PlannedRun]) -> dict[str, dict]:
    """Place of each few-shot evaluation: its table (the split), its mode, and the numbers of shots of the table.

    Evaluations that would share a column get another table of their split.
    """
    columns, taken, shots = {}, set(), defaultdict(set)
    for name, evaluation in study.evaluations.items():
        settings = [p.settings for p in planned if p.evaluation == name and p.settings.get("mode") in MODES]
        if settings:
            split, mode = settings[0]["split"], settings[0]["mode"]
            tables = (split if number == 1 else f"{split} ({number})" for number in count(1))
            table = next(table for table in tables if (table, mode, evaluation.dataset) not in taken)
            taken.add((table, mode, evaluation.dataset))
            shots[table] |= set(settings[0]["shots"])
            columns[name] = {"table": table, "mode": mode}
    return {name: place | {"shots": sorted(shots[place["table"]])} for name, place in columns.items()}


def _on(study: Study, source: str, planned: Sequence[PlannedRun], found: dict[str, Run]) -> str:
    """Roles of the pretraining datasets of an encoder, each marked if simulated; ``none`` for a baseline."""
    if source not in study.pretraining:
        return "none"
    runs = [found[p.name] for p in planned if p.evaluation and _source(p) == source and p.name in found]
    roles = study.pretraining[source].roles
    facts = [datasets_of_pretraining(run.results["checkpoint"]["dataset"]) for run in runs]
    by_name = {dataset["name"]: dataset for datasets in facts for dataset in datasets}
    found_of = [by_name.get(study.datasets[role], {"simulated": False}) for role in roles]
    return BETWEEN.join(named(of | {"name": role}) for role, of in zip(roles, found_of, strict=True))


def _windows(row: Any, found: dict[str, Run]) -> str | None:
    """Windows that a value was measured on, see ``windows_measured``."""
    if pd.isna(row.value):
        return None
    return str(windows_measured(found[row.run], None if pd.isna(row.shots) else int(row.shots)))


def _marks(rows: pd.DataFrame, planned: Sequence[PlannedRun], found: dict[str, Run]) -> pd.Series:
    """Signs of footnotes of each row."""
    seen = {
        name for name, run in found.items() if run.command != "train" and run.results["seen_in_pretraining"]["seen"]
    }
    changed = {wanted.name for wanted in planned if other_settings(wanted, found)}
    usual = rows.groupby(["evaluation", "shots"], dropna=False)["windows"].transform(
        lambda windows: max(Counter(windows.dropna()).most_common(1), default=(None,))[0]
    )
    signs = {
        "†": [row.role in row.pretrained_on.split(BETWEEN) or row.run in seen for row in rows.itertuples()],
        "≠": rows["windows"] != usual,
        "‡": rows["run"].isin(changed),
    }
    holds = pd.DataFrame(signs)[rows["value"].notna()]
    return holds.dot(holds.columns).reindex(rows.index, fill_value="")


def used_marks(rows: pd.DataFrame) -> tuple[str, ...]:
    """Footnotes of the signs that some rows carry."""
    return tuple(f"{sign} {text}." for sign, text in MARKS.items() if sign in "".join(rows["marks"]))
