"""Pages: text is never markup, nothing outside the page is asked for."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from scripts.reporting.document import Bars, Facts, Heading, Linked, Picture, Row, Table, Text, plural
from scripts.reporting.writers import as_html, data_uri

HOSTILE = """<script>alert("1")</script> & 'quoted' <img src=http://elsewhere.test/x.png>"""
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


class Outline(HTMLParser):
    """Elements and text of a page, as a parser that is not ours reads them."""

    def __init__(self, source: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in ("meta", "img", "br"):
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.text += data


def table(header, rows, **fields):
    return Table(pd.DataFrame(rows, columns=header, dtype=object), **fields)


def page(*blocks, title="title", notice=None):
    return as_html(title, notice, blocks, Path("folder"))


@pytest.mark.parametrize(
    "block",
    [
        Text(HOSTILE),
        Text(HOSTILE, strong=True),
        Heading(HOSTILE),
        Heading(HOSTILE, 3),
        Heading("a", mark=HOSTILE),
        Facts({HOSTILE: HOSTILE}),
        table([HOSTILE], [[HOSTILE]], name="t", caption=HOSTILE, notes=(HOSTILE,)),
        table(pd.MultiIndex.from_tuples([(HOSTILE, HOSTILE)]), [[Linked(HOSTILE, Path(HOSTILE))]]),
        Bars([(HOSTILE, 1, HOSTILE)], HOSTILE),
        Row([[Text(HOSTILE)]]),
        Picture(PNG, HOSTILE, title=HOSTILE),
        None,
    ],
)
def test_text_never_becomes_markup(block):
    blocks = [] if block is None else [block]
    outline = Outline(page(*blocks) if blocks else page(title=HOSTILE, notice=HOSTILE))
    assert "script" not in {name for name, _ in outline.elements}
    for name, attributes in outline.elements:
        assert name != "img" or attributes["src"].startswith("data:")
    attributes = [value for _, found in outline.elements for value in found.values()]
    assert HOSTILE in outline.text or HOSTILE in attributes  # shown as it is


def test_headings_begin_sections():
    outline = Outline(page(Text("before"), Heading("One & all", mark="new"), Text("in"), Heading("Two"), Text("b")))
    assert [found["id"] for name, found in outline.elements if name == "section"] == ["one-all", "two"]
    assert [found["href"] for name, found in outline.elements if name == "a"] == ["#one-all", "#two"]


def test_a_long_listing_says_how_much_it_leaves_out():
    rows = [[f"row {n}"] for n in range(7)]
    outline = Outline(page(table(["a"], rows, most=5, noun="class")))
    assert "row 4" in outline.text and "row 5" not in outline.text and "and 2 classes more" in outline.text
    for fits in (table(["a"], rows, most=7), table(["a"], rows)):
        assert "more" not in Outline(page(fits)).text.split("}")[-1]


def test_bars_are_as_long_as_their_fraction_of_the_largest():
    widths = re.findall(r'style="width:([\d.]+)%', page(Bars([("a", 5, ""), ("b", 20, ""), ("c", 0, "")])))
    assert widths == ["25", "100"]  # nothing for zero
    assert 'style="width' not in page(Bars([("a", 0, "")]))


@pytest.mark.parametrize(
    "number, noun, text",
    [(1, "class", "1 class"), (3, "class", "3 classes"), (0, "row", "0 rows"), (1234, "row", "1,234 rows")],
)
def test_plural(number, noun, text):
    assert plural(number, noun) == text


def test_only_pictures_are_embedded():
    assert data_uri(PNG).startswith("data:image/png;base64,")
    assert data_uri(b"\xff\xd8\xff\xe0").startswith("data:image/jpeg;base64,")
    with pytest.raises(ValueError, match="PNG, JPEG or SVG"):
        data_uri(b"<svg onload=...>")


def test_a_page_names_no_address_and_forbids_loading():
    source = page(Heading("part"), Text("text"), Picture(PNG, "a picture"))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)|url\(|@import|//", source)
    outline = Outline(source)
    policy = [a["content"] for name, a in outline.elements if name == "meta" and a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_browser_refuses_what_a_page_should_not_load(browser):
    outside = '<img src="http://elsewhere.test/a.png"><img src="https://elsewhere.test/b.png">'
    visit = browser.open(f"<!doctype html><body>{outside}</body>")
    assert {"http://elsewhere.test/a.png", "elsewhere.test:443"} <= set(visit.requests)  # seen without the policy
    assert browser.open(page().replace("</main>", outside + "</main>")).requests == []
