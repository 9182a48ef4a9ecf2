"""One list of blocks, two pages: both say the same, and link where they should."""

import csv
import io
from pathlib import Path

import pytest

from scripts.reporting.document import Cell, Heading, Picture, Table, Text
from scripts.reporting.writers import as_csv, as_html, as_latex, as_markdown, latex
from tests.results import write_picture

HOSTILE = "<b>100 % of A_B & $C</b> | #1 {x} ~ ^ \\"


def make_table(tmp_path, **changes):
    rows = [["ours", Cell("71.2 ± 3.4", 0.7123, 0.0341, tmp_path / "runs" / "a b", "†")], [HOSTILE, Cell("missing")]]
    fields = {"name": "t", "caption": "Accuracy, %", "header": ("method", "here"), "rows": rows, "notes": ("† why",)}
    return Table(**(fields | changes))


def test_markdown(tmp_path):
    blocks = [Heading("One"), Heading("Two", 3), Text("words"), Text("loud", strong=True), make_table(tmp_path)]
    blocks.append(Picture(tmp_path / "out" / "figures" / "x.png", "what"))
    lines = as_markdown("Title", "Beware", blocks, tmp_path / "out").split("\n\n")
    assert lines[:6] == ["# Title", "> **Beware**", "## One", "### Two", "words", "**loud**"]
    assert lines[6] == "**Accuracy, %**"
    assert "| [71.2 ± 3.4](../runs/a%20b)† |" in lines[7] and "missing |" in lines[7]
    assert lines[8] == "† why" and lines[9].strip() == "![what](figures/x.png)"
    assert as_markdown("Title", None, [], tmp_path) == "# Title\n"


def test_html_says_the_same(tmp_path):
    (tmp_path / "runs" / "a b").mkdir(parents=True)
    write_picture(tmp_path / "x.png", "x")
    spans = (("", 1), ("probing", 1))
    blocks = [
        Heading("One & all"),
        make_table(tmp_path, spans=spans),
        Picture(tmp_path / "x.png", "c", tmp_path / "x.pdf"),
    ]
    page = as_html("Title", "Beware", blocks, tmp_path)
    assert '<a href="runs/a%20b">71.2 ± 3.4</a>†' in page and '<span class="muted">missing</span>' in page
    assert '<section id="one-all"><h2>One &amp; all</h2>' in page and '<a href="#one-all">' in page
    assert '<th class="span" colspan="1" scope="colgroup">probing</th>' in page
    assert '<img src="data:image/png;base64,' in page and '<a href="x.pdf">PDF</a>' in page
    assert "<b>100" not in page and "&lt;b&gt;100" in page


def test_csv_has_the_numbers_in_full(tmp_path):
    table = make_table(tmp_path, header=("method", "here"), spans=(("", 1), ("probing", 1)))
    rows = list(csv.reader(io.StringIO(as_csv(table))))
    assert rows == [
        ["method", "column", "shown", "mean", "std", "run"],
        ["ours", "probing, here", "71.2 ± 3.4†", "0.7123", "0.0341", "a b"],
        [HOSTILE, "probing, here", "missing", "", "", ""],
    ]


def test_a_table_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a row has 1 cells, the header 2"):
        make_table(tmp_path, rows=[["alone"]])
    with pytest.raises(ValueError, match="do not cover the 2 columns"):
        make_table(tmp_path, spans=(("all", 3),))


def read_latex(text):
    """Rows of cells between the rules of booktabs, by a reader that knows only the backslash and the ampersand."""
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [
        line.strip() for line in body.splitlines() if line.strip() and not line.strip().startswith((r"\mid", r"\cmid"))
    ]
    rows = []
    for line in lines:
        assert line.endswith(r" \\")
        cells, escaped = [""], False
        for character in line[:-3]:
            if character == "&" and not escaped:
                cells.append("")
            else:
                cells[-1] += character
            escaped = character == "\\" and not escaped
        rows.append([cell.strip() for cell in cells])
    return rows


def test_latex_is_sound_in_structure(tmp_path):
    text = as_latex(make_table(tmp_path, spans=(("", 1), ("A & B", 1))))
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert r"\begin{tabular}{lr}" in text and r"\caption{Accuracy, \%}" in text and r"\label{tab:t}" in text
    assert [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == sorted(
        text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")
    )
    upper, header, first, second = read_latex(text)
    assert upper == ["", r"A \& B"] and header == ["method", "here"]
    assert first == ["ours", r"71.2 $\pm$ 3.4$\dagger$"]
    assert second[1] == "missing"
    assert "\\footnotesize $\\dagger$ why" in text


def test_latex_leaves_no_special_character():
    shown = latex(HOSTILE + " ± → ≠ ‡ ² –")
    for raw, safe in (
        ("%", r"\%"),
        ("_", r"\_"),
        ("&", r"\&"),
        ("#", r"\#"),
        ("{x}", r"\{x\}"),
        ("\\", "textbackslash"),
    ):
        assert safe in shown and raw in HOSTILE
    assert all(ord(character) < 128 for character in shown)
    assert shown.count("$") == 2 * 9 + 1 and r"\$C" in shown  # < > < > ± → ≠ ‡ ², and the text's own


def test_pictures_are_read_from_their_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        as_html("Title", None, [Picture(Path("missing.png"), "c")], tmp_path)
