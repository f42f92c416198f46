"""The tables of a dataset: CSV files in the layout of the ROCOv2 release, and what goes beyond it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dataset_builder.licence_codes import normalise
from dataset_builder.records import Figure
from rocov2_eval.shelf.csv_files import write_csv

IDS_HEADER = ("ID",)
ATTRIBUTION_HEADER = (
    *("ID", "PMCID", "DOI", "Title", "Authors", "Licence", "Licence link", "Copyright", "Figure", "Link"),
)
ASSIGNMENTS_HEADER = ("PMCID", "file", "split", "ID", "linked")
CREDITS_HEADER = ("Attribution", "Licence", "Link")
NOBODY = "not named"  # where neither article nor table says whom to name
_LICENCE_URL = re.compile(
    r"creativecommons\.org/(?:licenses/[a-z-]+/\d\.\d(?:/[a-z]{2,4})?|publicdomain/(?:zero|mark)/1\.0)"
    r"(?![\w.])",
    re.IGNORECASE,
)
_VERSION = re.compile(r"\b([1-4]\.[05])(?![\w.]*\d)(?!\s*(?:[A-Z]{2}\b|IGO))")  # no port


def write_truth(folder: Path, split: str, figures: Sequence[Figure]) -> None:
    """Write captions, concepts and manual concepts of a split."""
    for name, column, cell in (
        ("captions", "Caption", lambda each: each.text.caption),
        ("concepts", "CUIs", lambda each: ";".join(each.concepts.cuis)),
        ("concepts_manual", "CUIs", lambda each: ";".join(each.concepts.manual)),
    ):
        rows = [(each.assignment.image_id, cell(each)) for each in figures]
        write_csv(folder / f"{split}_{name}.csv", ("ID", column), rows)


def write_ids(folder: Path, split: str, figures: Iterable[Figure]) -> None:
    """Write the ids of a split, which is all that a participant may know of a held-out one."""
    write_csv(folder / f"{split}_images.csv", IDS_HEADER, [(each.assignment.image_id,) for each in figures])


def write_concept_names(folder: Path, figures: Iterable[Figure], names: Mapping[str, str]) -> None:
    """Write the name of each concept that an image has, ascending by CUI; empty where it is not known."""
    write_csv(
        folder / "cui_mapping.csv",
        ("CUI", "Canonical name"),
        [(cui, names.get(cui, "")) for cui in concepts_of(figures)],
    )


def concepts_of(figures: Iterable[Figure]) -> list[str]:
    """Return every concept that an image has, ascending."""
    return sorted({cui for figure in figures for cui in figure.concepts.cuis})


def write_licences(folder: Path, figures: Sequence[Figure]) -> None:
    """Write whom to name for each image: as ROCOv2 does, and in `attribution.csv` in full."""
    write_csv(
        folder / "license_information.csv",
        ("ID", "PMCID", "Attribution", "Link"),
        [
            (
                *(each.assignment.image_id, each.public_pmcid),
                *(f"{each.licence.code} [{attribution(each)}]", article_link(each)),
            )
            for each in figures
        ],
    )
    write_csv(
        folder / "attribution.csv",
        ATTRIBUTION_HEADER,
        [
            (
                *(each.assignment.image_id, each.public_pmcid, each.article.doi, each.article.title),
                *(
                    each.article.credit or "; ".join(each.article.authors),
                    each.licence.code,
                    licence_link(each),
                ),
                *(each.licence.copyright, each.text.label, article_link(each)),
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
            (
                *(each.pmcid, each.file, each.assignment.split, each.assignment.image_id),
                ";".join(each.duplicate_articles),
            )
            for each in figures
        ],
    )


def write_credits(folder: Path, split: str, figures: Iterable[Figure]) -> None:
    """Write whom to name for a held-out split, one row an article and licence, sorted, without ids."""
    rows = {(attribution(each), each.licence.code, article_link(each)) for each in figures}
    write_csv(folder / f"{split}_credits.csv", CREDITS_HEADER, sorted(rows))


def attribution(figure: Figure) -> str:
    """Return the authors and the year of a figure's article, such as `Surname et al. (2020)`."""
    article = figure.article
    if article.credit:
        return article.credit
    surnames = [author.partition(",")[0] for author in article.authors]
    year = f" ({article.year})" if article.year else ""
    return f"{_listed(surnames) or article.title or figure.public_pmcid or NOBODY}{year}"


def article_link(figure: Figure) -> str:
    """Return where the article stands: by DOI, where it has one; empty for what is not from PMC."""
    if figure.article.doi:
        return f"https://doi.org/{figure.article.doi}"
    pmcid = figure.public_pmcid
    return f"https://pmc.ncbi.nlm.nih.gov/articles/{pmcid}/" if pmcid else ""


def licence_link(figure: Figure) -> str:
    """Return the address of the licence as the article gives it, version included.

    Where it gives none but names a version, such as `CC BY 4.0`, the address of that; else empty.
    """
    statements = (*figure.licence.own, *figure.licence.article)
    for statement in statements:
        for match in _LICENCE_URL.finditer(statement.text):
            if normalise(match[0]) == figure.licence.code:
                return f"https://{match[0].lower()}/"
    code = figure.licence.code
    if code.startswith("CC BY"):
        elements = code.removeprefix("CC ").lower()
        versions = (_VERSION.search(each.text) for each in statements if normalise(each.text) == code)
        return next((f"https://creativecommons.org/licenses/{elements}/{v[1]}/" for v in versions if v), "")
    return ""


def _listed(surnames: Sequence[str]) -> str:
    if len(surnames) > 2:  # noqa: PLR2004  as a citation in a text has it
        return f"{surnames[0]} et al."
    return " and ".join(surnames)
