"""ClassyGlass: a MetaWear sensor on the right temple of a pair of glasses (https://github.com/MU-Smart/ClassyGlass).

    Dataset_1A/User1/1_MetaWear_..._Accelerometer_100.000Hz_1.4.5.csv   epoch (ms), ..., x-axis (g), y-axis (g), ...
    Dataset_1A/User1/1_MetaWear_..._Gyroscope_100.000Hz_1.4.5.csv       epoch (ms), ..., x-axis (deg/s), ...
    labels.csv                                                optional: file, dataset, user, experiment, label, sensor

Files may be gzipped, and may lie deeper, as in the repository. Where there is no ``labels.csv``, the activity follows
from the experiment's number (``classyglass_files``). An experiment that was restarted has several files of a sensor:
each start is a recording, if both sensors have it.

The two sensors start at different times; their stamps are of one clock, and 0 is where both have begun. The unit
stands in the column's name (the dataset's README says m/s², the files hold g). Axes are the sensor's own, which sits
differently on different people: gravity is on +y, or on +x or -x. User1 of one dataset is not User1 of
another, and the datasets have different classes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from configs.constants import STANDARD_GRAVITY
from datasets.formats.classyglass_files import SensorFile, read_labels, read_names
from datasets.formats.common import id_from, need_folder
from datasets.formats.delimited import read_numbers
from datasets.recording import Found, Recording, Rejection, Source

OPTIONS = ("subset",)
_TIME = "epoch (ms)"
_SENSORS = {"acc": ("g", STANDARD_GRAVITY), "gyro": ("deg/s", np.pi / 180)}  # unit in the file, factor to SI


def find(raw: Path, subset: Sequence[str] | None) -> Found:
    """Pair accelerometer and gyroscope files.

    Args:
        subset: datasets to take, such as ``Dataset_1A``; None takes all.

    Raises:
        FileNotFoundError: if the folder is missing, or holds neither ``labels.csv`` nor files as published.
        ValueError: if ``subset`` names a dataset that is not there, or ``labels.csv`` lacks a column.
    """
    need_folder(raw, "give the folder with Dataset_* as --raw")
    table = raw / "labels.csv"
    files, rejected = read_labels(raw, table) if table.is_file() else read_names(raw)
    if not files and not rejected:
        raise FileNotFoundError(
            f"{raw} holds neither labels.csv nor files such as Dataset_1A/User1/1_MetaWear_..._Accelerometer_....csv: "
            "give the folder with Dataset_* as --raw"
        )
    datasets = sorted({file.dataset for file in files})
    if strange := sorted(set(subset or ()) - set(datasets)):
        raise ValueError(f"subset {', '.join(strange)} is not in {raw}: it has {', '.join(datasets)}")
    experiments: dict[tuple[str, str, str], list[SensorFile]] = defaultdict(list)
    for file in files:
        if file.dataset in (subset or datasets):
            experiments[file.dataset, file.user, file.experiment].append(file)
    sources = []
    for (dataset, user, experiment), of_both in sorted(experiments.items()):
        base = id_from(dataset, user, experiment.zfill(3))
        for number, recording in enumerate(_starts(of_both), start=1):
            recording_id = base if number == 1 else f"{base}-{number}"
            if problem := _problem(recording):
                where = f"{dataset} {user} experiment {experiment}"
                rejected.append(Rejection(recording_id, problem[0], f"{where}: {problem[1]}"))
                continue
            acc, gyro = (next(f.path for f in recording if f.sensor == sensor) for sensor in _SENSORS)
            names = {
                "subject": f"{dataset}-{user}",
                "session": f"{dataset}_{user}_{experiment}",
                "label": recording[0].label,
            }
            sources.append(Source(recording_id, (acc, gyro), partial(parse, recording_id, acc, gyro, names)))
    labels = {file.label for of_both in experiments.values() for file in of_both}
    return Found(tuple(sources), tuple(rejected), tuple(sorted(labels)))


def _starts(files: list[SensorFile]) -> Iterator[list[SensorFile]]:
    """Files of an experiment by the time at which they begin; one pair belongs together whatever its names say."""
    if sorted(file.sensor for file in files) == sorted(_SENSORS):
        yield files
        return
    by_start: dict[str, list[SensorFile]] = defaultdict(list)
    for file in files:
        by_start[file.start].append(file)
    for start in sorted(by_start):
        yield by_start[start]


def _problem(recording: list[SensorFile]) -> tuple[str, str] | None:
    """Why these files are no recording: reason and what was found."""
    there = {sensor: [f for f in recording if f.sensor == sensor and f.path.is_file()] for sensor in _SENSORS}
    if absent := [sensor for sensor, files in there.items() if not files]:
        return f"missing_{absent[0]}", f"no {' and no '.join(absent)} file; all channels are needed"
    for sensor, files in there.items():
        if len(files) > 1:
            names = ", ".join(file.path.name for file in files)
            return "several_files", f"{len(files)} {sensor} files that begin together, {names}; keep one"
    if len(labels := {file.label for file in recording}) > 1:
        return "label_conflict", f"labels.csv says {' and '.join(sorted(labels))}; keep one"
    return None


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
