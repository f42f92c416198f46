"""Where the concepts of figures come from: a table, or captions; and what both are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from dataset_builder.concepts.identifiers import cuis_of_cell
from dataset_builder.figure_tables import FigureTable, key_of_row
from dataset_builder.records import Drop, Figure, FigureConcepts
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

STAGE = "concepts"
NO_CONCEPT = "no concept"

_HEADER = ("PMCID", "file", "concepts", "concepts_manual")


@dataclass(frozen=True, kw_only=True)
class ConceptOptions:
    """Where concepts come from: either a table, or captions read with a model pack.

    Attributes:
        table: CSV file with the columns PMCID, file, concepts, concepts_manual; CUIs joined by `;`.
        model: Model pack of MedCAT 2, which finds the concepts in the captions.
        manual: CSV file of the settled answers of raters, `image,facet,CUI`; it goes with `model`.
        names: CSV file with the columns CUI and Canonical name; these names go before those of a model pack.
        min_images: Least number of images of a concept; manual concepts may have fewer. The number for ROCOv2
            is not known; its rarest concepts fit 10 or 11.
        without: What becomes of figures without any concept. ROCOv2 has no such figure.
    """

    table: Path | None = None
    model: Path | None = None
    manual: Path | None = None
    names: Path | None = None
    min_images: int = 10
    without: Literal["drop", "keep"] = "drop"

    def __post_init__(self) -> None:
        if (self.table is None) == (self.model is None):
            raise UsageFault(
                "table and model: expected one of them, a table of concepts or a model pack that finds them"
            )
        if self.table and not self.names:
            raise UsageFault("names is missing: a table of concepts has no names of its own")
        if self.table and self.manual:
            raise UsageFault("manual goes with model; a table has manual concepts of its own")
        if self.min_images < 1:
            raise UsageFault(f"min_images: {self.min_images}, expected 1 or more")


def read_table(path: Path) -> FigureTable[FigureConcepts]:
    """Return the concepts of each figure.

    Raises:
        RejectedInput: A column is missing, a row stands twice or holds something that is no CUI.
    """
    found: dict[str, FigureConcepts] = {}
    for line, row in read_rows(path, _HEADER):
        place, key = f"{path}:{line}", key_of_row(row["PMCID"], row["file"])
        if key in found:
            raise RejectedInput(f"{place}: {shorten(key)} stands twice, expected once")
        manual = cuis_of_cell(row["concepts_manual"], place)
        automatic = tuple(cui for cui in cuis_of_cell(row["concepts"], place) if cui not in manual)
        found[key] = FigureConcepts(manual=manual, automatic=automatic)
    return FigureTable(rows=found)


def read_names(path: Path) -> dict[str, str]:
    """Return the canonical name of each CUI.

    Raises:
        RejectedInput: A column is missing, a CUI stands twice with two names, or is none.
    """
    names: dict[str, str] = {}
    for line, row in read_rows(path, ("CUI", "Canonical name")):
        (cui,) = cuis_of_cell(row["CUI"], f"{path}:{line}") or ("",)
        name = row["Canonical name"].strip()
        if not cui or not name:
            raise RejectedInput(f"{path}:{line}: a row without {'name' if cui else 'CUI'}")
        if names.setdefault(cui, name) != name:
            raise RejectedInput(f"{path}:{line}: {cui} is {shorten(name)!r} here, {names[cui]!r} above")
    return names


def select(
    figures: Iterable[Figure], table: FigureTable[FigureConcepts], options: ConceptOptions
) -> tuple[list[Figure], list[Drop]]:
    """Give every figure its concepts: the manual ones, then the automatic ones that are not among them."""
    kept = []
    drops = []
    absent = f"not in the table, which has rows such as {next(iter(table.rows), 'none')}"
    for figure in figures:
        found = table.of(figure)
        concepts = found or FigureConcepts()
        if not concepts.cuis and options.without == "drop":
            detail = "in the table without one" if found else absent
            drops.append(Drop(stage=STAGE, key=figure.key, reason=NO_CONCEPT, detail=detail))
        else:
            kept.append(replace(figure, concepts=concepts))
    return kept, drops
