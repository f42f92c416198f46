"""The table of agreement between annotators that a quality gate reads: one kappa a facet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import load
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
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
    text = load(path).text.removeprefix(BYTE_ORDER_MARK)
    pairs = _json_pairs(path, text) if path.suffix.lower() == ".json" else _csv_pairs(path, text)
    kappas: dict[str, float | None] = {}
    for place, facet, kappa in pairs:
        if not facet or facet in kappas:
            raise RejectedInput(f"{place}: facet {shorten(facet)!r}, expected a name that stands once")
        kappas[facet] = kappa
    if not kappas:
        raise RejectedInput(f"{path}: no facet, expected at least one with its kappa")
    return kappas


def _csv_pairs(path: Path, text: str) -> Iterator[tuple[str, str, float | None]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        for name in (_FACET, _KAPPA):
            if header.count(name) != 1:
                listed = shorten(", ".join(header) or "none", 200)
                raise RejectedInput(f"{path}:1: columns {listed}, expected one {name!r} among them")
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise RejectedInput(f"{place}: expected {len(header)} cells as in the header")
            cell = row[_KAPPA].strip()
            yield place, row[_FACET].strip(), _kappa_of(place, cell) if cell else None
    except csv.Error as error:
        raise RejectedInput(f"{path}:{reader.line_num}: {error}") from None


def _json_pairs(path: Path, text: str) -> Iterator[tuple[str, str, float | None]]:
    try:
        pairs: Any = json.loads(text, object_pairs_hook=tuple)  # an object twice the same name loses neither
    except ValueError as error:
        raise RejectedInput(f"{path}: {error}") from None
    except RecursionError:
        raise RejectedInput(f"{path}: nested too deeply, expected an object of facets and kappas") from None
    if not isinstance(pairs, tuple):
        raise RejectedInput(f"{path}: expected an object of facets and kappas")
    of_report = [value for name, value in pairs if name == _FACETS and isinstance(value, tuple)]
    for facet, value in of_report[0] if of_report else pairs:
        place = f"{path}: {shorten(facet)}"
        kappa = _kappa_in(place, value) if of_report else value
        yield place, facet.strip(), None if kappa is None else _kappa_of(place, kappa)


def _kappa_in(place: str, facet: object) -> object:
    """Return what a report says of the kappa of a facet."""
    kappas = [value for name, value in facet if name == _KAPPA] if isinstance(facet, tuple) else []
    if len(kappas) != 1:
        raise RejectedInput(f"{place}: expected an object with one {_KAPPA!r}, as `agreement` writes it")
    return kappas[0]


def _kappa_of(place: str, value: object) -> float:
    """Return a kappa that a table names, as text or number."""
    try:
        kappa = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        kappa = math.nan
    if isinstance(value, bool) or not -1 <= kappa <= 1:
        raise RejectedInput(f"{place}: kappa {shorten(str(value))}, expected a number from -1 to 1")
    return kappa
