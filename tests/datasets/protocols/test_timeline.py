"""Changes of activity and the time between them, counted in labelled recordings."""

import numpy as np

from datasets.protocols.timeline import count_changes
from datasets.recording import Segment
from tests.prepared import write_dataset

CLASSES = {"sit": 0, "stand": 1, "up": 1, "walk": 2}  # two labels of one class
SEGMENTS = (
    Segment(0, 4, "sit"),
    Segment(4, 5, "up"),
    Segment(5, 7, "stand"),  # no change of class
    Segment(7.05, 9, "walk"),  # a hole of 0.05 s is none
    Segment(9.5, 10, "sit"),  # what came before is not known
    Segment(10, 11, "jump"),  # no class
    Segment(11, 12, "walk"),
)


def test_changes_and_seconds_are_counted(tmp_path):
    store = write_dataset(tmp_path / "toy", ["", ""], video=False, segments=SEGMENTS)
    changes, seconds = count_changes(store, CLASSES, np.array([1]), 3)
    assert changes.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(seconds, [4.5, 3, 2.95])
    both, _ = count_changes(store, CLASSES, np.array([0, 1]), 3)
    assert (both == 2 * changes).all()


def test_recordings_of_one_label_say_nothing(tmp_path):
    whole = write_dataset(tmp_path / "whole", ["sit", "walk"], video=False)
    one = write_dataset(tmp_path / "one", [""], video=False, segments=(Segment(0, 9, "sit"), Segment(9, 12, "sit")))
    for store in (whole, one):
        changes, seconds = count_changes(store, CLASSES, np.arange(len(store.recordings)), 3)
        assert not changes.any() and not seconds.any()
