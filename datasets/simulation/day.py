"""A simulated day of one wearer, as one plain table for ``scripts.predict``, and a table of what the wearer did.

The phone lies on a table at night. By day it is in the front trouser pocket of somebody who sits most of the time and
gets up every few minutes, and who is on foot for longer three times a day.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from configs.constants import STANDARD_GRAVITY
from datasets.simulation.pocket import Segment, draw_phone, draw_wearer, thigh
from datasets.simulation.trajectory import SensorModel
from utils.atomic_io import replacing
from utils.progress_bar import progress

RATE_HZ = 25
START_S = 1714521600  # 2024-05-01T00:00:00Z
BLOCK_S = 300.0
WORN = (7 / 24, 22 / 24)  # fractions of the recording between which the device is worn
ON_FOOT = ((8 / 24, 9 / 24), (12 / 24, 13 / 24), (17 / 24, 18.5 / 24))
SEAT = (60, 85)  # degrees of flexion on a chair


def write_day(path: Path, labels: Path, hours: float, seed: int) -> None:
    """Write a gzipped CSV: time (seconds since 1970), ax, ay, az (m/s²), gx, gy, gz (rad/s); and the truth about it.

    Args:
        labels: CSV to write: start, end (ISO 8601, UTC), activity.
        hours: length of the recording.
    """
    rng = np.random.default_rng([seed, 0])
    wearer, phone = draw_wearer(rng), draw_phone(rng)
    blocks = max(1, round(hours * 3600 / BLOCK_S))
    seats = np.radians(rng.uniform(*SEAT, blocks + 1))
    time_s = np.arange(round(BLOCK_S * RATE_HZ)) / RATE_HZ
    truth: list[Segment] = []
    with replacing(path) as unfinished, gzip.open(unfinished, "wt", compresslevel=4, encoding="ascii") as file:
        file.write("time,ax,ay,az,gx,gy,gz\n")
        for number in progress(range(blocks), total=blocks, desc="simulate a day", unit="block"):
            rng, at, begin_s = np.random.default_rng([seed, 1, number]), number / blocks, number * BLOCK_S
            if WORN[0] <= at < WORN[1]:
                script = draw_script(rng, any(first <= at < last for first, last in ON_FOOT))
                moved = thigh(script, wearer, (seats[number], seats[number + 1]), rng)
                values = np.concatenate(phone.measure(moved, time_s, rng), axis=1)
            else:
                script = [Segment("nonwear", 0.0, BLOCK_S)]
                values = resting(phone, time_s, rng)
            truth += [Segment(s.activity, begin_s + s.start, begin_s + s.end) for s in script]
            rows = np.column_stack([START_S + begin_s + time_s, values])
            np.savetxt(file, rows, fmt=["%.2f"] + ["%.3f"] * 6, delimiter=",")
    write_labels(labels, truth)


def write_labels(path: Path, truth: Iterable[Segment]) -> None:
    """Write start, end, activity; a row for each stretch, also where it goes on from one block to the next."""
    rows: list[list] = []
    for segment in truth:
        if rows and rows[-1][2] == segment.activity:
            rows[-1][1] = segment.end
        else:
            rows.append([segment.start, segment.end, segment.activity])
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["start", "end", "activity"])
        writer.writerows([_iso(start), _iso(end), activity] for start, end, activity in rows)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(START_S + round(seconds, 2), UTC).isoformat(timespec="milliseconds")


def draw_script(rng: np.random.Generator, on_foot: bool) -> list[Segment]:
    """A wearer who sits, is up for half a minute to a minute and a half (``on_foot``: four minutes), and sits again."""
    script = [Segment("seated", 0.0, round(rng.uniform(10, 25) if on_foot else rng.uniform(60, 180), 2))]
    until = script[0].end + (rng.uniform(220, 250) if on_foot else rng.uniform(30, 90))
    for name, length, angle in _up(rng, until - script[0].end):
        begin = script[-1].end
        script.append(Segment(name, begin, round(begin + length, 2), angle))
    if script[-1].end >= BLOCK_S:  # seldom: the last walk was too long
        return draw_script(rng, on_foot)
    return [*script, Segment("seated", script[-1].end, BLOCK_S)]


def _up(rng: np.random.Generator, length_s: float) -> Iterator[tuple[str, float, float]]:
    """Activities from standing up to sitting down, their lengths in s, and the angles in rad of turns."""
    yield "standing_up", rng.uniform(1.1, 1.6), 0.0
    yield "standing", rng.uniform(2, 8), 0.0
    while length_s > 0:
        walk = rng.uniform(6, 20)
        yield "walking", walk, 0.0
        angle = rng.uniform(90, 180)
        turn = angle / rng.uniform(95, 150)
        yield "turning", turn, np.radians(angle) * rng.choice([-1.0, 1.0])
        pause = rng.uniform(3, 15) if rng.uniform() < 0.2 else 0.0
        if pause:
            yield "standing", pause, 0.0
        length_s -= walk + turn + pause
    yield "sitting_down", rng.uniform(1.2, 2.0), 0.0


def resting(sensor: SensorModel, time_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 6) of a phone that lies on its back."""
    acc = np.array([0, 0, STANDARD_GRAVITY]) + sensor.acc_bias
    values = np.tile(np.concatenate([acc, sensor.gyro_bias]), (len(time_s), 1))
    noise = np.repeat([sensor.acc_noise, sensor.gyro_noise], 3)
    return values + noise * rng.standard_normal(values.shape)
