"""The datasets of a study: which are there, and the commands that prepare the others."""

import sys
from pathlib import Path
from typing import Any

from configs.study import Study
from utils.commands import end_of, run

Step = tuple[str, list[str]]  # name and command


def unprepared(study: Study, data_root: Path) -> list[str]:
    """The study's datasets that are not there."""
    names = dict.fromkeys(study.datasets.values())
    return [name for name in names if not (data_root / name / "dataset.json").is_file()]


def data_steps(study: Study, out: Path, data_root: Path, raw: Path | None = None) -> list[Step]:
    """Name and command of what makes the datasets that are not there; the commands go on where they were interrupted.

    Args:
        raw: folder of the recordings that the study names, of which some may be absent; None: nothing is made of them.
    """
    absent = unprepared(study, data_root)
    simulate, prepare = ([sys.executable, "-m", f"scripts.{name}"] for name in ("simulate", "prepare"))
    others = {role: name for role, name in study.datasets.items() if name in absent and name not in study.recordings}
    steps = []
    if study.simulate and others:
        steps = [("simulate", [*simulate, "--config", str(study.simulate), "--out", str(out / "raw")])]
        for role, name in others.items():
            own = ["--format", role.lower(), "--raw", str(out / "raw" / role.lower()), "--out", str(data_root / name)]
            steps.append((f"prepare_{name}", [*prepare, "--config", str(study.prepare), *own]))
    for name, settings in study.recordings.items() if raw else ():
        if name in absent and (folder := raw / settings["raw"]).is_dir():
            values = settings | {"raw": folder, "out": data_root / name}
            steps.append((f"prepare_{name}", [*prepare, *flags(values)]))
    return steps


def without_recordings(study: Study, data_root: Path, raw: Path | None) -> dict[str, str]:
    """Datasets that are neither there nor have a folder of recordings, each with a line that says so.

    Args:
        raw: as for ``data_steps``; None: none is looked for.
    """
    lines = {}
    for name in unprepared(study, data_root) if raw else ():
        if name in study.recordings and not (folder := raw / study.recordings[name]["raw"]).is_dir():
            lines[name] = f"{name} is not prepared in {data_root}, and there is no folder {folder}"
    return lines


def run_steps(steps: list[Step], logs: Path) -> list[str]:
    """Run them in order; names of those that failed, whose last lines are shown."""
    failed = []
    for name, words in steps:
        print(f"{name} ...", flush=True)
        log = logs / f"{name}.log"
        if status := run(words, log):
            failed.append(name)
            print(f"{name}: FAILED with status {status}, see {log}:\n{end_of(log)}", flush=True)
    return failed


def flags(values: dict[str, Any]) -> list[str]:
    """A flag for every value."""
    words = []
    for key, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{key}" if value else f"--no-{key}")
        else:
            words += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    return words
