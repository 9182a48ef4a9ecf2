"""Self-contained HTML pages: no file, script, font or address outside the page itself.

Text becomes markup only through ``tag``, which escapes every plain string, so that a label such as ``<script>`` is
shown and never run. What is already markup has the type ``Html``. A content policy in the page's head forbids the
browser to load anything but the pictures that the page carries.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_VOID = {"meta", "img", "br"}
_MEDIA = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class Html(str):
    """Markup, safe to put into a page as it is."""


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """One element. Content that is not ``Html`` is shown as text; None is left out.

    Args:
        content: strings, numbers, ``Html``, or iterables of them.
        attributes: ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``; None is left out.
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"')
    head = f"<{' '.join(words)}>"
    return Html(head) if name in _VOID else Html(f"{head}{join(*content)}</{name}>")


def join(*content: Any) -> Html:
    """Pieces of content one after the other, escaped as in ``tag``."""
    parts = []
    for piece in content:
        if isinstance(piece, Html):
            parts.append(piece)
        elif piece is None:
            continue
        elif isinstance(piece, Iterable) and not isinstance(piece, str):
            parts.append(join(*piece))
        else:
            # characters that HTML does not allow at all, such as NUL, become visible
            text = "".join(c if c >= " " or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in str(piece))
            parts.append(escape(text, quote=True))
    return Html("".join(parts))


def data_uri(picture: bytes) -> str:
    """A PNG or JPEG file as an address that holds the file itself.

    Raises:
        ValueError: if the bytes are neither.
    """
    for start, media in _MEDIA.items():
        if picture.startswith(start):
            return f"data:{media};base64,{base64.b64encode(picture).decode()}"
    raise ValueError(f"a picture must be a PNG or JPEG file, this one begins with {picture[:4]!r}")


def image(picture: bytes, alt: str) -> Html:
    """A PNG or JPEG file as an element, as wide as the page allows."""
    return tag("img", src=data_uri(picture), alt=alt)


def count(number: int) -> str:
    """A whole number with its thousands set apart: 12,345."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """``1 window``, ``12,345 windows``, ``3 classes``."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def facts(values: Mapping[str, Any]) -> Html:
    """Name and value side by side, as many in a row as fit."""
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in values.items()]
    return tag("dl", pairs, class_="facts")


def more(number: int, noun: str, remark: str = "") -> Html | None:
    """What a list leaves out: ``and 12 rows more``; nothing if it is complete."""
    return tag("p", f"and {plural(number, noun)} more{remark}", class_="muted") if number > 0 else None


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    numeric: Iterable[str | int] = (),
    most: int | None = None,
    noun: str = "row",
    spans: Sequence[tuple[str, int]] = (),
) -> Html:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        rows: each as long as ``header``.
        numeric: columns that are set flush right, by name or place.
        most: rows shown; below them stands how many more ``noun`` there are.
        spans: an upper row of the header: title and number of columns.
    """
    right = set(numeric)
    classes = ["n" if name in right or place in right else None for place, name in enumerate(header)]
    upper = [tag("th", title, class_="span" if title else None, colspan=n, scope="colgroup") for title, n in spans]
    head = tag("tr", [tag("th", name, class_=c, scope="col") for name, c in zip(header, classes, strict=True)])
    shown = rows[:most]
    body = [tag("tr", [tag("td", cell, class_=c) for cell, c in zip(row, classes, strict=True)]) for row in shown]
    heads = [tag("tr", upper), head] if spans else [head]
    element = tag("div", tag("table", tag("thead", heads), tag("tbody", body)), class_="scroll")
    return join(element, more(len(rows) - len(shown), noun))


def bars(values: Sequence[tuple[str, int, str]]) -> Html:
    """Horizontal bars: name, count and a remark; the longest fills the width."""
    largest = max((number for _, number, _ in values), default=0) or 1
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row", title=name),
            tag("td", tag("div", class_="bar", style=f"width:{100 * number / largest:.4g}%") if number else None),
            tag("td", count(number), class_="n"),
            tag("td", remark, class_="remark"),
        )
        for name, number, remark in values
    ]
    return tag("table", tag("tbody", rows), class_="bars")


def section(title: Any, *content: Any, anchor: str | None = None) -> Html:
    """A part of the page under its heading; ``anchor`` makes it a place that links can name."""
    return tag("section", tag("h2", title), *content, id=anchor)


def page(title: str, *content: Any, notice: str | None = None) -> Html:
    """The whole file.

    Args:
        notice: one sentence that no reader may miss, such as that the data are simulated; set above everything.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    warning = tag("p", notice, class_="notice", role="note") if notice else None
    body = tag("body", tag("main", warning, tag("h1", title), *content))
    return Html(f"<!doctype html>\n{tag('html', head, body, lang='en')}\n")
