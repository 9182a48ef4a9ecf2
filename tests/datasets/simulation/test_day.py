"""A simulated day: a plain table that scripts.predict reads, worn between the nights, and the truth about it."""

import numpy as np
import pandas as pd
import pytest

from configs.constants import STANDARD_GRAVITY
from datasets.simulation import day as simulated
from datasets.simulation.day import BLOCK_S, RATE_HZ, START_S, write_day
from scripts import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("day")
    write_day(folder / "day.csv.gz", folder / "day-labels.csv", hours=2, seed=0)
    return folder


@pytest.fixture(scope="module")
def day(folder):
    return pd.read_csv(folder / "day.csv.gz")


@pytest.fixture(scope="module")
def labels(folder):
    """Start and end in seconds of the recording."""
    table = pd.read_csv(folder / "day-labels.csv", parse_dates=["start", "end"])
    for name in ("start", "end"):
        table[name] = (table[name] - pd.Timestamp(START_S, unit="s", tz="UTC")).dt.total_seconds()
    return table


def test_one_clock_without_gaps(day):
    assert len(day) == 2 * 3600 * RATE_HZ
    np.testing.assert_allclose(np.diff(day["time"]), 1 / RATE_HZ, atol=0.011)


def test_at_rest_at_night_and_moving_by_day(day):
    blocks = day[["ax", "ay", "az"]].to_numpy().reshape(-1, round(BLOCK_S * RATE_HZ), 3)
    spread = blocks.std(axis=1).max(axis=1)
    still = spread < 0.1
    assert still[:7].all() and not still[7:22].any() and still[22:].all()
    assert np.linalg.norm(blocks[0].mean(axis=0)) == pytest.approx(STANDARD_GRAVITY, rel=0.02)


def test_both_nights_of_a_day_are_long_enough_for_nonwear():
    assert 24 * 60 * min(simulated.WORN[0], 1 - simulated.WORN[1]) > 90  # --nonwear_min


def test_labels_cover_the_day_without_overlap(labels):
    assert labels["start"].iloc[0] == 0 and labels["end"].iloc[-1] == 7200
    np.testing.assert_allclose(labels["start"][1:], labels["end"][:-1])
    assert (labels["activity"][1:].to_numpy() != labels["activity"][:-1].to_numpy()).all()
    known = {"nonwear", "seated", "standing_up", "standing", "walking", "turning", "sitting_down"}
    assert set(labels["activity"]) == known


def test_labels_are_of_the_signal(day, labels):
    """Gravity turns in each getting up and sitting down, and not while the label is seated or standing."""
    acc = day[["ax", "ay", "az"]].to_numpy()

    def mean(begin, end):
        at = acc[round(begin * RATE_HZ) : round(end * RATE_HZ)].mean(axis=0)
        return at / np.linalg.norm(at)

    for row in labels.itertuples():
        if row.activity in ("standing_up", "sitting_down"):
            before, after = mean(row.start - 0.24, row.start), mean(row.end, row.end + 0.24)
            assert np.degrees(np.arccos(before @ after)) > 40
        elif row.activity in ("seated", "standing") and row.end - row.start > 3:
            begin = row.start + (0.8 if row.activity == "standing" else 0)  # the last step may still end
            first, last = mean(begin, begin + 0.5), mean(row.end - 0.5, row.end)
            if row.end - row.start < 200:  # not over the border of two blocks
                assert np.degrees(np.arccos(min(first @ last, 1.0))) < 20


def test_turns_about_the_vertical_and_steps(day, labels):
    gyro = np.linalg.norm(day[["gx", "gy", "gz"]].to_numpy(), axis=1)
    rms = {
        name: np.sqrt(
            np.mean(
                np.concatenate(
                    [
                        gyro[round(row.start * RATE_HZ) : round(row.end * RATE_HZ)] ** 2
                        for row in labels[labels["activity"] == name].itertuples()
                    ]
                )
            )
        )
        for name in ("seated", "standing", "walking", "turning")
    }
    assert rms["seated"] < 0.1 and 1.0 < rms["walking"] < 2.5 < rms["turning"] < 4.0
    assert rms["standing"] < 0.5


def test_the_seed_decides(tmp_path, day):
    for seed, same in ((0, True), (1, False)):
        write_day(tmp_path / "day.csv", tmp_path / "labels.csv", hours=0.2, seed=seed)
        again = pd.read_csv(tmp_path / "day.csv", compression="gzip")
        assert again.iloc[:100].equals(day.iloc[:100]) == same


def test_an_interrupted_day_is_made_again(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    nothing = ("--ego4d_hours", "--mmea_windows_per_class", "--pd_windows_per_class")
    words = ["--out", str(tmp_path), "--day_hours", "0.1", *(word for name in nothing for word in (name, "0"))]
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(simulated, "resting", interrupt)
        simulate.main(words)
    simulate.main(words)
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"day", "day.csv.gz", "day-labels.csv", simulate.NOTE}


def test_script_ends_within_its_block():
    scripts = [simulated.draw_script(np.random.default_rng(seed), on_foot=True) for seed in range(2000)]
    assert all(script[-1].start < script[-1].end == BLOCK_S for script in scripts)
