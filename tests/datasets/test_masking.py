"""Rules of quality: what is masked, and that no window touches it."""

import numpy as np
import pandas as pd
import pytest

from configs.data import QualityLimitsConfig
from datasets.masking import (
    MASK_COLUMNS,
    MEASURES,
    RULES,
    VIDEO_REASONS,
    mask_rows,
    stretch_starts,
)
from datasets.recording import Segment
from datasets.store import Store
from datasets.windows import list_windows
from tests.prepared import write_dataset
from utils.atomic_io import write_text

LIMITS = QualityLimitsConfig().model_dump()
GOOD = dict(zip(MEASURES, (0, 0.1, 0, 0, 0, 0.1, 40, 0.1), strict=True))


def measures(samples, **bad):
    """Good measures, but for some of stretch 1."""
    table = np.tile(list(GOOD.values()), (len(stretch_starts(samples)), 1)).astype(np.float64)
    for name, value in bad.items():
        table[1, MEASURES.index(name)] = value
    return table


@pytest.mark.parametrize(
    "samples, starts", [(250, [0]), (299, [0]), (300, [0, 250]), (750, [0, 250, 500]), (60, [0]), (3, [0])]
)
def test_stretches_are_the_windows_and_a_rest_of_a_second(samples, starts):
    assert stretch_starts(samples).tolist() == starts


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_each_rule_masks_beyond_its_limit_and_not_at_it(rule):
    limit = LIMITS[rule.limit]
    beyond = limit + (-0.01 if rule.limit.startswith("min_") else 0.01)
    assert mask_rows("r", measures(600, **{rule.measure: limit}), 600, LIMITS) == []
    (row,) = mask_rows("r", measures(600, **{rule.measure: beyond}), 600, LIMITS)
    assert row == dict(zip(MASK_COLUMNS, ("r", 5.0, 10.0, rule.reason, round(beyond, 4), limit), strict=True))
    looser = LIMITS | {rule.limit: beyond}
    assert mask_rows("r", measures(600, **{rule.measure: beyond}), 600, looser) == []


def test_what_was_not_measured_is_not_masked():
    assert mask_rows("r", measures(500, frozen_share=np.nan, contrast=np.nan), 500, LIMITS) == []


def test_the_last_stretch_ends_with_the_recording():
    (row,) = mask_rows("r", measures(350, flat_s=5), 350, LIMITS)
    assert (row["start_s"], row["end_s"]) == (5, 7)


def test_measures_of_another_recording_are_refused():
    with pytest.raises(ValueError, match="r: quality measures have shape"):
        mask_rows("r", measures(500), 800, LIMITS)


# ------------------------------------------------------------- windows


def masked(store, *rows):
    table = pd.DataFrame([(*row, 1.0, 0.5) for row in rows], columns=MASK_COLUMNS)
    write_text(store.root / "masked.csv", table.to_csv(index=False))
    return Store(store.root)


def test_windows_that_touch_a_masked_stretch_are_left_out(tmp_path):
    store = write_dataset(tmp_path / "d", ["walk", "sit"], seconds=20)
    before = store.fingerprint()["sha256"]
    store = masked(store, ("rec000", 5, 10, "clipped"), ("rec001", 14.98, 15.02, "gaps"))
    assert list_windows(store).ids() == ["rec000@0", "rec000@10", "rec000@15", "rec001@0", "rec001@5"]
    assert list_windows(store, stride_s=2.5).ids()[:4] == ["rec000@0", "rec000@10", "rec000@12.5", "rec000@15"]
    assert store.fingerprint()["sha256"] != before  # another result may follow


def test_bad_video_is_left_out_where_video_is_used(tmp_path):
    store = write_dataset(tmp_path / "d", ["walk"], seconds=20)
    for reason in VIDEO_REASONS:
        store = masked(store, ("rec000", 0, 10, reason))
        assert len(list_windows(store)) == 4 and len(list_windows(store, needs_video=True)) == 2


def test_windows_within_segments_avoid_what_they_touch(tmp_path):
    store = write_dataset(tmp_path / "d", ["x"], seconds=20, segments=(Segment(2, 19, "walk"),))
    store = masked(store, ("rec000", 5, 10, "flat_channel"))
    assert list_windows(store, labelled=True).ids() == ["rec000@12"]  # 2 to 7 and 7 to 12 touch it


def test_a_dataset_of_masked_windows_only_says_so(tmp_path):
    store = masked(write_dataset(tmp_path / "d", ["walk"], seconds=12), ("rec000", 0, 12, "gaps"))
    with pytest.raises(ValueError, match="no usable 5 s window; masked.csv says why 2 are left out"):
        list_windows(store)
