"""Offsets between video and gyroscope: found where the camera turns, refused where it does not."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.frames import FrameStream, frame_writer
from datasets.simulation.raw_files import film as film_room
from datasets.simulation.rooms import build_room
from datasets.simulation.world import POPULATIONS, draw_device, draw_person, simulate
from datasets.synchrony import offset as module
from datasets.synchrony.lag_evidence import MIN_PAIRS, Evidence
from datasets.synchrony.offset import MIN_CONFIDENCE, MISLEADING, combine, estimate_offset, stretches
from tests.rotating_camera import film, measure, record, still, turning

LAGS = np.arange(-150, 151) / 50


class InMemory:
    """Frames that are read as those of a file are."""

    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return len(self.frames)

    def read(self, indices):
        return self.frames[indices]


def estimate(frames, gyro):
    return estimate_offset(InMemory(frames), gyro)


@pytest.mark.parametrize("seed, offset_s", list(enumerate([0.0, 0.013, -0.19, 0.25, -0.5, 1.37, -1.994, 2.0, 2.6])))
def test_the_offset_of_a_turning_camera_is_found(seed, offset_s):
    found = estimate(*record(seed, offset_s))
    assert found.offset_s == pytest.approx(offset_s, abs=0.01)
    assert found.confidence > 0.99 and found.correlation > 0.9
    assert (found.stretches, found.agreeing, found.spread_s) == (1, 1, 0.0)


def test_positive_means_that_the_video_is_late():
    def one_turn(t):  # at 4 s on the IMU's clock
        return np.exp(-(((t[:, None] - 4) / 0.3) ** 2)) * [0.3, 1.0, 0.2]

    def jitter(t):
        return 0.2 * turning(0)(t)

    frames = film(lambda t: one_turn(t - 0.7) + jitter(t - 0.7), 12)  # the video shows it at 4.7 s
    gyro = measure(lambda t: one_turn(t) + jitter(t), 12)
    assert estimate(frames, gyro).offset_s == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("axes, signs", [([0, 1, 2], [-1, 1, 1]), ([2, 0, 1], [1, 1, 1]), ([1, 0, 2], [-1, -1, 1])])
def test_order_and_signs_of_the_axes_do_not_matter(axes, signs):
    frames, gyro = record(3, -0.84)
    reference = estimate(frames, gyro)
    found = estimate(frames, gyro[:, axes] * signs)
    assert found.offset_s == pytest.approx(reference.offset_s, abs=1e-6)
    assert found.confidence == pytest.approx(reference.confidence, abs=1e-9)


def test_mounting_bias_and_lens_do_not_matter():
    frames, gyro = record(4, 1.11, focal=0.45)
    mounted = gyro @ Rotation.from_euler("xyz", [40, -75, 110], degrees=True).as_matrix().T + [0.3, -0.2, 0.1]
    assert estimate(frames, mounted).offset_s == pytest.approx(1.11, abs=0.01)


NOTHING_TO_SEE = {
    "camera and gyroscope at rest": (still(120), 0.003 * np.random.default_rng(1).standard_normal((600, 3))),
    "camera at rest, gyroscope not": (still(120), measure(turning(0), 12)),
    "frozen video": (still(120, noise=0), measure(turning(0), 12)),
    "black video": (np.zeros((120, 48, 48, 3), np.uint8), measure(turning(0), 12)),
    "snow": (np.random.default_rng(2).integers(0, 256, (120, 48, 48, 3)).astype(np.uint8), measure(turning(0), 12)),
    "gyroscope of somebody else": (film(turning(5), 12), measure(turning(6), 12)),
    "gyroscope at rest, camera not": (film(turning(5), 12), 0.003 * np.random.default_rng(3).standard_normal((600, 3))),
    "dead gyroscope": (film(turning(5), 12), np.zeros((600, 3))),
    "no gyroscope": (film(turning(5), 12), np.zeros((0, 3))),
    "offset beyond the range": record(7, 4.0),
    "two seconds": record(8, 0.0, duration_s=2.0),
    "no frames": (np.zeros((0, 48, 48, 3), np.uint8), measure(turning(0), 12)),
}


@pytest.mark.parametrize("name", NOTHING_TO_SEE)
def test_cannot_tell(name):
    found = estimate(*NOTHING_TO_SEE[name])
    assert np.isnan(found.offset_s) and found.confidence < MIN_CONFIDENCE


@pytest.mark.parametrize(
    "activity, offset_s", [("walking", -1.62), ("sweep_floor", 0.5), ("wash_hand", 2.0), ("turning", 0.04)]
)
def test_simulated_recordings(activity, offset_s):
    """A person in a room, not a mere turning camera: walking parallax, gait, sensor noise, another mounting."""
    rng = np.random.default_rng(len(activity))
    population = POPULATIONS["ego4d"]
    room, device = build_room(population.rooms, 5), draw_device(population, rng)
    trajectory = simulate(room, draw_person(population, rng), device, ((activity, 0.0),), 26.0, rng)
    frames = film_room(room, device, trajectory, 260, 10, 56)[25:225]  # 2.5 to 22.5 s
    time_s = 2.5 + offset_s + np.arange(1000) / 50
    gyro = device.sensor.measure(trajectory, time_s, rng)[1]
    assert estimate(frames, gyro).offset_s == pytest.approx(offset_s, abs=0.1)


def test_stretches_cover_a_recording_or_spread_over_it(monkeypatch):
    monkeypatch.setattr(module, "MAX_STRETCHES", 4)
    assert stretches(0) == stretches(MIN_PAIRS) == []
    assert stretches(300) == [(0, 300)]
    assert stretches(1000) == [(0, 250), (250, 500), (500, 750), (750, 1000)]
    assert stretches(36_000) == [(0, 300), (11_900, 12_200), (23_800, 24_100), (35_700, 36_000)]


def test_a_long_recording_uses_every_stretch(monkeypatch):
    monkeypatch.setattr(module, "STRETCH_FRAMES", 100)
    frames, gyro = record(2, -0.4, duration_s=40)
    found = estimate(frames, gyro)
    assert (found.stretches, found.agreeing) == (4, 4)
    assert found.offset_s == pytest.approx(-0.4, abs=0.01) and found.spread_s < 0.02
    assert found.confidence > 1 - MISLEADING / 10  # four that agree are believed more than one
    assert found.used_s == pytest.approx(4 * 9.9)


def test_drifting_clocks_show_in_the_spread(monkeypatch):
    monkeypatch.setattr(module, "STRETCH_FRAMES", 100)
    rate = turning(3)
    frames = film(rate, 40)
    imu_s = np.arange(2000) / 50 * 1.002  # 2 ms a second: 60 ms between the middles of the first and last stretch
    found = estimate(frames, rate(imu_s))
    assert found.spread_s == pytest.approx(0.06, abs=0.015)
    assert found.offset_s == pytest.approx(0.04, abs=0.02)


def peak(at_s: float, height: float, gain: float = 1.0) -> Evidence:
    curve = np.maximum(height - ((LAGS - at_s) / 0.02) ** 2, -20)
    return Evidence(LAGS, curve, np.full(301, 0.8), np.full(301, gain), 30.0)


SILENT = Evidence(LAGS, np.full(301, -15.0), np.full(301, 0.1), np.full(301, 1.0), 30.0)


def test_silent_stretches_neither_help_nor_harm():
    alone = combine([peak(0.5, 60)])
    among = combine([SILENT] * 7 + [peak(0.5, 60)])
    assert among.offset_s == alone.offset_s == pytest.approx(0.5, abs=1e-6)
    assert among.confidence == pytest.approx(alone.confidence, abs=1e-4)
    assert (among.stretches, among.agreeing, among.used_s) == (8, 1, 240)
    assert np.isnan(combine([SILENT] * 8).offset_s)


def test_stretches_that_disagree_lower_the_confidence():
    two = combine([peak(0.5, 60), peak(-1.0, 60)])
    assert np.isnan(two.offset_s) and two.confidence == pytest.approx(0.5, abs=0.01)
    three = combine([peak(0.5, 60), peak(-1.0, 60), peak(0.52, 60)])
    assert three.offset_s == pytest.approx(0.51, abs=1e-6)
    assert three.agreeing == 2 and three.spread_s == pytest.approx(0.02, abs=1e-6)
    assert two.confidence < three.confidence < combine([peak(0.5, 60)] * 3).confidence


def test_weak_stretches_add_up():
    weak = peak(0.5, 7.5)
    assert np.isnan(combine([weak]).offset_s)
    assert combine([weak] * 4).offset_s == pytest.approx(0.5, abs=0.02)


def test_one_stretch_is_never_certain():
    assert 0.99 < combine([peak(0.5, 1e5)]).confidence <= 1 - MISLEADING * 0.9


@pytest.mark.parametrize("at_s", [-3.0, 3.0])
def test_a_peak_at_the_end_of_the_range_is_none(at_s):
    assert np.isnan(combine([peak(at_s, 60)]).offset_s)


@pytest.fixture
def stored(tmp_path):
    frames, gyro = record(2, 0.62, duration_s=24)
    with frame_writer(tmp_path / "a.mjpeg") as writer:
        for frame in frames:
            writer.write(frame)
    return FrameStream(tmp_path / "a.mjpeg", 240, 48), gyro


def test_stored_frames_are_read_a_stretch_at_a_time(stored, monkeypatch):
    stream, gyro = stored
    asked = []
    read = FrameStream.read
    monkeypatch.setattr(FrameStream, "read", lambda self, indices: asked.append(len(indices)) or read(self, indices))
    monkeypatch.setattr(module, "STRETCH_FRAMES", 80)
    found = estimate_offset(stream, gyro.astype(np.float32))
    assert asked == [80, 80, 80]
    assert found == estimate(read(stream, np.arange(240)), gyro.astype(np.float32))
    assert found.offset_s == pytest.approx(0.62, abs=0.01)
