"""When GoPro's samples were taken: sensors whose true times are known, and files that say them."""

import numpy as np
import pytest

from datasets.formats import gopro
from datasets.formats.gopro_clock import Batch, by_line, sample_times
from datasets.preparation.signals import process
from tests.datasets.formats.test_gopro import add_telemetry, frame_stream, motion, payload, stream
from tests.videos import write_video

PAYLOAD_S = 1.001


def gathered(first_s, rate_hz, payloads, jitter_s=0.0, seed=0):
    """What a camera writes that puts what it has gathered into a payload every 1.001 s, more or less.

    Returns:
        (N,) true times of the samples, and (K,) how many of them are in each payload.
    """
    true_s = first_s + np.arange(round((payloads * PAYLOAD_S - first_s) * rate_hz)) / rate_hz
    ends = PAYLOAD_S * np.arange(1, payloads + 1) + np.random.default_rng(seed).uniform(-jitter_s, jitter_s, payloads)
    ends[-1] = np.inf
    return true_s, np.diff(np.searchsorted(true_s, ends), prepend=0)


def batches(counts, **stamps):
    starts = PAYLOAD_S * np.arange(len(counts))
    return [
        Batch(start, PAYLOAD_S, int(count), **{name: values[k] for name, values in stamps.items()})
        for k, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]


@pytest.mark.parametrize("first_s", [-0.135, -0.005, 0.0, 0.020])
@pytest.mark.parametrize("rate_hz", [199.1, 398.3])
@pytest.mark.parametrize("jitter_s", [0.0, 0.02])
def test_without_stamps_a_line_finds_the_first_sample(first_s, rate_hz, jitter_s):
    true_s, counts = gathered(first_s, rate_hz, 34, jitter_s)
    error = sample_times(batches(counts)) - true_s
    assert abs(error[0]) < 1 / rate_hz + 0.5 * jitter_s  # 31 payloads, at the line's end
    assert np.abs(error[len(error) // 4 : -len(error) // 4]).max() < 1 / rate_hz + 0.3 * jitter_s
    starts = np.concatenate([b.start_s + np.arange(b.count) / b.count * PAYLOAD_S for b in batches(counts)])
    assert first_s >= -0.1 or np.abs(starts - true_s)[0] == pytest.approx(0.135)  # what spreading evenly would do


def test_a_short_last_payload_turns_no_line():
    true_s, counts = gathered(-0.135, 199.1, 12)
    counts[-1] = 40  # the container says that it lasts as long as the others
    times = sample_times(batches(counts))
    assert abs(times - true_s[: len(times)]).max() < 1 / 199.1


def test_a_clock_that_drifts_is_followed():
    """Half a per cent in 10 minutes, as a camera warms: one line for all would be 0.25 s off."""
    ends = PAYLOAD_S * np.arange(1, 601)
    true_s = np.arange(120_000) / 200
    true_s = true_s + 0.0025 * true_s**2 / 600  # periods grow
    counts = np.diff(np.searchsorted(true_s, ends), prepend=0)
    error = sample_times(batches(counts)) - true_s[: counts.sum()]
    assert np.abs(error).max() < 0.01


@pytest.mark.parametrize("lost", [slice(900, 990), slice(800, 1400)])
def test_lost_samples_move_no_others(lost):
    true_s, _ = gathered(-0.03, 199.1, 20)
    kept = np.delete(true_s, lost)
    ends = PAYLOAD_S * np.arange(1, 21)
    ends[-1] = np.inf
    counts = np.diff(np.searchsorted(kept, ends), prepend=0)
    given = [batch for batch in batches(counts) if batch.count]
    error = sample_times(given) - kept
    around = (kept > true_s[lost.start] - 1.1) & (kept < true_s[lost.stop] + 1.1)  # where the payload does not say
    assert np.abs(error[~around]).max() < 2 / 199.1 and np.abs(error).max() < 1.1


@pytest.mark.parametrize("counts", [[200], [200, 199], [200, 199, 201]])
def test_few_payloads_are_spread_evenly(counts):
    times = sample_times(batches(counts))
    assert times[0] == 0 and times[counts[0] - 1] == pytest.approx(PAYLOAD_S * 199 / 200)
    assert (np.diff(times) > 0).all() and len(times) == sum(counts)


def stamps(first_s, rate_hz, counts, camera_s):
    numbers = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return {
        "stamp_s": camera_s + first_s + numbers / rate_hz,
        "frame_stamp_s": camera_s + PAYLOAD_S * np.arange(len(counts)),
    }


@pytest.mark.parametrize("first_s, camera_s", [(-0.005, 0.0856), (0.012, 0.0), (-0.3, 7000.0)])
def test_stamps_are_followed_exactly(first_s, camera_s):
    true_s, counts = gathered(first_s, 197.457, 12, jitter_s=0.05)
    times = sample_times(batches(counts, **stamps(first_s, 197.457, counts, camera_s)))
    np.testing.assert_allclose(times, true_s, atol=1e-9)


def test_stamps_that_cannot_be_are_not_believed():
    _, counts = gathered(0.0, 200.0, 12)
    want = sample_times(batches(counts))
    for first_s, scale in ((0.8, 1), (0.0, 1000)):  # 0.8 s late; another unit
        wrong = {name: values * scale for name, values in stamps(first_s, 200.0, counts, 0.0).items()}
        np.testing.assert_allclose(sample_times(batches(counts, **wrong)), want)
    missing = stamps(0.1, 200.0, counts, 0.0)
    missing["stamp_s"][3] = np.nan
    np.testing.assert_allclose(sample_times(batches(counts, **missing)), want)


def test_a_line_is_least_squares():
    """Oracle: the normal equations, in exact order, for payload 20 of 60."""
    counts = np.random.default_rng(1).integers(190, 210, 60)
    starts = PAYLOAD_S * np.arange(60)
    number = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(float)
    x, y = number[5:36], starts[5:36]
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    assert by_line(starts, counts)[20] == pytest.approx(y.mean() + slope * (number[20] - x.mean()), rel=1e-12)


# ------------------------------------------------------------- through a file


def write_clip(path, first_s, frame_key, camera_s=0.25, rate_hz=197.0, seconds=8):
    """A clip whose sensor took its first sample ``first_s`` after the first frame."""
    write_video(path, 25 * seconds)
    true_s = first_s + np.arange(int((seconds - first_s) * rate_hz)) / rate_hz
    payloads = []
    for second in range(seconds):
        inside = (true_s >= (second if second else -np.inf)) & (true_s < second + 1)
        raw, stamp_s = np.round(motion(true_s[inside]) * 3000), camera_s + true_s[inside][0]
        frames = [frame_stream(frame_key, camera_s + second)] if frame_key else []
        both = [stream(key, raw, (3000,), orin="XYZ", stamp_s=stamp_s) for key in (b"ACCL", b"GYRO")]
        payloads.append(payload(*both, *frames))
    add_telemetry(path, payloads)
    return true_s


@pytest.mark.parametrize("first_s", [-0.135, -0.005, 0.010])
@pytest.mark.parametrize("frame_key", [b"CORI", b"SHUT"])
def test_a_file_with_stamps(tmp_path, first_s, frame_key):
    true_s = write_clip(tmp_path / "v.mp4", first_s, frame_key)
    recording = gopro.parse("v", tmp_path / "v.mp4")
    for time_s in (recording.acc_time_s, recording.gyro_time_s):
        np.testing.assert_allclose(time_s, true_s, atol=2e-6)
    (part,) = process(recording, 0.0, 7.9).parts  # as for a recording with video: from its first frame on
    assert part.start_s == pytest.approx(max(first_s, 0), abs=1e-6)
    times = part.start_s + np.arange(len(part.imu)) / 50
    np.testing.assert_allclose(part.imu[2:-2, :3], motion(times)[2:-2], atol=0.01)


def test_stamps_without_a_frames_stamp_say_no_start(tmp_path):
    true_s = write_clip(tmp_path / "v.mp4", -0.135, None)
    times = gopro.read_telemetry(tmp_path / "v.mp4").times_s["ACCL"]
    assert np.abs(times - true_s).max() < 1.5 / 197  # by a line instead
