"""Picture motion against cameras that turn by known angles."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.synchrony import image_motion as module
from datasets.synchrony.image_motion import NOMINAL_FOCAL, image_motion
from tests.rotating_camera import views


def turned(*rotation_vectors, **picture) -> np.ndarray:
    """Frames of a camera that turns by each of these in turn, rad in camera axes."""
    camera = [np.eye(3)]
    for vector in rotation_vectors:
        camera.append(camera[-1] @ Rotation.from_rotvec(vector).as_matrix())
    return views(np.stack(camera), **picture)


# Turned to the right (about y, which points down), the picture moves left; up (about x), down; a roll turns it back.
@pytest.mark.parametrize("focal", [0.45, 0.6, 1.0])
@pytest.mark.parametrize("axis, column, sign", [(1, 0, -1), (0, 1, 1), (2, 2, -1)])
def test_small_turns_are_measured(axis, column, sign, focal):
    vectors = np.array([-0.03, -0.004, 0.0, 0.004, 0.02, 0.03])[:, None] * np.eye(3)[axis]
    motion = image_motion(turned(*vectors, focal=focal))
    lens = 1.0 if axis == 2 else focal / NOMINAL_FOCAL
    expected = sign * lens * vectors[:, axis]
    factor = (motion.turn[:, column] @ expected) / (expected @ expected)
    # a common factor is settled by the fit to the gyroscope: pictures stretch towards their edges, shading is taken out
    assert 0.8 < factor < 1.25
    assert motion.turn[:, column] == pytest.approx(factor * expected, abs=0.05 * 0.03)
    assert np.abs(np.delete(motion.turn, column, axis=1)).max() < 0.15 * np.abs(expected).max()
    assert (motion.weight == 1).all()


def test_large_shifts_are_found():
    vectors = np.array([[0, 0.3, 0], [0.28, 0, 0], [-0.2, -0.2, 0]])
    motion = image_motion(turned(*vectors))
    expected = np.stack([-vectors[:, 1], vectors[:, 0], vectors[:, 2]], axis=1)
    assert np.abs(motion.turn - expected).max() < 0.06


@pytest.mark.parametrize("size", [48, 64, 224])
def test_the_size_of_frames_does_not_matter(size):
    motion = image_motion(turned([0.01, 0.02, 0.015], size=size))
    reference = image_motion(turned([0.01, 0.02, 0.015], size=56))
    assert motion.turn == pytest.approx(reference.turn, abs=0.0008)


def test_a_still_picture_does_not_move():
    motion = image_motion(np.repeat(turned(), 5, axis=0))
    assert np.abs(motion.turn).max() < 1e-6 and (motion.weight == 1).all()


def test_brightness_and_contrast_do_not_matter():
    frames = turned([0.01, 0.02, 0.015])
    changed = frames.copy()
    changed[1] = np.clip(0.6 * changed[1].astype(float) + 40, 0, 255).astype(np.uint8)
    assert image_motion(changed).turn == pytest.approx(image_motion(frames).turn, abs=0.001)


def test_a_thing_that_moves_by_itself_is_ignored():
    frames = turned([0.01, 0.02, 0.0], size=56)
    thing = views(np.eye(3)[None], size=56, seed=5)[0][:18, :18]
    for k, frame in enumerate(frames):
        frame[30:48, 20 + 6 * k : 38 + 6 * k] = thing  # a tenth of the picture, 6 pixels a frame
    assert image_motion(frames).turn[0] == pytest.approx([-0.02, 0.01, 0.0], abs=0.007)


def test_what_cannot_be_matched_has_no_weight():
    here, there = turned(), views(np.eye(3)[None], seed=9)
    black = np.zeros_like(here)
    grey = np.full_like(here, 130)
    noise = np.random.default_rng(0).integers(0, 256, here.shape).astype(np.uint8)
    motion = image_motion(np.concatenate([here, there, black, black, grey, noise, here, here]))
    assert motion.weight.tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert (motion.turn[motion.weight == 0] == 0).all() and np.isfinite(motion.turn).all()


def test_batches_change_nothing(monkeypatch):
    frames = turned(*np.random.default_rng(0).normal(0, 0.03, (20, 3)))
    whole = image_motion(frames)
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 7)
    parts = image_motion(frames)
    assert parts.turn.shape == whole.turn.shape == (20, 3)
    assert parts.turn == pytest.approx(whole.turn, abs=1e-6)
