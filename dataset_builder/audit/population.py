"""What an audit draws from: images with their automatic concepts, and the type and name of each concept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.concepts.table import read_names
from rocov2_eval.breakdown import FACETS
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

NO_TYPE = "untyped"  # of a concept whose semantic type no table tells
_CUI = re.compile(r"C\d{7}")
_TYPE = re.compile(r"T\d{3}")
_MODALITY_OF = FACETS["modality"][1]


@dataclass(frozen=True, kw_only=True)
class AuditedImage:
    """An image as an audit sees it.

    Attributes:
        image_id: As the dataset names it.
        automatic: Its concepts that are not manual, in their order.
        manual: Its manual concepts.
        caption: Empty where no table tells it.
    """

    image_id: str
    automatic: tuple[str, ...]
    manual: tuple[str, ...] = ()
    caption: str = ""

    @property
    def modality(self) -> str:
        """By its manual concepts, in the words of the scorer's breakdowns."""
        return _MODALITY_OF(";".join(self.manual))


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A concept.

    Attributes:
        cui: Its identifier.
        type: Its semantic type, such as `T047`: the first in order where it has several; `untyped` for none.
        name: What raters read; empty where no table tells it.
    """

    cui: str
    type: str = NO_TYPE
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Where the population lies.

    Attributes:
        concepts: Tables of ID and CUIs, manual and automatic ones together.
        manual: Tables of the manual ones alone.
        captions: Tables of ID and Caption.
        names: Tables of CUI and Canonical name.
    """

    concepts: tuple[Path, ...]
    manual: tuple[Path, ...] = ()
    captions: tuple[Path, ...] = ()
    names: tuple[Path, ...] = ()


def tables_of(folder: Path) -> Tables:
    """Return the tables of a dataset folder in the ROCOv2 layout, of the splits whose concepts it holds.

    Raises:
        UsageFault: It holds no concepts.
    """
    concepts = sorted(folder.glob("*_concepts.csv"))
    if not concepts:
        raise UsageFault(f"{folder}: no table such as train_concepts.csv, expected a dataset folder")
    lacking = [path for path in map(_manual_table, concepts) if not path.is_file()]
    if lacking:
        raise UsageFault(f"{lacking[0]}: no such table; without it manual concepts cannot be told apart")
    names = folder / "cui_mapping.csv"
    return Tables(
        concepts=tuple(concepts),
        manual=tuple(map(_manual_table, concepts)),
        captions=tuple(sorted(folder.glob("*_captions.csv"))),
        names=(names,) if names.is_file() else (),
    )


def read_images(tables: Tables) -> list[AuditedImage]:
    """Return the images of the tables of concepts, by id.

    Raises:
        RejectedInput: A table is broken, an image stands twice, or a manual table lacks one.
    """
    concepts = _cells(tables.concepts, "CUIs")
    manual = _cells(tables.manual, "CUIs")
    captions = _cells(tables.captions, "Caption")
    if not concepts:
        raise RejectedInput(f"{', '.join(map(str, tables.concepts))}: no row, expected one for each image")
    if tables.manual and (lacking := sorted(concepts.keys() - manual.keys())):
        raise RejectedInput(
            f"{tables.manual[0]}: no row of {len(lacking):,} images of the tables of concepts, such as "
            f"{shorten(lacking[0])}, expected one for each"
        )
    return [
        _image(image_id, concepts[image_id], manual.get(image_id), captions.get(image_id))
        for image_id in sorted(concepts)
    ]


def read_concepts(types: Iterable[Path], names: Iterable[Path]) -> dict[str, Concept]:
    """Return what tables tell of concepts, by CUI.

    Args:
        types: CSV files with the columns `cui` and `types`, and perhaps `name`: a table of concepts, or the
            mentions that `concepts extract` wrote, where a concept stands as often as it was found.
        names: CSV files with the columns `CUI` and `Canonical name`; they have the last word.

    Raises:
        RejectedInput: A file is broken, or says two things about the types of one concept.
    """
    found: dict[str, Concept] = {}
    for path in types:
        for line, row in read_rows(path, ("cui", "types")):
            concept = _concept(path, line, row)
            earlier = found.setdefault(concept.cui, concept)
            if earlier.type != concept.type:
                raise RejectedInput(
                    f"{path}:{line}: {concept.cui} is of type {concept.type}, above of {earlier.type}; "
                    "expected one table, or tables that agree"
                )
    for path in names:
        for cui, name in read_names(path).items():
            found[cui] = Concept(cui=cui, type=found[cui].type if cui in found else NO_TYPE, name=name)
    return found


def _manual_table(concepts: Path) -> Path:
    return concepts.with_name(concepts.name.removesuffix(".csv") + "_manual.csv")


def _cells(paths: Iterable[Path], column: str) -> dict[str, tuple[Path, int, str]]:
    """Return path, line and cell of each image."""
    cells: dict[str, tuple[Path, int, str]] = {}
    for path in paths:
        for line, row in read_rows(path, ("ID", column)):
            image_id = row["ID"].strip()
            if not image_id:
                raise RejectedInput(f"{path}:{line}: a row without an image id in the column ID")
            if image_id in cells:
                raise RejectedInput(f"{path}:{line}: {shorten(image_id)} stands twice, expected once")
            cells[image_id] = path, line, row[column]
    return cells


def _image(
    image_id: str,
    concepts: tuple[Path, int, str],
    manual: tuple[Path, int, str] | None,
    caption: tuple[Path, int, str] | None,
) -> AuditedImage:
    curated = _cuis(*manual) if manual else ()
    return AuditedImage(
        image_id=image_id,
        automatic=tuple(cui for cui in _cuis(*concepts) if cui not in curated),
        manual=curated,
        caption=caption[2].strip() if caption else "",
    )


def _cuis(path: Path, line: int, cell: str) -> tuple[str, ...]:
    cuis = tuple(part.strip() for part in cell.split(";") if part.strip())
    for cui in cuis:
        _require_cui(path, line, cui)
    return tuple(dict.fromkeys(cuis))


def _concept(path: Path, line: int, row: Mapping[str, str]) -> Concept:
    cui = row["cui"].strip()
    _require_cui(path, line, cui)
    types = sorted(part for part in re.split(r"[;|,\s]+", row["types"]) if part)
    for name in types:
        if not _TYPE.fullmatch(name):
            raise RejectedInput(
                f"{path}:{line}: {shorten(name)!r} is no semantic type, expected T and three digits"
            )
    return Concept(cui=cui, type=types[0] if types else NO_TYPE, name=row.get("name", "").strip())


def _require_cui(path: Path, line: int, cui: str) -> None:
    if not _CUI.fullmatch(cui):
        raise RejectedInput(f"{path}:{line}: {shorten(cui)!r} is no CUI, expected C and seven digits")
