"""The table of agreement between annotators that a quality gate reads: one kappa a facet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import load
<<<<<<< HEAD
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK, read_rows
=======
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK, rows_of
>>>>>>> main
from rocov2_eval.shelf.words import shorten


def read_kappas(path: Path) -> dict[str, float | None]:
    """Return the kappa of each facet of a table of agreement; None where it is undefined.

    Args:
        path: CSV with the columns `facet` and `kappa` among others, an empty cell for an undefined one; or,
            if its name ends in `.json`, an object of facets and numbers, null for an undefined one, or the
            report of `rocov2-build agreement`.

    Raises:
        RejectedInput: It is something else, or a kappa lies outside of [-1, 1].
    """
<<<<<<< HEAD
    cells = _json_cells(path) if path.suffix.lower() == ".json" else _csv_cells(path)
    kappas: dict[str, float | None] = {}
    for place, facet, cell in cells:
        if not facet or facet in kappas:
            raise RejectedInput(f"{place}: facet {shorten(facet)!r}, expected a name that stands once")
        kappas[facet] = None if cell is None else _kappa(place, cell)
=======
    text = load(path).text.removeprefix(BYTE_ORDER_MARK)
    values = _json_values(path, text) if path.suffix.lower() == ".json" else _csv_values(path, text)
    kappas: dict[str, float | None] = {}
    for place, facet, value in values:
        if not facet or facet in kappas:
            raise RejectedInput(f"{place}: facet {shorten(facet)!r}, expected a name that stands once")
        kappas[facet] = None if value in (None, "") else _kappa_of(place, value)
>>>>>>> main
    if not kappas:
        raise RejectedInput(f"{path}: no facet, expected at least one with its kappa")
    return kappas


<<<<<<< HEAD
def _csv_cells(path: Path) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the facet and the kappa of each row."""
    for line, row in read_rows(path, (_FACET, _KAPPA)):
        yield f"{path}:{line}", row[_FACET].strip(), row[_KAPPA].strip() or None


def _json_cells(path: Path) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the facet and the kappa of each facet."""
    try:
        text = load(path).text.removeprefix(BYTE_ORDER_MARK)
        pairs: Any = json.loads(text, object_pairs_hook=tuple)  # a facet that stands twice is seen twice
=======
def _csv_values(path: Path, text: str) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the facet and the kappa of each row."""
    for line, row in rows_of(text, str(path), ("facet", "kappa")):
        yield f"{path}:{line}", row["facet"].strip(), row["kappa"].strip()


def _json_values(path: Path, text: str) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the name and the kappa of each facet."""
    try:
        document: Any = json.loads(text)
>>>>>>> main
    except ValueError as error:
        raise RejectedInput(f"{path}: {error}") from None
    except RecursionError:
        raise RejectedInput(f"{path}: nested too deeply, expected an object of facets and kappas") from None
    if not isinstance(document, dict):
        raise RejectedInput(f"{path}: expected an object of facets and kappas")
<<<<<<< HEAD
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
=======
    report = document.get("facets")  # of the report of `agreement`, which has more to say of each facet
    for facet, value in (report if isinstance(report, dict) else document).items():
        place = f"{path}: {shorten(facet)}"
        if isinstance(report, dict) and not (isinstance(value, dict) and "kappa" in value):
            raise RejectedInput(f"{place}: expected an object with 'kappa', as `agreement` writes it")
        yield place, facet.strip(), value["kappa"] if isinstance(report, dict) else value
>>>>>>> main


def _kappa(place: str, cell: object) -> float:
    try:
        kappa = float(cell) if isinstance(cell, str | int | float) else math.nan
    except (ValueError, OverflowError):
        kappa = math.nan
    if isinstance(cell, bool) or not -1 <= kappa <= 1:
        raise RejectedInput(f"{place}: kappa {shorten(str(cell))}, expected a number from -1 to 1")
    return kappa
