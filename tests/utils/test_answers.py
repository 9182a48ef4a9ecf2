"""Two runs' answers side by side, against a reading by hand."""

import csv

import numpy as np
import pytest

from utils.answers import paired_answers
from utils.statistics import compare

HEADER = ["shots", "draw", "window", "subject", "session", "truth", "predicted"]
CLASSES = ["fall", "sit", "walk"]


def write(path, seed, subject="s{}", windows=60, session="day{}", shuffle=False):
    rng = np.random.default_rng(seed)
    rows = []
    for shots in (10, 20):
        for draw in range(2):
            for k in range(windows):
                predicted = CLASSES[k % 3] if rng.random() < 0.6 else CLASSES[rng.integers(3)]
                names = [subject.format(k % 6), session.format(k % 7), CLASSES[k % 3], predicted]
                rows.append([shots, draw, f"rec{k}@0", *names])
    if shuffle:
        rng.shuffle(rows)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def test_rows_are_matched_by_window_and_draw(tmp_path):
    a, b = write(tmp_path / "a.csv", 1), write(tmp_path / "b.csv", 2, shuffle=True)
    answers = paired_answers(a, b, 20)
    with open(b, newline="") as file:
        of_b = {(r["draw"], r["window"]): r["predicted"] for r in csv.DictReader(file) if r["shots"] == "20"}
    with open(a, newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["shots"] == "20"]
    truth, mine, other = ([CLASSES.index(x) for x in column] for column in zip(*(
        (r["truth"], r["predicted"], of_b[r["draw"], r["window"]]) for r in rows), strict=True))  # fmt: skip
    groups = [r["subject"] for r in rows]
    assert answers.kind == "subject" and answers.num_classes == 3
    expected = compare(np.array(truth), np.array(mine), np.array(other), np.array(groups), 3, seed=0)
    found = answers.compare(seed=0)
    assert found.difference == pytest.approx(expected.difference, abs=1e-12) and found.difference != 0
    assert found.interval == expected.interval and found.test == expected.test


def test_sessions_stand_in_for_unknown_subjects(tmp_path):
    a, b = (write(tmp_path / f"{n}.csv", n, subject="") for n in (1, 2))
    answers = paired_answers(a, b, 10)
    assert answers.kind == "session" and set(answers.groups) == {f"day{k}" for k in range(7)}
    a, b = (write(tmp_path / f"none{n}.csv", n, subject="", session="") for n in (1, 2))
    assert paired_answers(a, b, 10) is None


def test_other_windows_are_refused(tmp_path):
    a, b = write(tmp_path / "a.csv", 1), write(tmp_path / "b.csv", 2, windows=59)
    with pytest.raises(ValueError, match="are not about the same windows at 10 shots"):
        paired_answers(a, b, 10)
    changed = tmp_path / "c.csv"
    changed.write_text(a.read_text().replace("rec3@0,s3,day3,fall", "rec3@0,s3,day3,sit"))
    with pytest.raises(ValueError, match="are not about the same windows"):
        paired_answers(a, changed, 10)
    (tmp_path / "old.csv").write_text("shots,draw,window,truth,predicted\n")
    with pytest.raises(ValueError, match="old.csv: has no column session, subject"):
        paired_answers(a, tmp_path / "old.csv", 10)
