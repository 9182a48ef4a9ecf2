"""What a raw format parses to, before any signal is touched.

A format module lists its recordings cheaply (``find``), and each ``Source`` is parsed later, in a worker, into a
``Recording`` in SI units. Whatever cannot be used is a ``Rejection`` with a reason: nothing is dropped silently.
"""

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MAX_ID_LENGTH = 200  # a file name holds 255: there is room for a part's number and the endings of files


class BadRecording(ValueError):
    """A recording, or a stretch of one, that cannot be used.

    Args:
        reason: short slug by which rejections are counted, such as ``empty_csv``.
        message: what was found, in which file, and what would mend it.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(reason, message)  # both, so that the error survives pickling between processes
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclass(frozen=True)
class Rejection:
    """A row of ``rejected.csv``: a recording (or a stretch of it) that was left out, and why."""

    id: str
    reason: str
    detail: str
    start_s: float | None = None
    end_s: float | None = None


def unexpected_error(source_id: str, error: Exception) -> Rejection:
    """The rejection for an error that no parser foresees; the detail names the line of code that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return Rejection(source_id, "unexpected_error", f"{type(error).__name__} at {place}: {error}")


def without_folder(rejection: Rejection, raw: Path) -> Rejection:
    """The rejection without the path of the raw folder, which does not belong into a dataset that is passed on.

    Bytes of a file's name that are no UTF-8 are written as ``\\udc..``, since no table could hold them.
    """
    detail = rejection.detail.replace(f"{raw}/", "")
    return replace(rejection, detail=detail.encode("utf-8", "backslashreplace").decode("utf-8"))


@dataclass(frozen=True)
class Segment:
    """A labelled stretch of a recording, in seconds on the recording's clock."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Recording:
    """One wearer, one device, one clock.

    Times are seconds on the recording's own clock; where there is a video, that clock is the video's and 0 is its
    first frame. Acceleration and angular rate may be sampled at different instants.

    Attributes:
        acc_time_s: (Na,) float64.
        acc: (Na, 3) float64 specific force, m/s².
        gyro_time_s: (Ng,) float64.
        gyro: (Ng, 3) float64 angular rate, rad/s.
        video: the source video, or None.
        segments: labelled stretches of a recording that changes activity; ``label`` is then empty.
        notes: facts that the parser decided or counted, such as the accelerometer's scale.
        counted_time: times follow from row numbers and a nominal rate; a lost row shifts all that comes after it.
        pad_from_s: the last window of a stretch of this length or more, seconds, is filled up; None: it is not used.
        missing_gyro: there was no gyroscope, and ``gyro`` is zeros.
    """

    id: str
    acc_time_s: np.ndarray
    acc: np.ndarray
    gyro_time_s: np.ndarray
    gyro: np.ndarray
    subject: str = ""
    session: str = ""
    label: str = ""
    video: Path | None = None
    segments: tuple[Segment, ...] = ()
    notes: dict[str, str | float | int] = field(default_factory=dict)
    counted_time: bool = False
    pad_from_s: float | None = None
    missing_gyro: bool = False

    def __post_init__(self):
        if not ID_PATTERN.fullmatch(self.id):
            raise ValueError(f"recording id {self.id!r} must match {ID_PATTERN.pattern} (it becomes a file name)")
        for name, time, values in (("acc", self.acc_time_s, self.acc), ("gyro", self.gyro_time_s, self.gyro)):
            if time.ndim != 1 or values.shape != (len(time), 3):
                raise ValueError(f"{self.id}: {name} has shape {values.shape}, want ({len(time)}, 3)")


@dataclass(frozen=True)
class Source:
    """A recording that was found but not yet read.

    Attributes:
        files: every file that the recording is made from; their content decides whether it must be prepared again.
        parse: picklable; returns the recording or raises BadRecording.
    """

    id: str
    files: tuple[Path, ...]
    parse: Callable[[], Recording]


@dataclass(frozen=True)
class Found:
    """What a format found in a raw folder.

    Attributes:
        classes: in the order in which labels are numbered.
        notes: what was decided over the whole folder, for ``dataset.json``.
    """

    sources: tuple[Source, ...]
    rejected: tuple[Rejection, ...] = ()
    classes: tuple[str, ...] = ()
    notes: dict[str, str | float | int] = field(default_factory=dict)
