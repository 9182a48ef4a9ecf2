"""The row of ``sync.csv`` of one recording: what a worker does.

It stands in a module of its own because workers find functions by their module, and a script has none.
"""

from dataclasses import asdict, fields

from datasets.frames import FrameError
from datasets.store import Recordings
from datasets.synchrony.offset import NO_ESTIMATE, OffsetEstimate, SyncSettings, estimate_stored_offset

NO_VIDEO = "no video"  # the detail of a recording that has none
COLUMNS = ["id", *(field.name for field in fields(OffsetEstimate)), "detail"]


def check_recording(number: int, one: Recordings, settings: SyncSettings) -> tuple[int, dict]:
    """Number and row of one recording; what cannot be read has no estimate and says why in ``detail``.

    Args:
        number: its place in the dataset.
        one: the recording by itself.
    """
    stream, estimate, detail = one.frames(0), NO_ESTIMATE, ""
    if len(stream) == 0:
        detail = NO_VIDEO
    else:
        try:
            estimate = estimate_stored_offset(stream, one.imu(0)[:, 3:], settings)
        except (FrameError, ValueError) as error:
            detail = str(error)
    values = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(estimate).items()}
    return number, {"id": one.recordings["id"].iloc[0]} | values | {"detail": detail}
