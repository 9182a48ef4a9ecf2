"""Pages: text is never markup, nothing outside the page is asked for."""

import re
from html.parser import HTMLParser

import pytest

from scripts.reporting.html import Html, bars, data_uri, facts, image, join, page, plural, section, table, tag

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


@pytest.mark.parametrize(
    "markup",
    [
        tag("p", HOSTILE, title=HOSTILE),
        join([HOSTILE, [HOSTILE]]),
        facts({HOSTILE: HOSTILE}),
        table([HOSTILE], [[HOSTILE]], numeric=[HOSTILE]),
        bars([(HOSTILE, 1, HOSTILE)]),
        section(HOSTILE, HOSTILE, anchor=HOSTILE),
        image(PNG, HOSTILE),
        page(HOSTILE, HOSTILE, notice=HOSTILE),
    ],
)
def test_text_never_becomes_markup(markup):
    outline = Outline(markup)
    assert "script" not in {name for name, _ in outline.elements}
    for name, attributes in outline.elements:
        assert name != "img" or attributes["src"].startswith("data:")
    attributes = [value for _, found in outline.elements for value in found.values()]
    assert HOSTILE in outline.text or HOSTILE in attributes  # shown as it is


def test_markup_is_nested_and_none_is_left_out():
    assert tag("p", "a < b", tag("b", 3), None, class_="n", id=None) == '<p class="n">a &lt; b<b>3</b></p>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert isinstance(join("a"), Html)
    assert join("a\0b\x1b") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


def test_a_long_table_says_how_much_it_leaves_out():
    rows = [[f"row {n}"] for n in range(7)]
    outline = Outline(table(["a"], rows, most=5, noun="class"))
    assert "row 4" in outline.text and "row 5" not in outline.text and "and 2 classes more" in outline.text
    assert "more" not in Outline(table(["a"], rows, most=7)).text + Outline(table(["a"], rows)).text


def test_a_table_row_must_fit_its_header():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["only one"]])


def test_bars_are_as_long_as_their_share_of_the_largest():
    widths = re.findall(r"width:([\d.]+)%", bars([("a", 5, ""), ("b", 20, ""), ("c", 0, "")]))
    assert widths == ["25", "100"]  # nothing for zero
    assert "width" not in bars([("a", 0, "")])


@pytest.mark.parametrize(
    "number, noun, text",
    [(1, "class", "1 class"), (3, "class", "3 classes"), (0, "row", "0 rows"), (1234, "row", "1,234 rows")],
)
def test_plural(number, noun, text):
    assert plural(number, noun) == text


def test_only_pictures_are_embedded():
    assert data_uri(PNG).startswith("data:image/png;base64,")
    assert data_uri(b"\xff\xd8\xff\xe0").startswith("data:image/jpeg;base64,")
    with pytest.raises(ValueError, match="PNG or JPEG"):
        data_uri(b"<svg onload=...>")


def test_a_page_names_no_address_and_forbids_loading():
    source = page("title", section("part", "text"))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)|url\(|@import|//", source)
    outline = Outline(source)
    policy = [a["content"] for name, a in outline.elements if name == "meta" and a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_browser_refuses_what_a_page_should_not_load(browser):
    outside = '<img src="http://elsewhere.test/a.png"><img src="https://elsewhere.test/b.png">'
    visit = browser.open(f"<!doctype html><body>{outside}</body>")
    assert {"http://elsewhere.test/a.png", "elsewhere.test:443"} <= set(visit.requests)  # seen without the policy
    assert browser.open(page("title", Html(outside))).requests == []
