"""A lab's own recorder: one folder per person, one file per activity, filmed or not.

<person>/<activity>.csv     t (ms), ax, ay, az (g), gx, gy, gz (deg/s); about 100 Hz; x forward, y left, z up
<person>/<activity>.mp4     optional; begins with the table's first row
"""

from functools import partial
from pathlib import Path

from configs.constants import ACC_UNITS, GYRO_UNITS
from datasets.formats.common import id_from, need_folder
from datasets.formats.delimited import read_numbers
from datasets.recording import BadRecording, Found, Recording, Source

OPTIONS = ()  # names of the settings that find takes beside the folder
ACC, GYRO = ["ax", "ay", "az"], ["gx", "gy", "gz"]


def find(raw: Path) -> Found:
    """List the recordings; nothing is read yet."""
    need_folder(raw, "give the folder with one folder per person as --raw")
    sources = []
    for path in sorted(raw.glob("*/*.csv")):
        person, activity = path.parent.name, path.stem
        video = path.with_suffix(".mp4")
        files = (path, video) if video.is_file() else (path,)
        recording_id = id_from(person, activity)
        sources.append(Source(recording_id, files, partial(parse, recording_id, files, person, activity)))
    return Found(tuple(sources))


def parse(recording_id: str, files: tuple[Path, ...], person: str, activity: str) -> Recording:
    """Read one recording, in a worker process; what cannot be used raises BadRecording."""
    table, _ = read_numbers(files[0], ["t", *ACC, *GYRO])
    if table["t"].isna().all():
        raise BadRecording("missing_time", f"{files[0]}: column t is empty; export it again")
    time_s = (table["t"] - table["t"].min()).to_numpy() / 1000
    return Recording(
        recording_id,
        time_s,
        table[ACC].to_numpy() * ACC_UNITS["g"],
        time_s,
        table[GYRO].to_numpy() * GYRO_UNITS["deg/s"],
        subject=person,
        label=activity,
        video=files[1] if len(files) > 1 else None,
    )
