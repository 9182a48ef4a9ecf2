"""One picture of the simulated world: for each activity a row of frames over its IMU trace."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from configs.constants import IMU_RATE_HZ, WINDOW_S
from datasets.activities import ACTIVITIES
from datasets.raw_files import film
from datasets.rooms import build_room
from datasets.simulated import POPULATIONS, draw_device, draw_person, simulate

FRAMES = 10
START_S = 2.0


def draw_preview(path: Path, seed: int, frame_size: int) -> None:
    """Five seconds of every activity, each by another person in another room."""
    population = POPULATIONS["ego4d"]
    figure, axes = plt.subplots(
        2 * len(ACTIVITIES), 1, figsize=(12, 2.6 * len(ACTIVITIES)), height_ratios=[1.25, 1] * len(ACTIVITIES)
    )
    for row, activity in enumerate(ACTIVITIES):
        rng = np.random.default_rng([seed, row])
        device, room = draw_device(population, rng), build_room(population.rooms, int(rng.integers(2**31)))
        duration_s = START_S + WINDOW_S + 0.2
        trajectory = simulate(room, draw_person(population, rng), device, ((activity, 0.0),), duration_s, rng)
        every = WINDOW_S / FRAMES
        pictures = film(room, device, trajectory, int(duration_s / every) + 1, 1 / every, frame_size)
        first = round(START_S / every)
        strip = np.concatenate(list(pictures[first : first + FRAMES]), axis=1)
        video, trace = axes[2 * row], axes[2 * row + 1]
        video.imshow(strip, extent=(0, WINDOW_S, 0, every), aspect="equal", interpolation="nearest")
        where = "chest" if device.chest else "head"
        video.set_title(f"{activity} (simulated, {where}-mounted)", fontsize=10, loc="left", pad=3)
        video.axis("off")
        time_s = START_S + np.arange(int(WINDOW_S * IMU_RATE_HZ)) / IMU_RATE_HZ
        acc, gyro = device.sensor.measure(trajectory, time_s, rng)
        rate = trace.twinx()
        for axis, colour in enumerate(("tab:red", "tab:green", "tab:blue")):
            name = "xyz"[axis]
            trace.plot(time_s - START_S, acc[:, axis], color=colour, lw=1.2, label=f"acc {name}")
            rate.plot(time_s - START_S, gyro[:, axis], color=colour, lw=0.8, ls=":", label=f"gyro {name}")
        trace.set(xlim=(0, WINDOW_S), ylim=(-25, 35), ylabel="m/s²")
        rate.set(ylim=(-6, 4), ylabel="rad/s (dotted)")
        if row == 0:
            trace.legend(loc="upper right", ncol=3, fontsize=7)
    axes[-1].set_xlabel("time, s")
    figure.tight_layout(h_pad=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=70)
    plt.close(figure)
