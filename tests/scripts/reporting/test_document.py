"""One list of blocks, two pages: both say the same, and link where they should."""

from pathlib import Path

import pandas as pd
import pytest

from scripts.reporting.document import Heading, Linked, Picture, Table, Text
from scripts.reporting.writers import as_html, as_latex, as_markdown, latex, write_table
from tests.results import write_picture

HOSTILE = "<b>100 % of A_B & $C</b> | #1 {x} ~ ^ \\"


def make_table(tmp_path, header=("method", "here")):
    rows = [["ours", Linked("71.2 ± 3.4†", tmp_path / "runs" / "a b")], [HOSTILE, "missing"]]
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    return Table(frame, "t", "Accuracy, %", ("† why",))


SPANS = pd.MultiIndex.from_tuples([("", "method"), ("A & B", "here")])


def test_markdown(tmp_path):
    blocks = [Heading("One"), Heading("Two", 3), Text("words"), Text("loud", strong=True), make_table(tmp_path)]
    blocks.append(Picture(tmp_path / "out" / "figures" / "x.png", "what"))
    lines = as_markdown("Title", "Beware", blocks, tmp_path / "out").split("\n\n")
    assert lines[:6] == ["# Title", "> **Beware**", "## One", "### Two", "words", "**loud**"]
    assert lines[6] == "**Accuracy, %**"
    assert "| [71.2 ± 3.4†](../runs/a%20b) |" in lines[7] and "missing |" in lines[7]
    assert lines[8] == "† why" and lines[9].strip() == "![what](figures/x.png)"
    assert as_markdown("Title", None, [], tmp_path) == "# Title\n"


def test_html_says_the_same(tmp_path):
    (tmp_path / "runs" / "a b").mkdir(parents=True)
    write_picture(tmp_path / "x.png", "x")
    blocks = [
        Heading("One & all"),
        make_table(tmp_path, SPANS),
        Picture(tmp_path / "x.png", "c", tmp_path / "x.pdf"),
    ]
    page = as_html("Title", "Beware", blocks, tmp_path)
    assert '<td class="n"><a href="runs/a%20b">71.2 ± 3.4†</a></td>' in page and '<td class="n">missing</td>' in page
    assert '<section id="one-all"><h2>One &amp; all</h2>' in page and '<a href="#one-all">' in page
    assert '<th class="span" colspan="1" scope="colgroup">A &amp; B</th>' in page
    assert '<img src="data:image/png;base64,' in page and '<a href="x.pdf">PDF</a>' in page
    assert "<b>100" not in page and "&lt;b&gt;100" in page


def test_files_of_a_table(tmp_path):
    write_table(make_table(tmp_path, SPANS), tmp_path)
    read = pd.read_csv(tmp_path / "t.csv", dtype=str)
    assert read.columns.tolist() == ["method", "A & B, here"]
    assert read.to_numpy().tolist() == [["ours", "71.2 ± 3.4†"], [HOSTILE, "missing"]]
    assert (tmp_path / "t.md").read_text().endswith("\n\n† why\n") and (tmp_path / "t.tex").is_file()


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
    text = as_latex(make_table(tmp_path, SPANS))
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
