"""The blocks of a page: headings, text, tables, pictures, bars; ``writers`` renders them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from utils.tables import column_names, is_numeric

MISSING = "missing"


class Linked(str):
    """Text of a table cell, linked to the run that measured it.

    Attributes:
        run: its folder.
    """

    run: Path

    def __new__(cls, text: str, run: Path) -> "Linked":
        """Text and its run."""
        cell = super().__new__(cls, text)
        cell.run = run
        return cell


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        frame: text; two levels of columns are an upper and a lower header.
        name: of its files, and its label in LaTeX; a table without a name is written to the page only.
        caption: what it shows.
        notes: below the table.
        most: rows shown on a page; below them stands how many more ``noun`` there are.
    """

    frame: pd.DataFrame
    name: str = ""
    caption: str = ""
    notes: tuple[str, ...] = ()
    most: int | None = None
    noun: str = "row"

    @property
    def right(self) -> list[bool]:
        """Which columns are aligned right: those of numbers, but not the first."""
        return [place > 0 and is_numeric(self.frame.iloc[:, place]) for place in range(self.frame.shape[1])]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """The upper header: title and number of columns."""
        if self.frame.columns.nlevels == 1:
            return []
        return [(title, len(list(of))) for title, of in groupby(self.frame.columns.get_level_values(0))]

    @property
    def header(self) -> list[str]:
        return self.frame.columns.get_level_values(-1).tolist()

    @property
    def columns(self) -> list[str]:
        """One name per column, with that of its span."""
        return column_names(self.frame)

    @property
    def rows(self) -> list[list[str]]:
        return self.frame.to_numpy().tolist()


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
    """A paragraph, set in bold (``strong``) or in grey (``muted``)."""

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
    """Horizontal bars: name, count and a remark; the longest fills the width. ``rest`` says what is left out."""

    values: Sequence[tuple[str, int, str]]
    rest: str = ""


@dataclass(frozen=True)
class Row:
    """Lists of blocks side by side; ``cards`` are pictures, as many in a row as fit."""

    columns: Sequence[Sequence["Block"]]
    cards: bool = False


Block = Heading | Text | Picture | Table | Facts | Bars | Row


def plural(number: int, noun: str) -> str:
    """``1 window``, ``12,345 windows``, ``3 classes``."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"
