"""Write simulated raw recordings: ``python -m scripts.simulate --out raw``.

The embedded default of the software: Ego4D, UESTC-MMEA-CL and PD as raw files, from a world in which one trajectory
makes both IMU and video (``world``).
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from joblib import Parallel, delayed

from configs.data import SimulateConfig
from configs.load import parse
from datasets.simulation.day import write_day
from datasets.simulation.raw_files import EGO4D_RATE_HZ, WRITERS
from datasets.simulation.recording_plans import Take, plan_ego4d, plan_mmea, plan_pd
from utils.progress_bar import progress

NOTE = "SIMULATED.txt"


def main(argv: list[str] | None = None) -> None:
    cfg = parse(SimulateConfig, argv)
    shared = {"seed": cfg.seed, "frame_size": cfg.frame_size}
    ego4d = {"ego4d_hours": cfg.ego4d_hours, "ego4d_fps": EGO4D_RATE_HZ, **shared}
    mmea = {"mmea_windows_per_class": cfg.mmea_windows_per_class, **shared}
    pd = {"pd_windows_per_class": cfg.pd_windows_per_class, "seed": cfg.seed}
    plans = {
        "ego4d": (plan_ego4d(cfg.ego4d_hours, cfg.seed), note(ego4d)),
        "mmea": (plan_mmea(cfg.mmea_windows_per_class, cfg.seed), note(mmea)),
        "pd": (plan_pd(cfg.pd_windows_per_class, cfg.seed), note(pd)),
    }
    todo = [name for name, (plan, content) in plans.items() if plan and not already_there(cfg.out / name, content)]
    for name in todo:
        write_dataset(cfg.out / name, *plans[name], cfg)
    of_day = note({"day_hours": cfg.day_hours, "seed": cfg.seed, "worn": "trouser pocket"})
    if cfg.day_hours and not already_there(cfg.out / "day", of_day):
        with whole(cfg.out / "day", of_day) as folder:
            write_day(folder / "day.csv.gz", folder / "day-labels.csv", cfg.day_hours, cfg.seed)
    print(f"simulated raw recordings: {cfg.out}")


def note(settings: dict) -> str:
    """Content of the note in a dataset's folder: the settings that its files follow from."""
    return "Simulated recordings, not measurements of people.\n" + json.dumps(settings, sort_keys=True) + "\n"


def already_there(folder: Path, content: str) -> bool:
    """Whether the folder holds just this dataset.

    Raises:
        SystemExit: if it holds something else, which is never overwritten.
    """
    if not folder.exists():
        return False
    if (folder / NOTE).is_file() and (folder / NOTE).read_text() == content:
        print(f"{folder}: already there, made with the same settings")
        return True
    sys.exit(f"{folder}: exists and was not made with these settings; remove it or choose another --out")


@contextmanager
def whole(folder: Path, content: str) -> Iterator[Path]:
    """A folder to write to, which gets its note and its name only when it is complete."""
    partial_folder = folder.with_name(folder.name + ".partial")
    if partial_folder.exists():
        shutil.rmtree(partial_folder)  # of a run that was stopped
    yield partial_folder
    (partial_folder / NOTE).write_text(content)
    partial_folder.rename(folder)


def write_dataset(folder: Path, plan: list[Take], content: str, cfg: SimulateConfig) -> None:
    """Write all takes in parallel."""
    write, finish = WRITERS[plan[0].population]
    # longest first, so that no worker is left alone with a long one at the end
    order = sorted(plan, key=lambda take: -take.duration_s)
    with whole(folder, content) as unfinished:
        jobs = (delayed(write)(unfinished, take, cfg.seed, cfg.frame_size) for take in order)
        results = Parallel(n_jobs=cfg.num_workers or os.cpu_count() or 1, return_as="generator_unordered")(jobs)
        entries = list(progress(results, total=len(plan), desc=f"simulate {folder.name}", unit="recording"))
        finish(unfinished, entries, cfg.seed)


if __name__ == "__main__":
    main()
