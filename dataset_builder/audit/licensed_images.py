"""Images with their licence, and with what a licence may go along with: year, journal, modality, split.

A dataset folder in the ROCOv2 layout tells licence and article of each image in `attribution.csv` or in
`license_information.csv` (`CC BY [Surname et al. (2020)]`), the year in the latter, the modality by its
manual concepts. The journal stands in neither: a table of articles brings it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_builder.dataset_tables import GUESSES
from dataset_builder.licence_codes import normalise
from rocov2_eval.breakdown import FACETS
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

NOT_TOLD = "not told"
DIMENSIONS = ("split", "modality", "year", "journal")
_ROLES: Mapping[str, tuple[str, ...]] = {
    "id": GUESSES["id"],
    "licence": ("licence", "license", "licensecode", "licencecode"),
    "split": GUESSES["split"],
    "article": GUESSES["article"],
    "modality": ("modality",),
    "year": ("year", "pubyear", "publicationyear"),
    "journal": ("journal", "journaltitle", "journalname"),
}
_NEEDED = ("id", "licence")
_SPLIT_TABLE = re.compile(r"(?P<split>.+)_(?:captions|concepts|images)\.csv")
_YEAR_CITED = re.compile(r"\((\d{4})\)\]\s*$")
_YEAR = re.compile(r"\d{4}")
_MODALITY_OF = FACETS["modality"][1]


@dataclass(frozen=True, kw_only=True)
class LicensedImage:
    """An image; a text is `not told` where nothing tells it.

    Attributes:
        image_id: As the dataset names it.
        licence: The exact code, such as `CC BY-NC`.
        article: Empty where it is not known.
        split: Its split.
        modality: In the words of the scorer's breakdowns, or of the table.
        year: Of the article.
        journal: Of the article.
        concepts: All its concepts.
    """

    image_id: str
    licence: str = NOT_TOLD
    article: str = ""
    split: str = NOT_TOLD
    modality: str = NOT_TOLD
    year: str = NOT_TOLD
    journal: str = NOT_TOLD
    concepts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Tables that tell more of the images.

    Attributes:
        articles: Columns of PMCID, and of journal or year or both, such as PMC's own `PMC-ids.csv`.
        concepts: Columns ID and CUIs.
        manual: Columns ID and CUIs: the manual ones, which tell the modality.
    """

    articles: tuple[Path, ...] = ()
    concepts: tuple[Path, ...] = ()
    manual: tuple[Path, ...] = ()


NOTHING_BESIDE = Beside()


@dataclass(frozen=True, kw_only=True)
class Licensed:
    """The images of a dataset.

    Attributes:
        path: As the user named it.
        images: In order of the files.
        absent: Dimensions that no image tells, and `article` and `concepts`, with what would tell them.
    """

    path: str
    images: tuple[LicensedImage, ...]
    absent: Mapping[str, str] = field(default_factory=dict)


def read_licensed(
    path: Path, where: Sequence[tuple[str, str]] = (), beside: Beside = NOTHING_BESIDE
) -> Licensed:
    """Read the images of a dataset folder, or of a CSV file with columns of ids and licences.

    Args:
        path: The folder or the file.
        where: Keep the rows of a file whose column has the value; values of one column are alternatives.
        beside: Further tables; those of a folder are found in it.

    Raises:
        RejectedInput: A file is broken.
        UsageFault: A column is missing, or no image is left.
    """
    if path.is_dir():
        if where:
            raise UsageFault(f"{path} is a folder in the ROCOv2 layout: --where goes with a CSV file")
        rows = _folder_rows(path)
        beside = Beside(
            articles=beside.articles,
            concepts=beside.concepts or tuple(sorted(path.glob("*_concepts.csv"))),
            manual=beside.manual or tuple(sorted(path.glob("*_concepts_manual.csv"))),
        )
    else:
        rows = _file_rows(path, where)
    if not rows:
        raise UsageFault(f"{path}: no image is left" + _conditions(where))
    images = _with_tables(rows, beside)
    return Licensed(path=str(path), images=images, absent=_absent(images))


def _folder_rows(folder: Path) -> list[dict[str, str]]:
    """Return what the tables of a folder tell, one row an image of any split."""
    rows: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*_*.csv")):
        match = _SPLIT_TABLE.fullmatch(path.name)
        if match:
            for _, row in read_rows(path, ("ID",)):
                rows[row["ID"].strip()] = {"id": row["ID"].strip(), "split": match["split"]}
    full, brief = folder / "attribution.csv", folder / "license_information.csv"
    if not (full.is_file() or brief.is_file()):
        raise UsageFault(f"{folder}: neither attribution.csv nor license_information.csv, so no licences")
    if brief.is_file():
        for _, row in read_rows(brief, ("ID", "PMCID", "Attribution")):
            code, _, cited = row["Attribution"].partition("[")
            year = _YEAR_CITED.search(cited)
            told = {"licence": code, "article": row["PMCID"], "year": year[1] if year else ""}
            rows.setdefault(row["ID"].strip(), {"id": row["ID"].strip()}).update(told)
    if full.is_file():
        for _, row in read_rows(full, ("ID", "PMCID", "Licence")):
            told = {"licence": row["Licence"], "article": row["PMCID"]}
            rows.setdefault(row["ID"].strip(), {"id": row["ID"].strip()}).update(told)
    return list(rows.values())


def _file_rows(path: Path, where: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    wanted = defaultdict(set)
    for column, value in where:
        wanted[column].add(value)
    rows: list[dict[str, str]] = []
    columns: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for line, row in read_rows(path, ()):
        if not rows and not columns:
            columns = _columns(path, list(row))
            _require_columns(path, row, wanted)
        if any(row[column] not in values for column, values in wanted.items()):
            continue
        told = {role: row[column].strip() for role, column in columns.items()}
        place = told["id"], told.get("split", "")
        if not told["id"] or place in seen:
            found = f"{shorten(told['id'])} stands twice" if told["id"] else "a row without an id"
            raise RejectedInput(f"{path}:{line}: {found}, expected each id once")
        seen.add(place)
        rows.append(told)
    return rows


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    plain = {re.sub(r"[\s_-]", "", name).lower(): name for name in reversed(header)}
    columns = {}
    for role, guesses in _ROLES.items():
        column = next((plain[guess] for guess in guesses if guess in plain), None)
        if column is not None:
            columns[role] = column
        elif role in _NEEDED:
            listed = shorten(", ".join(header), 200)
            raise UsageFault(f"{path}: no column of {role}s among {listed}, expected one named {guesses[0]}")
    return columns


def _require_columns(path: Path, row: Mapping[str, str], wanted: Iterable[str]) -> None:
    for column in wanted:
        if column not in row:
            listed = shorten(", ".join(row), 200)
            raise UsageFault(f"{path}: --where {shorten(column)}: no such column among {listed}")


def _with_tables(rows: Iterable[Mapping[str, str]], beside: Beside) -> tuple[LicensedImage, ...]:
    concepts = _cells(beside.concepts)
    manual = _cells(beside.manual)
    articles = _articles(beside.articles)
    return tuple(_image(row, concepts, manual, articles) for row in rows)


def _image(
    row: Mapping[str, str],
    concepts: Mapping[str, str],
    manual: Mapping[str, str],
    articles: Mapping[str, Mapping[str, str]],
) -> LicensedImage:
    image_id = row["id"]
    article = row.get("article", "").strip()
    more = articles.get(article, {})
    year = row.get("year") or more.get("year", "")
    modality = row.get("modality", "")
    if not modality and image_id in manual:
        modality = _MODALITY_OF(manual[image_id])
    return LicensedImage(
        image_id=image_id,
        licence=normalise(row.get("licence")) or NOT_TOLD,
        article=article,
        split=row.get("split") or NOT_TOLD,
        modality=modality or NOT_TOLD,
        year=year if _YEAR.fullmatch(year) else NOT_TOLD,
        journal=row.get("journal") or more.get("journal") or NOT_TOLD,
        concepts=_concepts(concepts.get(image_id, "")),
    )


def _concepts(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in cell.split(";") if part.strip()))


def _cells(paths: Iterable[Path]) -> dict[str, str]:
    return {row["ID"].strip(): row["CUIs"] for path in paths for _, row in read_rows(path, ("ID", "CUIs"))}


def _articles(paths: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Return journal and year by PMCID."""
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        columns: dict[str, str] = {}
        for _, row in read_rows(path, ("PMCID",)):
            if not columns:
                plain = {re.sub(r"[\s_-]", "", name).lower(): name for name in reversed(list(row))}
                columns = {
                    role: next((plain[guess] for guess in _ROLES[role] if guess in plain), "")
                    for role in ("journal", "year")
                }
                if not any(columns.values()):
                    listed = shorten(", ".join(row), 200)
                    raise UsageFault(f"{path}: neither a column journal nor year among {listed}")
            found[row["PMCID"].strip()] = {
                role: row[column].strip() for role, column in columns.items() if column
            }
    return found


def _absent(images: Sequence[LicensedImage]) -> dict[str, str]:
    """Return what no image tells, with what would tell it."""
    remedies = {
        "licence": "a licence for each image in attribution.csv or license_information.csv, or its column",
        "split": "a column split",
        "modality": "a column modality, or the manual concepts (--manual)",
        "year": "a column year, or a table of articles with one (--articles)",
        "journal": "a column journal, or a table of articles with one (--articles)",
        "article": "a column pmcid",
        "concepts": "the table of concepts (--concepts)",
    }
    told = {
        "licence": any(image.licence != NOT_TOLD for image in images),
        "article": any(image.article for image in images),
        "concepts": any(image.concepts for image in images),
        **{name: any(getattr(image, name) != NOT_TOLD for image in images) for name in DIMENSIONS},
    }
    return {name: remedy for name, remedy in remedies.items() if not told[name]}


def _conditions(where: Sequence[tuple[str, str]]) -> str:
    return " with " + " ".join(f"--where {column}={value}" for column, value in where) if where else ""
