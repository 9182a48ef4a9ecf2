"""The 5 s windows of a prepared dataset, and their IMU signal.

Letters: W windows, T = 250 samples, C = 6 channels.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from configs.constants import FRAME_RATE_HZ, IMU_RATE_HZ, WINDOW_FRAMES, WINDOW_S, WINDOW_SAMPLES
from datasets.masking import VIDEO_REASONS
from datasets.store import Store, pool_moments

_LOADING = threading.Lock()


class NoWindowError(ValueError):
    """A dataset without a usable window; the message says what was asked for."""


@dataclass(frozen=True)
class _Signals:
    """The IMU of all recordings, end to end, in memory: 4 MB an hour."""

    at: np.ndarray  # (C, sum of T - 249, 250) float32: the window that begins at a sample; a view, nothing is copied
    first: np.ndarray  # (R,) sample at which each recording begins


@dataclass(frozen=True)
class Windows:
    """A list of windows; each is a recording and the first sample in it.

    Attributes:
        store: the dataset.
        classes: names that ``label`` numbers.
        recording: (W,) int64 row of ``store.recordings``.
        start: (W,) int64 first IMU sample.
        label: (W,) int64 index into ``classes``, -1 without label.
        subject: (W,) str, empty where unknown.
        session: (W,) str.
    """

    store: Store
    classes: tuple[str, ...]
    recording: np.ndarray
    start: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    session: np.ndarray
    _cache: dict[str, _Signals] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.start)

    def subset(self, indices: np.ndarray) -> "Windows":
        """The windows at these positions (or where a mask is true); the signal in memory is shared."""
        names = ("recording", "start", "label", "subject", "session")
        return replace(self, **{name: getattr(self, name)[indices] for name in names})

    def sources(self) -> np.ndarray:
        """(W,) str: the raw recording that each window was cut from, by name and content.

        Parts of a recording that was split share it, and so do datasets prepared from the same files.
        """
        table = self.store.recordings
        return (table["source"] + "\t" + table["source_hash"]).to_numpy(str)[self.recording]

    def ids(self, indices: np.ndarray | None = None) -> list[str]:
        """``<recording id>@<start in seconds>``: names that hold across runs and machines."""
        chosen = self if indices is None else self.subset(indices)
        names = self.store.recordings["id"].to_numpy()[chosen.recording]
        return [f"{name}@{start / IMU_RATE_HZ:g}" for name, start in zip(names, chosen.start, strict=True)]

    def imu(self, indices: np.ndarray, normalize: str) -> np.ndarray:
        """IMU of the windows at these positions.

        Args:
            indices: (n,) positions.
            normalize: z-score by the mean and standard deviation of the raw ``recording`` with all its parts (paper),
                of the ``dataset``, of the ``window``, or ``none``. A channel that does not vary is only centred.

        Returns:
            (n, 6, 250) float32, channels acceleration x y z then angular rate x y z.
        """
        signals = self._signals()
        rows = signals.first[self.recording[indices]] + self.start[indices]
        window = signals.at[:, rows].transpose(1, 0, 2)  # (n, C, T)
        if normalize == "none":
            return np.ascontiguousarray(window)
        mean, std = self._moments(indices, window, normalize)
        out = np.empty(window.shape, np.float32)
        np.subtract(window, mean, out=out)
        return np.divide(out, np.where(std > 1e-8, std, np.float32(1)), out=out)

    def _moments(self, indices: np.ndarray, window: np.ndarray, normalize: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel, float32, to broadcast over (n, C, T)."""
        if normalize == "window":
            return window.mean(2, keepdims=True), window.std(2, keepdims=True)
        if normalize == "recording":
            chosen = self.recording[indices]
            mean, std = (values[chosen, :, None] for values in self.store.source_moments)
        elif normalize == "dataset":
            samples = self.store.measured_samples
            one = np.zeros(len(samples), dtype=int)
            mean, std = (values[0, :, None] for values in pool_moments(samples, self.store.means, self.store.stds, one))
        else:
            raise ValueError(f"normalize {normalize!r} must be recording, dataset, window or none")
        return mean.astype(np.float32), std.astype(np.float32)

    def _signals(self) -> _Signals:
        with _LOADING:  # the loader's threads may call this at once
            if "signals" in self._cache:
                return self._cache["signals"]
            lengths = self.store.recordings["samples"].to_numpy()
            first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
            samples = np.empty((6, int(lengths.sum())), dtype=np.float32)
            for recording, start in enumerate(first):
                samples[:, start : start + lengths[recording]] = self.store.imu(recording).T
            self._cache["signals"] = _Signals(sliding_window_view(samples, WINDOW_SAMPLES, axis=1), first)
            return self._cache["signals"]

    def read_frames(self, index: int, chosen: np.ndarray, out: np.ndarray) -> None:
        """Decode frames of one window.

        Args:
            index: position of the window.
            chosen: (F,) frame numbers within the window, 0 to 49.
            out: (F, size, size, 3) uint8, overwritten.
        """
        first = round(int(self.start[index]) * FRAME_RATE_HZ / IMU_RATE_HZ)
        self.store.frames(int(self.recording[index])).read_into(first + chosen, out)


def list_windows(
    store: Store,
    needs_video: bool = False,
    labelled: bool = False,
    classes: Sequence[str] | None = None,
    stride_s: float = WINDOW_S,
    label_share: float = 1.0,
) -> Windows:
    """Cut every recording into 5 s windows, which do not overlap unless the stride is shorter.

    A recording with one label (or none) is cut from its beginning. One that changes activity is cut within each
    labelled segment if ``labelled``; otherwise from its beginning, and a window has a label only where it lies
    within one segment. A window that touches a masked stretch is left out; one whose video alone is bad, only where
    video is needed.

    Args:
        needs_video: keep windows only where all 50 stored frames exist.
        labelled: keep only windows with a label.
        classes: keep only windows of these labels and number them in this order; default: the dataset's classes.
        stride_s: from one window to the next, seconds; a multiple of 0.1, the time between frames.
        label_share: over 0.5. A window has the label of the segment that covers at least this fraction of it, for
            events that are shorter than windows; below 1, windows are cut from the recording's beginning also if
            ``labelled``.

    Raises:
        NoWindowError: if no window is left.
        ValueError: if a class is not in the dataset.
    """
    names = tuple(store.classes if classes is None else classes)
    if strange := sorted(set(names) - set(store.classes)):
        raise ValueError(f"{store.root} has no class {', '.join(strange)}: it has {', '.join(store.classes)}")
    number = {name: position for position, name in enumerate(names)}
    segments = dict(iter(store.segments.groupby("id")))
    stride, covered = round(stride_s * IMU_RATE_HZ), label_share * WINDOW_SAMPLES
    found: list[tuple[int, int, int]] = []
    table = store.recordings[["id", "label", "samples", "frames"]].itertuples(index=False)
    for recording, (recording_id, label, samples, frames) in enumerate(table):
        usable = min(samples, frames * IMU_RATE_HZ // FRAME_RATE_HZ) if needs_video else samples
        if recording_id not in segments:
            starts = range(0, usable - WINDOW_SAMPLES + 1, stride)
            found += [(recording, start, number.get(label, -1)) for start in starts]
            continue
        spans = [
            (round(s.start_s * IMU_RATE_HZ), round(s.end_s * IMU_RATE_HZ), number.get(s.label, -1))
            for s in segments[recording_id].itertuples()
        ]
        if labelled and label_share == 1:
            for first, end, label_number in spans:
                # a start on the frame grid, so that IMU and video begin at the same instant
                first = -(-first // 5) * 5
                starts = range(first, min(end, usable) - WINDOW_SAMPLES + 1, stride)
                found += [(recording, start, label_number) for start in starts]
        else:
            for start in range(0, usable - WINDOW_SAMPLES + 1, stride):
                end = start + WINDOW_SAMPLES
                inside = [n for first, last, n in spans if min(last, end) - max(first, start) >= covered]
                found.append((recording, start, inside[0] if inside else -1))
    keep = [w for w in found if w[2] >= 0] if labelled or classes is not None else found
    listed = len(keep)
    keep = _without_masked(store, keep, needs_video)
    if not keep:
        raise NoWindowError(
            f"{store.root} has no usable 5 s window"
            + (" with video" if needs_video else "")
            + (f" with a label among {', '.join(names)}" if labelled or classes is not None else "")
            + (f"; masked.csv says why {listed} are left out" if listed else "")
        )
    recording, start, label = np.array(keep, dtype=np.int64).T
    return Windows(
        store,
        names,
        recording,
        start,
        label,
        store.recordings["subject"].to_numpy(str)[recording],
        store.recordings["session"].to_numpy(str)[recording],
    )


def _without_masked(store: Store, windows: list[tuple[int, int, int]], needs_video: bool) -> list[tuple[int, int, int]]:
    """Windows (recording, start, label) that touch no masked stretch."""
    table = store.masked if needs_video else store.masked[~store.masked["reason"].isin(VIDEO_REASONS)]
    if table.empty:
        return windows
    stretches = {name: rows[["start_s", "end_s"]].to_numpy() * IMU_RATE_HZ for name, rows in table.groupby("id")}
    ids = store.recordings["id"].tolist()

    def untouched(recording: int, start: int) -> bool:
        masked = stretches.get(ids[recording])
        return masked is None or not ((masked[:, 0] < start + WINDOW_SAMPLES) & (masked[:, 1] > start)).any()

    return [window for window in windows if untouched(*window[:2])]


assert WINDOW_FRAMES * IMU_RATE_HZ == WINDOW_SAMPLES * FRAME_RATE_HZ  # a window is the same time in both
