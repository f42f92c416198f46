"""The table of agreement between annotators that a quality gate reads: one kappa a facet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import load
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK, rows_of
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
    text = load(path).text.removeprefix(BYTE_ORDER_MARK)
    values = _json_values(path, text) if path.suffix.lower() == ".json" else _csv_values(path, text)
    kappas: dict[str, float | None] = {}
    for place, facet, value in values:
        if not facet or facet in kappas:
            raise RejectedInput(f"{place}: facet {shorten(facet)!r}, expected a name that stands once")
        kappas[facet] = None if value in (None, "") else _kappa_of(place, value)
    if not kappas:
        raise RejectedInput(f"{path}: no facet, expected at least one with its kappa")
    return kappas


def _csv_values(path: Path, text: str) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the facet and the kappa of each row."""
    for line, row in rows_of(text, str(path), ("facet", "kappa")):
        yield f"{path}:{line}", row["facet"].strip(), row["kappa"].strip()


def _json_values(path: Path, text: str) -> Iterator[tuple[str, str, object]]:
    """Yield the place, the name and the kappa of each facet."""
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise RejectedInput(f"{path}: {error}") from None
    except RecursionError:
        raise RejectedInput(f"{path}: nested too deeply, expected an object of facets and kappas") from None
    if not isinstance(document, dict):
        raise RejectedInput(f"{path}: expected an object of facets and kappas")
    report = document.get("facets")  # of the report of `agreement`, which has more to say of each facet
    for facet, value in (report if isinstance(report, dict) else document).items():
        place = f"{path}: {shorten(facet)}"
        if isinstance(report, dict) and not (isinstance(value, dict) and "kappa" in value):
            raise RejectedInput(f"{place}: expected an object with 'kappa', as `agreement` writes it")
        yield place, facet.strip(), value["kappa"] if isinstance(report, dict) else value


def _kappa_of(place: str, value: object) -> float:
    """Return a kappa that a table names, as text or number."""
    try:
        kappa = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        kappa = math.nan
    if isinstance(value, bool) or not -1 <= kappa <= 1:
        raise RejectedInput(f"{place}: kappa {shorten(str(value))}, expected a number from -1 to 1")
    return kappa
