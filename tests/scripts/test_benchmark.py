"""Benchmarks: their figures, and that the contenders of a ratio do the same. Never how fast anything is."""

import json
import math

import av
import numpy as np
import pandas as pd
import pytest
import simplejpeg
from scipy.signal import medfilt

from datasets.frames import frame_writer
from datasets.loader import LoaderSettings, PairLoader
from datasets.preparation.finalize import finalize
from datasets.preparation.journal import PreparedRecording, write_source
from datasets.source_video import frames_at, probe
from datasets.store import Store, frames_path
from datasets.windows import list_windows
from scripts import benchmark
from scripts.benchmarks import loader, measure, videos
from scripts.benchmarks import prepare as preparing
from scripts.benchmarks.measure import Cost
from scripts.benchmarks.rivals import authors_way

TINY = {"640x480": videos.Size(96, 64, 25), "1080p30": videos.Size(128, 72, 30)}
SIZE = 64
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    videos.write_video(path, TINY["640x480"], 6)
    return path


@pytest.fixture(scope="module")
def raw_imu():
    return np.random.default_rng(0).standard_normal((1000, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory, video, raw_imu) -> Store:
    """20 s whose IMU is ``raw_imu`` after the median filter, and whose frames are the video's, again and again."""
    root = tmp_path_factory.mktemp("data") / "d"
    pictures = list(frames_at(video, np.arange(50) / 10, SIZE))
    with frame_writer(frames_path(root, "a")) as writer:
        for k in range(200):
            writer.write(pictures[k % 50])
    filtered = medfilt(raw_imu.astype(np.float64), (5, 1)).astype(np.float32)
    write_source(root, "a", "", [PreparedRecording("a", "a", filtered, "", "", "", 50.0, "", frames=200)])
    info = {"name": "d", "simulated": True, "frame_size": SIZE, "settings": {}, "versions": {}}
    finalize(root, ["a"], [], [], info)
    return Store(root)


def pixels(video_floats) -> np.ndarray:
    """(F, 3, S, S) as the image processor gives them, back to (F, S, S, 3) of 0 to 255."""
    return (np.asarray(video_floats).transpose(0, 2, 3, 1) * STD + MEAN) * 255


@pytest.mark.parametrize(
    "name, keys",
    [
        ("prepare", "cpu_ratio_vs_decode realtime_factor peak_rss_mib"),
        (
            "loader",
            "windows_per_cpu_s ratio_vs_authors_640x480 ratio_vs_authors_1080p30 ratio_vs_authors_imu "
            "ratio_vs_authors_best",
        ),
    ],
)
def test_a_benchmark_prints_its_figures(name, keys, monkeypatch, capsys):
    monkeypatch.setattr(videos, "SIZES", TINY)
    reports = []
    module = {"prepare": preparing, "loader": loader}[name]
    monkeypatch.setattr(module, "FRAME_SIZE", SIZE)
    monkeypatch.setattr(loader, "BATCH_SIZE", 4)
    monkeypatch.setattr(loader, "MINUTES", 1)
    run = module.run
    monkeypatch.setattr(module, "run", lambda cfg, folder: reports.append(run(cfg, folder)) or reports[-1])
    benchmark.main([name, "--json", *"--repeats 1 --long_min 1".split()])
    values = json.loads(capsys.readouterr().out)  # one object and nothing else
    assert set(values) == set(keys.split())
    assert all(math.isfinite(value) and value > 0 for value in values.values())
    table = reports[0].table()
    assert "load average" in table
    assert all(measure.number(value) in table for value in values.values())


def test_an_unknown_benchmark_is_refused():
    with pytest.raises(SystemExit):
        benchmark.main(["speed"])


def test_frames_of_the_authors_way_are_those_of_the_store(store, video):
    """At 25 fps every fifth source frame falls on every second stored one."""
    processor = authors_way.image_processor(SIZE)
    theirs = pixels(authors_way.frames_from_video(video, 0.0, 125, processor))[::5]
    ours = store.frames(0).read(np.arange(0, 50, 2)).astype(float)
    difference = np.abs(theirs - ours).mean((1, 2, 3))
    assert difference.max() < 6  # other scaling filter, and JPEG
    assert np.abs(theirs[1:] - ours[:-1]).mean((1, 2, 3)).min() > 2 * difference.max()  # 0.2 s beside


def test_the_best_case_gives_what_the_loader_gives(store, raw_imu, tmp_path):
    np.save(tmp_path / "imu.npy", raw_imu)
    files = loader.write_cache(store, tmp_path)
    assert len(files) == 4
    dataset = authors_way.CachedWindows(files, tmp_path / "imu.npy", 8, 50, authors_way.image_processor(SIZE))
    (batch,) = PairLoader(list_windows(store), LoaderSettings(4, 50, "recording", train=False)).epoch(0)
    for index in range(8):
        imu, video = dataset[index]
        np.testing.assert_allclose(imu, batch.imu[index % 4], atol=1e-5)
        np.testing.assert_allclose(pixels(video), batch.video[index % 4], atol=1e-3)


def test_imu_from_csv_is_resampled_filtered_and_z_scored(tmp_path):
    """Slow sines pass resampling unchanged, so the answer is known."""
    frequency, phase = np.array([0.3, 0.5, 0.7, 0.9, 1.1, 1.3]), np.arange(6)

    def wave(rate_hz):
        return 3 + 2 * np.sin(2 * np.pi * frequency * np.arange(60 * rate_hz)[:, None] / rate_hz + phase)

    loader.write_csv(tmp_path / "a.csv", 1.0)
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table)[-6:] == ["gyro_x", "gyro_y", "gyro_z", "accl_x", "accl_y", "accl_z"]
    assert len(table) == 12000
    table.iloc[:, -6:] = wave(200)
    table.to_csv(tmp_path / "a.csv", index=False)
    window = authors_way.imu_from_csv(tmp_path / "a.csv", 30.0, 200)
    signal = medfilt(wave(50), (5, 1))
    expected = ((signal - signal.mean(0)) / signal.std(0))[1500:1750].T
    assert window.shape == (6, 250)
    np.testing.assert_allclose(window, expected, atol=0.02)  # the ends of the recording are resampled otherwise


def test_a_benchmark_video_is_like_a_camera_s(tmp_path):
    size = videos.SIZES["640x480"]
    videos.write_video(tmp_path / "a.mp4", size, 1.2)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height) == (640, 480)
    assert info.duration_s == pytest.approx(1.2)
    frames = list(frames_at(tmp_path / "a.mp4", np.arange(12) / 10, 224))
    assert len(frames) == 12
    sizes = [len(simplejpeg.encode_jpeg(np.ascontiguousarray(f), 90, colorsubsampling="420")) for f in frames]
    assert 13_000 < np.mean(sizes) < 19_000  # frames of a GoPro walking clip have 13 to 18 kB
    moved = [np.abs(a.astype(float) - b).mean() for a, b in zip(frames[1:], frames[:-1], strict=True)]
    assert min(moved) > 3  # the whole picture moves all the time


def test_ratios_are_taken_round_by_round():
    fast = [Cost(10, 1, 2), Cost(10, 2, 2), Cost(10, 4, 2)]
    slow = [Cost(1, 1, 1), Cost(1, 1, 4), Cost(1, 1, 2)]
    report = measure.Report("speed")
    for clock in ("cpu_s", "wall_s"):
        report.add(clock, measure.ratio(measure.per_second(fast, clock), measure.per_second(slow, clock)), key=clock)
    assert report.values == {"cpu_s": 5, "wall_s": 10}
    assert "5 (2.5 to 10)" in report.table() and "10 (5 to 20)" in report.table()
    assert measure.per_second(slow, "wall_s") == [1, 0.25, 0.5]


def test_a_long_video_is_a_short_one_over_and_over(video, tmp_path):
    long = tmp_path / "long.mp4"
    videos.repeat_video(video, long, 3)
    with av.open(str(video)) as one, av.open(str(long)) as three:
        frames, repeated = list(one.decode(video=0)), list(three.decode(video=0))
    assert probe(long).duration_s == pytest.approx(18) and len(repeated) == 3 * len(frames) == 450
    np.testing.assert_allclose([frame.time - repeated[0].time for frame in repeated], np.arange(450) / 25, atol=1e-6)
    for k in (0, 149, 150, 299, 449):
        np.testing.assert_array_equal(repeated[k].to_ndarray(), frames[k % 150].to_ndarray())


def test_contenders_take_turns_without_the_first_round():
    done = []
    costs = measure.in_turn({"a": lambda: done.append("a") or 3, "b": lambda: done.append("b") or 5}, repeats=2)
    assert done == ["a", "b"] * 3
    assert {name: [cost.amount for cost in list_] for name, list_ in costs.items()} == {"a": [3, 3], "b": [5, 5]}


def test_a_fresh_process_reports_its_own_memory():
    filler = np.ones(1000 * 2**20, dtype=np.uint8)  # of the parent: must not count
    mib = measure.peak_rss_mib(np.ones, 50 * 2**20)  # 400 MiB
    assert filler[-1] == 1
    assert 400 < mib < 1000
