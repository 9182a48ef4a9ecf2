"""Embeddings of windows, of any recordings or of prepared datasets, as one table.

    python -m scripts.embed FILE|DIR... --checkpoint CLASSIFIER --out embeddings.parquet
    python -m scripts.embed --checkpoint runs/NAME/checkpoints/last.pt --datasets mmea --out embeddings.parquet

A row for each window: where it is from, its time, and the values of the embedding. Recordings are read as
``scripts.predict`` reads them, with the same settings, calibration included, but windows do not overlap by default, and
what was not worn is embedded too. One that cannot be read is named, the others go on, and the exit status is 1.
``scripts.embedding_map`` draws labelled windows as points.

Letters: n windows, T samples of a window, D values of an embedding.
"""

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from configs.constants import IMU_RATE_HZ
from configs.evaluation import EmbedConfig
from configs.load import parse
from configs.predict import PredictConfig
from datasets.recording import BadRecording, unexpected_error
from datasets.recordings.find import find
from datasets.recordings.plain_csv import PlainSettings
from datasets.recordings.reader import Listed
from datasets.recordings.signal import Signal
from datasets.store import open_store
from datasets.streaming import Piece, WindowCutter
from datasets.windows import list_windows
from models import load_classifier, load_imu_encoder
from models.classifier import model_path, z_score
from models.probe import embed_imu
from scripts.predicting.measure import measure, moments
from utils import distributed
from utils.atomic_io import replacing

STILL_MG, NONWEAR_MIN = (PredictConfig.model_fields[name].default for name in ("still_mg", "nonwear_min"))
WINDOWS = 2048  # embedded and written at a time: memory does not grow with the recordings


class Embedder:
    """An encoder, and the z-score of its windows.

    Args:
        path: checkpoint of train.py, encoder of scripts.export, or a classifier, as ``model_path`` takes it.

    Attributes:
        window_s: length of its windows, seconds.
        normalize: unit of the z-score.
        dim: D.
        moments: (6,) mean and standard deviation of the dataset that a classifier learnt from, if it z-scores by them.
    """

    def __init__(self, path: Path, device: torch.device):
        self.moments: tuple[Tensor, Tensor] | None = None
        path = model_path(path)
        if path.is_dir():
            classifier = load_classifier(path)
            encoder, facts = classifier.encoder, classifier.facts
            if facts.normalize == "dataset":
                self.moments = classifier.mean, classifier.std
        else:
            encoder, facts = load_imu_encoder(path)
        self.window_s, self.normalize, self.dim = facts.window_s, facts.normalize, encoder.dim
        self._encoder = encoder.to(device)

    def embed(self, z_scored: np.ndarray | Tensor) -> np.ndarray:
        """(n, 6, T) to (n, D) float32."""
        return embed_imu(self._encoder, torch.as_tensor(z_scored)).cpu().numpy()

    def of_raw(self, imu: np.ndarray, moments: tuple[Tensor, Tensor]) -> np.ndarray:
        """(n, 6, T) in m/s² and rad/s to (n, D), by the moments of the recording where there are no own."""
        return self.embed(z_score(torch.from_numpy(imu), self.normalize, *(self.moments or moments)))


def main(argv: list[str] | None = None) -> int:
    """Write the table; returns the exit status."""
    config = parse(EmbedConfig, argv)
    if config.out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(f"{config.out}: Parquet needs pyarrow: pip install pyarrow, or let --out end in .csv.gz")
    embedder = Embedder(config.checkpoint, distributed.setup(config.device).device)
    if config.files and embedder.normalize == "dataset" and embedder.moments is None:
        raise ValueError(
            f"{config.checkpoint}: z-scores by its dataset, whose mean and standard deviation a checkpoint does not "
            "hold: give the folder of a classifier, or an encoder of --normalize recording"
        )
    failures: list[str] = []
    with replacing(config.out) as unfinished:
        rows = write(unfinished, config.out.suffix, tables(config, embedder, failures))
        if failures:
            print(*[f"NOT READ {line}" for line in failures], sep="\n", file=sys.stderr)
        if rows == 0:
            raise ValueError(f"there is no window of {embedder.window_s:g} s in all of it: nothing was written")
    print(f"{config.out}: {rows} windows of {embedder.window_s:g} s, {embedder.dim} values each")
    return int(bool(failures))


def tables(config: EmbedConfig, embedder: Embedder, failures: list[str]) -> Iterator[pd.DataFrame]:
    """Rows of all datasets and recordings, some at a time; ``failures`` gets the recordings that cannot be read."""
    for name in config.datasets:
        yield from of_dataset(config, name, embedder)
    options = {"table": config.table, "sensor": config.sensor}
    listed, remarks = find(config.files, config.format, options, PlainSettings.of(config))
    print(*remarks, sep="\n", end="\n" if remarks else "")
    for recording in listed:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield from of_recording(config, recording, embedder, Path(folder))
            except BadRecording as error:
                failures.append(f"{recording.name}: {error}")
            except OSError:
                raise
            except Exception as error:  # one bad recording must not end the others
                failures.append(f"{recording.name}: {unexpected_error(recording.name, error).detail}")


def of_dataset(config: EmbedConfig, name: str, embedder: Embedder) -> Iterator[pd.DataFrame]:
    """Rows of the windows of a prepared dataset, with labels where it has some."""
    store = open_store(config.data_root, name)
    windows = list_windows(store, stride_s=config.hop_s, window_s=embedder.window_s)
    for first in range(0, len(windows), WINDOWS):
        chosen = np.arange(first, min(first + WINDOWS, len(windows)))
        if embedder.moments is None:
            embedded = embedder.embed(windows.imu(chosen, embedder.normalize))
        else:
            embedded = embedder.of_raw(windows.imu(chosen, "none"), embedder.moments)
        ids = store.recordings["id"].to_numpy()[windows.recording[chosen]]
        labels = [windows.classes[k] if k >= 0 else "" for k in windows.label[chosen]]
        yield table(name, ids, windows.start[chosen] / IMU_RATE_HZ, labels, embedded)


def of_recording(config: EmbedConfig, listed: Listed, embedder: Embedder, folder: Path) -> Iterator[pd.DataFrame]:
    """Rows of a recording; times are seconds on its own clock.

    Raises:
        BadRecording: before the first row, if it cannot be read.
    """
    reading = listed.open()
    with closing(Signal(reading, folder)) as signal:
        measured = measure(signal, reading, listed.files[0], STILL_MG, NONWEAR_MIN)
        hop_s = config.hop_s or embedder.window_s
        cutter, of_recording = WindowCutter(embedder.window_s, hop_s), moments(signal, measured)
        for piece in signal.pieces(round(WINDOWS * hop_s * IMU_RATE_HZ)):
            start_s, windows = cutter.push([Piece(piece.start_s, measured.scaling(piece.imu), piece.new_run, 0)])
            if len(windows):
                yield table("", listed.name, start_s, "", embedder.of_raw(windows, of_recording))


def table(dataset: str, recording, start_s: np.ndarray, label, embedded: np.ndarray) -> pd.DataFrame:
    """A row for each window, columns ``e0``, ``e1``, ... for the values of (n, D)."""
    of_windows = {"dataset": dataset, "recording": recording, "start_s": start_s, "label": label}
    return pd.DataFrame(of_windows | {f"e{k}": values for k, values in enumerate(embedded.T)})


def write(path: Path, ending: str, parts: Iterator[pd.DataFrame]) -> int:
    """Write tables below each other, as they come: Parquet, CSV or gzipped CSV. Returns the number of rows."""
    rows = 0
    with ExitStack() as opened:
        for part in parts:
            if ending == ".parquet":
                import pyarrow as arrow
                from pyarrow.parquet import ParquetWriter

                content = arrow.Table.from_pandas(part, preserve_index=False)
                if rows == 0:
                    parquet = opened.enter_context(ParquetWriter(path, content.schema))
                parquet.write_table(content)
            else:
                zipped = {"method": "gzip", "mtime": 0} if ending == ".gz" else None
                part.to_csv(path, mode="a", header=rows == 0, index=False, compression=zipped)
            rows += len(part)
    return rows


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as problem:
        sys.exit(f"{EmbedConfig.program}: {problem}")
