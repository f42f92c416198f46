"""Read one split of a dataset folder: ids, picture files, captions and concepts, checked against each other.

folder/
  {split}_concepts.csv  {split}_concepts_manual.csv  {split}_captions.csv     as the scorer reads them
  {split}_images.csv                                                          ids alone, of a held-out split
  {split}/<ID>.jpg                       or {split}_images/<ID>.jpg, or inside {split}_images.zip
  license_information.csv                ID,PMCID,Attribution,Link

To predict, a folder of pictures does too: `read_pictures`.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from baselines.data.picture_files import SUFFIXES
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.findings import findings
from rocov2_eval.formats import ANY_NUMBER, LAYOUT, Table, load, read_table
from rocov2_eval.records import Finding, IntArray, Task
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import counted, shorten
from rocov2_eval.truth import Place, Truth, read_truth

Need = Literal["captions", "concepts", "concepts_manual"]
Concepts = tuple[tuple[str, ...], ...]

_LICENCES = "license_information.csv"
_TABLES_OF_IDS = ("images", "concepts", "captions")
_SPLITS = ("train", "valid", "test")
PICTURES = "pictures"  # the name of a split that is a folder of pictures
_CUI = re.compile(r"C[0-9]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """The images of one split with what is known of each, everything in the same order.

    Attributes:
        folder: The dataset folder.
        split: Name of the split, such as `train`.
        ids: Image ids, in the order of the tables.
        files: Picture of each image; a path may lead into a zip archive, see `picture_files`.
        captions: Caption of each image; None where not asked for.
        concepts: Concepts of each image, upper-cased, each once, in the order of the cell; None where not
            asked for.
        concepts_manual: Concepts curated by hand of each image; None where not asked for.
        inputs: Path and SHA-256 of every table read.
        findings: Warnings about the tables, to be shown.
    """

    folder: Path
    split: str
    ids: tuple[str, ...]
    files: tuple[Path, ...]
    captions: tuple[str, ...] | None = None
    concepts: Concepts | None = None
    concepts_manual: Concepts | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def named_files(self) -> tuple[tuple[str, Path], ...]:
        """Id and file of each picture, as `cache.open_cache` takes them."""
        return tuple(zip(self.ids, self.files, strict=True))


def read_examples(folder: Path, split: str, needs: Collection[Need] = ()) -> Examples:
    """Read a split.

    Args:
        folder: The dataset folder.
        split: Name of the split, such as `train`.
        needs: The tables that must be there, with the same images. To predict nothing is needed: the ids then
            come from the first table there is, else from the names of the pictures.

    Raises:
        UsageFault: The folder does not exist.
        MissingResource: A table, or all pictures of the split, are missing.
        RejectedInput: A table is broken, tables differ in their images, or an image lacks picture or caption.
    """
    if not folder.is_dir():
        raise UsageFault(f"{folder}: no such folder, expected a dataset in the ROCOv2 layout")
    wanted: list[Need] = [need for need in get_args(Need) if need in needs]
    truths = {need: _read_table(folder, split, need) for need in wanted}
    pictures = _pictures(folder, split)
    tables = [truth.table for truth in truths.values()]
    ids = tables[0].image_ids if tables else _ids(folder, split, pictures)
    for other in tables[1:]:
        _refuse_other_images(tables[0], other)
    cells = {need: _cells(need, truth.table, ids) for need, truth in truths.items()}
    return Examples(
        folder=folder,
        split=split,
        ids=tuple(ids),
        files=_files(folder, split, ids, pictures),
        captions=tuple(cells["captions"]) if "captions" in cells else None,
        concepts=_concepts(cells["concepts"]) if "concepts" in cells else None,
        concepts_manual=_concepts(cells["concepts_manual"]) if "concepts_manual" in cells else None,
        inputs=tuple((table.path, table.sha256) for table in tables),
        findings=tuple(item for truth in truths.values() for item in truth.findings),
    )


def is_dataset(folder: Path) -> bool:
    """Tell a dataset folder, which has tables or a folder for a split, from a folder of pictures."""
    tables = (folder / f"{split}_{name}.csv" for split in _SPLITS for name in _TABLES_OF_IDS)
    pictures = (folder / f"test{ending}" for ending in ("", "_images", "_images.zip"))
    return any(path.exists() for path in (*tables, *pictures))


def read_pictures(folder: Path) -> tuple[Examples, tuple[str, ...]]:
    """Return the pictures of a folder and of all folders in it, and the names of its other files.

    An id is the name of a file without its ending. Hidden files are neither.

    Args:
        folder: The folder; nothing but pictures is needed.

    Raises:
        MissingResource: There is no picture.
        RejectedInput: Two pictures have one id.
    """
    within = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    seen = {place: path for place, path in within.items() if not any(part[0] == "." for part in place.parts)}
    others = tuple(str(place) for place in seen if place.suffix.lower() not in SUFFIXES)
    found = _by_id(path for path in seen.values() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise MissingResource(
            f"{folder}: no picture, expected files such as <ID>.jpg or a/<ID>.png; a dataset contains "
            "test_images.csv or a folder test/"
        )
    return Examples(folder=folder, split=PICTURES, ids=tuple(found), files=tuple(found.values())), others


def read_attributions(folder: Path) -> Mapping[str, str]:
    """Return the attribution of each image as the dataset has it, such as `CC BY [Surname et al. (2020)]`.

    Raises:
        MissingResource: The folder has no license_information.csv.
        RejectedInput: It has no such columns.
    """
    path = folder / _LICENCES
    if not path.is_file():
        raise MissingResource(f"{path}: no such file, expected the licence of each image")
    return {row["ID"]: row["Attribution"] for _, row in read_rows(path, ("ID", "Attribution"))}


def read_articles(folder: Path, ids: Sequence[str]) -> IntArray | None:
    """Return the number of the article of each image; None where the dataset tells that of none.

    An image without a PMCID is an article of its own.
    """
    path = folder / _LICENCES
    if not path.is_file():
        return None
    pmcids = {row["ID"]: row["PMCID"].strip() for _, row in read_rows(path, ("ID", "PMCID"))}
    if not any(pmcids.get(image_id) for image_id in ids):
        return None
    articles = [("PMCID", pmcid) if (pmcid := pmcids.get(i)) else ("image", i) for i in ids]
    numbers = {article: number for number, article in enumerate(dict.fromkeys(articles))}
    return np.array([numbers[article] for article in articles], np.int64)


def _read_table(folder: Path, split: str, need: Need) -> Truth:
    path = folder / f"{split}_{need}.csv"
    if not path.is_file():
        there = ", ".join(sorted(item.name for item in folder.glob("*_*.csv"))) or "no table"
        raise MissingResource(f"{folder}: no {path.name}, found {there}")
    task: Task = "captions" if need == "captions" else "concepts"
    return read_truth(Place(path=path, origin="--data"), task, EDITIONS["rocov2"])


def _ids(folder: Path, split: str, pictures: Mapping[str, Path]) -> list[str]:
    """Return the ids of a split of which no table is needed."""
    for name in _TABLES_OF_IDS:
        path = folder / f"{split}_{name}.csv"
        if path.is_file():
            table = read_table(load(path), LAYOUT, "concepts", ANY_NUMBER)
            _refuse_repeated(table)
            return table.image_ids
    return sorted(pictures)


def _refuse_repeated(table: Table) -> None:
    repeated = [image_id for image_id, count in Counter(table.image_ids).items() if count > 1]
    if repeated or not table.image_ids:
        what = f"{shorten(repeated[0])!r} appears twice" if repeated else "no row with an image id"
        raise RejectedInput(f"{table.path}: {what}")


def _refuse_other_images(first: Table, other: Table) -> None:
    for one, two in ((first, other), (other, first)):
        lacking = set(one.image_ids).difference(two.image_ids)
        if lacking:
            example = next(image_id for image_id in one.image_ids if image_id in lacking)
            raise RejectedInput(
                f"{two.path}: no row for {counted(len(lacking), 'image')} of {one.path}, such as "
                f"{shorten(example)!r}; each table needs a row for every image"
            )


def _cells(need: Need, table: Table, ids: Sequence[str]) -> list[str]:
    """Return the cell of each image; findings name the line."""
    fault = _caption_fault if need == "captions" else _concepts_fault
    rows = zip(table.cells, table.lines, table.image_ids, strict=True)
    faults = [(int(line), f"{shorten(i)!r}: {what}") for cell, line, i in rows if (what := fault(cell or ""))]
    if faults:
        raise RejectedInput(
            f"{table.path} cannot be used for training", [*findings("R501", table.path, faults)]
        )
    by_id = dict(zip(table.image_ids, table.cells, strict=True))
    return [by_id[image_id] or "" for image_id in ids]


def _caption_fault(cell: str) -> str:
    return "" if cell.strip() else "the caption is empty"


def _concepts_fault(cell: str) -> str:
    strange = [cui for cui in _split(cell) if not _CUI.fullmatch(cui)]
    return f"{shorten(strange[0])!r} is not a CUI such as C0040405" if strange else ""


def _split(cell: str) -> list[str]:
    return [text for part in cell.split(";") if (text := part.strip().upper())]


def _concepts(cells: Sequence[str]) -> Concepts:
    return tuple(tuple(dict.fromkeys(_split(cell))) for cell in cells)


def _pictures(folder: Path, split: str) -> dict[str, Path]:
    """Return the pictures of a split by id."""
    return _by_id(path for path in _picture_paths(folder, split) if path.suffix.lower() in SUFFIXES)


def _by_id(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise RejectedInput(f"{shorten(path.stem)!r} has two pictures: {found[path.stem]} and {path}")
        found[path.stem] = path
    return found


def _picture_paths(folder: Path, split: str) -> Iterator[Path]:
    for name in (split, f"{split}_images"):
        if (folder / name).is_dir():
            yield from (folder / name).iterdir()
    archive = folder / f"{split}_images.zip"
    if archive.is_file():
        try:
            with zipfile.ZipFile(archive) as members:
                names = members.namelist()
        except UNREADABLE as error:
            raise RejectedInput(f"{archive}: cannot be opened: {error}; download it again") from None
        yield from (archive / name for name in names if "__MACOSX" not in name)


def _files(folder: Path, split: str, ids: Sequence[str], pictures: Mapping[str, Path]) -> tuple[Path, ...]:
    if not pictures:
        raise MissingResource(
            f"{folder}: no picture of the {split} split, expected {split}/<ID>.jpg, {split}_images/<ID>.jpg "
            f"or {split}_images.zip"
        )
    lacking = [image_id for image_id in ids if image_id not in pictures]
    if lacking:
        raise RejectedInput(
            f"{folder}: {len(lacking):,} of the {len(ids):,} images of the {split} split have no "
            f"picture, such as {shorten(lacking[0])!r}; expected {split}/{shorten(lacking[0])}.jpg"
        )
    return tuple(pictures[image_id] for image_id in ids)
