"""The folds of a study: a part that its file says once, with ``{fold}`` in the name, stands for one of each fold."""

import re
from typing import Any

FOLD = "{fold}"
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


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
    if unknown := _PLACEHOLDER.search(filled):
        raise ValueError(
            f"{template}: nothing replaces {unknown[0]} in {value!r}: only {FOLD} is, where the name has it"
        )
    return filled
