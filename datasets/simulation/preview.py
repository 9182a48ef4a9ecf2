"""One picture of the simulated world: for each activity a row of frames over its IMU trace."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from configs.constants import IMU_RATE_HZ, WINDOW_S
from datasets.simulation.activities import ACTIVITIES
from datasets.simulation.raw_files import film
from datasets.simulation.rooms import build_room
from datasets.simulation.world import POPULATIONS, draw_device, draw_person, simulate

FRAMES = 10
START_S = 2.0
COLUMNS = 2
COLOURS = ("tab:red", "tab:green", "tab:blue")


def draw_preview(path: Path, seed: int, frame_size: int) -> None:
    """Five seconds of every activity, each by another person, with another device, in another room.

    Under the frames stand specific force (m/s²) and angular rate (rad/s), sensor axes x red, y green, z blue.
    """
    rows = -(-len(ACTIVITIES) // COLUMNS)
    figure, axes = plt.subplots(
        3 * rows, COLUMNS, figsize=(16, 2.3 * rows), height_ratios=[1.6, 1, 1] * rows, squeeze=False
    )
    for axis in axes.ravel():
        axis.axis("off")
    for number, activity in enumerate(ACTIVITIES):
        row, column = divmod(number, COLUMNS)
        _draw_activity(axes[3 * row : 3 * row + 3, column], activity, np.random.default_rng([seed, number]), frame_size)
    figure.subplots_adjust(left=0.03, right=0.995, top=0.985, bottom=0.01, hspace=0.22, wspace=0.07)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _draw_activity(axes: np.ndarray, activity: str, rng: np.random.Generator, frame_size: int) -> None:
    population = POPULATIONS["ego4d"]
    room, device = build_room(population.rooms, int(rng.integers(2**31))), draw_device(population, rng)
    duration_s = START_S + WINDOW_S + 0.2
    trajectory = simulate(room, draw_person(population, rng), device, ((activity, 0.0),), duration_s, rng)
    rate_hz = FRAMES / WINDOW_S
    first = round(START_S * rate_hz)
    pictures = film(room, device, trajectory, first + FRAMES, rate_hz, frame_size)[first:]
    time_s = np.arange(int(WINDOW_S * IMU_RATE_HZ)) / IMU_RATE_HZ
    acc, gyro = device.sensor.measure(trajectory, START_S + time_s, rng)

    axes[0].imshow(np.concatenate(list(pictures), axis=1), aspect="auto", interpolation="nearest")
    where = "chest" if device.chest else "head"
    axes[0].set_title(f"{activity} (simulated, {where}-mounted)", fontsize=10, loc="left", pad=3)
    for axis, values, limits in ((axes[1], acc, (-20, 30)), (axes[2], gyro, (-4, 4))):
        axis.axis("on")
        for channel, colour in enumerate(COLOURS):
            axis.plot(time_s, values[:, channel], color=colour, lw=1)
        axis.set(xlim=(0, WINDOW_S), ylim=limits, xticks=[])
        axis.tick_params(labelsize=7)
        axis.grid(axis="y", lw=0.3)
