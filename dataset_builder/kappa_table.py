"""The table of agreement between annotators that a quality gate reads: one kappa a facet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import load
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK, read_rows
from rocov2_eval.shelf.words import shorten

_FACET, _KAPPA = "facet", "kappa"
_FACETS = "facets"  # of a report: an object of facets, each an object with its kappa


def read_kappas(path: Path) -> dict[str, float | None]:
    """Return the kappa of each facet of a table of agreement; None where it is undefined.

    Args:
        path: CSV with the columns `facet` and `kappa` among others, an empty cell for an undefined one; or,
            if its name ends in `.json`, an object of facets and numbers, null for an undefined one, or the
            report of `rocov2-build agreement`.

    Raises:
        RejectedInput: It is something else, or a kappa lies outside of [-1, 1].
    """
    cells = _json_cells(path) if path.suffix.lower() == ".json" else _csv_cells(path)
    kappas: dict[str, float | None] = {}
    for place, facet, cell in cells:
        if not facet or facet in kappas:
            raise RejectedInput(f"{place}: facet {shorten(facet)!r}, expected a name that stands once")
        kappas[facet] = None if cell is None else _kappa(place, cell)
    if not kappas:
        raise RejectedInput(f"{path}: no facet, expected at least one with its kappa")
    return kappas


def _csv_cells(path: Path) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the facet and the kappa of each row."""
    for line, row in read_rows(path, (_FACET, _KAPPA)):
        yield f"{path}:{line}", row[_FACET].strip(), row[_KAPPA].strip() or None


def _json_cells(path: Path) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the facet and the kappa of each facet."""
    try:
        text = load(path).text.removeprefix(BYTE_ORDER_MARK)
        pairs: Any = json.loads(text, object_pairs_hook=tuple)  # a facet that stands twice is seen twice
    except ValueError as error:
        raise RejectedInput(f"{path}: {error}") from None
    except RecursionError:
        raise RejectedInput(f"{path}: nested too deeply, expected an object of facets and kappas") from None
    if not isinstance(pairs, tuple):
        raise RejectedInput(f"{path}: expected an object of facets and kappas")
    report = next((value for name, value in pairs if name == _FACETS and isinstance(value, tuple)), None)
    for facet, value in pairs if report is None else report:
        place = f"{path}: {shorten(facet)}"
        yield place, facet.strip(), value if report is None else _kappa_in(place, value)


def _kappa_in(place: str, facet: object) -> object:
    """Return what a report says of the kappa of a facet."""
    kappas = [value for name, value in facet if name == _KAPPA] if isinstance(facet, tuple) else []
    if len(kappas) != 1:
        raise RejectedInput(f"{place}: expected an object with one {_KAPPA!r}, as `agreement` writes it")
    return kappas[0]


def _kappa(place: str, cell: object) -> float:
    try:
        kappa = float(cell) if isinstance(cell, str | int | float) else math.nan
    except (ValueError, OverflowError):
        kappa = math.nan
    if isinstance(cell, bool) or not -1 <= kappa <= 1:
        raise RejectedInput(f"{place}: kappa {shorten(str(cell))}, expected a number from -1 to 1")
    return kappa
