"""Offsets between video and gyroscope: found where the camera turns, refused where it does not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.frames import FrameStream, FrameWriter
from datasets.simulation.raw_files import film as film_room
from datasets.simulation.rooms import build_room
from datasets.simulation.world import POPULATIONS, draw_device, draw_person, simulate
from datasets.synchrony.lag_evidence import MIN_PAIRS, Evidence
from datasets.synchrony.offset import (
    MISLEADING,
    SyncSettings,
    clearest_curves,
    combine,
    estimate_offset,
    estimate_stored_offset,
    stretches,
)
from tests.rotating_camera import film, measure, record, still, turning

SETTINGS = SyncSettings()
LAGS = np.arange(-150, 151) / 50


@pytest.mark.parametrize("seed, offset_s", list(enumerate([0.0, 0.013, -0.19, 0.25, -0.5, 1.37, -1.994, 2.0, 2.6])))
def test_the_offset_of_a_turning_camera_is_found(seed, offset_s):
    estimate = estimate_offset(*record(seed, offset_s), SETTINGS)
    assert estimate.offset_s == pytest.approx(offset_s, abs=0.01)
    assert estimate.verdict == ("ok" if abs(offset_s) <= 0.2 else "offset")
    assert estimate.confidence > 0.99 and estimate.correlation > 0.9
    assert (estimate.stretches, estimate.agreeing, estimate.spread_s) == (1, 1, 0.0)


def test_positive_means_that_the_video_is_late():
    def one_turn(t):  # at 4 s on the IMU's clock
        return np.exp(-(((t[:, None] - 4) / 0.3) ** 2)) * [0.3, 1.0, 0.2]

    def jitter(t):
        return 0.2 * turning(0)(t)

    frames = film(lambda t: one_turn(t - 0.7) + jitter(t - 0.7), 12)  # the video shows it at 4.7 s
    gyro = measure(lambda t: one_turn(t) + jitter(t), 12)
    assert estimate_offset(frames, gyro, SETTINGS).offset_s == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("axes, signs", [([0, 1, 2], [-1, 1, 1]), ([2, 0, 1], [1, 1, 1]), ([1, 0, 2], [-1, -1, 1])])
def test_order_and_signs_of_the_axes_do_not_matter(axes, signs):
    frames, gyro = record(3, -0.84)
    reference = estimate_offset(frames, gyro, SETTINGS)
    estimate = estimate_offset(frames, gyro[:, axes] * signs, SETTINGS)
    assert estimate.offset_s == pytest.approx(reference.offset_s, abs=1e-6)
    assert estimate.confidence == pytest.approx(reference.confidence, abs=1e-9)


def test_mounting_bias_and_lens_do_not_matter():
    frames, gyro = record(4, 1.11, focal=0.45)
    mounted = gyro @ Rotation.from_euler("xyz", [40, -75, 110], degrees=True).as_matrix().T + [0.3, -0.2, 0.1]
    assert estimate_offset(frames, mounted, SETTINGS).offset_s == pytest.approx(1.11, abs=0.01)


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
    estimate = estimate_offset(*NOTHING_TO_SEE[name], SETTINGS)
    assert estimate.verdict == "cannot tell" and np.isnan(estimate.offset_s)
    assert estimate.confidence < SETTINGS.min_confidence


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
    assert estimate_offset(frames, gyro, SETTINGS).offset_s == pytest.approx(offset_s, abs=0.1)


def test_verdict_follows_the_settings():
    frames, gyro = record(1, 0.3)
    assert estimate_offset(frames, gyro, replace(SETTINGS, max_offset_s=0.4)).verdict == "ok"
    assert estimate_offset(frames, gyro, replace(SETTINGS, max_offset_s=0.25)).verdict == "offset"
    assert estimate_offset(frames, gyro, replace(SETTINGS, min_confidence=0.9999)).verdict == "cannot tell"
    assert estimate_offset(frames, gyro, replace(SETTINGS, max_lag_s=0.2)).verdict == "cannot tell"


def test_stretches_cover_a_recording_or_spread_over_it():
    settings = replace(SETTINGS, stretch_s=30, max_minutes=2)
    assert stretches(0, settings) == stretches(MIN_PAIRS, settings) == []
    assert stretches(300, settings) == [(0, 300)]
    assert stretches(1000, settings) == [(0, 250), (250, 500), (500, 750), (750, 1000)]
    assert stretches(36_000, settings) == [(0, 300), (11_900, 12_200), (23_800, 24_100), (35_700, 36_000)]


def test_a_long_recording_uses_every_stretch():
    frames, gyro = record(2, -0.4, duration_s=40)
    estimate = estimate_offset(frames, gyro, replace(SETTINGS, stretch_s=10))
    assert (estimate.stretches, estimate.agreeing) == (4, 4)
    assert estimate.offset_s == pytest.approx(-0.4, abs=0.01) and estimate.spread_s < 0.02
    assert estimate.confidence > 1 - MISLEADING / 10  # four that agree are believed more than one
    assert estimate.used_s == pytest.approx(4 * 9.9)


def test_drifting_clocks_show_in_the_spread():
    rate = turning(3)
    frames = film(rate, 40)
    imu_s = np.arange(2000) / 50 * 1.002  # 2 ms a second: 60 ms between the middles of the first and last stretch
    estimate = estimate_offset(frames, rate(imu_s), replace(SETTINGS, stretch_s=10))
    assert estimate.spread_s == pytest.approx(0.06, abs=0.015)
    assert estimate.offset_s == pytest.approx(0.04, abs=0.02)


def peak(at_s: float, height: float, gain: float = 1.0) -> Evidence:
    curve = np.maximum(height - ((LAGS - at_s) / 0.02) ** 2, -20)
    return Evidence(LAGS, curve, np.full(301, 0.8), np.full(301, gain), 30.0)


SILENT = Evidence(LAGS, np.full(301, -15.0), np.full(301, 0.1), np.full(301, 1.0), 30.0)


def test_silent_stretches_neither_help_nor_harm():
    alone = combine([peak(0.5, 60)], SETTINGS)
    among = combine([SILENT] * 7 + [peak(0.5, 60)], SETTINGS)
    assert among.offset_s == alone.offset_s == pytest.approx(0.5, abs=1e-6)
    assert among.confidence == pytest.approx(alone.confidence, abs=1e-4)
    assert (among.stretches, among.agreeing, among.used_s) == (8, 1, 240)
    assert combine([SILENT] * 8, SETTINGS).verdict == "cannot tell"


def test_stretches_that_disagree_lower_the_confidence():
    two = combine([peak(0.5, 60), peak(-1.0, 60)], SETTINGS)
    assert two.verdict == "cannot tell" and two.confidence == pytest.approx(0.5, abs=0.01)
    three = combine([peak(0.5, 60), peak(-1.0, 60), peak(0.52, 60)], SETTINGS)
    assert three.verdict == "offset" and three.offset_s == pytest.approx(0.51, abs=1e-6)
    assert three.agreeing == 2 and three.spread_s == pytest.approx(0.02, abs=1e-6)
    assert two.confidence < three.confidence < combine([peak(0.5, 60)] * 3, SETTINGS).confidence


def test_weak_stretches_add_up():
    weak = peak(0.5, 7.5)
    assert combine([weak], SETTINGS).verdict == "cannot tell"
    assert combine([weak] * 4, SETTINGS).offset_s == pytest.approx(0.5, abs=0.02)


def test_one_stretch_is_never_certain():
    assert 0.99 < combine([peak(0.5, 1e5)], SETTINGS).confidence <= 1 - MISLEADING * 0.9


@pytest.mark.parametrize("at_s", [-3.0, 3.0])
def test_a_peak_at_the_end_of_the_range_is_none(at_s):
    assert combine([peak(at_s, 60)], SETTINGS).verdict == "cannot tell"


@pytest.fixture
def stored(tmp_path):
    frames, gyro = record(2, 0.62, duration_s=24)
    with FrameWriter(tmp_path / "a.mjpeg", quality=90) as writer:
        for frame in frames:
            writer.write(frame)
    return FrameStream(tmp_path / "a.mjpeg", 240, 48), gyro


def test_stored_frames_are_read_a_stretch_at_a_time(stored, monkeypatch):
    stream, gyro = stored
    asked = []
    read = FrameStream.read
    monkeypatch.setattr(FrameStream, "read", lambda self, indices: asked.append(len(indices)) or read(self, indices))
    settings = replace(SETTINGS, stretch_s=8)
    estimate = estimate_stored_offset(stream, gyro.astype(np.float32), settings)
    assert asked == [80, 80, 80]
    assert estimate == estimate_offset(read(stream, np.arange(240)), gyro.astype(np.float32), settings)
    assert estimate.offset_s == pytest.approx(0.62, abs=0.01)


def test_curves_lie_on_each_other_after_alignment(stored):
    stream, gyro = stored
    curves = clearest_curves(stream, gyro, 0.62, replace(SETTINGS, stretch_s=8))
    assert len(curves.picture) == len(curves.picture_s) == 79
    before, after = (np.interp(curves.picture_s, curves.gyro_s + shift, curves.gyro) for shift in (0.0, 0.62))
    assert np.corrcoef(curves.picture, after)[0, 1] > 0.98
    assert np.std(curves.picture - after) < 0.1 * np.std(curves.picture)
    assert np.corrcoef(curves.picture, before)[0, 1] < 0.7


def test_curves_without_an_offset_and_without_frames(stored):
    stream, gyro = stored
    curves = clearest_curves(stream, gyro, np.nan, SETTINGS)
    assert np.isfinite(curves.gyro).all() and len(curves.gyro) == len(gyro) - 5
    with pytest.raises(ValueError, match="20 frames"):
        clearest_curves(FrameStream(stream.path, 20, 48), gyro, 0.0, SETTINGS)
