"""Tables as LaTeX, in the style of the booktabs package: ``\\usepackage{booktabs}``, then ``\\input`` the file."""

from scripts.reporting.document import Cell, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "≠": r"$\neq$",
    "≥": r"$\geq$",
    "²": r"$^2$",
    "−": r"$-$",
    "–": "--",
}


def escape(text: str) -> str:
    """Plain text, as LaTeX would print it."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def latex_table(table: Table) -> str:
    """A ``table`` environment with caption, label and notes."""
    right = len(table.header) - table.labels
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape(table.caption)}}}",
        rf"  \label{{tab:{table.name}}}",
        rf"  \begin{{tabular}}{{{'l' * table.labels}{'r' * right}}}",
        r"    \toprule",
    ]
    if table.spans:
        cells, rules, first = [], [], 1
        for title, width in table.spans:
            cells.append(rf"\multicolumn{{{width}}}{{{'c' if title else 'l'}}}{{{escape(title)}}}")
            if title:
                rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
            first += width
        lines += [_row(cells), f"    {' '.join(rules)}"]
    lines += [_row([escape(name) for name in table.header]), r"    \midrule"]
    lines += [_row([escape(_text(cell)) for cell in row]) for row in table.rows]
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    lines += [rf"  \par\smallskip\footnotesize {escape(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _row(cells: list[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _text(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.text + cell.marks
