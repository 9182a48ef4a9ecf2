"""Which files ClassyGlass has, and what each holds: by ``labels.csv``, or as published, by their names.

A name begins with the number of the experiment, and numbers go on from person to person: each does the activities of
the dataset in the same order. So the activity is (number - number of the first) modulo the count of activities.
Dataset_1B begins with experiment 133. Counted from 1, as the repository's own script counts, its first person would
"run" in experiment 145, where the acceleration varies by 0.09 g (standard deviation), and "stand up from sitting" in
142, where it varies by 0.82 g, the most of all fifteen.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datasets.formats.common import id_from
from datasets.recording import Rejection

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
_SENSORS = {"Accelerometer": "acc", "Gyroscope": "gyro"}
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
    if row["sensor"] not in _SENSORS.values():
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
    for path in sorted(_sensor_files(raw)):
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
            label, sensor = activity(dataset, number), _SENSORS[name["sensor"]]
            files.append(SensorFile(path, dataset, user, str(number), name["start"], label, sensor))
    return files, rejected


def _sensor_files(raw: Path) -> Iterable[Path]:
    for path in raw.rglob("*.csv*"):
        if path.name.endswith((".csv", ".csv.gz")) and any(sensor in path.name for sensor in _SENSORS):
            yield path
