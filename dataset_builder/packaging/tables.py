"""The tables of a dataset: CSV files in the layout of the ROCOv2 release, and what goes beyond it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dataset_builder.filters.licences import normalise
from dataset_builder.records import Figure
from rocov2_eval.editions import DIRECTION_CUIS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.shelf.csv_files import write_csv

IDS_HEADER = ("ID",)
ATTRIBUTION_HEADER = (
    *("ID", "PMCID", "DOI", "Title", "Authors", "Licence", "Licence link", "Figure", "Link"),
)
ASSIGNMENTS_HEADER = ("PMCID", "file", "split", "ID", "linked")
CREDITS_HEADER = ("Attribution", "Licence", "Link")
_LICENCE_URL = re.compile(
    r"creativecommons\.org/(?:licenses/[a-z-]+/\d\.\d(?:/[a-z]{2,4})?|publicdomain/(?:zero|mark)/1\.0)(?![\w.])",
    re.IGNORECASE,
)
_MANUAL_NAMES = {**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS}


def write_truth(folder: Path, split: str, figures: Iterable[Figure]) -> None:
    """Write captions, concepts and manual concepts of a split."""
    figures = list(figures)
    write_csv(
        folder / f"{split}_captions.csv",
        ("ID", "Caption"),
        [(each.image_id, each.caption) for each in figures],
    )
    write_csv(
        folder / f"{split}_concepts.csv",
        ("ID", "CUIs"),
        [(each.image_id, ";".join(each.concepts)) for each in figures],
    )
    write_csv(
        folder / f"{split}_concepts_manual.csv",
        ("ID", "CUIs"),
        [(each.image_id, ";".join(each.manual_concepts)) for each in figures],
    )


def write_ids(folder: Path, split: str, figures: Iterable[Figure]) -> None:
    """Write the ids of a split, which is all that a participant may know of a held-out one."""
    write_csv(folder / f"{split}_images.csv", IDS_HEADER, [(each.image_id,) for each in figures])


def write_concept_names(folder: Path, figures: Iterable[Figure], names: Mapping[str, str]) -> None:
    """Write the name of each concept that an image has, ascending by CUI; empty where it is not known."""
    write_csv(
        folder / "cui_mapping.csv",
        ("CUI", "Canonical name"),
        [(cui, concept_name(cui, names)) for cui in concepts_of(figures)],
    )


def concepts_of(figures: Iterable[Figure]) -> list[str]:
    """Return every concept that an image has, ascending."""
    return sorted({cui for figure in figures for cui in (*figure.concepts, *figure.manual_concepts)})


def concept_name(cui: str, names: Mapping[str, str]) -> str:
    """Return the name of a concept: as given, else that of the manual concepts of ROCOv2, else nothing."""
    return names.get(cui) or _MANUAL_NAMES.get(cui, "")


def write_licences(folder: Path, figures: Iterable[Figure]) -> None:
    """Write whom to name for each image: as ROCOv2 does, and in `attribution.csv` in full."""
    figures = list(figures)
    write_csv(
        folder / "license_information.csv",
        ("ID", "PMCID", "Attribution", "Link"),
        [
            (each.image_id, each.pmcid, f"{each.licence} [{attribution(each)}]", article_link(each))
            for each in figures
        ],
    )
    write_csv(
        folder / "attribution.csv",
        ATTRIBUTION_HEADER,
        [
            (
                *(each.image_id, each.pmcid, each.doi, each.title, "; ".join(each.authors)),
                *(each.licence, licence_link(each), each.label, article_link(each)),
            )
            for each in figures
        ],
    )


def write_assignments(folder: Path, figures: Iterable[Figure]) -> None:
    """Write which figure became which image: what the next edition takes as earlier assignments.

    `linked` names the articles with a near duplicate of the image, which belong to its split as well.
    """
    write_csv(
        folder / "assignments.csv",
        ASSIGNMENTS_HEADER,
        [
            (each.pmcid, each.graphic.name, each.split, each.image_id, ";".join(each.duplicate_articles))
            for each in figures
        ],
    )


def write_credits(folder: Path, split: str, figures: Iterable[Figure]) -> None:
    """Write whom to name for a held-out split, one row an article and licence, sorted, without ids."""
    rows = {(attribution(each), each.licence, article_link(each)) for each in figures}
    write_csv(folder / f"{split}_credits.csv", CREDITS_HEADER, sorted(rows))


def attribution(figure: Figure) -> str:
    """Return the authors and the year of a figure's article, such as `Surname et al. (2020)`."""
    surnames = [author.partition(",")[0] for author in figure.authors]
    year = f" ({figure.year})" if figure.year else ""
    return f"{_listed(surnames) or figure.title or figure.pmcid}{year}"


def article_link(figure: Figure) -> str:
    """Return where the article stands: by DOI, where it has one."""
    if figure.doi:
        return f"https://doi.org/{figure.doi}"
    return f"https://pmc.ncbi.nlm.nih.gov/articles/{figure.pmcid}/"


def licence_link(figure: Figure) -> str:
    """Return the address of the licence as the article gives it, version included; empty if it gives none."""
    for statement in (*figure.own_licences, *figure.article_licences):
        for match in _LICENCE_URL.finditer(statement.text):
            if normalise(match[0]) == figure.licence:
                return f"https://{match[0].lower()}/"
    return ""


def _listed(surnames: Sequence[str]) -> str:
    if len(surnames) > 2:  # noqa: PLR2004  as a citation in a text has it
        return f"{surnames[0]} et al."
    return " and ".join(surnames)
