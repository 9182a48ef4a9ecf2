"""A simulated day: a plain table that scripts.predict reads, worn between the nights."""

import numpy as np
import pandas as pd
import pytest

from configs.constants import STANDARD_GRAVITY
from datasets.simulation import day as simulated
from datasets.simulation.day import BLOCK_S, RATE_HZ, write_day
from scripts import simulate


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    path = tmp_path_factory.mktemp("day") / "day.csv.gz"
    write_day(path, hours=2, seed=0)
    return pd.read_csv(path)


def test_one_clock_without_gaps(day):
    assert len(day) == 2 * 3600 * RATE_HZ
    np.testing.assert_allclose(np.diff(day["time"]), 1 / RATE_HZ, atol=0.011)


def test_at_rest_at_night_and_moving_by_day(day):
    blocks = day[["ax", "ay", "az"]].to_numpy().reshape(-1, round(BLOCK_S * RATE_HZ), 3)
    spread = blocks.std(axis=1).max(axis=1)
    still = spread < 0.1
    assert still[:7].all() and not still[7:23].any() and still[23]
    assert np.linalg.norm(blocks[0].mean(axis=0)) == pytest.approx(STANDARD_GRAVITY, rel=0.02)


def test_the_seed_decides(tmp_path, day):
    for seed, same in ((0, True), (1, False)):
        write_day(tmp_path / "day.csv", hours=0.2, seed=seed)
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
    assert {path.name for path in tmp_path.rglob("*")} == {"day", "day.csv.gz", simulate.NOTE}
