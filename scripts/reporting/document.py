"""The blocks that a page is made of: headings, text, tables, pictures, bars; ``writers`` makes pages of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MISSING = "missing"


@dataclass(frozen=True)
class Cell:
    """A number of a table, and where it comes from.

    Attributes:
        text: as it is shown.
        mean, std: in full; None where nothing was measured.
        run: folder of the run that measured it.
        marks: signs of footnotes.
    """

    text: str
    mean: float | None = None
    std: float | None = None
    run: Path | None = None
    marks: str = ""

    def __str__(self) -> str:
        return self.text + self.marks


@dataclass(frozen=True)
class Table:
    """Rows of labels, then numbers.

    Attributes:
        name: of its files, and its label in LaTeX.
        caption: what it shows.
        header: names of the columns.
        rows: each as long as the header; plain strings are cells without a source.
        labels: how many columns, from the left, are words.
        spans: an upper header: title and number of columns, for all columns in order.
        notes: below the table.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: list[list[Cell | str]]
    labels: int = 1
    spans: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError if a row or the spans are not as long as the header."""
        _check_rows(self.name, self.header, self.rows)
        if self.spans and sum(n for _, n in self.spans) != len(self.header):
            raise ValueError(f"table {self.name}: the spans do not cover the {len(self.header)} columns")

    @property
    def shown(self) -> list[list[Cell | str]]:
        return self.rows

    @property
    def right(self) -> range:
        """Places of the columns that are set flush right."""
        return range(self.labels, len(self.header))

    @property
    def upper(self) -> list[str]:
        """Title of the span of each column."""
        return [title for title, n in self.spans for _ in range(n)] or [""] * len(self.header)

    def columns(self) -> list[str]:
        """One name per column, with that of its span."""
        return [", ".join(filter(None, words)) for words in zip(self.upper, self.header, strict=True)]


@dataclass(frozen=True)
class Listing:
    """A table of an HTML page only, cut at a length that a reader can take in.

    Attributes:
        rows: each as long as ``header``.
        numeric: names of the columns that are set flush right.
        most: rows shown; below them stands how many more ``noun`` there are.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[str] = ()
    most: int | None = None
    noun: str = "row"
    spans = ()  # it has no upper header

    def __post_init__(self) -> None:
        _check_rows("listing", self.header, self.rows)

    @property
    def shown(self) -> Sequence[Sequence[str]]:
        return self.rows[: self.most]

    @property
    def right(self) -> list[int]:
        return [place for place, name in enumerate(self.header) if name in self.numeric]


def _check_rows(name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"table {name}: a row has {len(row)} cells, the header {len(header)}")


@dataclass(frozen=True)
class Heading:
    """Level 2 begins a section, which links name by ``anchor``; level 3 begins a part of one."""

    text: str
    level: int = 2
    mark: str = ""

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.text.lower()).strip("-")


@dataclass(frozen=True)
class Text:
    """A paragraph; a strong one is not to be missed."""

    text: str
    strong: bool = False
    muted: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture: its file, or its bytes on an HTML page; ``pdf`` is the same picture for print."""

    image: Path | bytes
    caption: str
    pdf: Path | None = None
    title: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values side by side."""

    values: Mapping[str, str]


@dataclass(frozen=True)
class Bars:
    """Horizontal bars: name, count and a remark; the longest fills the width.

    Attributes:
        left_out: how many more there are of ``noun``.
        left_out_remark: what else is to be said of these.
    """

    values: Sequence[tuple[str, int, str]]
    left_out: int = 0
    noun: str = "row"
    left_out_remark: str = ""

    @property
    def largest(self) -> int:
        return max((number for _, number, _ in self.values), default=0) or 1


@dataclass(frozen=True)
class Row:
    """Lists of blocks beside each other; ``cards`` are pictures, as many in a row as fit."""

    columns: Sequence[Sequence["Block"]]
    cards: bool = False


Block = Heading | Text | Picture | Table | Listing | Facts | Bars | Row


def count(number: int) -> str:
    """A whole number with its thousands set apart: 12,345."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """``1 window``, ``12,345 windows``, ``3 classes``."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"
