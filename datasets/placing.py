"""Windows of training drawn anew for every epoch: where they begin, how fast they run, and which are their neighbours.

All draws follow from (seed, epoch, position of the window), whatever the threads, the ranks or the place where a run
was interrupted.
"""

from dataclasses import replace

import numpy as np

from datasets.joined import JoinedWindows
from datasets.windows import FRAME_STEP, Windows

_STREAM = (0, 1)  # tells these random numbers from those of the order, (), and of the frames of window k, (k,)
_BESIDE = (0, 3)


def place_anew(
    windows: Windows | JoinedWindows, seed: int, epoch: int, random_start: bool, speed_jitter: float
) -> Windows | JoinedWindows:
    """Every window elsewhere within its bounds, IMU and video alike.

    A window of length L (seconds, its own times exp(U(-j, j)) with jitter j) begins at one of the instants of a frame
    from which it ends within its bounds, each as likely as the other; without ``random_start`` it begins where it did.
    What reaches beyond the end of the recording has its last sample and frame repeated. A window that would leave its
    segment, or touch what is to be avoided, stays as it was.

    Args:
        random_start: draw the starts.
        speed_jitter: j.

    Returns:
        The same windows in the same order; with ``speed`` if there is jitter.
    """
    if isinstance(windows, JoinedWindows):
        parts = enumerate(windows.parts)
        placed = (_place(part, [seed, epoch, *_STREAM, k], random_start, speed_jitter) for k, part in parts)
        return replace(windows, parts=tuple(placed))
    return _place(windows, [seed, epoch, *_STREAM], random_start, speed_jitter)


def _place(windows: Windows, key: list[int], random_start: bool, speed_jitter: float) -> Windows:
    shift, stretch = np.random.default_rng(key).random((2, len(windows)))
    speed = np.exp(speed_jitter * (2 * stretch - 1))
    length, start = windows.samples * speed, windows.start
    lowest, end = -(-windows.bounds[:, 0] // FRAME_STEP), windows.bounds[:, 1]
    if random_start:
        choices = np.maximum((end - length) // FRAME_STEP - lowest + 1, 1)
        start = FRAME_STEP * (lowest + (shift * choices).astype(np.int64))
    beyond = (start + length > end) & (end < windows.store.recordings["samples"].to_numpy()[windows.recording])
    stays = beyond | windows.touching(start, length)
    start, speed = np.where(stays, windows.start, start), np.where(stays, 1.0, speed)
    return replace(windows, start=start, speed=speed if speed_jitter else None)


def beside(windows: Windows | JoinedWindows, seed: int, epoch: int, share: float) -> Windows | JoinedWindows:
    """Each window's neighbour in its recording: the one that begins where it ends, or ends where it begins.

    Which of the two is drawn; where that one would leave the recording or touch what is to be avoided, it is the other.
    A window without either stays what it is. Labels are not looked at.

    Args:
        share: fraction of the windows, drawn, that are moved at all.

    Returns:
        As many windows in the same order.
    """
    if isinstance(windows, JoinedWindows):
        parts = enumerate(windows.parts)
        return replace(windows, parts=tuple(_beside(part, [seed, epoch, *_BESIDE, k], share) for k, part in parts))
    return _beside(windows, [seed, epoch, *_BESIDE], share)


def _beside(windows: Windows, key: list[int], share: float) -> Windows:
    side, moved = np.random.default_rng(key).random((2, len(windows)))
    length = np.ceil(windows.samples * (1.0 if windows.speed is None else windows.speed)).astype(np.int64)
    length = np.broadcast_to(length, len(windows))
    ends = windows.store.recordings["samples"].to_numpy()[windows.recording]
    start, todo = windows.start, moved < share
    for sign in (1, -1):
        other = windows.start + np.where(side < 0.5, sign, -sign) * length
        fits = todo & (other >= 0) & (other + length <= ends) & ~windows.touching(other, length)
        start, todo = np.where(fits, other, start), todo & ~fits
    return replace(windows, start=start)
