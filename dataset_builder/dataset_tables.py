"""Read the rows of any dataset that has splits: a folder in the ROCOv2 layout, or one CSV file.

folder/
  license_information.csv      ID,PMCID,…
  {split}_captions.csv         ID,Caption   (or {split}_concepts.csv or {split}_images.csv, for the ids alone)
  {split}/<ID>.jpg             (or {split}_images/<ID>.jpg)

The archive of a held-out truth has tables of the same names.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows, rows_of
from rocov2_eval.shelf.words import counted, shorten

Kind = Literal["articles", "images", "captions"]
Role = Literal["id", "split", "article", "caption", "image"]

# The names that a column is looked for under, whatever their case, blanks and underscores; the first wins.
GUESSES: Mapping[Role, tuple[str, ...]] = {
    "id": ("id", "imageid", "rocoid", "figureid", "image", "name", "key", "filename", "file"),
    "split": ("split", "subset", "set", "fold", "partition"),
    "article": ("pmcid", "article", "articleid", "pmid", "doi", "paper", "patientid", "group"),
    "caption": ("caption", "text", "description", "report"),
    "image": ("imagepath", "filename", "filepath", "path", "file"),
}
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".webp", ".bmp")
_CAPTIONS = "_captions.csv"
_LICENCES = "license_information.csv"
ASSIGNMENTS = "assignments.csv"
_KIND_OF: tuple[tuple[Kind, Role], ...] = (
    ("articles", "article"),
    ("images", "image"),
    ("captions", "caption"),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """An image with what may cross the splits.

    Attributes:
        image_id: Name of the image in the dataset.
        split: Split of the image.
        article: Article that the image is from; empty where it is not known.
        caption: Caption of the image; empty where it is not known.
        image: File of the image, None where there is none.
    """

    image_id: str
    split: str
    article: str = ""
    caption: str = ""
    image: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The rows of a dataset.

    Attributes:
        path: Folder or file as the user named it.
        rows: One row an image.
        columns: Name of the column that holds each role; empty for a folder.
        absent: By kind, why it cannot be looked at.
    """

    path: str
    rows: tuple[Row, ...]
    columns: Mapping[Role, str] = field(default_factory=dict)
    absent: Mapping[Kind, str] = field(default_factory=dict)


def read_dataset(
    path: Path,
    columns: Mapping[Role, str] | None = None,
    where: Sequence[tuple[str, str]] = (),
    truth: Mapping[str, bytes] | None = None,
) -> Dataset:
    """Read a dataset folder, or a CSV file.

    Args:
        path: The folder or the file; a name ending in .tsv has tabs.
        columns: Columns named by the user; the others are guessed. For a file only.
        where: Keep the rows whose column has the value; several values of one column are alternatives. For a
            file only.
        truth: Files of the archive of a held-out truth by name: they have the captions and articles of the
            split of which the folder has the ids alone. For a folder only.

    Raises:
        RejectedInput: A file cannot be read, or is broken.
        UsageFault: A column or a split is missing, or an option does not go with a folder.
    """
    if not path.is_dir():
        if truth is not None:
            raise UsageFault(f"{path} is a file: the archive of a held-out truth needs a dataset folder")
        return _read_file(path, columns or {}, where)
    if columns or where:
        raise UsageFault(f"{path} is a folder in the ROCOv2 layout: --column and --where need a CSV file")
    return _read_folder(path, truth or {})


def truth_rows(truth: Mapping[str, bytes], name: str, *header: str) -> list[dict[str, str]]:
    """Return the rows of a table of the archive of a held-out truth, none where it is not there."""
    if name not in truth:
        return []
    try:
        text = truth[name].decode()
    except UnicodeDecodeError as error:
        raise RejectedInput(f"truth/{name}: {error}, expected UTF-8") from None
    return [row for _, row in rows_of(text, f"truth/{name}", ("ID", *header))]


def articles_of(rows: Iterable[Mapping[str, str]], truth: Mapping[str, bytes]) -> dict[str, str]:
    """Return the article of each image: its PMCID; of own images, whose public tables name none, the group.

    Args:
        rows: Rows with the columns ID and PMCID.
        truth: Files of the archive of a held-out truth: its assignments tell the groups.
    """
    articles = {row["ID"].strip(): row["PMCID"].strip() for row in truth_rows(truth, ASSIGNMENTS, "PMCID")}
    return articles | {
        row["ID"].strip(): row["PMCID"].strip() for row in rows if row.get("PMCID", "").strip()
    }


def bare(name: str) -> str:
    """Return the name of a column as `GUESSES` has it."""
    return re.sub(r"[\s_-]", "", name).lower()


def _read_file(path: Path, named: Mapping[Role, str], where: Sequence[tuple[str, str]]) -> Dataset:
    records = [row for _, row in read_rows(path, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")]
    if not records:
        raise RejectedInput(f"{path}: expected a header and rows below it, found no row")
    header = list(records[0])
    columns = _columns(path, header, named)
    wanted = defaultdict(set)
    for column, value in where:
        wanted[_known(path, header, column, "--where")].add(value)
    kept = [record for record in records if all(record[column] in wanted[column] for column in wanted)]
    if not kept:
        listed = " ".join(f"--where {column}={value}" for column, value in where)
        raise UsageFault(f"{path}: no row has {listed}")
    rows = tuple(_row(record, columns, path.parent) for record in kept)
    bare = sum(not (row.image_id and row.split) for row in rows)
    if bare:
        raise RejectedInput(f"{path}: {counted(bare, 'row')} without id or split; exclude them with --where")
    _refuse_repeated(path, rows)
    return Dataset(
        path=str(path),
        rows=rows,
        columns=columns,
        absent={kind: f"no column of {role}s" for kind, role in _KIND_OF if role not in columns},
    )


def _columns(path: Path, header: Sequence[str], named: Mapping[Role, str]) -> dict[Role, str]:
    """Return the column of each role, as the user named it or as it can be guessed."""
    columns: dict[Role, str] = {}
    plain = {bare(name): name for name in reversed(header)}
    for role, guesses in GUESSES.items():
        guess = next((plain[guess] for guess in guesses if guess in plain), None)
        if role in named:
            columns[role] = _known(path, header, named[role], f"--column {role}")
        elif guess is not None:
            columns[role] = guess
        elif role in ("id", "split"):
            raise UsageFault(
                f"{path}: no column of {role}s among {_listed(header)}; name it with --column {role}="
            )
    return columns


def _known(path: Path, header: Sequence[str], name: str, option: str) -> str:
    if name not in header:
        raise UsageFault(f"{path}: {option} {shorten(name)}: no such column among {_listed(header)}")
    return name


def _listed(names: Iterable[str]) -> str:
    return shorten(", ".join(names), 200)


def _row(record: Mapping[str, str], columns: Mapping[Role, str], folder: Path) -> Row:
    cells = {role: record[column].strip() for role, column in columns.items()}
    image = folder / cells["image"] if cells.get("image") else None
    return Row(
        image_id=cells["id"],
        split=cells["split"],
        article=cells.get("article", ""),
        caption=cells.get("caption", ""),
        image=image if image and _is_file(image) else None,
    )


def _is_file(path: Path) -> bool:
    """Tell whether there is a file; what the system takes for no name, such as a long text, names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _refuse_repeated(path: Path, rows: Sequence[Row]) -> None:
    for (split, image_id), times in Counter((row.split, row.image_id) for row in rows).most_common(1):
        if times > 1:
            raise RejectedInput(
                f"{path}: {shorten(image_id)!r} occurs {times} times in {split}, expected once"
            )


def _read_folder(folder: Path, truth: Mapping[str, bytes]) -> Dataset:
    tables = _split_tables(folder)
    if not tables:
        raise UsageFault(
            f"{folder}: expected train_captions.csv or train_concepts.csv and the like for the other splits"
        )
    licences = [
        *_rows_of_file(folder / _LICENCES, ("ID", "PMCID")),
        *truth_rows(truth, _LICENCES, "PMCID"),
    ]
    articles = articles_of(licences, truth)
    rows: list[Row] = []
    for split, table in tables.items():
        pictures = _pictures(folder, split)
        listed = _rows_of_file(table, ("ID",))
        captioned = listed if table.name.endswith(_CAPTIONS) else truth_rows(truth, f"{split}{_CAPTIONS}")
        captions = {row["ID"]: row.get("Caption", "") for row in captioned}
        part = [
            Row(
                image_id=row["ID"],
                split=split,
                article=articles.get(row["ID"], ""),
                caption=captions.get(row["ID"], ""),
                image=pictures.get(row["ID"]),
            )
            for row in listed
        ]
        _refuse_repeated(table, part)
        rows += part
    absent: dict[Kind, str] = {}
    if not any(articles.values()):
        absent["articles"] = f"{_LICENCES} is absent or names no article"
    if not any(row.image for row in rows):
        absent["images"] = "no folder of images has the name of a split; unpack the archives"
    if not any(row.caption for row in rows):
        absent["captions"] = "no table of captions exists"
    return Dataset(path=str(folder), rows=tuple(rows), absent=absent)


def _split_tables(folder: Path) -> dict[str, Path]:
    """Return the table of each split: of captions where there is one, else of concepts, else of ids."""
    tables: dict[str, Path] = {}
    for ending in (_CAPTIONS, "_concepts.csv", "_images.csv"):
        for path in sorted(folder.glob(f"*{ending}")):
            tables.setdefault(path.name.removesuffix(ending), path)
    return dict(sorted(tables.items()))


def _rows_of_file(path: Path, header: Sequence[str]) -> list[dict[str, str]]:
    return [row for _, row in read_rows(path, header)] if path.is_file() else []


def _pictures(folder: Path, split: str) -> dict[str, Path]:
    return {
        path.stem: path
        for name in (f"{split}_images", split)
        if (folder / name).is_dir()
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES
    }
