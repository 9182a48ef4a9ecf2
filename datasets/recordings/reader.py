"""What reading a recording piece by piece gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasets.recordings.clock import Clock


@dataclass(frozen=True)
class Samples:
    """The next samples of both sensors, in the order of the file; times are those of ``Clock``.

    Attributes:
        acc_time_s, gyro_time_s: (Na,), (Ng,) float64, NaN where unknown.
        acc, gyro: (Na, 3), (Ng, 3) float64 in the units of the file.
    """

    acc_time_s: np.ndarray
    acc: np.ndarray
    gyro_time_s: np.ndarray
    gyro: np.ndarray


@dataclass
class Reading:
    """A recording that has been opened.

    Attributes:
        clock: what its times mean.
        samples: the samples, once.
        acc_unit, gyro_unit: of the samples; None: to be guessed from all of them.
        has_gyro: False: the angular rates are zeros that stand for a missing gyroscope.
        facts: what was decided and counted, for the summary; complete when the samples have been read.
    """

    clock: Clock
    samples: Iterator[Samples]
    acc_unit: str | None
    gyro_unit: str | None
    has_gyro: bool = True
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """A recording that was found but not yet opened.

    Attributes:
        name: of its folder and files; no other recording of the call has it.
        files: what it is made from; the first names it in tables.
        open: reads its first rows; raises BadRecording.
    """

    name: str
    files: tuple[Path, ...]
    open: Callable[[], Reading]
