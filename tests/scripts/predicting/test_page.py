"""The page of a recording, in a browser: days, gaps, an hour closely, nothing from the network."""

import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest

from scripts import predict
from scripts.predicting.page import COLOURS, MISSING_COLOUR
from tests.predicting import CLASSES, samples, write_classifier, write_csv

CLICK = """<script>document.querySelector('.hour[data-row="0"][data-hour="12"]')
.dispatchEvent(new MouseEvent("click", {bubbles: true}));</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two hours and a half from 10:00, of which 11:00 to 11:30 is missing and 11:30 to 12:15 was not worn."""
    root = tmp_path_factory.mktemp("page")
    data = samples(9000, rate_hz=20, quiet=(5400, 8100))
    data = data[(data[:, 0] < 3600) | (data[:, 0] >= 5400)]
    folder = write_classifier(root / "classifier")
    words = [str(write_csv(root / "day.csv", data)), "--model", str(folder), "--out", str(root / "out")]
    assert predict.main([*words, "--nonwear_min", "30"]) == 0
    return (root / "out" / "day" / "day.html").read_text(encoding="utf-8")


class Shapes(HTMLParser):
    """Rectangles of the days, and the elements of the hour."""

    def __init__(self, source):
        super().__init__()
        self.row, self.zoom, self._in, self.urls = [], [], "", []
        self.feed(source)

    def handle_starttag(self, name, attributes):
        of = dict(attributes)
        self.urls += [of[key] for key in ("src", "href") if key in of]
        if name == "svg" or of.get("id") == "zoom":
            self._in = "day" if of.get("class") == "day" else "zoom" if of.get("id") or self._in == "zoom" else ""
        if name == "rect" and self._in == "day" and "data-hour" not in of:
            self.row.append(of)
        elif self._in == "zoom":
            self.zoom.append((name, of))


def test_a_row_shows_what_was_when(page):
    shapes = Shapes(page)
    rectangles = [(int(r.get("x", 0)), int(r["width"]), r["fill"]) for r in shapes.row[1:]]
    at = {}
    for x, width, fill in rectangles:
        at |= dict.fromkeys(range(x, x + width), fill)
    assert len(at) == 1440
    for minutes, wanted in (
        ((*range(600), *range(750, 1440), *range(660, 690)), {MISSING_COLOUR}),
        (range(690, 735), {"url(#hatched)"}),
        ((*range(600, 660), *range(736, 750)), set(COLOURS[: len(CLASSES)])),
    ):
        assert {at[k] for k in minutes} <= wanted
    assert "simulated recordings" in page
    assert re.search(r"<td>2024-05-01</td><td class=\"n\">75\.0</td><td class=\"n\">45\.0</td>", page)


def test_an_hour_closely_in_a_browser(page, browser):
    outside = '<img src="http://elsewhere.test/a.png"><script src="http://elsewhere.test/b.js"></script>'
    assert Shapes(page).urls == []
    plain = browser.open(page)
    visit = browser.open(page.replace("</body>", outside + CLICK))
    assert plain.requests == visit.requests == []
    assert 'id="zoom-title">2024-05-01, 10:00' in plain.dom  # the first hour, without a click
    assert 'id="zoom-title">2024-05-01, 12:00' in visit.dom
    zoom = Shapes(plain.dom).zoom
    boxes = [of for name, of in zoom if name == "rect" and of.get("class") == "activity"]
    assert sum(float(of["width"]) for of in boxes) == pytest.approx(1200)
    assert {of["fill"] for of in boxes} <= set(COLOURS[: len(CLASSES)])
    (path,) = [of["d"] for name, of in zoom if name == "path"]
    assert path.count("M") == 720  # every 5 s of the hour
    lows = np.array([float(low) for low in re.findall(r"M[\d.]+ ([\d.]+)V", path)])
    standard = 236 - 9.81 / 40 * 156  # where the picture has 9.81 m/s²
    assert (lows > standard - 1).all()  # y points down
    before, after = (matplotlib.image.imread(v.screenshot) for v in (plain, visit))
    assert np.abs(before - after).max() > 0.3


def test_short_recordings_have_an_axis_of_their_length(page, tmp_path, capsys):
    """A minute and a half fills a tenth of an hour; two hours and a half three hours of the day."""
    assert 'viewBox="600 0 180 30"' in page and ">10:00</text>" in page and "<dd>75.0 min</dd>" in page
    assert re.search(r'class="pale"[^>]*fill="#0072b2" opacity="0.35"', page)
    file = write_csv(tmp_path / "a.csv", samples(90), start_s=0)
    words = [str(file), "--model", str(write_classifier(tmp_path / "c")), "--out", str(tmp_path / "out")]
    assert predict.main(words) == 0
    short = (tmp_path / "out" / "a" / "a.html").read_text(encoding="utf-8")
    assert 'viewBox="0 0 10 30"' in short and "<dd>90 s</dd>" in short and '"first_hour": 0' in short
    assert re.search(r"a: walking \d+ s, sitting \d+ s, .*; not worn 0 s", capsys.readouterr().out)


def test_hours_of_a_short_page_are_those_of_its_axis(page, tmp_path):
    """Hours outside the axis take no focus; when clocks go back, the fifth hour of the day is 4:00."""
    assert re.findall(r'data-hour="(\d+)"', page) == ["10", "11", "12"]
    file = write_csv(tmp_path / "a.csv", samples(30), start_s=1729998000)  # 2024-10-27, 4:00 in Berlin
    words = [str(file), "--model", str(write_classifier(tmp_path / "c")), "--out", str(tmp_path / "out")]
    assert predict.main([*words, "--time_zone", "Europe/Berlin"]) == 0
    short = (tmp_path / "out" / "a" / "a.html").read_text(encoding="utf-8")
    assert 'aria-label="2024-10-27, 04:00"' in short and ">4:00</text>" in short and ">5:00</text>" not in short


def test_names_cannot_write_markup(tmp_path):
    folder = write_classifier(tmp_path / "classifier")
    text = (folder / "config.json").read_text().replace("walking", "</script><b>x")
    (folder / "config.json").write_text(text)
    file = write_csv(tmp_path / "a.csv", samples(30))
    assert predict.main([str(file), "--model", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "<b>x" not in (tmp_path / "out" / "a" / "a.html").read_text()
