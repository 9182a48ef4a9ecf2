"""The row of ``sync.csv`` of one recording: what a worker does.

It stands in a module of its own because workers find functions by their module, and a script has none.
"""

from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path

from datasets.frames import FrameError
from datasets.store import Store
from datasets.synchrony import NO_ESTIMATE, OffsetEstimate, SyncSettings, estimate_stored_offset

NO_VIDEO = "no video"  # the detail of a recording that has none
COLUMNS = ["id", *(field.name for field in fields(OffsetEstimate)), "detail"]


@lru_cache(maxsize=1)
def _opened(root: Path, stamp: int) -> Store:
    """The tables are read once per worker (and again when they have changed), not sent with every recording."""
    return Store(root)


def check_recording(root: Path, stamp: int, recording: int, settings: SyncSettings) -> tuple[int, dict]:
    """Number and row of one recording; what cannot be read has no estimate and says why in ``detail``.

    Args:
        stamp: when the dataset's table was written.
    """
    store = _opened(root, stamp)
    stream, estimate, detail = store.frames(recording), NO_ESTIMATE, ""
    if len(stream) == 0:
        detail = NO_VIDEO
    else:
        try:
            estimate = estimate_stored_offset(stream, store.imu(recording)[:, 3:], settings)
        except (FrameError, ValueError) as error:
            detail = str(error)
    values = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(estimate).items()}
    return recording, {"id": store.recordings["id"].iloc[recording]} | values | {"detail": detail}
