"""Two runs against each other: the statistics by hand, and refusal of what does not compare."""

import csv
import itertools
import json

import numpy as np
import pytest

from utils.comparison import ComparisonError, compare_runs

CLASSES = ["fall", "walking"]


def write_run(folder, right, digest="same", people=6, windows="w"):
    """A run whose person p has ``right[p]`` of four windows of each class predicted correctly, in each of two draws."""
    folder.mkdir()
    with open(folder / "predictions.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["shots", "draw", "window", "subject", "session", "truth", "predicted"])
        for draw, p, k, i in itertools.product(range(2), range(people), range(2), range(4)):
            predicted = CLASSES[k] if i < right[p] else CLASSES[1 - k]
            table.writerow([5, draw, f"{windows}{p}-{k}-{i}", f"p{p}", "1", CLASSES[k], predicted])
    shots = {"5": {"windows_sha256": digest}}
    (folder / "results.json").write_text(json.dumps({"classes": CLASSES, "shots": shots}))
    return folder


def test_difference_and_test_by_hand(tmp_path):
    better, worse = [4, 3, 4, 4, 3, 4], [3, 3, 2, 3, 1, 2]
    a, b = write_run(tmp_path / "a", better), write_run(tmp_path / "b", worse)
    found = compare_runs(a, b, shots=5)
    per_person = np.array(better) - np.array(worse)
    assert found.difference == pytest.approx(per_person.sum() / 24)  # right of 24, alike in both classes and draws
    signs = np.array(list(itertools.product([1, -1], repeat=6)))
    assert found.p_value == pytest.approx((np.abs(signs @ per_person) >= per_person.sum()).mean())
    assert found.smallest_p == 2 / 2**5  # one person does not differ
    assert found.groups == 6 and found.low < found.difference < found.high
    back = compare_runs(b, a, shots=5)
    assert (back.difference, back.p_value) == (pytest.approx(-found.difference), found.p_value)


def test_runs_of_other_windows_do_not_compare(tmp_path):
    a = write_run(tmp_path / "a", [4] * 6)
    with pytest.raises(ComparisonError, match="a and b have not the same windows at 5 shots"):
        compare_runs(a, write_run(tmp_path / "b", [4] * 6, digest="other"), shots=5)
    with pytest.raises(ComparisonError, match="a and c did not predict the same windows"):
        compare_runs(a, write_run(tmp_path / "c", [4] * 6, windows="x"), shots=5)
    with pytest.raises(ComparisonError, match="a: has no 7 shots, it has 5"):
        compare_runs(a, a, shots=7)
    with pytest.raises(ComparisonError, match="has no results.json"):
        compare_runs(a, tmp_path / "nowhere", shots=5)
