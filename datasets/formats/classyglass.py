"""ClassyGlass: a MetaWear sensor on the right temple of a pair of glasses (https://github.com/MU-Smart/ClassyGlass).

    labels.csv                                                file, dataset, user, experiment, label, sensor
    Dataset_1A/User1/1_..._Accelerometer_100.000Hz_1.4.5.csv.gz   epoch (ms), ..., x-axis (g), y-axis (g), z-axis (g)
    Dataset_1A/User1/1_..._Gyroscope_100.000Hz_1.4.5.csv.gz       epoch (ms), ..., x-axis (deg/s), ...

The two sensors start at different times; their stamps are of one clock, and 0 is where both have begun. The unit
stands in the column's name (the dataset's README says m/s², the files hold g). Axes are the sensor's own, which sits
differently on different people: gravity is on +y, or on +x or -x. User1 of one dataset is not User1 of
another, and the datasets have different classes.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.constants import STANDARD_GRAVITY
from datasets.formats.delimited import read_numbers
from datasets.formats.listing import id_from, need_file, need_folder
from datasets.recording import Found, Recording, Rejection, Source

OPTIONS = ("subset",)
_TIME = "epoch (ms)"
_SENSORS = {"acc": ("g", STANDARD_GRAVITY), "gyro": ("deg/s", np.pi / 180)}  # unit in the file, factor to SI


def find(raw: Path, subset: Sequence[str] | None) -> Found:
    """Pair accelerometer and gyroscope files by ``labels.csv``.

    Args:
        subset: datasets to take, such as ``Dataset_1A``; None takes all.

    Raises:
        FileNotFoundError: if the folder or ``labels.csv`` is missing.
        ValueError: if ``subset`` names a dataset that is not there, or the table lacks a column.
    """
    need_folder(raw, "give the folder with labels.csv and Dataset_* as --raw")
    path = need_file(raw / "labels.csv", "it says which activity each file holds")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if absent := {"file", "dataset", "user", "experiment", "label", "sensor"} - set(table.columns):
        raise ValueError(f"{path}: has no column {', '.join(sorted(absent))}")
    datasets = sorted(set(table["dataset"]))
    if strange := sorted(set(subset or ()) - set(datasets)):
        raise ValueError(f"subset {', '.join(strange)} is not in {path}: it has {', '.join(datasets)}")
    table = table[table["dataset"].isin(subset or datasets)]
    sources, rejected = [], []
    for (dataset, user, experiment), rows in table.groupby(["dataset", "user", "experiment"]):
        recording_id = id_from(dataset, user, experiment.zfill(3))
        files = {sensor: raw / file for sensor, file in zip(rows["sensor"], rows["file"], strict=True)}
        absent = [sensor for sensor in _SENSORS if sensor not in files or not files[sensor].is_file()]
        if absent:
            detail = (
                f"{dataset} {user} experiment {experiment}: no {' and no '.join(absent)} file; all channels are needed"
            )
            rejected.append(Rejection(recording_id, f"missing_{absent[0]}", detail))
            continue
        if len(rows) != len(_SENSORS) or rows["label"].nunique() != 1:
            raise ValueError(
                f"{path}: {dataset} {user} experiment {experiment} must have one acc and one gyro row, one label"
            )
        names = {
            "subject": f"{dataset}-{user}",
            "session": f"{dataset}_{user}_{experiment}",
            "label": rows["label"].iloc[0],
        }
        job = partial(parse, recording_id, files["acc"], files["gyro"], names)
        sources.append(Source(recording_id, (files["acc"], files["gyro"]), job))
    return Found(tuple(sources), tuple(rejected), tuple(sorted(set(table["label"]))))


def parse(recording_id: str, acc_file: Path, gyro_file: Path, names: dict[str, str]) -> Recording:
    """Read both sensors.

    Raises:
        BadRecording: if a file cannot be used.
    """
    (acc_time, acc, acc_cut), (gyro_time, gyro, gyro_cut) = _sensor(acc_file, "acc"), _sensor(gyro_file, "gyro")
    begin = max(np.nanmin(acc_time), np.nanmin(gyro_time))
    notes = {"cut_off_rows": acc_cut + gyro_cut} if acc_cut + gyro_cut else {}
    return Recording(recording_id, acc_time - begin, acc, gyro_time - begin, gyro, notes=notes, **names)


def _sensor(path: Path, sensor: str) -> tuple[np.ndarray, np.ndarray, int]:
    """(N,) seconds since 1970, (N, 3) SI values, cut-off rows."""
    unit, factor = _SENSORS[sensor]
    columns = [f"{axis}-axis ({unit})" for axis in "xyz"]
    table, cut = read_numbers(path, [_TIME, *columns])
    return table[_TIME].to_numpy() / 1000, table[columns].to_numpy() * factor, cut
