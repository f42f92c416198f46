"""Cells that a spreadsheet would take for a formula: people open answers in one, and names are strangers'."""

from __future__ import annotations

from collections.abc import Iterable

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LISTED = "= + - @"


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would take a cell for a formula, so that it could run what it says."""
    return cell.startswith(_STARTS)


def shown_text(text: str) -> str:
    """Return a text that is shown and never read back, an apostrophe before it if it looks like a formula."""
    return f"'{text}" if is_formula(text) else text


def refuse_formulas(
    images: Iterable[str] = (), raters: Iterable[str] = (), tools: Iterable[str] = ()
) -> None:
    """Refuse names that could not be written to a table without harm, nor be changed without confusion.

    Raises:
        RejectedInput: One begins like a formula.
    """
    for kind, names, remedy in (
        ("image", images, "rename its file before it is handed out"),
        ("rater", raters, "give another name with curate import --raters MAP.csv"),
        ("tool", tools, "correct the column tool"),
    ):
        for name in names:
            if is_formula(name):
                raise RejectedInput(
                    f"the {kind} {shorten(repr(name), 60)} begins with one of {_LISTED}, which a spreadsheet "
                    f"takes for a formula: {remedy}"
                )
