"""How the picture of a moving camera shifts, turns and scales from one frame to the next.

Direct registration of consecutive frames by a similarity: phase correlation (Kuglin and Hines 1975) gives a start for
large shifts, Gauss-Newton steps on the grey values, with the mean of both frames' gradients (ESM, Benhimane and Malis
2004) and robust weights against things that move by themselves, refine it on two levels.

Letters: F frames, n pairs of frames at once, S side of a frame, s side of a reduced frame, P = s * s its pixels.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

SIDE = 56  # pixels, at least, of the frames that are registered; larger ones cost time and add nothing
NOMINAL_FOCAL = 0.6  # focal length of an 80 degree lens in units of the image side
PAIRS_AT_ONCE = 64
STEPS = (6, 4)  # Gauss-Newton steps on the half and on the full level
NOISE = 0.1  # of a pixel, in standard deviations of the frame: smaller differences say nothing of what moves by itself
PHASE_GAIN = 0.15  # repeated patterns match a period away as well: a large shift must earn its place
FLAT = 2.0  # grey levels: a frame whose structure has less standard deviation shows nothing


@dataclass(frozen=True)
class ImageMotion:
    """Motion of the picture between consecutive frames.

    Attributes:
        turn: (F-1, 3) float64 shift to the right, shift down, turn clockwise; shifts are divided by the focal length of
            an 80 degree lens, so that all three are radians of camera rotation up to the factor of the true lens.
        weight: (F-1,) 0 where the frames could not be matched (or show nothing) to 1 where they match well.
    """

    turn: np.ndarray
    weight: np.ndarray


def image_motion(frames: np.ndarray) -> ImageMotion:
    """Register each frame with its successor.

    Args:
        frames: (F, S, S, 3) uint8, F >= 2.
    """
    parts = [
        _register(*_structure(frames[k : k + PAIRS_AT_ONCE + 1])) for k in range(0, len(frames) - 1, PAIRS_AT_ONCE)
    ]
    turn, weight = (np.concatenate(values) for values in zip(*parts, strict=True))
    return ImageMotion(turn, weight)


def _structure(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduced grey frames (n + 1, s, s) float32 without their slow shading, unit variance; and which show anything."""
    factor = max(1, frames.shape[1] // SIDE)
    side = frames.shape[1] // factor
    grey = frames[:, : side * factor, : side * factor] @ np.array([0.299, 0.587, 0.114], np.float32)
    grey = grey.reshape(len(grey), side, factor, side, factor).mean((2, 4))
    structure = gaussian_filter(grey, (0, 0.7, 0.7)) - gaussian_filter(grey, (0, side / 8, side / 8))
    spread = structure.std((1, 2), keepdims=True)
    return structure / np.maximum(spread, FLAT), spread[:, 0, 0] >= FLAT


def _register(frames: np.ndarray, shows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (n, 3) and weight (n,) of the pairs among n + 1 frames."""
    half = _halved(frames)
    starts = [np.zeros((len(frames) - 1, 4), np.float32), _phase_shift(frames)]
    tries = [_gauss_newton(half[:-1], half[1:], start, STEPS[0]) for start in starts]
    better = tries[1][1] > tries[0][1] + PHASE_GAIN
    motion = np.where(better[:, None], tries[1][0], tries[0][0])
    motion, match = _gauss_newton(frames[:-1], frames[1:], motion, STEPS[1])
    weight = np.clip((match - 0.5) / 0.3, 0, 1) * (shows[:-1] & shows[1:])
    turn = motion[:, :3].astype(np.float64) / [NOMINAL_FOCAL, NOMINAL_FOCAL, 1]
    return np.where(weight[:, None] > 0, turn, 0.0), weight


def _halved(frames: np.ndarray) -> np.ndarray:
    side = frames.shape[1] // 2
    return frames[:, : 2 * side, : 2 * side].reshape(len(frames), side, 2, side, 2).mean((2, 4))


def _phase_shift(frames: np.ndarray) -> np.ndarray:
    """(n, 4) whole-pixel shifts of the pairs as motions, from the peak of the phase correlation."""
    side = frames.shape[1]
    window = np.hanning(side).astype(np.float32)
    spectrum = rfft2(frames * window[:, None] * window)
    cross = spectrum[1:] * spectrum[:-1].conj()
    peaks = irfft2(cross / (np.abs(cross) + 1e-3 * np.abs(cross).mean((1, 2), keepdims=True) + 1e-9), s=(side, side))
    row, column = np.divmod(peaks.reshape(len(peaks), -1).argmax(1), side)
    motion = np.zeros((len(peaks), 4), np.float32)
    for k, shift in ((0, column), (1, row)):
        motion[:, k] = (shift - side * (shift > side // 2)) / side
    return motion


def _gauss_newton(
    first: np.ndarray, second: np.ndarray, motion: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Refine the similarity that takes pixels of the first frames to the second.

        x' = x + right - turn * y + grow * x        y' = y + down + turn * x + grow * y

    Coordinates are in units of the side, from the centre.

    Args:
        first, second: (n, s, s) float32.
        motion: (n, 4) right, down, turn, grow to start from.

    Returns:
        (n, 4) refined motion and (n,) correlation of the matched pixels.
    """
    n, side = first.shape[:2]
    flat_first, flat_second = first.reshape(n, -1), second.reshape(n, -1)
    centre = (side - 1) / 2
    y, x = ((grid.ravel() - centre) / side for grid in np.indices((side, side), dtype=np.float32))
    down_first, right_first = (g.reshape(n, -1) for g in np.gradient(first, axis=(1, 2)))
    offset = (np.arange(n) * side * side)[:, None]
    motion = motion.copy()
    for step in range(steps + 1):
        right, down, turn, grow = (motion[:, k, None] for k in range(4))
        column = (x + right - turn * y + grow * x) * side + centre
        row = (y + down + turn * x + grow * y) * side + centre
        inside = (column >= 0) & (column <= side - 1) & (row >= 0) & (row <= side - 1)
        left = np.clip(column.astype(np.int32), 0, side - 2)
        top = np.clip(row.astype(np.int32), 0, side - 2)
        at = offset + top * side + left
        u, v = column - left, row - top
        a, b, c, d = (flat_second.ravel()[at + k] for k in (0, 1, side, side + 1))
        upper, lower = a + u * (b - a), c + u * (d - c)
        warped = upper + v * (lower - upper)
        if step == steps:
            break
        difference = (flat_first - warped) * inside
        typical = np.median(np.abs(difference)[:, ::3], axis=1, keepdims=True)  # every third pixel is enough
        weight = inside / (1 + (difference / (2 * typical + NOISE)) ** 2) ** 2  # Geman and McClure 1985
        along = 0.5 * side * (right_first + (b - a) + v * ((d - c) - (b - a)))
        across = 0.5 * side * (down_first + lower - upper)
        slope = np.stack([along, across, across * x - along * y, along * x + across * y], axis=1)  # (n, 4, P)
        weighted = slope * weight[:, None]
        normal = weighted @ slope.transpose(0, 2, 1) + 1e-3 * np.eye(4, dtype=np.float32)
        motion += np.linalg.solve(normal, (weighted @ difference[:, :, None]))[..., 0]
        motion = np.clip(motion, -0.6, 0.6)
    return motion, _correlation(flat_first, warped, inside)


def _correlation(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(n,) correlation over the pixels inside, damped where few are."""
    count = np.maximum(inside.sum(1), 1)
    a, b = ((p - ((p * inside).sum(1) / count)[:, None]) * inside for p in (first, second))
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1) + 1e-6) * np.clip(4 * count / first.shape[1], 0, 1)
