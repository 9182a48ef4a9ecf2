"""Run a study: every pretraining and evaluation that is missing, one after the other, then the report.

    python -m scripts.reproduce --study configs/study/demo.yaml --out study_out

Each run is a command of its own, which could be given by hand; its output goes to logs/. What is done is skipped, what
was interrupted resumes from its last checkpoint, and what fails costs only the runs that need it. Where the study says
what its recordings are, ``--raw`` names their folder, and the datasets are prepared first.
"""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from configs.load import ConfigError, parse
from configs.reporting import ReproduceConfig
from configs.study import PlannedRun, Study, checkpoint_of, load_study, planned_runs
from scripts.studies.data import Step, data_steps, flags, run_steps, unprepared, without_recordings
from scripts.studies.done import is_done
from scripts.studies.left_out import in_words, left_out, never_held_out, on_those_there
from utils.commands import end_of, run, run_forked
from utils.progress_bar import progress

PROGRAMS = {
    "train": ["train.py"],
    "downstream": ["downstream.py"],
    "zeroshot": ["zeroshot.py"],
    "features": ["-m", "scripts.features"],
}
# What evaluations and the picture import, which takes longer than many of them compute; optimizers import the last
LOADED = ("scripts.features", "scripts.embedding_map", "downstream", "zeroshot", "torch._dynamo")


@dataclass(frozen=True)
class Plan:
    """What is to be done of a study.

    Attributes:
        study: with each pretraining on those of its datasets that are there.
        planned: all its runs.
        reasons: names of those that are left out, for want of data or of a package, each with the reason.
        missing: those to run, in order.
        notes: what is left out and why, a line each.
    """

    study: Study
    planned: list[PlannedRun]
    reasons: dict[str, str]
    missing: list[PlannedRun]
    notes: list[str]


def main(argv: list[str] | None = None) -> None:
    """Run the study; ends with status 1 if a preparation or a run failed."""
    config = parse(ReproduceConfig, argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    data_root, runs_root, logs = config.data_root or config.out / "data", config.out / "runs", config.out / "logs"
    try:
        study = load_study(config.study, data_root)
        steps = data_steps(study, config.out, data_root, config.raw)
        absent = without_recordings(study, data_root, config.raw)
        plan = make_plan(study, data_root, runs_root, absent, config.ranks)  # refused before hours of preparation
        if study.folds_unknown or not config.commands:
            check_datasets(study, data_root, {*absent, *(name.removeprefix("prepare_") for name, _ in steps)})
        if config.commands:
            print_commands(config, steps, plan, last_steps(config, plan, data_root, runs_root))
            return
        show(plan.notes)
        failed = run_steps(steps, logs)
        if steps:
            lost = [name for name in unprepared(study, data_root) if name in study.recordings]
            absent = {name: f"{name} could not be prepared" for name in lost} | absent
            check_datasets(study, data_root, set(absent))
            study, before = load_study(config.study, data_root), plan.notes
            plan = make_plan(study, data_root, runs_root, absent, config.ranks)
            show([line for line in plan.notes if line not in before])
    except ConfigError as error:
        sys.exit(f"{config.program}: {error}")
    done = len(plan.planned) - len(plan.missing) - len(plan.reasons)
    print(f"{study.title}: {len(plan.planned)} runs, {done} done before", flush=True)
    failed += run_all(plan.missing, runs_root, logs, config.ranks)
    *picture, report = last_steps(config, plan, data_root, runs_root)
    if picture and run_forked(picture[0], logs / f"embedding_{config.study.stem}.log", LOADED):
        failed.append(f"embedding_{config.study.stem}")
    status = subprocess.run(report).returncode
    if failed:
        sys.exit(f"{config.program}: {len(failed)} failed, see {logs}: {', '.join(failed)}")
    sys.exit(status)


def make_plan(study: Study, data_root: Path, runs_root: Path, absent: dict[str, str], ranks: int) -> Plan:
    """What is to be done of a study.

    Args:
        absent: name of a dataset that is not there -> a line that says so.

    Raises:
        ConfigError: if a setting is refused, a run is there with others, or all is left out.
    """
    there = on_those_there(study, absent)
    planned = planned_runs(there, data_root, runs_root)
    reasons = left_out(planned, data_root, absent)
    missing = [run for run in planned if run.name not in reasons and not is_done(run, runs_root)]
    reasons |= {run.name: "MiniRocket needs aeon: pip install aeon" for run in missing if lacks_package(run)}
    missing = [run for run in missing if run.name not in reasons]
    notes = [*never_held_out(study, data_root), *in_words(study, planned, reasons)]
    if len(reasons) == len(planned):
        raise ConfigError("\n".join([*notes, "nothing is left of the study: prepare its datasets, or mend --raw"]))
    check_ranks(missing, ranks)
    return Plan(there, planned, reasons, missing, notes)


def check_datasets(study: Study, data_root: Path, expected: set[str]) -> None:
    """Every dataset must be there, or among those expected.

    Raises:
        ConfigError: naming those that are not.
    """
    if absent := [name for name in unprepared(study, data_root) if name not in expected]:
        recordings = ", or the folder of its recordings with --raw" if study.recordings else ""
        raise ConfigError(
            f"no prepared dataset {', '.join(absent)} in {data_root}: make it with scripts.prepare, "
            f"or name its folder with --data_root{recordings}"
        )


def show(lines: Iterable[str]) -> None:
    """Print lines at once, also into a file."""
    for line in lines:
        print(line, flush=True)


def lacks_package(planned: PlannedRun) -> bool:
    """Whether a run needs a package, an extra, that is not installed."""
    return "minirocket" in planned.values.get("features", ()) and find_spec("aeon") is None


def last_steps(config: ReproduceConfig, plan: Plan, data_root: Path, runs_root: Path) -> list[list[str]]:
    """Commands of the picture of the windows that the first encoder is evaluated on, if any, and of the report.

    The folder may hold several studies that share encoders: each has a picture and a report of its own.
    """
    name = config.study.stem
    report = [sys.executable, "-m", "scripts.report", "--runs", str(runs_root), "--study", str(config.study)]
    report += ["--data_root", str(data_root), "--out", str(config.out / f"report_{name}"), "--title", plan.study.title]
    left = [run for run in plan.planned if run.name not in plan.reasons]
    first = next((run.name for run in left if run.command == "train"), None)
    parts = plan.study.evaluations
    of = {run.name: parts[run.evaluation] for run in left if run.evaluation}
    datasets = dict.fromkeys(
        plan.study.datasets[part.dataset]
        for part in of.values()
        if part.kind == "few_shot" and (part.of is None or first in part.of)
    )
    if first is None or not datasets:
        return [report]
    picture = [sys.executable, "-m", "scripts.embedding_map", "--checkpoint", str(checkpoint_of(runs_root, first))]
    picture += ["--data_root", str(data_root), "--datasets", *datasets, "--out", str(runs_root / f"embedding_{name}")]
    return [picture, report]


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


def command_of(planned: PlannedRun, ranks: int) -> list[str]:
    """The command line of a run; pretraining resumes from its last checkpoint if there is one."""
    words = [*PROGRAMS[planned.command], "--config", str(planned.file), *flags(planned.values)]
    if planned.command != "train":
        return [sys.executable, *words]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"] if ranks > 1 else []
    return [sys.executable, *launcher, *words, "--resume", "auto"]


def print_commands(config: ReproduceConfig, steps: list[Step], plan: Plan, last: list[list[str]]) -> None:
    """One command a line, and a comment where those below need some above to have ended."""
    parts = [("datasets, one after the other", [words for _, words in steps])]
    if plan.study.folds_unknown:
        parts += [("the folds are people of these: give this command again when they are prepared", [[]])]
    else:
        for needs, title in (
            (False, "pretraining and what needs none, in any order"),
            (True, "evaluation of the encoders, in any order"),
        ):
            parts += [(title, [command_of(run, config.ranks) for run in plan.missing if bool(run.needs) == needs])]
        parts += [("at the end", last)]
    show(f"# {line}" for line in plan.notes)
    for title, commands in parts:
        if commands:
            print(f"# {title}")
        for words in filter(None, commands):
            print(shlex.join(["python", *words[1:]]))


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
