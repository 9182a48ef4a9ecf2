"""Figures of windows and spectra show the numbers that they are given."""

import numpy as np
import pytest

from datasets.frames import draw_frames
from datasets.windows import list_windows
from scripts.reporting.dataset_figures import PairedWindow, paired_windows, picture_bytes, read_window, spectrum
from tests.prepared import write_dataset


def test_paired_windows():
    frames = np.stack([np.full((8, 8, 3), 20 * k, dtype=np.uint8) for k in range(10)])
    imu = np.arange(6 * 250, dtype=float).reshape(6, 250)
    windows = [PairedWindow("walking", frames, imu), PairedWindow("downstairs", frames[::-1], -imu)]
    grid = np.array(paired_windows(windows, 50).axes).reshape(3, 2)
    assert [axes.get_title() for axes in grid[0]] == ["walking", "downstairs"]
    strip = grid[0, 0].images[0].get_array()
    assert strip.shape == (8, 80, 3) and [int(strip[0, 8 * k, 0]) for k in range(10)] == [20 * k for k in range(10)]
    for row, channels in ((1, imu[:3]), (2, imu[3:])):
        for line, values in zip(grid[row, 0].lines, channels, strict=True):
            assert line.get_xdata()[-1] == pytest.approx(4.98) and (line.get_ydata() == values).all()
    assert "m/s²" in grid[1, 0].get_ylabel() and "rad/s" in grid[2, 1].get_ylabel()


def test_a_recording_shorter_than_a_window_shows_its_video(tmp_path):
    store = write_dataset(tmp_path / "clips", ["walking"], seconds=2.2)
    shown = read_window(list_windows(store, window_s=3.0, min_coverage=0.6), 0, "walking")
    assert shown.imu.shape == (6, 110)
    assert shown.frames.reshape(10, -1).mean(1) == pytest.approx(5 * draw_frames(22, 10), abs=3)  # of 22 frames


def test_a_window_whose_video_ends_before_it_shows_none(tmp_path):
    store = write_dataset(tmp_path / "clips", ["walking"], seconds=6, video=False)
    assert read_window(list_windows(store, window_s=3.0), 0, "walking").frames is None


def test_a_window_without_video_has_two_panels():
    acceleration, rate = paired_windows([PairedWindow("", None, np.zeros((6, 250)))], 50).axes
    assert len(acceleration.lines) == len(rate.lines) == 3


def test_noise_does_not_fill_the_panel():
    imu = 9.81 + 0.001 * np.random.default_rng(0).standard_normal((6, 250))
    acceleration, rate = paired_windows([PairedWindow("", None, imu)], 50).axes
    assert np.ptp(acceleration.get_ylim()) == pytest.approx(2.0) and np.ptp(rate.get_ylim()) == pytest.approx(0.5)
    assert np.mean(acceleration.get_ylim()) == pytest.approx(9.81, abs=0.01)
    wide_imu = np.arange(6 * 250, dtype=float).reshape(6, 250)
    (wide, _) = paired_windows([PairedWindow("", None, wide_imu)], 50).axes
    low, high = wide.get_ylim()
    assert low <= 0 and high >= 749


def test_a_spectrum_is_shown_eight_decades_deep():
    density = np.array([[1e-3, 0.5, 20.0, 1e-12], [0.0, np.nan, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    (axes,) = spectrum(np.arange(1.0, 5.0), density, "acceleration, simulated", "unit").axes
    assert axes.get_yscale() == "log" and axes.get_title() == "acceleration, simulated"
    assert axes.get_ylim()[0] == pytest.approx(20e-8 * 0.8) and axes.get_ylim()[1] >= 20
    assert [line.get_label() for line in axes.lines] == ["x", "y", "z"]
    for line, values in zip(axes.lines, density, strict=True):
        assert np.array_equal(line.get_ydata(), values, equal_nan=True)
    (axes,) = spectrum(np.arange(1.0, 5.0), np.zeros((3, 4)), "nothing", "unit").axes
    assert axes.get_yscale() == "linear"


def test_pictures_are_files_of_their_kind():
    figure = spectrum(np.arange(1.0, 5.0), np.ones((3, 4)), "t", "u")
    assert picture_bytes(figure).startswith(b"<?xml") and picture_bytes(figure, "jpeg").startswith(b"\xff\xd8\xff")
    assert picture_bytes(figure) == picture_bytes(figure)
