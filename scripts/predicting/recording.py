"""One recording from its file to its folder: the chain of ``scripts.predict``.

The summary is written last: a folder with one is whole.
"""

import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.predict import PredictConfig
from datasets.recording import BadRecording, unexpected_error
from datasets.recordings.reader import Listed, Reading
from datasets.recordings.signal import Signal
from datasets.streaming import default_hop_s
from models.classifier import Classifier
from scripts.predicting import ENDINGS
from scripts.predicting import summary as summaries
from scripts.predicting.measure import measure
from scripts.predicting.page import page
from scripts.predicting.tables import bouts, bouts_table, daily_table, hourly_table, hours, windows_tables
from scripts.predicting.timeline import classify
from utils.atomic_io import replacing, write_text
from utils.run import write_json


@dataclass(frozen=True)
class Applied:
    """A classifier and how it is applied.

    Attributes:
        classifier: the model.
        config: settings of the command.
        model: what the summary says of the classifier.
        version: of this software.
    """

    classifier: Classifier
    config: PredictConfig
    model: dict[str, Any]
    version: str

    @property
    def hop_s(self) -> float:
        return self.config.hop_s or default_hop_s(self.classifier.facts.window_s)

    @property
    def threshold(self) -> float:
        given = self.config.threshold
        return self.classifier.facts.threshold if given is None else given

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, resolved; of paths the last part."""
        values = self.config.model_dump(mode="json", exclude={"files", "stdin", "out", "model"})
        values |= {"hop_s": self.hop_s, "threshold": self.threshold}
        return values | {"table": self.config.table and self.config.table.name}


def predict_recording(listed: Listed, how: Applied) -> dict[str, Any]:
    """Classify one recording and write its folder; returns its summary.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = how.config.out / listed.name
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ENDINGS:
        (folder / f"{listed.name}{ending}").unlink(missing_ok=True)
    summary = summaries.begun(listed.name, listed.files, how.settings, how.model, how.version)
    try:
        summary |= _predict(listed, how, folder, summary)
        summary["read_ok"] = True
    except BadRecording as error:
        summary = summaries.failed(summary, error.reason, error.message)
    except OSError:
        raise
    except Exception as error:  # one bad recording must not end the others; its summary names it
        rejection = unexpected_error(listed.name, error)
        summary = summaries.failed(summary, rejection.reason, rejection.detail)
    summary = summaries.plain(summary)
    write_json(folder / f"{listed.name}{ENDINGS[0]}", summary)
    return summary


def _predict(listed: Listed, how: Applied, folder: Path, begun: dict[str, Any]) -> dict[str, Any]:
    """Tables and page; returns what the summary adds to what it began with."""
    reading, facts, config = listed.open(), how.classifier.facts, how.config
    _check_gyro(listed, reading, how.classifier)
    signal = Signal(reading, folder)
    try:
        if signal.dead["gyro"] and config.missing_gyro == "zeros":
            reading.has_gyro = False
            _check_gyro(listed, reading, how.classifier)
        absent = None if reading.has_gyro else _gyro_mean(how.classifier)
        limits = config.still_mg, config.nonwear_min
        measured = measure(signal, reading, listed.files[0], *limits, not config.no_calibrate, absent)
        units = measured.units | {
            "samples_problem": summaries.samples_problem(signal.counts, signal.seen) or None,
            "missing_gyro": not reading.has_gyro,
        }
        timeline, cells = classify(
            signal, how.classifier, measured, config.still_mg, how.hop_s, how.threshold, not config.no_smooth
        )
        units["flat_problem"] = summaries.flat_problem(timeline) or None
        clock, filename = reading.clock, listed.files[0].name
        found, of_hours = bouts(timeline), hours(timeline, clock)
        days = daily_table(of_hours, filename)
        content = summaries.read(reading.facts, clock, units, signal, measured.scaling.calibration)
        content |= summaries.predicted(timeline, signal, measured.nonwear, found, days)
        content["unlike"] = summaries.unlike(timeline, facts)
        for ending, tables in (
            ("-windows.csv.gz", windows_tables(timeline, clock, filename)),
            ("-bouts.csv", [bouts_table(found, timeline, clock, filename)]),
            ("-hourly.csv", [hourly_table(of_hours, clock, filename)]),
            ("-daily.csv", [days]),
        ):
            _write_table(folder / f"{listed.name}{ending}", tables)
        html = page(listed.name, summaries.plain(begun | content), timeline, cells, clock, of_hours, facts.simulated)
        write_text(folder / f"{listed.name}.html", html)
        return content
    finally:
        signal.close()


def _check_gyro(listed: Listed, reading: Reading, classifier: Classifier) -> None:
    facts = classifier.facts
    learnt_without = facts.encoder.get("augment_drop_sensor") and facts.trained_on.get("mode") == "lp"
    if not reading.has_gyro and not learnt_without:
        message = (
            f"{listed.files[0]}: no angular rate, and this classifier has never learnt without: take a linear probe "
            "(downstream.py --mode lp) of an encoder that was trained with --augment_drop_sensor"
        )
        raise BadRecording("missing_gyro", message)


def _gyro_mean(classifier: Classifier) -> np.ndarray:
    """(3,) angular rate that the z-score turns into the zeros of a sensor that was left out in training."""
    of_dataset = classifier.facts.normalize == "dataset"
    return classifier.mean[3:].numpy() if of_dataset else np.zeros(3, dtype=np.float32)


def _write_table(path: Path, pieces: Iterable[pd.DataFrame]) -> None:
    """One CSV of tables with the same columns, gzipped if its name says so; equal content gives equal bytes."""
    with replacing(path) as unfinished, open(unfinished, "wb") as plain:
        packed = gzip.GzipFile("", "wb", compresslevel=3, fileobj=plain, mtime=0) if path.suffix == ".gz" else plain
        with packed, io.TextIOWrapper(packed, encoding="utf-8", newline="") as file:
            for number, table in enumerate(pieces):
                table.to_csv(file, index=False, header=number == 0)
