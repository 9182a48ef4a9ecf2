"""The windows of a prepared dataset, and their IMU signal.

Letters: W windows, T samples of a window (250 for 5 s), C = 6 channels.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from configs.constants import ACC, FRAME_RATE_HZ, IMU_RATE_HZ, WINDOW_S
from datasets.masking import VIDEO_REASONS
from datasets.store import Store

FRAME_STEP = IMU_RATE_HZ // FRAME_RATE_HZ  # samples from one frame to the next
_LOADING = threading.Lock()


class NoWindowError(ValueError):
    """A dataset without a usable window; the message says what was asked for."""


@dataclass(frozen=True)
class _Signals:
    """The IMU of all recordings, end to end, in memory: 4 MB an hour.

    The last sample of a recording that is shorter than a window is repeated up to one.
    """

    samples: np.ndarray  # (C, N) float32
    at: np.ndarray  # (C, N - T + 1, T): the window that begins at a sample; a view, nothing is copied
    first: np.ndarray  # (R,) sample at which each recording begins
    lengths: np.ndarray  # (R,) samples of each recording, without repeated ones


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
        samples: T.
        bounds: (W, 2) int64 first sample, and the one after the last, between which a window may be moved: those of its
            recording, or of the segment that it has its label from.
        avoid: by row of ``store.recordings`` (M, 2) stretches that windows must not touch, samples.
        too_short: recordings that gave no window because they are too short for one.
        speed: (W,) float64 samples of the recording in a sample of the window; None: 1, nothing is resampled.
    """

    store: Store
    classes: tuple[str, ...]
    recording: np.ndarray
    start: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    session: np.ndarray
    samples: int
    bounds: np.ndarray
    avoid: Mapping[int, np.ndarray]
    too_short: int
    speed: np.ndarray | None = None
    _cache: dict[str, _Signals] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.start)

    def subset(self, indices: np.ndarray) -> "Windows":
        """The windows at these positions (or where a mask is true); the signal in memory is shared."""
        names = ["recording", "start", "label", "subject", "session", "bounds"] + ["speed"] * (self.speed is not None)
        return replace(self, **{name: getattr(self, name)[indices] for name in names})

    @property
    def window_s(self) -> float:
        return self.samples / IMU_RATE_HZ

    @property
    def parts(self) -> tuple["Windows", ...]:
        """Itself, the only list, see ``JoinedWindows``."""
        return (self,)

    @property
    def frames(self) -> int:
        """Stored frames of a window, at 10 a second."""
        return self.samples // FRAME_STEP

    @property
    def frame_size(self) -> int:
        """Side of the stored frames, pixels."""
        return int(self.store.info["frame_size"])

    def touching(self, start: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """(W,) bool: whether each window would touch what is to be avoided, if it were elsewhere in its recording.

        Args:
            start: (W,) first sample.
            samples: (W,) length.
        """
        found = np.zeros(len(self), dtype=bool)
        order = np.argsort(self.recording, kind="stable")
        ordered = self.recording[order]
        for recording, stretches in self.avoid.items():
            first, end = np.searchsorted(ordered, [recording, recording + 1])
            own = order[first:end]
            before = stretches[:, 0] < (start + samples)[own, None]
            found[own] = (before & (stretches[:, 1] > start[own, None])).any(1)
        return found

    def centred(self) -> "Windows":
        """Each window in the middle of its bounds; where it would touch what is to be avoided it stays."""
        lowest, end = -(-self.bounds[:, 0] // FRAME_STEP), self.bounds[:, 1]
        steps = np.maximum(end - FRAME_STEP * lowest - self.samples, 0) // (2 * FRAME_STEP)
        start = FRAME_STEP * (lowest + steps)
        stays = self.touching(start, np.full(len(self), self.samples)) | (end - self.bounds[:, 0] < self.samples)
        return replace(self, start=np.where(stays, self.start, start))

    def describe_too_short(self) -> str:
        """How many recordings gave no window because they are too short, in words; empty if there are none."""
        many = f"{self.too_short} recordings are" if self.too_short > 1 else "1 recording is"
        return f"{many} too short for a window of {self.window_s:g} s" if self.too_short else ""

    def sources(self) -> np.ndarray:
        """(W,) str: the raw recording that each window was cut from, by name and content.

        Parts of a recording that was split share it, and so do datasets prepared from the same files.
        """
        table = self.store.recordings
        return (table["source"] + "\t" + table["source_hash"]).to_numpy(str)[self.recording]

    def ids(self, indices: np.ndarray | None = None) -> list[str]:
        """``<recording id>@<start in seconds>``: names that hold across runs and machines.

        Where a window does not last 5 s, ``+<seconds>`` follows: windows of different length are never the same.
        """
        chosen = self if indices is None else self.subset(indices)
        names = self.store.recordings["id"].to_numpy()[chosen.recording]
        length = "" if self.window_s == WINDOW_S else f"+{self.window_s:g}"
        return [f"{name}@{start / IMU_RATE_HZ:g}{length}" for name, start in zip(names, chosen.start, strict=True)]

    def imu(self, indices: np.ndarray, normalize: str) -> np.ndarray:
        """IMU of the windows at these positions.

        Args:
            indices: (n,) positions.
            normalize: z-score by the mean and standard deviation of the raw ``recording`` with all its parts (paper),
                of the ``dataset``, of the ``window``, or ``none``. A channel that does not vary is only centred, and
                repeated samples at the end of a recording do not count.

        Returns:
            (n, 6, T) float32, channels acceleration x y z then angular rate x y z.
        """
        window = self._read(indices).transpose(1, 0, 2)  # (n, C, T)
        if normalize == "none":
            return np.ascontiguousarray(window)
        if normalize == "window":
            recorded = self._recorded(indices)[:, None, None]
            where = True if (recorded == self.samples).all() else np.arange(self.samples) < recorded
            mean = window.mean(2, keepdims=True, where=where)
            std = _divisor(window.std(2, keepdims=True, where=where))
        else:
            mean, std = self.moments(indices, normalize)
        out = np.empty(window.shape, np.float32)
        np.subtract(window, mean, out=out)
        return np.divide(out, std, out=out)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        """(C, n, T) samples; with ``speed`` interpolated linearly, and the recording's last one beyond its end.

        What is played faster turns faster: angular rates are multiplied by the speed. Acceleration is left alone: of it
        motion's part would grow with the square, gravity's not at all, and nobody knows which is which.
        """
        signals, recording = self._signals(), self.recording[indices]
        first, start = signals.first[recording], self.start[indices]
        if self.speed is None:
            return signals.at[:, first + start]
        last = signals.lengths[recording] - 1
        place = start[:, None] + np.arange(self.samples) * self.speed[indices, None]  # (n, T)
        place = np.minimum(place, last[:, None])
        before = place.astype(np.int64)
        after = np.minimum(before + 1, last[:, None])
        share = (place - before).astype(np.float32)
        a, b = (signals.samples[:, first[:, None] + rows] for rows in (before, after))
        samples = a + (b - a) * share
        samples[len(ACC) :] *= self.speed[indices, None].astype(np.float32)
        return samples

    def _recorded(self, indices: np.ndarray) -> np.ndarray:
        """(n,) samples of each window that are not repeated ones at its recording's end."""
        left = self._signals().lengths[self.recording[indices]] - 1 - self.start[indices]
        return np.minimum(left // (1 if self.speed is None else self.speed[indices]) + 1, self.samples)

    def moments(self, indices: np.ndarray, normalize: str) -> tuple[np.ndarray, np.ndarray]:
        """What the z-score of the windows at these positions subtracts, and what it divides by.

        Args:
            indices: (n,) positions.
            normalize: ``recording``, ``dataset`` or ``none``, see ``imu``.

        Returns:
            Mean and standard deviation of each channel, float32, to broadcast over (n, 6, T).
        """
        if normalize == "none":
            return np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
        if normalize == "recording":
            chosen = self.recording[indices]
            mean, std = (values[chosen, :, None] for values in self.store.source_moments)
        elif normalize == "dataset":
            mean, std = (values[:, None] for values in self.store.dataset_moments)
        else:
            raise ValueError(f"normalize {normalize!r} must be recording, dataset, window or none")
        return mean.astype(np.float32), _divisor(std.astype(np.float32))

    def _signals(self) -> _Signals:
        with _LOADING:  # the loader's threads may call this at once
            if "signals" in self._cache:
                return self._cache["signals"]
            lengths = self.store.recordings["samples"].to_numpy()
            room = np.maximum(lengths, self.samples)
            first = np.concatenate([[0], np.cumsum(room)[:-1]]).astype(np.int64)
            samples = np.empty((6, int(room.sum())), dtype=np.float32)
            for recording, start in enumerate(first):
                signal, end = self.store.imu(recording).T, start + lengths[recording]
                samples[:, start:end] = signal
                samples[:, end : start + room[recording]] = signal[:, -1:]
            at = sliding_window_view(samples, self.samples, axis=1)
            self._cache["signals"] = _Signals(samples, at, first, lengths)
            return self._cache["signals"]

    def read_frames(self, index: int, chosen: np.ndarray, out: np.ndarray) -> None:
        """Decode frames of one window; beyond the recording's end its last frame.

        Args:
            index: position of the window.
            chosen: (F,) frame numbers within the window, from 0; at its speed.
            out: (F, size, size, 3) uint8, overwritten.
        """
        first = round(int(self.start[index]) * FRAME_RATE_HZ / IMU_RATE_HZ)
        if self.speed is not None:
            chosen = np.floor(chosen * self.speed[index] + 0.5).astype(np.int64)
        stream = self.store.frames(int(self.recording[index]))
        stream.read_into(np.minimum(first + chosen, len(stream) - 1), out)

    def frames_path(self, index: int) -> Path:
        """The file of the frames of one window."""
        return self.store.frames(int(self.recording[index])).path


def _divisor(std: np.ndarray) -> np.ndarray:
    return np.where(std > 1e-8, std, np.float32(1))


def list_windows(
    store: Store,
    needs_video: bool = False,
    labelled: bool = False,
    classes: Sequence[str] | None = None,
    stride_s: float | None = None,
    label_share: float = 1.0,
    window_s: float = WINDOW_S,
    min_coverage: float = 1.0,
) -> Windows:
    """Cut every recording into windows, which do not overlap unless the stride is shorter.

    A recording with one label (or none) is cut from its beginning. One that changes activity is cut within each
    labelled segment if ``labelled``; otherwise from its beginning, and a window has a label only where it lies
    within one segment. A window that touches a masked stretch is left out; one whose video alone is bad, only where
    video is needed.

    Args:
        needs_video: keep windows only where all stored frames exist.
        labelled: keep only windows with a label.
        classes: keep only windows of these labels and number them in this order; default: the dataset's classes.
        stride_s: from one window to the next, seconds; a multiple of 0.1, the time between frames. Default: a window.
        label_share: over 0.5. A window has the label of the segment that covers at least this fraction of it, for
            events that are shorter than windows; below 1, windows are cut from the recording's beginning also if
            ``labelled``.
        window_s: length of a window, seconds; a multiple of 0.1.
        min_coverage: a recording that is shorter than a window, and not shorter than this fraction of one, gives one
            window, in which the last sample and the last frame are repeated; a label must cover what is recorded.

    Raises:
        NoWindowError: if no window is left.
        ValueError: if a class is not in the dataset.
    """
    names = tuple(store.classes if classes is None else classes)
    if strange := sorted(set(names) - set(store.classes)):
        raise ValueError(f"{store.root} has no class {', '.join(strange)}: it has {', '.join(store.classes)}")
    number = {name: position for position, name in enumerate(names)}
    segments = dict(iter(store.segments.groupby("id")))
    length = round(window_s * IMU_RATE_HZ)
    stride = length if stride_s is None else round(stride_s * IMU_RATE_HZ)
    least = math.ceil(min_coverage * length - 1e-6)
    found: list[tuple[int, int, int, int, int]] = []  # recording, start, label, bounds
    any_label, too_short = not labelled and classes is None, 0
    table = store.recordings[["id", "label", "samples", "frames"]].itertuples(index=False)
    for recording, (recording_id, label, samples, frames) in enumerate(table):
        usable = min(samples, frames * IMU_RATE_HZ // FRAME_RATE_HZ) if needs_video else samples
        if usable < least:
            wanted = any_label or label in number or recording_id in segments
            too_short += bool(usable and wanted)
            continue
        starts = range(0, max(usable - length, 0) + 1, stride)
        if recording_id not in segments:
            found += [(recording, start, number.get(label, -1), 0, usable) for start in starts]
            continue
        spans = [
            (round(s.start_s * IMU_RATE_HZ), round(s.end_s * IMU_RATE_HZ), number.get(s.label, -1))
            for s in segments[recording_id].itertuples()
        ]
        if labelled and label_share == 1 and usable >= length:
            for first, end, label_number in spans:
                # a start on the frame grid, so that IMU and video begin at the same instant
                first, end = -(-first // FRAME_STEP) * FRAME_STEP, min(end, usable)
                starts = range(first, end - length + 1, stride)
                found += [(recording, start, label_number, first, end) for start in starts]
        else:
            for start in starts:
                end = min(start + length, usable)
                covered = label_share * (end - start)
                inside = [span for span in spans if min(span[1], end) - max(span[0], start) >= covered]
                first, last, label_number = inside[0] if inside else (0, usable, -1)
                bounds = (first, min(last, usable)) if label_share == 1 else (start, end)
                found.append((recording, start, label_number, *bounds))
    keep = found if any_label else [w for w in found if w[2] >= 0]
    recording, start, label, first, end = np.array(keep, dtype=np.int64).reshape(-1, 5).T
    windows = Windows(
        store,
        names,
        recording,
        start,
        label,
        store.recordings["subject"].to_numpy(str)[recording],
        store.recordings["session"].to_numpy(str)[recording],
        length,
        np.stack([first, end], axis=1),
        _masked(store, needs_video),
        too_short,
    )
    windows = windows.subset(~windows.touching(start, np.full(len(start), length)))
    if not len(windows):
        raise NoWindowError(
            f"{store.root} has no usable {window_s:g} s window"
            + (" with video" if needs_video else "")
            + (f" with a label among {', '.join(names)}" if labelled or classes is not None else "")
            + (f"; masked.csv says why {len(keep)} are left out" if keep else "")
            + (f"; {too_short} recordings are too short for one" if too_short else "")
        )
    return windows


def _masked(store: Store, needs_video: bool) -> dict[int, np.ndarray]:
    """By row of the recording (M, 2) masked stretches, samples; those of the video alone only where it is needed."""
    table = store.masked if needs_video else store.masked[~store.masked["reason"].isin(VIDEO_REASONS)]
    row = {name: number for number, name in enumerate(store.recordings["id"])}
    by_id = table[table["id"].isin(row)].groupby("id")
    return {row[name]: rows[["start_s", "end_s"]].to_numpy() * IMU_RATE_HZ for name, rows in by_id}
