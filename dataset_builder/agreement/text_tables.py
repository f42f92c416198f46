"""Tables of words for a terminal and for Markdown: the first column to the left, the others to the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line a row, its columns under each other; all rows have as many cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table of Markdown, line by line; the first row is its header."""
    header, *body = (_row(map(escaped, row)) for row in rows)
    return [header, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *body]


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
