"""Stanford freezing-of-gait trials (https://github.com/stanfordnmbl/imu-fog-detection): Parkinson's patients, no video.

    <anywhere>/pt3_visit_12.1_tbc_walklr_0_trial_1.csv.gz     or .csv
    subject_ID, time, imu_chest_ax ... az, imu_chest_gx ... gz, imu_head_ax ..., freeze_label

128 Hz, m/s² and rad/s; ``time`` is in seconds and goes on through a visit, so it does not begin at 0. Each sample has a
label, 1 where gait freezes. Axes are each sensor's own, as worn: the chest's x points down (it reads about -8 m/s²
while standing), and so does the head's. The columns of a sensor that was not worn are empty.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np

from datasets.formats.common import id_from, need_folder, segments_of
from datasets.formats.delimited import read_numbers
from datasets.recording import BadRecording, Found, Recording, Rejection, Source

OPTIONS = ("sensor",)
CLASSES = ("no_freezing", "freezing")  # freeze_label 0 and 1
_NAME = re.compile(r"(?P<patient>pt\d+)_(?P<visit>visit_[\d.]+)_.+\.csv(\.gz)?")


def find(raw: Path, sensor: str | None) -> Found:
    """List the trials.

    Args:
        sensor: ``chest`` (default) or ``head``.

    Raises:
        FileNotFoundError: if there is none.
    """
    need_folder(raw, "give the folder with the trials' .csv or .csv.gz files as --raw")
    sources, rejected = [], []
    for path in sorted([*raw.rglob("*.csv"), *raw.rglob("*.csv.gz")]):
        stem = path.name.removesuffix(".gz").removesuffix(".csv")
        if not (name := _NAME.fullmatch(path.name)):
            rejected.append(Rejection(id_from(stem), "unexpected_name", f"{path}: want pt<N>_visit_<N>_..._trial_<N>"))
            continue
        visit = f"{name['patient']}_{name['visit']}"  # its trials share how the sensors were strapped on
        job = partial(parse, id_from(stem), path, name["patient"], visit, sensor or "chest")
        sources.append(Source(id_from(stem), (path,), job))
    if not sources:
        raise FileNotFoundError(
            f"{raw} holds no pt<N>_visit_<N>_..._trial_<N>.csv or .csv.gz: give their folder as --raw"
        )
    return Found(tuple(sources), tuple(rejected), CLASSES)


def parse(recording_id: str, path: Path, patient: str, visit: str, sensor: str) -> Recording:
    """Read one trial; its clock begins with its first sample.

    Raises:
        BadRecording: ``not_worn`` if the sensor's columns are empty, ``unknown_label``, or as ``read_numbers``.
    """
    acc, gyro = ([f"imu_{sensor}_{kind}{axis}" for axis in "xyz"] for kind in "ag")
    table, cut = read_numbers(path, ["time", *acc, *gyro, "freeze_label"])
    if empty := [name for name in (*acc, *gyro) if table[name].isna().all()]:
        raise BadRecording("not_worn", f"{path}: {', '.join(empty)} hold no value; try the other --sensor")
    frozen = table["freeze_label"].to_numpy()
    if strange := sorted(set(frozen[np.isfinite(frozen)]) - {0.0, 1.0}):
        raise BadRecording("unknown_label", f"{path}: freeze_label holds {strange[0]:g}, want 0, 1 or nothing")
    labels = np.select([frozen == 0, frozen == 1], CLASSES, "")
    begin = float(table["time"].min())
    time_s = table["time"].to_numpy() - begin
    return Recording(
        recording_id,
        time_s,
        table[acc].to_numpy(),
        time_s,
        table[gyro].to_numpy(),
        subject=patient,
        session=visit,
        segments=segments_of(time_s, labels),
        notes={"sensor": sensor, "first_stamp_s": begin} | ({"cut_off_rows": cut} if cut else {}),
    )
