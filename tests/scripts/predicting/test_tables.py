"""Bouts and minutes, beside sums of single seconds."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from datasets.recordings.clock import Clock
from scripts.predicting.tables import bouts, daily_table, hours, minutes
from scripts.predicting.timeline import Timeline, names_of
from tests.predicting import CLASSES, MAY_DAY_S

BERLIN = Clock("absolute", ZoneInfo("Europe/Berlin"))
NAMES = names_of(CLASSES)


def timeline(*runs, hop_s=10.0, seed=0):
    """Windows that stand for 10 s each; runs are (start, codes)."""
    rng = np.random.default_rng(seed)
    begin = np.concatenate([start + hop_s * np.arange(len(codes)) for start, codes in runs])
    code = np.concatenate([codes for _, codes in runs]).astype(int)
    probabilities = rng.dirichlet(np.ones(len(CLASSES)), len(code))
    probabilities[code == len(NAMES) - 1] = np.nan
    whole = (NAMES, tuple(CLASSES), hop_s, begin, begin, begin + hop_s)
    return Timeline(*whole, code, probabilities.max(1), probabilities, np.zeros(len(code), int), np.zeros(len(code)))


def random_codes(count, seed):
    return np.repeat(np.random.default_rng(seed).integers(0, len(NAMES), count // 4 + 1), 4)[:count]


def test_minutes_are_sums_of_seconds():
    found = timeline((100.0, random_codes(300, 1)), (5003.0, random_codes(200, 2)))
    edges = np.array([[0, 777], [777, 3600], [3600, 6111.0], [6111, 9000]])
    got = minutes(found, edges)
    for (begin, end), row in zip(edges, got, strict=True):
        seconds = np.zeros(len(NAMES))
        for at in np.arange(begin, end) + 0.5:
            (inside,) = np.nonzero((found.begin_s <= at) & (at < found.end_s))
            seconds[found.activity[inside]] += 1
        assert row * 60 == pytest.approx(seconds, abs=1e-6)


def test_bouts_end_where_the_activity_changes_or_data_lack():
    codes = [0, 0, 1, 4, 4, 0, 0]
    found = timeline((0.0, codes), (78.0, [0]), (200.0, [0, 3]))
    table = bouts(found)
    assert table[["begin_s", "end_s", "activity"]].to_numpy().tolist() == [
        [0, 20, 0], [20, 30, 1], [30, 50, 4], [50, 88, 0], [200, 210, 0], [210, 220, 3]
    ]  # fmt: skip
    assert table["mean_probability"][0] == pytest.approx(found.probabilities[:2, 0].mean())
    assert np.isnan(table["mean_probability"][2])
    assert table["mean_probability"][5] == found.confidence[-1]


def test_imputed_minutes_take_the_shares_of_other_days():
    """Worn from 12 to 13 h on two days and half of it on a third, where the other half is imputed."""
    day, hour = 86400.0, 3600.0
    begin = MAY_DAY_S  # 12 h in Berlin
    walking, sitting = np.zeros(360, int), np.ones(360, int)
    found = timeline((begin, walking), (begin + day, sitting), (begin + 2 * day, sitting[:180]))
    table = hours(found, BERLIN)
    assert len(table) == 72
    noon = table[table["hour"] == 12]
    assert noon["minutes/walking"].tolist() == pytest.approx([60, 0, 0])
    assert noon["missing_min"].tolist() == pytest.approx([0, 0, 30])
    assert noon["imputed_minutes/walking"].tolist() == pytest.approx([60, 0, 30 * 60 / 150])
    assert noon["imputed_minutes/sitting"].tolist() == pytest.approx([0, 60, 30 + 30 * 90 / 150])
    assert table.loc[table["hour"] != 12, "imputed_minutes/walking"].isna().all()
    daily = daily_table(table, "x.csv")
    assert daily["missing_min"].tolist() == pytest.approx([1380, 1380, 1410])
    assert daily["imputed_minutes/walking"].isna().all()
    worn = timeline((begin - 12 * hour, np.zeros(2 * 8640, int)), (begin + 36 * hour + 60, sitting[:0]))
    full = daily_table(hours(worn, BERLIN), "x.csv")
    assert full["imputed_minutes/walking"].tolist() == pytest.approx([1440, 1440])


def test_a_class_may_be_called_unknown():
    assert names_of(["walking", "unknown"]) == ("walking", "unknown", "nonwear")
