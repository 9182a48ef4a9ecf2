"""Strict reading of numeric CSV files: each kind of dirt by its name, place and value."""

import gzip

import numpy as np
import pytest

from datasets.formats.delimited import read_numbers
from datasets.recording import BadRecording


def read(tmp_path, content, columns=("a", "b"), name="t.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table, cut = read_numbers(path, columns, **options)
    return table[list(columns)].to_numpy().tolist(), cut


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\n1,2\n3,4",  # no line end at the end
        "\ufeffa,b\n1,2\n3,4\n",  # byte order mark
        '"a", "b"\n1, 2\n3,4\n\n\r\n',  # quotes, spaces, blank lines
        "b,c,a\n2,9,1\n4,9,3\n",  # other order, one column more
    ],
)
def test_reads_what_is_meant(tmp_path, content):
    assert read(tmp_path, content) == ([[1, 2], [3, 4]], 0)


@pytest.mark.parametrize("content", ["1,2;\n3,4;\n", "1, 2; \r\n3,4;", "1,2\n3,4;\n"])
def test_a_character_may_end_lines(tmp_path, content):
    assert read(tmp_path, content, names=("a", "b"), line_end=";") == ([[1, 2], [3, 4]], 0)
    with pytest.raises(BadRecording, match="text_cell"):
        read(tmp_path, content, names=("a", "b"))


def test_columns_without_names_are_numbers(tmp_path):
    assert read(tmp_path, "1,2,3\n4,5,6\n", columns=("3", "1"), names=3) == ([[3, 1], [6, 4]], 0)
    with pytest.raises(BadRecording, match="long_row: .*line 1 has 3 fields, want 2"):
        read(tmp_path, "1,2,3\n4,5,6\n", columns=("1",), names=2)


def test_reads_without_a_header_and_gzipped(tmp_path):
    assert read(tmp_path, "1,2\n3,4\n", names=("a", "b")) == ([[1, 2], [3, 4]], 0)
    assert read(tmp_path, gzip.compress(b"a,b\n1,2\n"), name="t.csv.gz") == ([[1, 2]], 0)


@pytest.mark.parametrize("word", ["", "NULL", "null", "NaN", "nan", "NA", "None"])
def test_missing_values_become_nan(tmp_path, word):
    values, _ = read(tmp_path, f"a,b\n1,{word}\n3,4\n")
    assert np.isnan(values[0][1]) and values[1] == [3, 4]


def test_values_are_read_to_the_last_digit(tmp_path):
    assert read(tmp_path, "a,b\n1568482903468.123,0.1\n")[0] == [[1568482903468.123, 0.1]]


def test_a_cut_off_last_row_is_left_out_and_counted(tmp_path):
    assert read(tmp_path, "a,b\n1,2\n3,4\n5") == ([[1, 2], [3, 4]], 1)


def test_text_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,when\n1,10:00\n2,\n")
    table, _ = read_numbers(path, ("a",), text_columns=("when",))
    assert table["when"].tolist() == ["10:00", ""]


@pytest.mark.parametrize(
    "content, reason, says",
    [
        ("", "empty_csv", "no rows"),
        ("a,b\n", "empty_csv", "no rows"),
        ("\n\n", "empty_csv", "no rows"),
        ("a,b\n1,2\n3\n4,5\n", "short_row", "line 3 has 1 fields, want 2"),
        ("a,b\n\n1,2\n3,4,5\n", "long_row", "line 4 has 3 fields, want 2"),
        ("a,b\n1,2\n3,4,5", "long_row", "line 3"),  # also at the end
        ("a,b\n1,2\n3,stop\n", "text_cell", "line 3, column b holds 'stop'"),
        ("a,b\n\n1,2\nx,4\n", "text_cell", "line 4, column a holds 'x'"),
        ("a,b\n1,2\na,b\n3,4\n", "text_cell", "line 3, column a holds 'a'"),  # a second header
        ("a;b\n1,5;2\n", "missing_column", "a;b"),
        ("a,c\n1,2\n", "missing_column", "column b; its columns are a, c"),
        ("a,b,b\n1,2,3\n", "missing_column", "exactly one column b"),
        ("1,2\n3,4\n", "missing_column", "column a, b; its columns are 1, 2"),  # no header at all
        ("a,b\n1,2\n".encode("utf-16"), "unreadable_csv", "UTF-8"),
        (b"a,b\n1,\xff\n", "unreadable_csv", "UTF-8"),
    ],
)
def test_dirt_is_named_with_its_place(tmp_path, content, reason, says):
    with pytest.raises(BadRecording) as caught:
        read(tmp_path, content)
    assert caught.value.reason == reason
    assert says in caught.value.message and "t.csv" in caught.value.message


def test_decimal_commas_are_not_guessed(tmp_path):
    with pytest.raises(BadRecording, match="long_row"):
        read(tmp_path, "a,b\n1,5,2,5\n")


def test_missing_file_and_broken_gzip(tmp_path):
    with pytest.raises(BadRecording, match="missing_csv"):
        read_numbers(tmp_path / "none.csv", ("a",))
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    for damaged in (whole[:-20], b"no gzip"):
        with pytest.raises(BadRecording, match="unreadable_csv"):
            read(tmp_path, damaged, name="t.csv.gz")
