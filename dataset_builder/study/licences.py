"""CC BY against CC BY-NC in a dataset, and what would be lost without licences that forbid commercial use.

Read of a dataset folder in the ROCOv2 layout: licence and article of each image from `attribution.csv` or
`license_information.csv` (`CC BY [Surname et al. (2020)]`), the year from the latter, the modality from the
manual concepts. The journal stands in neither: a table of articles, such as PMC's own `PMC-ids.csv`, has it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.licence_codes import normalise
from rocov2_eval import __version__
from rocov2_eval.breakdown import FACETS, order_of
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import counted, shorten

CC_BY, CC_BY_NC = "CC BY", "CC BY-NC"
UNKNOWN = "not known"
Cells = Mapping[str, str]  # of an image: licence, article, split, modality, year, journal, concepts
_SHOWN = 10  # journals of a table; JSON has all
_SPLIT_TABLE = re.compile(r"(?P<split>.+)_(?:captions|concepts|images)\.csv")
_YEAR_CITED = re.compile(r"\(([0-9]{4})\)\]\s*\Z")
_MODALITY_OF = FACETS["modality"][1]
_SOURCES: Mapping[str, str] = {
    "split": "tables such as train_captions.csv",
    "modality": "tables such as train_concepts_manual.csv",
    "year": "license_information.csv, or a table of articles (--articles)",
    "journal": "a table of articles (--articles)",
}


def forbids_commerce(licence: str) -> bool:
    """Tell whether a licence code has the element NC."""
    return "NC" in licence.removeprefix(CC_BY).split("-")


def read_images(folder: Path, articles: Path | None = None) -> list[Cells]:
    """Return what the tables of a dataset say of each image; without the cells that they do not have.

    Args:
        folder: Dataset folder in the ROCOv2 layout.
        articles: CSV file with the columns PMCID, Journal Title and Year.

    Raises:
        RejectedInput: A file is broken, or there is no image.
        UsageFault: The folder has no table of licences.
    """
    images: dict[str, dict[str, str]] = defaultdict(dict)
    for image_id, cells in _cells(folder):
        images[image_id] |= {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    if not images:
        raise RejectedInput(f"{folder}: no image in its tables, expected one a row")
    known: dict[str, dict[str, str]] = {}
    for _, row in read_rows(articles, ("PMCID", "Journal Title", "Year")) if articles else ():
        known[row["PMCID"].strip()] = {"journal": row["Journal Title"].strip(), "year": row["Year"].strip()}
    named = {cells.get("article", "") for cells in images.values()}
    if known and any(named) and not known.keys() & named:
        raise RejectedInput(
            f"{articles}: none of its articles is in {folder}, expected PMCIDs such as {max(named)}"
        )
    return [{**known.get(cells.get("article", ""), {}), **cells} for cells in images.values()]


def licences_document(dataset: str, images: Sequence[Cells], *, floor: int) -> Document:
    """Return the licences of a dataset, and what would be lost without CC BY-NC and its kin.

    Args:
        dataset: What the document calls the dataset.
        images: All its images, at least one.
        floor: Number of images that a concept must have to count, at least 1.
    """
    licences = Counter(sorted(_licence(image) for image in images)).most_common()
    groups = {dimension: _groups(dimension, images) for dimension in _SOURCES}
    losses, fallen = _losses(images, floor)
    remarks = [*_remarks(groups, fallen, floor)]
    return Document(
        title=f"{dataset}: {counted(len(images), 'image')}",
        sections=[
            Section(
                tables=[
                    Table(
                        columns=_columns("licence", "images", share="share"),
                        rows=[(name, number, number / len(images)) for name, number in licences],
                    ),
                    *(_group_table(dimension, each) for dimension, each in groups.items()),
                ]
            ),
            Section(
                title="Without licences that forbid commercial use",
                tables=[
                    Table(
                        columns=_columns("what", "all", "left", "lost", share="share lost"),
                        rows=[
                            (name, *each.values(), _share(each["lost"], each["before"]))
                            for name, each in losses.items()
                        ],
                    )
                ],
                notes=[Note(text=text) for text in remarks],
            ),
        ],
        data={
            "schema_version": 2,
            "tool": {"name": "rocov2-build", "version": __version__},
            "dataset": dataset,
            "licences": dict(licences),
            "by": groups,
            "without_nc": {**losses, "floor": floor, "fallen_concepts": fallen},
        },
    )


def _cells(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what the tables of a folder say of each image; of two cells about the same the later counts."""
    full, brief = folder / "attribution.csv", folder / "license_information.csv"
    if not (full.is_file() or brief.is_file()):
        raise UsageFault(f"{folder}: neither attribution.csv nor license_information.csv, so no licences")
    for path in sorted(folder.glob("*_*.csv")):
        if match := _SPLIT_TABLE.fullmatch(path.name):
            for _, row in read_rows(path, ("ID",)):
                yield row["ID"], {"split": match["split"], "concepts": row.get("CUIs", "")}
        elif path.name.endswith("_concepts_manual.csv"):
            for _, row in read_rows(path, ("ID", "CUIs")):
                yield row["ID"], {"modality": _MODALITY_OF(row["CUIs"])}
    for _, row in read_rows(brief, ("ID", "PMCID", "Attribution")) if brief.is_file() else ():
        code, _, cited = row["Attribution"].partition("[")
        year = _YEAR_CITED.search(cited)
        cells = {"licence": normalise(code) or UNKNOWN, "article": row["PMCID"]}
        yield row["ID"], {**cells, "year": year[1] if year else ""}
    for _, row in read_rows(full, ("ID", "PMCID", "Licence")) if full.is_file() else ():
        yield row["ID"], {"licence": normalise(row["Licence"]) or UNKNOWN, "article": row["PMCID"]}


def _groups(dimension: str, images: Sequence[Cells]) -> list[dict[str, Any]]:
    """Return the images of each split, modality or year in the usual order, of each journal by number."""
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        members[image.get(dimension) or UNKNOWN][_licence(image)] += 1
    usual = {"split": ["train", "valid", "test"], "modality": order_of("modality", list(members))}
    if dimension == "journal":
        usual["journal"] = sorted(members, key=lambda name: (-members[name].total(), name))
    place = {name: number for number, name in enumerate(usual.get(dimension, []), -len(members))}
    place[UNKNOWN] = 1
    return [_group(name, members[name]) for name in sorted(members, key=lambda it: (place.get(it, 0), it))]


def _group(name: str, licences: Counter[str]) -> dict[str, Any]:
    total = licences.total()
    return {
        "name": name,
        "cc_by": licences[CC_BY],
        "cc_by_nc": licences[CC_BY_NC],
        "other": total - licences[CC_BY] - licences[CC_BY_NC],
        "all": total,
        "lost": sum(number for licence, number in licences.items() if forbids_commerce(licence)),
    }


def _losses(
    images: Sequence[Cells], floor: int
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """Return what there is less of, and the concepts that fall below the floor, the most frequent first."""
    kept = [image for image in images if not forbids_commerce(_licence(image))]
    before, after = (Counter(cui for image in each for cui in _concepts(image)) for each in (images, kept))
    articles = [len({image.get("article", "") for image in each} - {""}) for each in (images, kept)]
    frequent = [sum(number >= floor for number in each.values()) for each in (before, after)]
    losses = {
        "images": _loss(len(images), len(kept)),
        "articles": _loss(*articles),
        "concepts": _loss(*frequent),
    }
    ranked = sorted(before, key=lambda cui: (-before[cui], cui))
    return losses, {
        cui: _loss(before[cui], after[cui]) for cui in ranked if before[cui] >= floor > after[cui]
    }


def _licence(image: Cells) -> str:
    return image.get("licence", UNKNOWN)


def _concepts(image: Cells) -> set[str]:
    return {part.strip() for part in image.get("concepts", "").split(";")} - {""}


def _loss(before: int, after: int) -> dict[str, int]:
    return {"before": before, "after": after, "lost": before - after}


def _group_table(dimension: str, groups: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        columns=_columns(dimension, CC_BY, CC_BY_NC, "other", "all", "lost", share="share lost"),
        rows=[
            (*each.values(), _share(each["lost"], each["all"]))
            for each in (groups[:_SHOWN] if dimension == "journal" else groups)
        ],
    )


def _columns(name: str, *numbers: str, share: str) -> tuple[Column, ...]:
    counts = (Column(title=number, kind="count") for number in numbers)
    return (Column(title=name), *counts, Column(title=share, kind="percent"))


def _share(number: int, of: int) -> float | None:
    return number / of if of else None


def _remarks(
    groups: Mapping[str, Sequence[Mapping[str, Any]]], fallen: Mapping[str, object], floor: int
) -> Iterator[str]:
    below = counted(len(fallen), "concept")
    yield f"concepts of at least {counted(floor, 'image')}; {below} below, listed in JSON"
    for dimension, of_dimension in groups.items():
        gone = [each["name"] for each in of_dimension if each["lost"] == each["all"]]
        if gone and dimension != "journal":
            yield f"no image remains of {dimension} {', '.join(map(shorten, gone))}"
        if [each["name"] for each in of_dimension] == [UNKNOWN]:
            yield f"{dimension} not known: that needs {_SOURCES[dimension]}"
    if len(groups["journal"]) > _SHOWN:
        yield f"{counted(len(groups['journal']) - _SHOWN, 'more journal')}: --format json lists all"
