"""A simulated day of one wearer, as one plain table without labels: what ``scripts.predict`` is given in daily life.

The device lies on a table at night. Otherwise its wearer sits most of the time, and stands, walks, turns and bends.
"""

import gzip
from pathlib import Path

import numpy as np

from configs.constants import STANDARD_GRAVITY
from datasets.simulation.recording_plans import Take, perform, take_rng
from datasets.simulation.trajectory import SensorModel
from datasets.simulation.world import POPULATIONS, Script, draw_device
from utils.atomic_io import replacing
from utils.progress_bar import progress

RATE_HZ = 25
START_S = 1714521600  # 2024-05-01T00:00:00Z
BLOCK_S = 300.0
NIGHT = (7 / 24, 23 / 24)  # fractions of the recording between which the device is worn
_BETWEEN = ("standing", "walking", "turning", "walking", "bending")
_DAY = 5  # stream of random numbers, beside those of recording_plans


def write_day(path: Path, hours: float, seed: int) -> None:
    """Write a gzipped CSV: time (seconds since 1970), ax, ay, az (m/s²), gx, gy, gz (rad/s).

    Args:
        hours: length of the recording.
    """
    device = draw_device(POPULATIONS["pd"], take_rng(seed, "pd", _DAY))
    blocks = max(1, round(hours * 3600 / BLOCK_S))
    with replacing(path) as unfinished, gzip.open(unfinished, "wt", compresslevel=4, encoding="ascii") as file:
        file.write("time,ax,ay,az,gx,gy,gz\n")
        for number in progress(range(blocks), total=blocks, desc="simulate a day", unit="block"):
            time_s = np.arange(round(BLOCK_S * RATE_HZ)) / RATE_HZ
            rng = take_rng(seed, "pd", _DAY, number + 1)
            worn = NIGHT[0] <= number / blocks < NIGHT[1]
            values = (
                worn_block(number, seed, device.sensor, time_s, rng) if worn else resting(device.sensor, time_s, rng)
            )
            rows = np.column_stack([START_S + number * BLOCK_S + time_s, values])
            np.savetxt(file, rows, fmt=["%.2f"] + ["%.3f"] * 6, delimiter=",")


def worn_block(number: int, seed: int, sensor: SensorModel, time_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 6) of a wearer who sits, gets up for a while, and sits again."""
    take = Take("pd", 10_000 + number, 0, 0, 0, _script(rng), BLOCK_S, "")
    _, _, trajectory, noise = perform(take, seed)
    return np.concatenate(sensor.measure(trajectory, time_s, noise), axis=1)


def _script(rng: np.random.Generator) -> Script:
    script, now = [("sitting", 0.0)], rng.uniform(60, 200)
    for name in rng.permutation(_BETWEEN):
        script.append((str(name), round(now, 2)))
        now += rng.uniform(6, 18)
    return (*script, ("sitting", round(now, 2)))


def resting(sensor: SensorModel, time_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 6) of a device that lies on its back."""
    acc = np.array([STANDARD_GRAVITY, 0, 0]) @ sensor.rotation.T + sensor.acc_bias
    values = np.tile(np.concatenate([acc, sensor.gyro_bias]), (len(time_s), 1))
    noise = np.repeat([sensor.acc_noise, sensor.gyro_noise], 3)
    return values + noise * rng.standard_normal(values.shape)
