"""A report as a list of blocks, written as Markdown or as one self-contained HTML page.

The same blocks give both, so that a number cannot differ between them. Tables also stand alone, see ``latex``.
"""

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scripts.reporting import html
from scripts.reporting.html import Html, join, tag
from utils.tables import markdown

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
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"table {self.name}: a row has {len(row)} cells, the header {len(self.header)}")
        if self.spans and sum(n for _, n in self.spans) != len(self.header):
            raise ValueError(f"table {self.name}: the spans do not cover the {len(self.header)} columns")

    def columns(self) -> list[str]:
        """One name per column, with that of its span."""
        spans = [title for title, n in self.spans for _ in range(n)] or [""] * len(self.header)
        return [", ".join(filter(None, words)) for words in zip(spans, self.header, strict=True)]


@dataclass(frozen=True)
class Heading:
    """Level 2 begins a section, level 3 a part of one."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; a strong one is not to be missed."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG file with what it shows; ``pdf`` is the same picture for print."""

    png: Path
    caption: str
    pdf: Path | None = None


Block = Heading | Text | Picture | Table


def as_markdown(title: str, notice: str | None, blocks: Sequence[Block], folder: Path) -> str:
    """The page as Markdown; links are relative to the folder it lies in."""
    parts = [f"# {title}"] + ([f"> **{notice}**"] if notice else [])
    for block in blocks:
        match block:
            case Heading():
                parts.append("#" * block.level + f" {block.text}")
            case Text():
                parts.append(f"**{block.text}**" if block.strong else block.text)
            case Picture():
                parts.append(f"![{block.caption}]({relative(block.png, folder)})")
            case Table():
                parts += [f"**{block.caption}**", markdown_table(block, folder), *block.notes]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table, folder: Path) -> str:
    """The rows, each number linked to its run."""
    rows = [[_linked(cell, folder) for cell in row] for row in table.rows]
    return markdown(table.columns(), rows, labels=table.labels)


def _linked(cell: Cell | str, folder: Path) -> str:
    if isinstance(cell, str):
        return cell
    return (f"[{cell.text}]({relative(cell.run, folder)})" if cell.run else cell.text) + cell.marks


def as_html(title: str, notice: str | None, blocks: Sequence[Block], folder: Path) -> Html:
    """The page as one HTML file with its pictures inside; links are relative to the folder it lies in.

    Raises:
        OSError: if a picture cannot be read.
    """
    headings = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = tag("nav", [tag("a", text, href=f"#{anchor(text)}") for text in headings])
    return html.page(title, links, [_html_block(block, folder) for block in blocks], notice=notice)


def _html_block(block: Block, folder: Path) -> Html:
    match block:
        case Heading():
            return tag(f"h{block.level}", block.text, id=anchor(block.text) if block.level == 2 else None)
        case Text():
            return tag("p", tag("strong", block.text) if block.strong else block.text)
        case Picture():
            caption = [block.caption]
            if block.pdf:
                caption += [" (", tag("a", "PDF", href=relative(block.pdf, folder)), ")"]
            return tag("figure", tag("figcaption", caption), html.image(block.png.read_bytes(), block.caption))
        case Table():
            rows = [[_html_cell(cell, folder) for cell in row] for row in block.rows]
            body = html.table(block.header, rows, numeric=range(block.labels, len(block.header)), spans=block.spans)
            notes = [tag("p", note, class_="muted") for note in block.notes]
            return join(tag("p", tag("strong", block.caption)), body, notes)


def _html_cell(cell: Cell | str, folder: Path) -> Html | str:
    if isinstance(cell, str):
        return cell
    text = tag("span", cell.text, class_="muted") if cell.mean is None else cell.text
    return join(tag("a", text, href=relative(cell.run, folder)) if cell.run else text, cell.marks)


def as_csv(table: Table) -> str:
    """One line per number: its row's labels, its column, what is shown, mean and standard deviation in full, run."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = table.columns()
    writer.writerow([*names[: table.labels], "column", "shown", "mean", "std", "run"])
    for row in table.rows:
        words = [cell if isinstance(cell, str) else cell.text for cell in row[: table.labels]]
        for name, cell in zip(names[table.labels :], row[table.labels :], strict=True):
            if isinstance(cell, str):
                cell = Cell(cell)
            values = ["" if value is None else repr(value) for value in (cell.mean, cell.std)]
            writer.writerow([*words, name, cell.text + cell.marks, *values, cell.run.name if cell.run else ""])
    return buffer.getvalue()


def anchor(text: str) -> str:
    """A heading as the name of a place on the page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def relative(path: Path, folder: Path) -> str:
    """A link from a page in the folder to the path."""
    return quote(os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/"))
