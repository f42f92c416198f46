"""The table of agreement between annotators that a quality gate reads: one kappa a facet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows, read_text
from rocov2_eval.shelf.parsing import Malformed, json_as
from rocov2_eval.shelf.words import shorten

Kappa = Annotated[float, Meta(ge=-1, le=1)] | None  # None where it is undefined


class _Facet(msgspec.Struct):
    kappa: Kappa


class _Report(msgspec.Struct):
    """The report of `rocov2-build agreement`, as far as it is read."""

    facets: Mapping[str, _Facet]


def read_kappas(path: Path) -> dict[str, float | None]:
    """Return the kappa of each facet of a table of agreement; None where it is undefined.

    Args:
        path: The report of `rocov2-build agreement`, if its name ends in `.json`; else CSV with the columns
            `facet` and `kappa` among others, an empty cell for an undefined one.

    Raises:
        RejectedInput: It is something else, or a kappa lies outside of [-1, 1].
    """
    if path.suffix.lower() == ".json":
        try:
            report = json_as(read_text(path), _Report)
        except Malformed as error:
            raise RejectedInput(f"{path}: {error}, expected the report of `agreement`") from None
        kappas = {name: facet.kappa for name, facet in report.facets.items()}
    else:
        kappas = {}
        for line, row in read_rows(path, ("facet", "kappa")):
            facet, cell = row["facet"].strip(), row["kappa"].strip()
            if not facet or facet in kappas:
                raise RejectedInput(f"{path}:{line}: facet {shorten(facet)!r}, expected a name, once")
            try:
                kappas[facet] = msgspec.convert(cell or None, Kappa, strict=False)
            except msgspec.ValidationError:
                message = f"kappa {shorten(cell)}, expected a number from -1 to 1"
                raise RejectedInput(f"{path}:{line}: {message}") from None
    if not kappas:
        raise RejectedInput(f"{path}: no facet, expected at least one with its kappa")
    return kappas
