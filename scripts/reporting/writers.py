"""A list of blocks as Markdown or as one self-contained HTML file; a table as LaTeX or CSV.

All four are made from the same blocks, so that their numbers agree. The HTML template is ``templates/page.html.j2``.
"""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import jinja2

from scripts.reporting.document import Block, Heading, Linked, Picture, Table, Text, plural
from utils.tables import markdown

_MEDIA = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"<?xml": "image/svg+xml"}
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
    | {"±": r"$\pm$", "→": r"$\rightarrow$", "†": r"$\dagger$", "‡": r"$\ddagger$", "≠": r"$\neq$", "≥": r"$\geq$"}
    | {"²": "$^2$", "°": r"$^\circ$", "−": "$-$", "–": "--"}
)


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
                parts.append(f"![{block.caption}]({relative(block.image, folder)})")
            case Table():
                parts += [f"**{block.caption}**", markdown_table(block, folder), *block.notes]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table, folder: Path) -> str:
    """The rows, each number linked to its run."""
    rows = [
        [f"[{cell}]({relative(cell.run, folder)})" if isinstance(cell, Linked) else cell for cell in row]
        for row in table.rows
    ]
    return markdown(table.columns, rows, table.right)


def write_table(table: Table, folder: Path) -> None:
    """Write the table as Markdown, LaTeX and CSV."""
    text = "\n\n".join([f"**{table.caption}**", markdown_table(table, folder), *table.notes])
    (folder / f"{table.name}.md").write_text(text + "\n", encoding="utf-8")
    (folder / f"{table.name}.tex").write_text(as_latex(table), encoding="utf-8")
    table.frame.set_axis(table.columns, axis=1).to_csv(folder / f"{table.name}.csv", index=False)


def latex(text: str) -> str:
    """Plain text with the special characters of LaTeX escaped."""
    return text.translate(_LATEX)


def as_latex(table: Table) -> str:
    """A ``table`` environment with caption, label and notes, for the booktabs package."""
    frame = table.frame.map(latex).rename(columns=latex)
    text = frame.to_latex(
        index=False,
        escape=False,
        column_format="".join("r" if right else "l" for right in table.right),
        multicolumn_format="c",
        caption=latex(table.caption),
        label=f"tab:{table.name}",
    )
    notes = "".join(f"\\par\\smallskip\\footnotesize {latex(note)}\n" for note in table.notes)
    return text.replace("\\end{table}", notes + "\\end{table}")


def as_html(title: str, notice: str | None, blocks: Sequence[Block], folder: Path) -> str:
    """The page as one HTML file with its pictures inside; links are relative to the folder it lies in.

    Args:
        notice: a sentence above the page, such as that the data are simulated.

    Raises:
        OSError: if a picture cannot be read.
    """
    top: list[Block] = []
    sections: list[tuple[Heading, list[Block]]] = []
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:
            sections.append((block, []))
        else:
            (sections[-1][1] if sections else top).append(block)
    return _page().render(
        title=title, notice=notice, top=top, sections=sections, link=lambda path: relative(path, folder)
    )


def _page() -> jinja2.Template:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    env.filters |= {"kind": lambda block: type(block).__name__, "data_uri": data_uri, "plural": plural}
    return env.get_template("page.html.j2")


def data_uri(picture: Path | bytes) -> str:
    """A PNG, JPEG or SVG file as a data URI.

    Raises:
        ValueError: if the bytes are none of these.
    """
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    for start, media in _MEDIA.items():
        if content.startswith(start):
            return f"data:{media};base64,{base64.b64encode(content).decode()}"
    raise ValueError(f"a picture must be a PNG, JPEG or SVG file, this one begins with {content[:4]!r}")


def relative(path: Path, folder: Path) -> str:
    """A link from a page in the folder to the path."""
    return quote(os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/"))
