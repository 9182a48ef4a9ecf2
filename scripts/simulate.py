"""Write simulated raw recordings: ``python -m scripts.simulate --out raw``.

The embedded default of the software: Ego4D, UESTC-MMEA-CL and PD as raw files, from a world in which one trajectory
makes both IMU and video (``world``). ``--preview world.png`` draws the activities and writes nothing else.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from joblib import Parallel, delayed

from configs.data import SimulateConfig
from configs.load import parse
from datasets.simulation import raw_files, recording_plans
from datasets.simulation.recording_plans import Take
from utils.progress_bar import progress

NOTE = "SIMULATED.txt"


def main(argv: list[str] | None = None) -> None:
    cfg = parse(SimulateConfig, argv)
    if cfg.preview is not None:
        from datasets.simulation.preview import draw_preview  # matplotlib, only where it is needed

        draw_preview(cfg.preview, cfg.seed, cfg.frame_size)
        print(f"simulated activities: {cfg.preview}")
        return
    todo = [
        (name, settings, plan, write, finish)
        for name, settings, plan, write, finish in build_datasets(cfg)
        if plan and not already_there(cfg.out / name, settings)
    ]
    for name, settings, plan, write, finish in todo:
        write_dataset(cfg.out / name, settings, plan, write, finish, cfg.num_workers or os.cpu_count() or 1)
    print(f"simulated raw recordings: {cfg.out}")


def build_datasets(cfg: SimulateConfig) -> list[tuple[str, dict, list[Take], Callable, Callable]]:
    """Name, settings, takes, writer of a take and writer of what remains, for each dataset."""
    size = {"seed": cfg.seed, "frame_size": cfg.frame_size}
    ego4d = {"ego4d_hours": cfg.ego4d_hours, "ego4d_fps": cfg.ego4d_fps, **size}
    mmea = {"mmea_windows_per_class": cfg.mmea_windows_per_class, **size}
    pd = {"pd_windows_per_class": cfg.pd_windows_per_class, "seed": cfg.seed}
    return [
        (
            "ego4d",
            ego4d,
            recording_plans.plan_ego4d(cfg.ego4d_hours, cfg.seed) if cfg.ego4d_hours else [],
            partial(raw_files.write_ego4d, seed=cfg.seed, frame_size=cfg.frame_size, fps=cfg.ego4d_fps),
            raw_files.finish_ego4d,
        ),
        (
            "mmea",
            mmea,
            recording_plans.plan_mmea(cfg.mmea_windows_per_class, cfg.seed),
            partial(raw_files.write_mmea, seed=cfg.seed, frame_size=cfg.frame_size),
            partial(raw_files.finish_mmea, seed=cfg.seed),
        ),
        (
            "pd",
            pd,
            recording_plans.plan_pd(cfg.pd_windows_per_class, cfg.seed),
            partial(raw_files.write_pd, seed=cfg.seed),
            lambda folder, entries: None,
        ),
    ]


def already_there(folder: Path, settings: dict) -> bool:
    """Whether the folder holds just this dataset.

    Raises:
        SystemExit: if it holds something else, which is never overwritten.
    """
    if not folder.exists():
        return False
    note = folder / NOTE
    if note.is_file() and note.read_text() == _note(settings):
        print(f"{folder}: already there, made with the same settings")
        return True
    sys.exit(f"{folder}: exists and was not made with these settings; remove it or choose another --out")


def _note(settings: dict) -> str:
    return "Simulated recordings, not measurements of people.\n" + json.dumps(settings, sort_keys=True) + "\n"


def write_dataset(
    folder: Path, settings: dict, plan: list[Take], write: Callable, finish: Callable, workers: int
) -> None:
    """Write all takes in parallel into a folder that gets its name only when it is complete."""
    partial_folder = folder.with_name(folder.name + ".partial")
    if partial_folder.exists():
        shutil.rmtree(partial_folder)  # of a run that was stopped
    stem_folders = {str(Path(take.stem).parent) for take in plan}
    roots = {"ego4d": ["v2/full_scale", "v2/imu"], "mmea": ["video", "sensor"], "pd": [""]}[plan[0].population]
    for root in roots:
        for stem_folder in stem_folders:
            (partial_folder / root / stem_folder).mkdir(parents=True, exist_ok=True)
    # longest first, so that no worker is left alone with a long one at the end
    jobs = (delayed(write)(partial_folder, take) for take in sorted(plan, key=lambda take: -take.duration_s))
    results = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
    entries = list(progress(results, total=len(plan), desc=f"simulate {folder.name}", unit="recording"))
    finish(partial_folder, entries)
    (partial_folder / NOTE).write_text(_note(settings))
    partial_folder.rename(folder)


if __name__ == "__main__":
    main()
