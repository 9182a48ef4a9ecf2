"""Run a study: every pretraining and evaluation that is missing, one after the other, then the report.

    python -m scripts.reproduce --study configs/study/demo.yaml --out study_out

Each run is a command of its own, which could be given by hand; its output goes to logs/. What is done is skipped, what
was interrupted resumes from its last checkpoint, and what fails costs only the runs that need it. Where the study says
what its recordings are, ``--raw`` names their folder, and the datasets are prepared first.
"""

import json
import shlex
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

from configs.load import ConfigError, parse, read_yaml
from configs.reporting import ReproduceConfig
from configs.study import PlannedRun, Study, checkpoint_of, load_study, planned_runs
from utils.atomic_io import sha256_of
from utils.commands import end_of, run, run_forked
from utils.progress_bar import progress

PROGRAMS = {
    "train": ["train.py"],
    "downstream": ["downstream.py"],
    "zeroshot": ["zeroshot.py"],
    "features": ["-m", "scripts.features"],
}
# Where a run lies and on what machine it computes makes no other run of it.
PLACES = {"data_root", "runs_root", "run_name", "checkpoint", "resume", "device", "num_workers", "report"}
# What evaluations and the picture import, which takes longer than many of them compute; optimizers import the last
LOADED = ("scripts.features", "scripts.embedding_map", "downstream", "zeroshot", "torch._dynamo")


def main(argv: list[str] | None = None) -> None:
    """Run the study; ends with status 1 if a run failed."""
    config = parse(ReproduceConfig, argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        study = load_study(config.study)
        data_root, runs_root = config.data_root or config.out / "data", config.out / "runs"
        planned = planned_runs(study, data_root, runs_root)
        missing = [p for p in planned if not is_done(p, runs_root)]
        check_ranks(missing, config.ranks)
    except ConfigError as error:
        sys.exit(f"{config.program}: {error}")
    steps = data_steps(study, config.out, data_root, config.raw)
    left_out = [p for p in missing if lacks_package(p)]
    missing = [p for p in missing if p not in left_out]
    if config.commands:
        print_commands(steps, missing, config.ranks)
        print("# at the end")
        for words in last_steps(config, study, data_root, runs_root):
            print(shlex.join(["python", *words[1:]]))
        return
    if absent := [name for name in unprepared(study, data_root) if f"prepare_{name}" not in dict(steps)]:
        recordings = ", or the folder of its recordings with --raw" if study.recordings else ""
        sys.exit(
            f"{config.program}: no prepared dataset {', '.join(absent)} in {data_root}: make it with scripts.prepare, "
            f"or name its folder with --data_root{recordings}"
        )
    logs = config.out / "logs"
    for name, words in steps:
        print(f"{name} ...", flush=True)
        if run(words, logs / f"{name}.log"):
            sys.exit(f"{config.program}: {name} failed, see {logs / name}.log:\n{end_of(logs / f'{name}.log')}")
    print(f"{study.title}: {len(planned)} runs, {len(planned) - len(missing) - len(left_out)} done before", flush=True)
    if left_out:
        print(f"left out: {len(left_out)} runs with MiniRocket, which needs aeon: pip install aeon", flush=True)
    failed = run_all(missing, runs_root, logs, config.ranks)
    picture, report = last_steps(config, study, data_root, runs_root)
    if run_forked(picture, logs / f"embedding_{config.study.stem}.log", LOADED):
        failed.append(f"embedding_{config.study.stem}")
    status = subprocess.run(report).returncode
    if failed:
        sys.exit(f"{config.program}: {len(failed)} runs failed, see {logs}: {', '.join(failed)}")
    sys.exit(status)


def unprepared(study: Study, data_root: Path) -> list[str]:
    """The study's datasets that are not there."""
    names = dict.fromkeys(study.datasets.values())
    return [name for name in names if not (data_root / name / "dataset.json").is_file()]


def data_steps(study: Study, out: Path, data_root: Path, raw: Path | None = None) -> list[tuple[str, list[str]]]:
    """Name and command of what makes the datasets that are not there; the commands go on where they were interrupted.

    Args:
        raw: folder of the recordings that the study names; None: their datasets must be there.
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
        if name in absent:
            values = settings | {"raw": raw / settings["raw"], "out": data_root / name}
            steps.append((f"prepare_{name}", [*prepare, *flags(values)]))
    return steps


def lacks_package(planned: PlannedRun) -> bool:
    """Whether a run needs a package, an extra, that is not installed."""
    return "minirocket" in planned.values.get("features", ()) and find_spec("aeon") is None


def last_steps(config: ReproduceConfig, study: Study, data_root: Path, runs_root: Path) -> tuple[list[str], list[str]]:
    """Commands of the picture of the windows that the first encoder is evaluated on, and of the report.

    The folder may hold several studies that share encoders: each has a picture and a report of its own.
    """
    name = config.study.stem
    first = next(iter(study.pretraining))
    encoder = checkpoint_of(runs_root, first)
    few_shot = [part for part in study.evaluations.values() if part.kind == "few_shot"]
    datasets = dict.fromkeys(study.datasets[p.dataset] for p in few_shot if p.of is None or first in p.of)
    picture = [sys.executable, "-m", "scripts.embedding_map", "--checkpoint", str(encoder)]
    picture += ["--data_root", str(data_root), "--datasets", *datasets, "--out", str(runs_root / f"embedding_{name}")]
    report = [sys.executable, "-m", "scripts.report", "--runs", str(runs_root), "--study", str(config.study)]
    report += ["--data_root", str(data_root), "--out", str(config.out / f"report_{name}"), "--title", study.title]
    return picture, report


def is_done(planned: PlannedRun, runs_root: Path) -> bool:
    """Whether the run's folder holds a result of these settings, and of the encoder that is there now.

    Raises:
        ConfigError: if a pretraining run is there with other settings: it may have cost days, so it is not overwritten.
    """
    folder = runs_root / planned.name
    asked = planned.settings
    if not (folder / "config.yaml").is_file():
        return False
    # What was measured may be of a later call than the folder's first config.yaml; training keeps to its first.
    finished = (folder / "results.json").is_file() and planned.command != "train"
    there = _results(folder)["config"] if finished else read_yaml(folder / "config.yaml")
    other = sorted(key for key in asked.keys() - PLACES if not alike(there.get(key), asked[key]))
    if other and planned.command == "train":
        key = other[0]
        raise ConfigError(
            f"{folder}: was trained with {key} {there.get(key)!r}, and the study asks for {asked[key]!r}"
            + (f" (and {len(other) - 1} more differ)" if len(other) > 1 else "")
            + ": remove the folder, or choose another --out"
        )
    if other or not (folder / "results.json").is_file():
        return False
    if not planned.needs:
        return True
    measured = _results(folder)["checkpoint"]["sha256"]
    encoder = checkpoint_of(runs_root, planned.needs[0])
    if not encoder.is_file():
        return False
    return sha256_of(encoder) == measured


def check_ranks(missing: list[PlannedRun], ranks: int) -> None:
    """Every batch must divide among the ranks.

    Raises:
        ConfigError: naming the run.
    """
    for planned in missing:
        if planned.command == "train":
            try:
                planned.config.batch_size_per_rank(ranks)
            except ValueError as error:
                raise ConfigError(f"{planned.name}: {error}") from error


def alike(there: Any, asked: Any) -> bool:
    """Equal settings; of a file elsewhere, results keep the name only."""
    if isinstance(there, str) and isinstance(asked, str):
        return PurePath(there).name == PurePath(asked).name
    return there == asked


def _results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def command_of(planned: PlannedRun, ranks: int) -> list[str]:
    """The command line of a run; pretraining resumes from its last checkpoint if there is one."""
    words = [*PROGRAMS[planned.command], "--config", str(planned.file), *flags(planned.values)]
    if planned.command != "train":
        return [sys.executable, *words]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"] if ranks > 1 else []
    return [sys.executable, *launcher, *words, "--resume", "auto"]


def flags(values: dict[str, Any]) -> list[str]:
    """A flag for every value."""
    words = []
    for key, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{key}" if value else f"--no-{key}")
        else:
            words += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    return words


def print_commands(steps: list[tuple[str, list[str]]], missing: list[PlannedRun], ranks: int) -> None:
    """One command a line, and a comment where those below need some above to have ended."""
    if steps:
        print("# datasets, one after the other")
    for _, words in steps:
        print(shlex.join(["python", *words[1:]]))
    for title, stage in (
        ("pretraining and what needs none, in any order", [planned for planned in missing if not planned.needs]),
        ("evaluation of the encoders, in any order", [planned for planned in missing if planned.needs]),
    ):
        if stage:
            print(f"# {title}")
        for planned in stage:
            print(shlex.join(["python", *command_of(planned, ranks)[1:]]))


def run_all(missing: list[PlannedRun], runs_root: Path, logs: Path, ranks: int) -> list[str]:
    """Run them in order; names of those that failed or could not be run."""
    failed: list[str] = []
    with progress(missing, total=len(missing), desc="study", unit="run") as bar:
        for planned in bar:
            bar.set_postfix_str(planned.name)
            if lost := [name for name in planned.needs if name in failed]:
                failed.append(planned.name)
                bar.write(f"{planned.name}: not run, {lost[0]} failed")
                continue
            begun = time.perf_counter()
            words, log = command_of(planned, ranks), logs / f"{planned.name}.log"
            if status := run(words, log) if planned.command == "train" else run_forked(words, log, LOADED):
                failed.append(planned.name)
                bar.write(f"{planned.name}: FAILED with status {status}:\n{end_of(log)}")
            else:
                bar.write(f"{planned.name}: done in {time.perf_counter() - begun:.0f} s")
    return failed


if __name__ == "__main__":
    main()
