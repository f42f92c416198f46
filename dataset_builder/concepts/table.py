"""Where the concepts of figures come from: a table, or captions; and what they are called."""

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
_FEWEST_IMAGES = 10


@dataclass(frozen=True, kw_only=True)
class ConceptOptions:
    """Where concepts come from: a table, or captions read with a model pack, else with built-in names.

    Attributes:
        table: CSV file with the columns PMCID, file, concepts, concepts_manual; CUIs joined by `;`.
        model: Model pack of MedCAT 2, which finds the concepts in the captions. With neither this nor a table
            the 18 concepts that ROCOv2 curates by hand are looked for by their everyday names.
        manual: CSV file of the settled answers of raters, `image,facet,CUI`; a table has its own.
        assignments: assignments.csv of the dataset whose image ids `manual` has, where it has no PMCID/file.
        names: CSV file with the columns CUI and Canonical name; these names go before those of a model pack.
        min_images: Least number of images of a concept; manual concepts may have fewer. None for 10 with a
            table or model, and 1 with built-in names. The number for ROCOv2 is not known; its rarest concepts
            fit 10 or 11.
        without: What becomes of figures without any concept. None for `drop` with a table or model, as ROCOv2
            has no such figure, and for `keep` with built-in names, which name no finding.
    """

    table: Path | None = None
    model: Path | None = None
    manual: Path | None = None
    assignments: Path | None = None
    names: Path | None = None
    min_images: int | None = None
    without: Literal["drop", "keep"] | None = None

    def __post_init__(self) -> None:
        if self.table and self.model:
            raise UsageFault("table and model: expected only one of them")
        if self.table and not self.names:
            raise UsageFault("names is missing: a table of concepts needs it")
        if self.table and self.manual:
            raise UsageFault("manual: not allowed with table, which contains the manual concepts")
        if self.assignments and not self.manual:
            raise UsageFault("assignments: needs manual, whose image ids it explains")
        if self.min_images is not None and self.min_images < 1:
            raise UsageFault(f"min_images: {self.min_images}, expected 1 or more")

    @property
    def fewest_images(self) -> int:
        """Least number of images of a concept."""
        return self.min_images or (_FEWEST_IMAGES if self.table or self.model else 1)

    @property
    def drops_without(self) -> bool:
        """Whether figures without any concept are left out."""
        return self.without == "drop" or (self.without is None and bool(self.table or self.model))

    @property
    def origin(self) -> str:
        """Where the concepts come from, in words for people."""
        if self.table:
            return "they come from a table of concepts"
        by_hand = "; settled answers of raters on modality, body region and direction come first" * bool(
            self.manual
        )
        if self.model:
            return f"MedCAT found them in the captions{by_hand}"
        return (
            "everyday names of modality, and of body region and direction of X-rays, in the captions; "
            f"no model read the captions, and no other concepts were searched{by_hand}"
        )


def read_table(path: Path) -> FigureTable[FigureConcepts]:
    """Return the concepts of each figure.

    Raises:
        RejectedInput: A column is missing, a row stands twice or holds something that is no CUI.
    """
    found: dict[str, FigureConcepts] = {}
    for line, row in read_rows(path, _HEADER):
        place, key = f"{path}:{line}", key_of_row(row["PMCID"], row["file"])
        if key in found:
            raise RejectedInput(f"{place}: {shorten(key)} occurs twice, expected once")
        manual = cuis_of_cell(row["concepts_manual"], place)
        automatic = tuple(cui for cui in cuis_of_cell(row["concepts"], place) if cui not in manual)
        found[key] = FigureConcepts(manual=manual, automatic=automatic)
    if any(concepts.manual for concepts in found.values()):  # then an empty cell says combined or none
        found = {key: replace(concepts, is_annotated=True) for key, concepts in found.items()}
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
        if not concepts.cuis and options.drops_without:
            detail = "in the table without one" if found else absent
            drops.append(Drop(stage=STAGE, key=figure.key, reason=NO_CONCEPT, detail=detail))
        else:
            kept.append(replace(figure, concepts=concepts))
    return kept, drops
