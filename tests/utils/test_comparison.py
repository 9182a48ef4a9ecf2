"""Two runs against each other: the statistics by hand, and refusal of what does not compare."""

import csv
import itertools

import numpy as np
import pytest

from utils.comparison import compare_runs

CLASSES = ["fall", "walking"]


def write_run(folder, right, windows="w", person="p"):
    """A run whose person p has ``right[p]`` of four windows of each class predicted correctly, in each of two draws."""
    folder.mkdir()
    with open(folder / "predictions.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["shots", "draw", "window", "subject", "session", "truth", "predicted"])
        for draw, p, k, i in itertools.product(range(2), range(6), range(2), range(4)):
            predicted = CLASSES[k] if i < right[p] else CLASSES[1 - k]
            table.writerow(
                [5, draw, f"{windows}{p}-{k}-{i}", person and f"{person}{p}", person and "1", CLASSES[k], predicted]
            )
    return folder


def test_difference_and_test_by_hand(tmp_path):
    better, worse = [4, 3, 4, 4, 3, 4], [3, 3, 2, 3, 1, 2]
    a, b = write_run(tmp_path / "a", better), write_run(tmp_path / "b", worse)
    found = compare_runs(a, b, CLASSES, shots=5)
    per_person = np.array(better) - np.array(worse)
    assert found.difference == pytest.approx(per_person.sum() / 24)  # right of 24, alike in both classes and draws
    signs = np.array(list(itertools.product([1, -1], repeat=6)))
    assert found.test.p_value == pytest.approx((np.abs(signs @ per_person) >= per_person.sum()).mean())
    assert found.test.smallest_p == 2 / 2**5  # one person does not differ
    assert found.interval.groups == 6 and found.interval.low < found.difference < found.interval.high
    back = compare_runs(b, a, CLASSES, shots=5)
    assert (back.difference, back.test) == (pytest.approx(-found.difference), found.test)


def test_runs_that_do_not_compare(tmp_path):
    a = write_run(tmp_path / "a", [4] * 6)
    with pytest.raises(ValueError, match="a and b did not predict the same windows"):
        compare_runs(a, write_run(tmp_path / "b", [4] * 6, windows="x"), CLASSES, shots=5)
    nobody = write_run(tmp_path / "c", [4] * 6, person="")
    with pytest.raises(ValueError, match="c: 96 predictions without subject and session"):
        compare_runs(nobody, nobody, CLASSES, shots=5)
