"""Read the rows of any dataset that has splits: a folder in the ROCOv2 layout, or one CSV file.

folder/
  license_information.csv      ID,PMCID,…
  {split}_captions.csv         ID,Caption   (or {split}_concepts.csv or {split}_images.csv, for the ids alone)
  {split}/<ID>.jpg             (or {split}_images/<ID>.jpg)

The archive of a held-out truth has tables of the same names.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.formats import load
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.words import shorten

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
_KIND_OF: tuple[tuple[Kind, Role], ...] = (
    ("articles", "article"),
    ("images", "image"),
    ("captions", "caption"),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """An image with what may cross the splits.

    Attributes:
        image_id: As the dataset names it.
        split: Its split.
        article: Empty where it is not known.
        caption: Empty where it is not known.
        image: Its file, None where there is none.
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
        path: As the user named it.
        rows: One an image.
        columns: Which column holds what, empty for a folder.
        absent: Why a kind cannot be looked at.
    """

    path: str
    rows: tuple[Row, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
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
            raise UsageFault(f"{path} is a file: the archive of a held-out truth goes with a folder")
        return _read_file(path, columns or {}, where)
    if columns or where:
        raise UsageFault(f"{path} is a folder in the ROCOv2 layout: columns and --where go with a CSV file")
    return _read_folder(path, truth or {})


def bare(name: str) -> str:
    """Return the name of a column as `GUESSES` has it."""
    return re.sub(r"[\s_-]", "", name).lower()


def _read_file(path: Path, named: Mapping[Role, str], where: Sequence[tuple[str, str]]) -> Dataset:
    header, records = _records(path)
    columns = _columns(path, header, named)
    wanted = defaultdict(set)
    for column, value in where:
        wanted[_column(path, header, column, "--where")].add(value)
    kept = [record for record in records if all(record[column] in wanted[column] for column in wanted)]
    if not kept:
        listed = " ".join(f"--where {column}={value}" for column, value in where)
        raise UsageFault(f"{path}: no row is left{' with ' + listed if listed else ''}")
    absent: dict[Kind, str] = {}
    for kind, role in _KIND_OF:
        if role not in columns:
            absent[kind] = f"no column of {role}s"
    rows = tuple(_row(record, columns, path.parent) for record in kept)
    bare = sum(not (row.image_id and row.split) for row in rows)
    if bare:
        raise RejectedInput(f"{path}: {bare:,} rows have no id or no split; leave them out with --where")
    _refuse_repeated(path, [(row.split, row.image_id) for row in rows])
    return Dataset(
        path=str(path),
        rows=rows,
        columns={role: header[index] for role, index in columns.items()},
        absent=absent,
    )


def _row(record: Sequence[str], columns: Mapping[Role, int], folder: Path) -> Row:
    def cell(role: Role) -> str:
        return record[columns[role]].strip() if role in columns else ""

    image = folder / cell("image") if cell("image") else None
    return Row(
        image_id=cell("id"),
        split=cell("split"),
        article=cell("article"),
        caption=cell("caption"),
        image=image if image and _is_file(image) else None,
    )


def _is_file(path: Path) -> bool:
    """Tell whether there is a file; what the system takes for no name, such as a long text, names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _records(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file, every row as wide as the header."""
    return _parsed(load(path).text, str(path), "\t" if path.suffix.lower() == ".tsv" else ",")


def _parsed(text: str, path: str, delimiter: str = ",") -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a text, every row as wide as the header."""
    text = text.removeprefix(BYTE_ORDER_MARK)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    records = []
    header: list[str] = []
    try:
        for record in reader:
            if not header:
                header = [name.strip() for name in record]
            elif len(record) == len(header):
                records.append(record)
            elif record:
                raise RejectedInput(
                    f"{path}:{reader.line_num}: {len(record)} cells, expected {len(header)} as in the header"
                )
    except csv.Error as error:
        raise RejectedInput(f"{path}:{reader.line_num}: {error}") from None
    if not records:
        raise RejectedInput(f"{path}: expected a header and rows below it, found no row")
    return header, records


def _columns(path: Path, header: Sequence[str], named: Mapping[Role, str]) -> dict[Role, int]:
    columns: dict[Role, int] = {}
    plain = [bare(name) for name in header]
    for role, guesses in GUESSES.items():
        if role in named:
            columns[role] = _column(path, header, named[role], f"--column {role}")
            continue
        place = next((plain.index(guess) for guess in guesses if guess in plain), None)
        if place is not None:
            columns[role] = place
        elif role in ("id", "split"):
            raise UsageFault(
                f"{path}: no column of {role}s among {_listed(header)}; name it with --column {role}="
            )
    return columns


def _column(path: Path | str, header: Sequence[str], name: str, option: str) -> int:
    if name not in header:
        raise UsageFault(f"{path}: {option} {shorten(name)}: no such column among {_listed(header)}")
    return header.index(name)


def _listed(names: Iterable[str]) -> str:
    return shorten(", ".join(names), 200)


def _refuse_repeated(path: Path, keys: Sequence[tuple[str, str]]) -> None:
    (split, image_id), times = Counter(keys).most_common(1)[0]
    if times > 1:
        raise RejectedInput(f"{path}: {shorten(image_id)!r} stands {times} times in {split}, expected once")


def _read_folder(folder: Path, truth: Mapping[str, bytes]) -> Dataset:
    tables = _split_tables(folder)
    if not tables:
        raise UsageFault(
            f"{folder}: expected train_captions.csv or train_concepts.csv and the like for the other splits"
        )
    articles = _articles(folder) | _hidden_articles(truth)
    rows = []
    pictured = False
    for split, table in tables.items():
        pictures = _pictures(folder, split)
        pictured = pictured or bool(pictures)
        header, records = _records(table)
        is_captioned = table.name.endswith(_CAPTIONS)
        captions = _captions(table, header, records) if is_captioned else _hidden_captions(truth, split)
        image_ids = [record[0] for record in records]
        _refuse_repeated(table, [(split, image_id) for image_id in image_ids])
        rows += [
            Row(
                image_id=image_id,
                split=split,
                article=articles.get(image_id, ""),
                caption=captions.get(image_id, ""),
                image=pictures.get(image_id),
            )
            for image_id in image_ids
        ]
    absent: dict[Kind, str] = {}
    if not any(articles.values()):
        absent["articles"] = f"{_LICENCES} is absent or names no article"
    if not pictured:
        absent["images"] = "there is no folder of images named like a split; unpack the archives"
    if not any(row.caption for row in rows):
        absent["captions"] = "there is no table of captions"
    return Dataset(path=str(folder), rows=tuple(rows), absent=absent)


def _split_tables(folder: Path) -> dict[str, Path]:
    """Return the table of each split: of captions where there is one, else of concepts, else of ids."""
    tables: dict[str, Path] = {}
    for ending in (_CAPTIONS, "_concepts.csv", "_images.csv"):
        for path in sorted(folder.glob(f"*{ending}")):
            tables.setdefault(path.name.removesuffix(ending), path)
    return dict(sorted(tables.items()))


def _captions(path: Path | str, header: Sequence[str], records: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the captions of a table by image."""
    if len(header) < 2:  # noqa: PLR2004  an id and a cell
        raise RejectedInput(f"{path}:1: one column, expected ID,Caption")
    return {record[0]: record[1] for record in records}


def _hidden_captions(truth: Mapping[str, bytes], split: str) -> dict[str, str]:
    """Return the captions of a held-out split by image, none where the archive does not tell them."""
    name = f"{split}{_CAPTIONS}"
    return _captions(f"truth/{name}", *_hidden_records(truth, name)) if name in truth else {}


def _articles(folder: Path) -> dict[str, str]:
    path = folder / _LICENCES
    return _articles_of(path, *_records(path)) if path.is_file() else {}


def _hidden_articles(truth: Mapping[str, bytes]) -> dict[str, str]:
    if _LICENCES not in truth:
        return {}
    return _articles_of(f"truth/{_LICENCES}", *_hidden_records(truth, _LICENCES))


def _articles_of(path: Path | str, header: Sequence[str], records: Sequence[Sequence[str]]) -> dict[str, str]:
    image_id = _column(path, header, "ID", "column")
    article = _column(path, header, "PMCID", "column")
    return {record[image_id].strip(): record[article].strip() for record in records}


def _hidden_records(truth: Mapping[str, bytes], name: str) -> tuple[list[str], list[list[str]]]:
    try:
        return _parsed(truth[name].decode(), f"truth/{name}")
    except UnicodeDecodeError as error:
        raise RejectedInput(f"truth/{name}: {error}, expected UTF-8") from None


def _pictures(folder: Path, split: str) -> dict[str, Path]:
    return {
        path.stem: path
        for name in (f"{split}_images", split)
        if (folder / name).is_dir()
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES
    }
