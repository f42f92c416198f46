"""Identifiers of UMLS: CUIs of concepts and TUIs of semantic types."""

from __future__ import annotations

import re

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

_CUI = re.compile(r"C[0-9]{7}")
_TUI = re.compile(r"T[0-9]{3}")


def cui_fault(text: str) -> str:
    """Return what is wrong with a CUI, for a message; empty for a good one."""
    return "" if _CUI.fullmatch(text) else f"{shorten(text)!r} is no CUI, expected C and seven digits"


def tui_fault(text: str) -> str:
    """Return what is wrong with the identifier of a semantic type, for a message; empty for a good one."""
    return (
        "" if _TUI.fullmatch(text) else f"{shorten(text)!r} is no semantic type, expected T and three digits"
    )


def cuis_of_cell(cell: str, place: str) -> tuple[str, ...]:
    """Return the CUIs of a cell, joined by `;`, each once.

    Raises:
        RejectedInput: One is no CUI; the message begins with `place`.
    """
    cuis = tuple(part.strip() for part in cell.split(";") if part.strip())
    if fault := next(filter(None, map(cui_fault, cuis)), ""):
        raise RejectedInput(f"{place}: {fault}")
    return tuple(dict.fromkeys(cuis))
