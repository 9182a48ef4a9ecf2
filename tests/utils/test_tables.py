"""How numbers are written, and how rows of the long table become a table of text."""

import pandas as pd
import pytest

from tests.results import few_shot, zero_shot
from utils.long_table import long_table
from utils.tables import (
    column_names,
    evaluation_tables,
    fraction,
    markdown,
    notes,
    percent,
    pivot,
    with_guesses,
)


def test_numbers():
    assert percent(0.7125, 0.0349) == "71.2 ± 3.5"
    assert percent(1.0) == "100.0" and percent(0.5, None) == "50.0" and percent(None) == percent(float("nan")) == "-"
    assert fraction(0.3284, 0.0117) == "0.328 ± 0.012" and fraction(0.2) == "0.200" and fraction(None) == "-"


def test_markdown_is_a_table_and_reads_as_text():
    assert markdown(["", "a|b"], [["long name", "1"], ["x", "10.5"]]).splitlines() == [
        "|           | a\\|b |",
        "|-----------|-----:|",
        "| long name |    1 |",
        "| x         | 10.5 |",
    ]
    assert markdown(["a", "words"], [["1", "x"]]).splitlines()[1] == "|---|-------|"
    with pytest.raises(ValueError, match="does not have the 2 cells"):
        markdown(["a", "b"], [["1"]])


def test_pivot_keeps_order_and_fills_what_is_missing():
    rows = pd.DataFrame(
        {
            "method": ["b", "b", "a"],
            "shots": ["50", "10", "10"],
            "value": [0.5, 0.25, 0.75],
            "chance": [0.1, 0.2, 0.2],
            "majority": [0.1, 0.2, None],
            "std": 0.0,
            "low": 0.0,
            "high": 0.0,
        }
    )
    one = pivot(rows, ["method"], ["shots"], cell=lambda row: percent(row.value))
    assert one.columns.tolist() == ["method", "50", "10"]
    assert one.to_numpy().tolist() == [["b", "50.0", "25.0"], ["a", "-", "75.0"]]
    two = pivot(rows, ["method"], ["shots"], "", v=lambda row: percent(row.value), c=lambda row: percent(row.chance))
    assert column_names(two) == ["method", "50, v", "50, c", "10, v", "10, c"]
    assert two.to_numpy().tolist()[1] == ["a", "", "", "75.0", "20.0"]
    below = pivot(with_guesses(rows), ["method"], ["shots"], cell=lambda row: percent(row.value, row.std))
    assert below["method"].tolist() == ["b", "a", "chance", "majority"] and below["10"].tolist()[2:] == ["20.0", "20.0"]


def cells(text, start):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith(start)]


def test_tables_of_the_terminal():
    text = evaluation_tables(few_shot())
    assert cells(text, "| 10 shots") == [
        ["10 shots", "balanced accuracy", "50.0 ± 1.0", "37.5 to 62.5", "50.0", "50.0"],
        ["10 shots", "macro F1", "40.0 ± 1.0", "37.5 to 62.5", "50.0", "33.3"],
    ]
    assert cells(text, "| fall") == [["fall", "50.0", "75.0"]]
    text = evaluation_tables(zero_shot())
    shown = {row[1]: row[2:] for row in cells(text, "| all queries")}
    assert shown["macro F1"] == ["0.620 ± 0.005", "0.485 to 0.735", "0.062", "0.333"]
    assert shown["MRR"] == ["0.630 ± 0.005", "-", "0.063", "-"]
    assert cells(text, "| fall") == [["fall", "12", "50.0"]]


def test_notes():
    assert notes(few_shot()) == notes(zero_shot()) == []
    assert "2 windows that are copies" in notes(zero_shot() | {"copies_left_out": ["a", "b"]})[0]
    assert "50.0 % of the held-out windows" in notes(few_shot(siblings_share=0.5))[0]


def test_any_table_follows_from_the_long_one():
    values = long_table({"a": few_shot(), "b": zero_shot()})
    draws = values[(values["run"] == "a") & (values["metric"] == "macro_f1") & values["draw"].notna()]
    assert draws.groupby("shots")["value"].agg(["size", "mean"]).to_numpy().tolist() == [
        [5, pytest.approx(0.4)],
        [5, pytest.approx(0.65)],
    ]
    pooled = values[values["draw"].isna()].set_index(["run", "shots", "metric"])
    row = pooled.loc[("a", 50, "balanced_accuracy")]
    assert row[["value", "std", "low", "high", "chance", "majority"]].tolist() == [0.75, 0.01, 0.625, 0.875, 0.5, 0.5]
    assert pooled.loc[("a", 10, "recall/fall"), "value"] == 0.5
    assert pooled.loc["b"].xs("r@3", level="metric")["value"].tolist() == [0.65]
