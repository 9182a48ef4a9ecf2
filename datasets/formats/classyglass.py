"""ClassyGlass: a MetaWear sensor on the right temple of a pair of glasses (https://github.com/MU-Smart/ClassyGlass).

    Dataset_1A/User1/1_MetaWear_..._Accelerometer_100.000Hz_1.4.5.csv   epoch (ms), ..., x-axis (g), y-axis (g), ...
    Dataset_1A/User1/1_MetaWear_..._Gyroscope_100.000Hz_1.4.5.csv       epoch (ms), ..., x-axis (deg/s), ...
    labels.csv                                                optional: file, dataset, user, experiment, label, sensor

Files may be gzipped, and may lie deeper, as in the repository. Where there is no ``labels.csv``, the activity follows
from the experiment's number. An experiment that was restarted has several files of a sensor: each
start is a recording, if both sensors have it.

The two sensors start at different times; their stamps are of one clock, and 0 is where both have begun. The unit
stands in the column's name (the dataset's README says m/s², the files hold g). Axes are the sensor's own, which sits
differently on different people: gravity is on +y, or on +x or -x. User1 of one dataset is not User1 of another, and
the datasets have different classes.

A name begins with the number of the experiment, and numbers go on from person to person: each does the activities of
the dataset in the same order. So the activity is (number - number of the first) modulo the count of activities.
Dataset_1B begins with experiment 133. Counted from 1, as the repository's own script counts, its first person would
"run" in experiment 145, where the acceleration varies by 0.09 g (standard deviation), and "stand up from sitting" in
142, where it varies by 0.82 g, the most of all fifteen.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from configs.constants import STANDARD_GRAVITY
from datasets.formats.common import id_from, need_folder
from datasets.formats.delimited import read_numbers
from datasets.recording import Found, Recording, Rejection, Source

OPTIONS = ("subset",)
_TIME = "epoch (ms)"
_SENSORS = {"acc": ("g", STANDARD_GRAVITY), "gyro": ("deg/s", np.pi / 180)}  # unit in the file, factor to SI
_ELEVEN = (
    "reading", "writing", "typing", "browsing", "sit_move_head_body", "sit_move_chair", "stand_up_from_sitting",
    "standing", "walking", "running", "stairs",
)  # fmt: skip
_FIFTEEN = (
    *_ELEVEN, "wear_remove_sitting", "wear_remove_standing", "pick_up_floor_sitting", "pick_up_floor_standing"
)  # fmt: skip
_SIX = ("reading", "computer", "stand_up_from_sitting", "walking", "pick_up_floor_standing", "tug")
ACTIVITIES = {"Dataset_1A": (1, _ELEVEN), "Dataset_1B": (133, _FIFTEEN), "Dataset_2": (1, _SIX)}  # first experiment

_COLUMNS = ("file", "dataset", "user", "experiment", "label", "sensor")
_IN_NAMES = {"Accelerometer": "acc", "Gyroscope": "gyro"}  # sensors in names of files
_NAME = re.compile(r"(?P<experiment>\d+)_(?P<start>.+)_(?P<sensor>Accelerometer|Gyroscope)_.*\.csv(\.gz)?")
_NO_UTF8 = "\ufffd"  # what stands for a byte that is no UTF-8


@dataclass(frozen=True)
class SensorFile:
    """One file of one sensor.

    Attributes:
        start: device and time at which recording began; both sensors of a recording have the same. Empty if the
            file's name does not say it.
        sensor: ``acc`` or ``gyro``.
    """

    path: Path
    dataset: str
    user: str
    experiment: str
    start: str
    label: str
    sensor: str


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
    return Found(tuple(sources), tuple(rejected), tuple(sorted(labels)), {"licence": "CC-BY-4.0"})


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


def activity(dataset: str, experiment: int) -> str:
    """What was done in an experiment of a published dataset."""
    first, names = ACTIVITIES[dataset]
    return names[(experiment - first) % len(names)]


def read_labels(raw: Path, table: Path) -> tuple[list[SensorFile], list[Rejection]]:
    """Files that ``labels.csv`` lists; a line that cannot be read costs itself.

    Raises:
        ValueError: if it lacks a column.
    """
    lines = table.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    header = _fields(lines[0]) if lines else []
    if absent := [name for name in _COLUMNS if header.count(name) != 1]:
        raise ValueError(
            f"{table}: has not exactly one column {', '.join(absent)}; its columns are {', '.join(header)}"
        )
    files, rejected = [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        row = dict(zip(header, fields := _fields(line), strict=False))
        if len(fields) != len(header) or not all(row[name] for name in _COLUMNS) or _NO_UTF8 in line:
            problem = f"{table}: line {number} is {line!r:.200}, want {', '.join(_COLUMNS)}, none of them empty"
        elif (place := PurePosixPath(row["file"])).is_absolute() or ".." in place.parts:
            problem = f"{table}: line {number} names {place}, which lies outside the folder"
        else:
            files += _listed(raw, row)
            continue
        rejected.append(Rejection(f"{table.stem}-line{number}", "bad_list_row", problem))
    return list(dict.fromkeys(files)), rejected


def _fields(line: str) -> list[str]:
    """Of one line, so that a stray quote does not swallow those below it."""
    try:
        return [field.strip() for field in next(csv.reader([line]))]
    except csv.Error:
        return []


def _listed(raw: Path, row: dict[str, str]) -> list[SensorFile]:
    """The file of a row; none if it is of another sensor, such as the magnetometer."""
    if row["sensor"] not in _IN_NAMES.values():
        return []
    name = _NAME.fullmatch(PurePosixPath(row["file"]).name)
    number = row["experiment"]
    return [
        SensorFile(
            raw / row["file"],
            row["dataset"],
            row["user"],
            str(int(number)) if number.isdecimal() else number,
            name["start"] if name else "",
            row["label"],
            row["sensor"],
        )
    ]


def read_names(raw: Path) -> tuple[list[SensorFile], list[Rejection]]:
    """Files of the published layout, ``Dataset_*/**/User*/<experiment>_<device>_<time>_...csv``, gzipped or not."""
    files, rejected = [], []
    for path in sorted(raw.rglob("*.csv*")):
        if not path.name.endswith((".csv", ".csv.gz")) or not any(sensor in path.name for sensor in _IN_NAMES):
            continue
        place = path.relative_to(raw)
        datasets = [part for part in place.parts[:-1] if part in ACTIVITIES]
        users = [part for part in place.parts[:-1] if re.fullmatch(r"User\d+", part)]
        name = _NAME.fullmatch(path.name)
        if len(datasets) != 1 or len(users) != 1:
            problem = f"{path}: lies not in one folder each of {', '.join(ACTIVITIES)} and User<number>"
            rejected.append(Rejection(id_from(*place.parts), "unexpected_place", problem))
        elif name is None:
            problem = f"{path}: want <experiment>_<device>_<time>_<sensor>_...csv"
            rejected.append(Rejection(id_from(*place.parts), "unexpected_name", problem))
        else:
            (dataset,), (user,), number = datasets, users, int(name["experiment"])
            label, sensor = activity(dataset, number), _IN_NAMES[name["sensor"]]
            files.append(SensorFile(path, dataset, user, str(number), name["start"], label, sensor))
    return files, rejected


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
