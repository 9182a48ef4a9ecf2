"""The folds of a study: a part that its file says once, with ``{fold}`` in the name, stands for one of each fold."""

import csv
import re
from pathlib import Path
from typing import Any

FOLD = "{fold}"
PEOPLE_OF = "people_of"
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def people_of(folder: Path) -> list[str]:
    """Names of the people of a prepared dataset, s2 before s10; empty if it names nobody or is not prepared."""
    if not (folder / "dataset.json").is_file():
        return []
    with open(folder / "recordings.csv", newline="", encoding="utf-8") as file:
        names = {row["subject"] for row in csv.DictReader(file)} - {""}
    return sorted(names, key=_natural)


def _natural(name: str) -> list[str | int]:
    parts = re.split(r"(\d+)", name)  # text, digits, text, ...
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def with_people(content: dict[str, Any], data_root: Path | None) -> dict[str, Any]:
    """A study file's content with names as its folds, where these are ``{people_of: ROLE}``: the people of a dataset.

    While it is not prepared, ``{fold}`` stands for itself, so that all else can be checked.

    Args:
        data_root: folder of the prepared datasets; None: none is looked for.

    Raises:
        ValueError: if folds say something else, there is no such dataset, or it does not name two people.
    """
    folds = content.get("folds")
    if not isinstance(folds, dict):
        return content
    role, datasets = folds.get(PEOPLE_OF), content.get("datasets") or {}
    if folds.keys() != {PEOPLE_OF}:
        raise ValueError(f"folds: give names, [s1, s2], or {{{PEOPLE_OF}: ROLE}}, the people of a dataset")
    if role not in datasets:
        raise ValueError(f"folds: {PEOPLE_OF} {role!r} is not one of {', '.join(datasets)}")
    folder = None if data_root is None else data_root / str(datasets[role])
    if folder is None or not (folder / "dataset.json").is_file():
        return content | {"folds": [FOLD]}
    people = people_of(folder)
    if len(people) < 2:
        raise ValueError(
            f"folds: {folder} names {', '.join(people) or 'nobody'} in recordings.csv, and holding people out takes two"
        )
    return content | {"folds": people}


def expand_folds(content: dict[str, Any]) -> dict[str, Any]:
    """A study file's content with a copy for each fold of the parts whose names hold ``{fold}``.

    It is replaced in the name and in every text of the part. A copy also says its ``fold`` and ``template``, the name
    as it stood in the file.

    Raises:
        ValueError: if folds are named twice, or serve nothing; if ``{fold}`` or another placeholder stands where
            nothing replaces it; or if two parts get the same name.
    """
    folds = [str(fold) for fold in content.get("folds", [])]  # YAML reads 1 as a number
    parts = {key: content[key] for key in ("pretraining", "evaluations") if isinstance(content.get(key), dict)}
    if twice := sorted({fold for fold in folds if folds.count(fold) > 1}):
        raise ValueError(f"folds: {', '.join(twice)} is there twice")
    if folds and not any(FOLD in name for named in parts.values() for name in named):
        raise ValueError(f"folds: no name of a pretraining run or evaluation holds {FOLD}; add it, or leave folds out")
    named_folds = {"folds": folds} if folds else {}
    return content | named_folds | {key: _expanded(named, folds) for key, named in parts.items()}


def _expanded(named: dict[str, Any], folds: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for template, part in named.items():
        if FOLD in template and not folds:
            raise ValueError(f"{template}: the study has no folds, name them: folds: [s1, s2]")
        for fold in folds if FOLD in template else [None]:
            name = _filled(template, fold, template)
            if name in found:
                raise ValueError(f"{template}: there is another {name}")
            found[name] = _filled(part, fold, template) | ({"fold": fold, "template": template} if fold else {})
    return found


def _filled(value: Any, fold: str | None, template: str) -> Any:
    """The value with the fold in all its texts; None where the part is of no fold."""
    if isinstance(value, list):
        return [_filled(item, fold, template) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, fold, template) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    filled = value if fold is None else value.replace(FOLD, fold)
    if unknown := [found for found in _PLACEHOLDER.findall(filled) if found != fold]:
        raise ValueError(
            f"{template}: nothing replaces {unknown[0]} in {value!r}: only {FOLD} is, where the name has it"
        )
    return filled
