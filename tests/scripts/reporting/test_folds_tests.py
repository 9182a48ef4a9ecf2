"""Paired tests of the first approach over the people held out, against every pattern of signs written out."""

import itertools

import numpy as np
import pandas as pd
import pytest

from scripts.reporting.folds_tests import fold_test_blocks, fold_tests
from utils.statistics import holm

FIRST = [0.8, 0.7, 0.9, 0.6, 0.75, 0.85, 0.7]
OTHERS = {
    "worse": [0.7, 0.55, 0.88, 0.58, 0.7, 0.6, 0.65],
    "mixed": [0.9, 0.6, 0.95, 0.55, 0.8, 0.7, 0.72],
    "rare": [0.5, 0.6, 0.4],
}


def rows(column="zero shot"):
    values = {"first": FIRST} | OTHERS
    return pd.DataFrame(
        [
            {"label": label, "fold": f"s{k + 1}", "column": column, "value": value}
            for label, of in values.items()
            for k, value in enumerate(of)
        ]
    )


def p_of_signs(differences):
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    return (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean()


def test_differences_and_tests_by_hand():
    table = fold_tests(rows(), "first").set_index("against")
    assert list(table.index) == list(OTHERS)
    differences = {name: np.array(FIRST[: len(of)]) - of for name, of in OTHERS.items()}
    expected = holm(np.array([p_of_signs(differences[name]) for name in ("worse", "mixed")]))
    for (name, p), wanted in zip(table["p"][:2].items(), expected, strict=True):
        assert p == pytest.approx(wanted)
        assert table["value"][name] == pytest.approx(differences[name].mean())
        assert table["low"][name] < table["value"][name] < table["high"][name]
    assert table["p"]["worse"] == 2 * 2 / 2**7  # as extreme as can be, one of two tests
    assert (table["reason"]["rare"], np.isnan(table["p"]["rare"])) == ("3 people", True)
    assert table["value"]["rare"] == pytest.approx(differences["rare"].mean())


def test_tests_are_corrected_within_their_column():
    both = fold_tests(pd.concat([rows("a"), rows("b")]), "first")
    alone = fold_tests(rows("a"), "first")
    assert both["column"].tolist() == ["a"] * 3 + ["b"] * 3
    assert both["p"][:3].equals(alone["p"])


def test_the_table_says_difference_interval_and_p():
    _, table = fold_test_blocks(rows(), "first", folds=7)
    cells = table.frame.set_index("against")["zero shot"]
    assert cells["worse"].startswith("+9.1 (") and cells["worse"].endswith("), p 0.031")
    assert cells["rare"] == "+30.0 (3 people)"
    one = fold_test_blocks(rows().query("label != 'rare' or fold == 's1'"), "first", folds=7)[1]
    assert one.frame.set_index("against")["zero shot"]["rare"] == "+30.0 (1 person)"
    short = rows().query("fold != 's7'")
    weak = fold_test_blocks(short, "first", folds=7)[1]
    assert weak.frame["zero shot"][0].endswith("; 6 of 7")
    assert "cannot" not in "".join(table.notes) and "can be below 0.062" in "".join(weak.notes)


def test_without_other_rows_there_is_no_table():
    assert fold_test_blocks(rows().query("label == 'first'"), "first", folds=7) == []
    assert fold_test_blocks(rows().query("label != 'first'"), "first", folds=7) == []
