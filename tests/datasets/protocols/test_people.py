"""Windows of some people, and of all others."""

import numpy as np
import pytest

from datasets.protocols.people import of_subjects, without_subjects
from datasets.windows import list_windows
from tests.prepared import write_dataset


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Two windows of each of 6 recordings by s0, s1 and s2, and the signal of nobody known."""
    root = tmp_path_factory.mktemp("people")
    return list_windows(write_dataset(root / "toy", [""] * 6, seconds=10, video=False))


def test_theirs_and_all_others(windows):
    theirs = of_subjects(windows, ["s2", "s0"], "subjects")
    assert theirs.tolist() == [name in ("s0", "s2") for name in windows.subject]
    others = without_subjects(windows, ["s2", "s0"], "subjects")
    assert set(others.subject) == {"s1"} and len(others) == 4
    assert len(without_subjects(windows, [], "subjects")) == 12


def test_windows_of_nobody_known_stay(windows):
    nameless = windows.subset(np.arange(12))
    nameless.subject[nameless.subject == "s1"] = ""
    assert set(without_subjects(nameless, ["s0"], "subjects").subject) == {"", "s2"}


def test_people_who_cannot_be_found_are_named(windows):
    with pytest.raises(ValueError, match="query_subjects: .*toy has no subject 's22'; did you mean s2"):
        of_subjects(windows, ["s0", "s22"], "query_subjects")
    with pytest.raises(ValueError, match="no subject 'anna'; it has s0, s1, s2"):
        of_subjects(windows, ["anna"], "subjects")
    with pytest.raises(ValueError, match="has no usable window of s1"):
        of_subjects(windows.subset(windows.subject != "s1"), ["s0", "s1"], "subjects")
