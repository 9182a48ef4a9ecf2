"""UESTC-MMEA-CL (Xu et al. 2023, https://arxiv.org/abs/2209.01335): glasses with a camera and an IMU.

    video/<n_class>/<stem>.mp4     640x480, 25 fps
    sensor/<n_class>/<stem>.csv    no header; accelerometer then gyroscope, six raw integers, 25 Hz
    train.txt val.txt test.txt     optional: <path> <frames> <rows> <label from 0>; the folder's number is from 1

A stem such as ``4_fall_2021_01_13_15_02_01`` tells the day, which serves as session; subjects are unknown. Sources
disagree on the accelerometer's scale, so it is decided for the whole dataset: at rest it reads 1 g. The decision stands
in ``dataset.json``. The gyroscope has 16.4 counts per deg/s. Axes are those of the glasses' sensor, as stored. A line
of a list that cannot be read, or says something else than the folders (``bad_list_row``), costs its recording.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from configs.constants import ACC, CHANNELS, GYRO, STANDARD_GRAVITY
from datasets.formats.common import NOT_ON_DISK, id_from, need_folder
from datasets.formats.delimited import read_numbers
from datasets.recording import BadRecording, Found, Recording, Rejection, Source

OPTIONS = ()
RATE_HZ = 25
GYRO_LSB_PER_DEG_S = 16.4
ACC_LSB_PER_G = (2048, 4096, 8192, 16384)  # of a 16-bit sensor set to +-16, 8, 4, 2 g
SPLITS = ("train", "val", "test")
_SCALE_FILES = 400  # recordings that the scale is decided on, evenly spread over the list
_CLASS = re.compile(r"(\d+)_(.+)")
_NO_UTF8 = "\ufffd"  # what stands for a byte that is no UTF-8
_DAY = re.compile(r"_(\d{4}_\d{2}_\d{2})_")


def find(raw: Path) -> Found:
    """Pair videos and tables by class folder and stem.

    Raises:
        FileNotFoundError: if a folder of the layout is missing.
        ValueError: if the accelerometer's scale cannot be decided.
    """
    need_folder(raw, "give the folder with video and sensor as --raw")
    files = {
        kind: {f"{path.parent.name}/{path.stem}": path for path in sorted(folder.glob(f"*/*.{suffix}"))}
        for kind, suffix in (("video", "mp4"), ("sensor", "csv"))
        for folder in [need_folder(raw / kind, "the layout is video/<n_class>/*.mp4 and sensor/<n_class>/*.csv")]
    }
    listed, odd = _read_lists(raw)
    pairs, rejected, classes = [], [], {}
    for name in sorted(files["video"].keys() | files["sensor"].keys()):
        folder, stem = name.split("/")
        if not (number_and_name := _CLASS.fullmatch(folder)):
            rejected.append(Rejection(id_from(stem), "unknown_class", f"{name}: folder must be <number>_<class>"))
        elif name not in files["sensor"]:
            rejected.append(Rejection(id_from(stem), "missing_csv", f"{name}: there is a video but no sensor table"))
        elif name not in files["video"]:
            rejected.append(Rejection(id_from(stem), "missing_video", f"{name}: there is a sensor table but no video"))
        elif stem not in odd:
            number = int(number_and_name[1])
            if stem in listed and (problem := _wrong_label(listed[stem], stem, number)):
                odd[stem] = problem
                continue
            classes[number_and_name[2]] = number
            pairs.append((stem, number_and_name[2], files["sensor"][name], files["video"][name]))
    rejected += [Rejection(id_from(stem), "bad_list_row", problem) for stem, problem in odd.items()]
    on_disk = {name.split("/")[1] for name in files["video"].keys() | files["sensor"].keys()}
    rejected += [
        Rejection(id_from(stem), NOT_ON_DISK, f"{stem}: listed in {listed[stem].split}.txt only")
        for stem in sorted(listed.keys() - on_disk - odd.keys())
    ]
    scale = decide_acc_scale([sensor for _, _, sensor, _ in pairs]) if pairs else 0
    sources = []
    for stem, label, sensor, video in pairs:
        split = listed[stem].split if stem in listed else ""
        job = partial(parse, id_from(stem), sensor, video, label, split, scale)
        sources.append(Source(id_from(stem), (sensor, video), job))
    notes = {"acc_lsb_per_g": scale, "gyro_lsb_per_deg_s": GYRO_LSB_PER_DEG_S}
    return Found(tuple(sources), tuple(rejected), tuple(sorted(classes, key=classes.get)), notes)


@dataclass(frozen=True)
class _Listed:
    """A line of a list."""

    split: str
    label: int  # from 0
    place: str  # file and line


def _read_lists(raw: Path) -> tuple[dict[str, _Listed], dict[str, str]]:
    """What the official lists say of each stem, and of which stems they say what cannot be, with the problem."""
    listed: dict[str, _Listed] = {}
    odd: dict[str, str] = {}
    for split in SPLITS:
        path = raw / f"{split}.txt"
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path.is_file() else ()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            words = line.rsplit(maxsplit=3)
            place = PurePosixPath(words[0].replace("\\", "/"))
            stem = place.name or f"{split}_{number}"
            if len(words) != 4 or not words[3].isdecimal() or _NO_UTF8 in line:
                odd[stem] = f"{path}: line {number} is {line!r:.200}, want <path> <frames> <rows> <label>"
                continue
            row = _Listed(split, int(words[3]), f"{path}: line {number}")
            if (first := listed.setdefault(stem, row)).split != split:
                odd[stem] = f"{row.place}: {stem} is in {first.split}.txt too; keep it in one list"
            folder = _CLASS.fullmatch(place.parent.name)
            if folder and (problem := _wrong_label(row, stem, int(folder[1]))):
                odd[stem] = problem
    return listed, odd


def _wrong_label(listed: _Listed, stem: str, class_number: int) -> str:
    """The problem, if the label is not that of the class; else nothing."""
    if listed.label + 1 == class_number:
        return ""
    return (
        f"{listed.place}: {stem} has the label {listed.label}, want {class_number - 1}: lists count classes from "
        "0 and folders from 1; take the lists that were published with these folders"
    )


def decide_acc_scale(sensor_files: Sequence[Path]) -> int:
    """Counts per g: the setting of the sensor nearest to what it reads in the quietest tenth of all seconds.

    Raises:
        ValueError: if nothing can be read, or what is read lies far from every known setting.
    """
    magnitudes, unrest = [], []
    step = max(1, len(sensor_files) // _SCALE_FILES)
    for path in sensor_files[::step]:
        try:
            acc = read_numbers(path, ACC, names=CHANNELS)[0].dropna().to_numpy()
        except BadRecording:
            continue  # preparation meets it again, and says so
        seconds = np.linalg.norm(acc, axis=1)[: len(acc) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ)
        magnitudes += seconds.mean(1).tolist()
        unrest += (seconds.std(1) / np.maximum(seconds.mean(1), 1)).tolist()
    if not magnitudes:
        raise ValueError("no sensor table holds a second of data: the accelerometer's scale cannot be decided")
    quiet = np.argsort(unrest)[: max(1, len(unrest) // 10)]
    at_rest = float(np.median(np.array(magnitudes)[quiet]))
    scale = min(ACC_LSB_PER_G, key=lambda lsb: abs(np.log(at_rest / lsb)) if at_rest > 0 else lsb)
    if not 0.8 <= at_rest / scale <= 1.25:
        raise ValueError(f"the accelerometer reads {at_rest:.0f} at rest, near none of {ACC_LSB_PER_G} counts per g")
    return scale


def parse(recording_id: str, sensor: Path, video: Path, label: str, split: str, acc_lsb_per_g: int) -> Recording:
    """Read one table; row k was taken at k / 25 s.

    Raises:
        BadRecording: if it cannot be used.
    """
    table, cut = read_numbers(sensor, CHANNELS, names=CHANNELS)
    time_s = np.arange(len(table)) / RATE_HZ
    day = _DAY.search(sensor.stem)
    notes = (
        {"acc_lsb_per_g": acc_lsb_per_g} | ({"cut_off_rows": cut} if cut else {}) | ({"split": split} if split else {})
    )
    return Recording(
        recording_id,
        time_s,
        table[list(ACC)].to_numpy() / acc_lsb_per_g * STANDARD_GRAVITY,
        time_s,
        np.radians(table[list(GYRO)].to_numpy() / GYRO_LSB_PER_DEG_S),
        session=day[1] if day else "",
        label=label,
        video=video,
        notes=notes,
        counted_time=True,
    )
