"""Counts of a prepared dataset: windows by class and subject, sizes, quality, spectra, offsets.

Letters: W windows, C = 6 channels, T samples of a window, K frequencies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.signal import welch

from configs.constants import IMU_RATE_HZ, WINDOW_S
from datasets.store import Recordings, Store
from datasets.windows import NoWindowError, Windows, list_windows

ACC_UNIT, GYRO_UNIT = "m/s²", "rad/s"
_POPULATIONS = {  # by format, if it implies the people that were recorded
    "ego4d": "general",
    "mmea": "general",
    "pd": "Parkinson's disease",
    "stanford_fog": "Parkinson's disease",
}
EVENT_SHARE = 0.6  # of a window that an event covers, where windows are counted by --label_share
_ABSOLUTE = r"(?:[A-Za-z]:[\\/]|\\\\|~?/|\.{1,2}[\\/])"


def _path_pattern(character: str, before: str, after: str) -> re.Pattern[str]:
    """An absolute path, or folder/file.extension, of these characters between two contexts; not a unit like m/s."""
    return re.compile(
        rf"(?P<before>{before})(?:{_ABSOLUTE}{character}*?|{character}+?[/\\]{character}*?\.\w{{1,6}})(?={after})"
    )


# Spaces belong to a path if its end is marked by quotes, or by the colon of a message that begins with a file.
_PATHS = (
    _path_pattern(r"[^'\"\n]", r"['\"]", r"['\"]"),
    _path_pattern(r"[^:\n]", r"^", r": |$"),
    _path_pattern(r"[^\s'\"|;,()\[\]]", r"^|[\s'\"|;,()\[\]=]", r"[\s'\"|;,:()\[\]]|\.?$"),
)


@dataclass(frozen=True)
class Summary:
    """Counts of one dataset, computed from its tables, so that 800 hours take seconds.

    ``windows`` are cut from the beginning of each recording; ``labelled`` are those of evaluations (within the
    segments of a recording that changes activity); ``with_video`` those with all their frames. Each is None if there
    is no such window.
    """

    store: Store
    window_s: float
    windows: Windows | None
    labelled: Windows | None
    with_video: Windows | None

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def hours(self) -> float:
        return float(self.store.recordings["duration_s"].sum()) / 3600

    @property
    def modalities(self) -> str:
        imu = "accelerometer" if self.store.accelerometer_only else "IMU"
        return f"video / {imu}" if (self.store.recordings["frames"] > 0).any() else imu

    @property
    def population(self) -> str:
        """People that were recorded, empty if the format does not imply it."""
        if self.store.simulated:
            return "simulated"
        return _POPULATIONS.get(str(self.store.info["settings"].get("format")), "")

    @property
    def per_class(self) -> pd.DataFrame:
        """windows, subjects, recordings of each class, in the order of the dataset's classes."""
        names = [] if self.labelled is None else np.array(self.store.classes)[self.labelled.label]
        return _counts(self.labelled, names, self.store.classes)

    def per(self, column: str) -> pd.DataFrame:
        """windows, subjects, recordings of each value of ``subject`` or ``session``, sorted by value."""
        names = [] if self.windows is None else getattr(self.windows, column)
        return _counts(self.windows, names, sorted(set(self.store.recordings[column])))

    @cached_property
    def events(self) -> pd.DataFrame:
        """Labelled stretches of each class, in the order of the dataset's classes; none if recordings have one label.

        Columns: how many events, subjects, median_s, how many are shorter than a window, windows inside one event,
        windows of which one event covers ``EVENT_SHARE``.
        """
        table = self.store.segments.merge(self.store.recordings[["id", "subject"]], on="id")
        length = (table["end_s"] - table["start_s"]).groupby(table["label"])
        covered = _windows_or_none(self.store, self.window_s, labelled=True, label_share=EVENT_SHARE)
        names = [name for name in self.store.classes if name in length.groups]
        columns = {
            "events": length.size(),
            "subjects": table["subject"].replace("", None).groupby(table["label"]).nunique(),
            "median_s": length.median(),
            "shorter": length.agg(lambda s: int((s < self.window_s - 0.5 / IMU_RATE_HZ).sum())),
        }
        for name, windows in (("inside", self.labelled), ("covered", covered)):
            labels = [] if windows is None else np.array(windows.classes)[windows.label]
            columns[name] = _counts(windows, labels, names)["windows"]
        return pd.DataFrame(columns).reindex(names)

    def events_table(self) -> pd.DataFrame:
        """The events as text, with a line for all of them."""
        total = self.events.drop(columns=["subjects", "median_s"]).sum().rename("all").to_frame().T
        table = pd.concat([self.events, total]).rename_axis("event").reset_index()
        shown = {
            "subjects": table["subjects"].map(lambda n: "" if np.isnan(n) else f"{n:.0f}" if n else "?"),
            "median_s": table["median_s"].map(lambda s: "" if np.isnan(s) else f"{s:.1f}"),
        }
        counts = {name: table[name].map("{:.0f}".format) for name in ("events", "shorter", "inside", "covered")}
        return table.assign(**counts, **shown).rename(
            columns={
                "median_s": "median s",
                "shorter": f"shorter than {self.window_s:g} s",
                "inside": "windows inside",
                "covered": f"windows, --label_share {EVENT_SHARE:g}",
            }
        )

    @cached_property
    def rejected(self) -> pd.DataFrame:
        """Rows of ``rejected.csv`` as text: id, reason, detail, start_s, end_s."""
        return pd.read_csv(self.store.root / "rejected.csv", dtype=str, keep_default_na=False)

    @property
    def offsets(self) -> pd.DataFrame | None:
        """See ``read_offsets``."""
        return read_offsets(self.store)


def read_offsets(store: Recordings) -> pd.DataFrame | None:
    """Rows of ``sync.csv`` that belong to these recordings, or None if synchrony was not checked."""
    path = store.root / "sync.csv"
    if not path.exists():
        return None
    table = pd.read_csv(path, dtype={"id": str, "verdict": str})
    return table[table["id"].isin(set(store.recordings["id"]))].reset_index(drop=True)


def summarize(store: Store, window_s: float = WINDOW_S) -> Summary:
    """Count the windows of a dataset, of this length in seconds."""
    return Summary(
        store,
        window_s,
        _windows_or_none(store, window_s),
        _windows_or_none(store, window_s, labelled=True),
        _windows_or_none(store, window_s, needs_video=True),
    )


def _windows_or_none(store: Store, window_s: float, **wanted: bool | float) -> Windows | None:
    try:
        return list_windows(store, window_s=window_s, **wanted)
    except NoWindowError:  # no mistake here
        return None


def _counts(windows: Windows | None, group: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    if windows is None:
        return pd.DataFrame(0, index=groups, columns=["windows", "subjects", "recordings"])
    subject = pd.Series(windows.subject).replace("", None)  # unknown subjects are not counted
    table = pd.DataFrame({"windows": windows.start, "subjects": subject, "recordings": windows.recording})
    found = table.groupby(np.asarray(group)).agg({"windows": "size", "subjects": "nunique", "recordings": "nunique"})
    return found.reindex(groups, fill_value=0)


def hours_text(hours: float) -> str:
    """Hours with about three significant digits: 815.3, 30.4, 4.02, 0.35, 0.0014."""
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2f}" if hours >= 1 else f"{hours:.2g}"


def read_windows(windows: Windows, indices: np.ndarray) -> np.ndarray:
    """(n, C, T) float64 of a few windows, m/s² and rad/s, without loading the whole dataset as ``imu`` does."""
    store = windows.store
    places = zip(windows.recording[indices].tolist(), windows.start[indices].tolist(), strict=True)
    signal = np.stack([store.imu(recording)[start : start + windows.samples] for recording, start in places])
    return signal.transpose(0, 2, 1).astype(np.float64)


def mean_spectrum(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power spectral density of each channel, by Welch's method with the windows as its segments.

    Welch 1967 (https://doi.org/10.1109/TAU.1967.1161901): each window is centred, weighted by a Hann window, and the
    periodograms are averaged over windows.

    Args:
        signal: (n, C, T) at 50 Hz.

    Returns:
        frequency (K,) Hz and density (C, K), in the square of the signal's unit per Hz.
    """
    frequency, density = welch(signal, fs=IMU_RATE_HZ, window="hann", nperseg=signal.shape[-1], detrend="constant")
    return frequency, density.mean(0)


def without_paths(text: str) -> str:
    """Text with paths of files replaced: a page must not contain names of people or folders of the raw data."""
    for pattern in _PATHS:
        text = pattern.sub(r"\g<before>[file]", text)
    return text
