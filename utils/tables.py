"""Results as Markdown tables, one way of writing a number everywhere."""

from collections.abc import Sequence


def percent(mean: float | None, std: float | None = None) -> str:
    """``71.2 ± 3.4`` from shares 0.712 and 0.034; without std ``71.2``; nothing to show is ``-``."""
    if mean is None:
        return "-"
    return f"{100 * mean:.1f}" + (f" ± {100 * std:.1f}" if std is not None else "")


def share(mean: float, std: float | None = None) -> str:
    """``0.712 ± 0.034``; without std ``0.712``."""
    return f"{mean:.3f}" + (f" ± {std:.3f}" if std is not None else "")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, columns padded so that it reads as plain text too; the first column is flush left.

    Raises:
        ValueError: if a row is not as long as the header.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    if any(len(row) != len(header) for row in cells):
        raise ValueError(f"a row has not the {len(header)} cells of the header {list(header)}")
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join("-" * (w + 2) if c == 0 else "-" * (w + 1) + ":" for c, w in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])
