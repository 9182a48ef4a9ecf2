"""Measures of quality against counting sample by sample, and what must not be taken for a fault."""

import numpy as np
import pytest

from configs.data import QualityLimitsConfig
from datasets.masking import IMU_MEASURES, mask_rows
from datasets.preparation.quality_measures import FrameMeasures, measure_imu
from datasets.preparation.signals import clean

LIMITS = QualityLimitsConfig().model_dump()
RATE_HZ = 100


def worn(seconds=20, rate_hz=RATE_HZ, seed=0, resolution=(0.0012, 0.001)):
    """Somebody who hardly moves, with the noise and the resolution of a cheap sensor."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sway = np.sin(2 * np.pi * 0.25 * time_s)[:, None]
    acc = [0.1, 9.8, 0.3] + 0.02 * sway + 0.01 * rng.standard_normal((len(time_s), 3))
    gyro = [0.01, 0, 0] + 0.01 * sway + 0.003 * rng.standard_normal((len(time_s), 3))
    return time_s, np.round(acc / resolution[0]) * resolution[0], np.round(gyro / resolution[1]) * resolution[1]


def measure(time_s, acc, gyro, samples=1000, start_s=0.0):
    return measure_imu(clean(time_s, acc), clean(time_s, gyro), start_s, samples)


def reasons(found, samples=1000):
    table = np.concatenate([found, np.full((len(found), 3), np.nan)], axis=1)
    return {(row["reason"], row["start_s"]) for row in mask_rows("r", table, samples, LIMITS)}


def oracle(time_s, acc, gyro, stretch):
    """clipped_share, flat_s and copied_share of stretch number k, one sample after the other."""
    inside = [n for n, t in enumerate(time_s) if 5 * stretch <= t < 5 * stretch + 5]
    clipped, flat, copied = 0.0, 0.0, 0.0
    for values, least in ((acc, 18.6), (gyro, 4.1)):
        for axis in range(3):
            column = values[:, axis].tolist()
            bad = set()
            for end in (max(column), min(column)):
                run = []
                for n, value in [*enumerate(column), (len(column), None)]:
                    if value == end and abs(end) >= least:
                        run.append(n)
                        continue
                    bad |= set(run) if len(run) >= 3 else set()
                    run = []
            clipped = max(clipped, sum(n in bad for n in inside) / len(inside))
            run = 0
            for k, n in enumerate(inside):
                run = run + 1 if k and column[n] == column[n - 1] else 1
                flat = max(flat, run / RATE_HZ)
            other = values[:, (axis + 1) % 3].tolist()
            copied = max(copied, sum(column[n] == other[n] for n in inside) / len(inside))
    return clipped, flat, copied


def test_measures_are_those_counted_one_by_one():
    time_s, acc, gyro = worn(seed=1)
    acc[520:700, 2] = np.maximum(acc[520:700, 2], 19.6)
    acc[900:902, 2] = 19.6  # too short to be clipping
    gyro[1200:1340, 1] = gyro[1200, 1]
    gyro[1600:1900, 0] = gyro[1600:1900, 2]
    found = measure(time_s, acc, gyro)
    for stretch in range(4):
        np.testing.assert_allclose(found[stretch, :3], oracle(time_s, acc, gyro, stretch), atol=1e-12)


def test_sitting_still_breaks_no_rule():
    for seed in range(3):
        assert reasons(measure(*worn(seed=seed))) == set()
        coarse = worn(seed=seed, rate_hz=25, resolution=(0.0012, 0.00106))  # 8192 LSB/g, 16.4 LSB per deg/s
        assert reasons(measure(*coarse)) == set()


def test_a_sensor_at_the_end_of_its_range():
    time_s, acc, gyro = worn()
    acc[:, 0] += 60 * np.sin(2 * np.pi * 2 * time_s) * ((time_s > 5) & (time_s < 10))
    assert reasons(measure(time_s, acc, gyro)) == set()  # nothing is cut off
    assert reasons(measure(time_s, acc.clip(-39.2, 39.2), gyro)) == {("clipped", 5.0)}
    gyro[:, 2] += 20 * np.sin(2 * np.pi * 2 * time_s)
    assert ("clipped", 0.0) in reasons(measure(time_s, acc, gyro.clip(-8.7, 8.7)))


def test_a_dead_axis():
    time_s, acc, gyro = worn()
    gyro[(time_s > 11) & (time_s < 14), 1] = 0.002
    assert reasons(measure(time_s, acc, gyro)) == {("flat_channel", 10.0)}


def test_an_axis_that_repeats_another():
    time_s, acc, gyro = worn()
    acc[1500:, 2] = acc[1500:, 0]
    assert reasons(measure(time_s, acc, gyro)) == {("copied_axes", 15.0)}


def test_many_missing_samples():
    time_s, acc, gyro = worn()
    keep = (time_s < 5) | (time_s >= 10) | (np.arange(len(time_s)) % 8 < 3)  # 50 ms of every 80 are gone
    found = measure(time_s[keep], acc[keep], gyro[keep])
    assert reasons(found) == {("gaps", 5.0)}
    assert found[1, IMU_MEASURES.index("bridged_share")] == pytest.approx(5 / 8, abs=0.15)
    assert found[[0, 2, 3], IMU_MEASURES.index("bridged_share")].max() <= 1 / 250  # a gap that ends at 10 s


def test_a_clock_that_runs_at_another_speed():
    time_s, acc, gyro = worn(30)
    warped = np.where(time_s < 20, time_s, 20 + (time_s - 20) * 1.25)
    found = measure(warped, acc, gyro, 1500)
    assert {reason for reason, _ in reasons(found, 1500)} == {"rate_drift"}
    # mean interval: 2000 of 10 ms and 1000 of 12.5 ms; the last stretches have 12.5
    assert found[-1, IMU_MEASURES.index("rate_drift")] == pytest.approx(
        1 - (10 * 2000 + 12.5 * 1000) / 3000 / 12.5, abs=2e-3
    )


def test_the_worse_of_two_sensors_with_clocks_of_their_own():
    time_s, acc, gyro = worn()
    gyro[500:1000, 0] = 1.5
    found = measure_imu(clean(time_s, acc), clean(time_s[::2], gyro[::2]), 0.0, 1000)
    assert reasons(found) == {("flat_channel", 5.0)}


def test_a_part_is_measured_where_it_lies():
    time_s, acc, gyro = worn(40)
    acc[2500:3000, 1] = 9.0  # 25 to 30 s
    assert reasons(measure(time_s, acc, gyro, 800, start_s=20.0), 800) == {("flat_channel", 5.0)}


# ------------------------------------------------------------- frames


def textured(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def of_frames(frames, rows):
    seen = FrameMeasures()
    for frame in frames:
        seen.add(frame)
    return seen.table(rows)


def test_frames_that_repeat():
    frames = textured(120)
    frames[60:95] = frames[60]
    found = of_frames(frames, 3)
    assert found[:, 0].tolist() == [0, 34 / 50, 0] and (found[:, 1] > 50).all()
    assert of_frames([frames[0]] * 100, 2)[:, 0].tolist() == [49 / 50, 1]  # the same array again counts, too


def test_a_camera_at_rest_is_not_frozen():
    still = np.repeat(textured(1), 50, axis=0)
    still[:, 5, 5, 0] += np.arange(50, dtype=np.uint8)  # a single pixel tells
    assert of_frames(still, 1)[0, 0] == 0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_black_grey_and_white(level):
    blank = np.full((50, 32, 32, 3), level) + np.random.default_rng(0).integers(-1, 2, (50, 32, 32, 3))
    contrast = of_frames(blank.clip(0, 255).astype(np.uint8), 1)[0, 1]
    assert contrast < LIMITS["min_contrast"]
    dim = (textured(50) // 16).astype(np.uint8)  # a dark room: grey levels 0 to 15
    contrast = of_frames(dim, 1)[0, 1]
    assert contrast == pytest.approx(np.median([f[..., 1].std() for f in dim])) and contrast > 2


def test_no_frames_no_measures():
    assert np.isnan(of_frames([], 3)).all()
    found = of_frames(textured(70), 3)  # the last stretch without, the second with a part
    assert np.isnan(found[2]).all() and np.isfinite(found[:2]).all()
