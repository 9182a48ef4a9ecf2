"""How numbers are written."""

import pytest

from utils.tables import copies_left_out, fraction, markdown, percent


def test_numbers():
    assert percent(0.7125, 0.0349) == "71.2 ± 3.5"
    assert percent(1.0) == "100.0" and percent(0.5, None) == "50.0" and percent(None) == "-"
    assert fraction(0.3284, 0.0117) == "0.328 ± 0.012" and fraction(0.2) == "0.200"


def test_markdown_is_a_table_and_reads_as_text():
    assert markdown(["", "a|b"], [["long name", "1"], ["x", "10.5"]]).splitlines() == [
        "|           | a\\|b |",
        "|-----------|-----:|",
        "| long name |    1 |",
        "| x         | 10.5 |",
    ]
    with pytest.raises(ValueError, match="has not the 2 cells"):
        markdown(["a", "b"], [["1"]])


def test_copies_are_counted_where_there_are_any():
    assert copies_left_out({"copies_left_out": ["a", "b"]}) == [
        "Left out: 2 windows that are copies of a prototype's recording."
    ]
    assert copies_left_out({"copies_left_out": []}) == []
