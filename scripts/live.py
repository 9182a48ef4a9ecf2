"""A classifier on samples as they come: an answer at every hop, the same that a file of them would give.

    classifier = load_classifier("my_classifier")
    live = Live(classifier, hop_s=1.0)
    for time_s, acc, gyro in device:  # any number of samples at a time, at any rate, in m/s² and rad/s
        for answer in live.push(time_s, acc, time_s, gyro):
            print(answer.start_s, classifier.facts.classes[answer.probabilities.argmax()])

``stream_stdin`` is the same for a pipe. A window is classified 0.6 s after its last sample. In the first 10 s, and in
those after a gap over 0.1 s, nothing is answered: the sensors' rates are taken from them.

Letters: N raw samples, K classes.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol, TextIO

import numpy as np
import torch
from torch import Tensor

from configs.constants import ACC_UNITS, GYRO_UNITS, TIME_UNITS
from datasets.streaming import Piece, SignalStream, WindowCutter, default_hop_s
from models.classifier import Classifier
from scripts.predicting.timeline import UNKNOWN

_NO_DATES = "a pipe takes times as numbers (--time_unit s, ms, us or ns), dates are read from files alone"
COLUMNS = ("time", "ax", "ay", "az", "gx", "gy", "gz")  # of a pipe without a header line
_READ_BYTES = 1 << 16


class Filter(Protocol):
    """What makes of the probabilities (n, K) of the next windows those in the light of all before them."""

    def push(self, probabilities: np.ndarray) -> np.ndarray: ...


class Answer(NamedTuple):
    """What a window is taken for.

    Attributes:
        start_s: time of its first sample.
        probabilities: (K,) float64, filtered if a filter was asked for.
        confidence: the largest of the window's own probabilities, before any filter.
        unlike: how unlike the windows learnt from it is, above 1 as few of people held out are; NaN if the classifier
            cannot tell.
    """

    start_s: float
    probabilities: np.ndarray
    confidence: float
    unlike: float


class Live:
    """A classifier on a stream. Memory is bounded; gaps and clocks that jump are handled as by ``SignalStream``.

    Args:
        classifier: as ``models.load_classifier`` returns it.
        hop_s: from one window to the next, seconds; None: half a window.
        new_filter: makes the filter of an uninterrupted run; None: every window speaks for itself.
        mean, std: (6,) of the recording, for a classifier that z-scores by them.

    Attributes:
        stream: counts of dropped samples and rates of the sensors (``SignalStream``).

    Raises:
        ValueError: if the classifier needs the recording's moments, or the hop is no whole number of samples.
    """

    def __init__(
        self,
        classifier: Classifier,
        hop_s: float | None = None,
        new_filter: Callable[[], Filter] | None = None,
        mean: Tensor | None = None,
        std: Tensor | None = None,
    ):
        facts = classifier.facts
        if facts.normalize == "recording" and (mean is None or std is None):
            raise ValueError(
                "this classifier z-scores by the whole recording, which a stream does not know yet: give mean and std, "
                "or a classifier whose encoder was trained with --normalize dataset, window or none"
            )
        self.classifier, self._moments = classifier, (mean, std)
        self.hop_s = default_hop_s(facts.window_s) if hop_s is None else hop_s
        self.stream = SignalStream()
        self._cutter = WindowCutter(facts.window_s, self.hop_s)
        self._new_filter, self._filter = new_filter, None

    def push(self, acc_time_s: np.ndarray, acc: np.ndarray, gyro_time_s: np.ndarray, gyro: np.ndarray) -> list[Answer]:
        """Take the next samples, see ``SignalStream.push``; answers for the windows that are now complete."""
        return self._answers(self.stream.push(acc_time_s, acc, gyro_time_s, gyro))

    def finish(self) -> list[Answer]:
        """Answers for the last windows; no sample may come after it."""
        return self._answers(self.stream.finish())

    def _answers(self, pieces: list[Piece]) -> list[Answer]:
        answers = []
        for piece in pieces:
            if piece.new_run and self._new_filter is not None:
                self._filter = self._new_filter()
            start_s, windows = self._cutter.push([piece])
            if len(windows) == 0:
                continue
            own = self.classifier.probabilities(windows, *self._moments).astype(np.float64)
            unlike = self.classifier.unlike(windows, *self._moments).tolist()
            shown = own if self._filter is None else self._filter.push(own)
            answers += map(Answer, start_s.tolist(), shown, own.max(1).tolist(), unlike)
        return answers


def stream_stdin(
    live: Live,
    source: BinaryIO,
    sink: TextIO,
    columns: Sequence[str] = COLUMNS,
    acc_unit: str = "m/s2",
    gyro_unit: str = "rad/s",
    time_unit: str = "s",
    threshold: float | None = None,
) -> None:
    """Classify the lines of a pipe: CSV in, CSV out, flushed after every answer, on one core.

    Out come ``start_s``, ``activity`` (``unknown`` below the threshold), the probability of each class and ``unlike``,
    as in the table of windows of a file.

    Args:
        source: CSV such as ``sys.stdin.buffer``; a first line that is no sample names the columns.
        columns: names of time, acceleration x, y, z and angular rate x, y, z; without a header line their numbers from
            1 on, or names in the order of the columns.
        threshold: least confidence; None: the classifier's.

    Raises:
        ValueError: with the number of the line, if a line is no sample or a column is missing.
    """
    torch.set_num_threads(1)  # one window is too little work for two
    facts = live.classifier.facts
    threshold = facts.threshold if threshold is None else threshold
    table = csv.writer(sink, lineterminator="\n")
    table.writerow(["start_s", "activity", *facts.classes, "unlike"])

    def write(answers: list[Answer]) -> None:
        for start_s, probabilities, confidence, unlike in answers:
            activity = facts.classes[probabilities.argmax()] if confidence >= threshold else UNKNOWN
            far = "" if np.isnan(unlike) else f"{unlike:.6f}"
            table.writerow([f"{start_s:.3f}", activity, *(f"{p:.6f}" for p in probabilities), far])
        if answers:
            sink.flush()

    sink.flush()
    for rows in read_lines(source, columns):
        time_s, acc = rows[:, 0] * TIME_UNITS[time_unit], rows[:, 1:4] * ACC_UNITS[acc_unit]
        write(live.push(time_s, acc, time_s, rows[:, 4:] * GYRO_UNITS[gyro_unit]))
    write(live.finish())


def read_lines(source: BinaryIO, columns: Sequence[str] = COLUMNS) -> Iterator[np.ndarray]:
    """Samples of a CSV as they come: (N, 7) of all lines that are there, at least one.

    Args:
        source: must have ``read1``, which returns what is there instead of waiting for more.
        columns: of the seven, as of ``stream_stdin``.

    Raises:
        ValueError: with the number of the line, after the samples before it. A last line that was cut off, without an
            end of line, is a row of NaN instead.
    """
    rest, number, places = b"", 0, None
    while True:
        block = source.read1(_READ_BYTES)
        text = rest + block if block else rest + b"\n"
        *lines, rest = text.split(b"\n")
        rows: list[list[Any]] = []
        for line in lines:
            number += 1
            cells = line.decode("utf-8", "replace").strip().split(",")
            if cells == [""]:
                continue
            if places is None:
                places, is_header = _places(cells, columns)
                if is_header:
                    continue
            try:
                rows.append([float(cells[place] or "nan") for place in places])
            except (ValueError, IndexError) as error:
                if not block:
                    rows.append([np.nan] * len(places))
                    continue
                if rows:
                    yield np.array(rows)
                said = f"line {number}: {line.decode('utf-8', 'replace')!r} is no sample: {error}"
                raise ValueError(f"{said}; {_NO_DATES}" if any(map(_is_date, cells)) else said) from error
        if rows:
            yield np.array(rows)  # what is there now, however few
        if not block:
            return


def _is_date(cell: str) -> bool:
    """Whether a cell, such as 11/22/2026 3:04:05 PM, holds a time of day or a date."""
    return re.search(r"\d:\d\d|\d[/.-]\d+[/.-]\d", cell) is not None


def _places(cells: list[str], columns: Sequence[str]) -> tuple[list[int], bool]:
    """Where the columns stand, by a first line, and whether it is a header."""
    try:
        [float(cell or "nan") for cell in cells]
    except ValueError:
        names = [cell.strip() for cell in cells]
        if dates := [name for name in names if _is_date(name)]:
            raise ValueError(f"line 1: {dates[0]!r} is no number; {_NO_DATES}") from None
        if missing := [name for name in columns if name not in names]:
            raise ValueError(f"line 1: has no column {', '.join(missing)}; it names {', '.join(names)}") from None
        return [names.index(name) for name in columns], True
    if not all(name.isdecimal() for name in columns):
        return list(range(len(columns))), False
    places = [int(name) - 1 for name in columns]
    if min(places) < 0 or max(places) >= len(cells):
        raise ValueError(f"line 1: has columns 1 to {len(cells)}, csv_columns names {', '.join(columns)}")
    return places, False
