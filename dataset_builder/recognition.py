"""Recognise what a build could take: articles in any layout, a list of them, or images with a table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Literal

from dataset_builder.opening import layout_of
from dataset_builder.own_images.dicom import is_dicom, read_facts
from dataset_builder.own_images.table import REQUIRED, SUFFIXES, columns_of, header_of, read_image_table
from dataset_builder.pmc.file_lists import read_article_list
from dataset_builder.pmc.packages import NAME as PACKAGE_NAME
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import csv_text
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.parsing import json_dumped
from rocov2_eval.shelf.words import counted

DRAFT = "images.csv"  # the table that is begun for pictures without one
_DRAFT_HEADER = (*REQUIRED, "modality", "attribution", "frame")
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".bmp", ".webp")
_LISTS = (".csv", ".tsv", ".txt")
_LAYOUTS = {
    "service": "articles in the layout of PMC's service",
    "packages": "packages of PMC, read where they lie",
    "files": "XML files with their pictures",
}
# The value of Modality in DICOM (PS3.3 C.7.3.1.1.1), as a table of images says it.
_MODALITIES = {
    "CT": "CT",
    "MR": "MRI",
    "US": "ultrasound",
    "XA": "angiography",
    "PT": "PET",
    **dict.fromkeys(("CR", "DX", "MG", "RG"), "X-ray"),
}


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A source that a build can take.

    Attributes:
        kind: Kind of the source in build.toml.
        path: Folder of articles, table of images, or list of articles.
        found: What it is, in words for people.
        lacking: What people must add before the build finds anything; empty where it runs as it is.
    """

    kind: Literal["s3", "folder", "table"]
    path: Path
    found: str
    lacking: str = ""


def recognise(path: Path) -> Recognised:
    """Return what a file or folder is.

    For a folder of pictures without a table one is begun in it, `images.csv`.

    Raises:
        RejectedInput: It is nothing that a build takes; the message says what is.
        MissingResource: A library that reads it is not installed.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise RejectedInput(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if suffix in SUFFIXES and (suffix not in _LISTS or _names_images(path)):
        return _table(path)
    if suffix in _LISTS:
        n = len(read_article_list(path).numbers)
        return Recognised(kind="s3", path=path, found=f"a list of {counted(n, 'article')} of PMC's service")
    raise RejectedInput(f"{path}: expected {_EXPECTED}; name the folder that the file lies in")


def build_text(source: Recognised | None, folder: Path, today: date) -> str:
    """Return a build.toml for a source: every table, its defaults and what they mean.

    Args:
        source: What it builds from; None leaves the source to whoever fills it in.
        folder: The folder that the file will lie in: its paths are relative to that.
        today: The day of publication, until the user says another; a build takes nothing from the clock.
    """
    text = resources.files("dataset_builder").joinpath("build.toml").read_text(encoding="utf-8")
    text = re.sub(r'# published = "[^"]*"  ', f'published = "{today.isoformat()}"', text)
    if source is None:
        return text
    key = "list" if source.kind == "s3" else "path"
    place = json_dumped(os.path.relpath(source.path, folder))
    table = f'[source]\nkind = "{source.kind}"\n{key} = {place}  # {source.found}\n'
    before, _, rest = text.partition("[source]\n")
    _, _, after = rest.partition("\n[")
    return f"{before}{table}\n[{after}"


_EXPECTED = (
    "a folder of articles (JATS XML with pictures, PMC*.tar.gz, or the layout of PMC's service), a "
    f"list of PMCIDs, a table of images with the columns {', '.join(REQUIRED)}, or a folder of pictures or "
    "DICOM files"
)


def _folder(folder: Path) -> Recognised:
    tables = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
    named = [path for path in tables if path.suffix.lower() not in _LISTS or _names_images(path)]
    layout = layout_of(folder)
    if layout is not None and not (layout == "files" and named):
        return Recognised(kind="folder", path=folder, found=_LAYOUTS[layout])
    if len(named) > 1:
        listed = ", ".join(path.name for path in named)
        raise RejectedInput(
            f"{folder}: several tables of images, {listed}; name one: rocov2-build init {named[0]}"
        )
    if named:
        return _table(named[0])
    pictures = list(_pictures(folder))
    if pictures:
        return _begun(folder, pictures)
    raise RejectedInput(f"{folder}: found nothing to build from, expected {_EXPECTED}")


def _names_images(path: Path) -> bool:
    """Tell whether a table names images; one that lacks other columns is refused when it is read."""
    return "image" in columns_of(header_of(path), f"{path}:1")


def _table(path: Path) -> Recognised:
    rows = read_image_table(path)
    lacking = [name for name in ("caption", "licence", "group") if not any(row.cells[name] for row in rows)]
    return Recognised(
        kind="table",
        path=path,
        found=f"a table of {counted(len(rows), 'image')}",
        lacking=f"no row has {' or '.join(lacking)}: fill in {path}" if lacking else "",
    )


def _pictures(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(here, name) for name in sorted(files) if not name.startswith(".")):
            if path.suffix.lower() in _PICTURES or (not PACKAGE_NAME.fullmatch(path.name) and is_dicom(path)):
                yield path


def _begun(folder: Path, pictures: list[Path]) -> Recognised:
    """Begin a table of pictures: captions and licences are for people to say.

    Patients are numbered in the order of the files: what DICOM calls them stays where it is.
    """
    path = folder / DRAFT
    if path.exists():
        raise RejectedInput(f"{path}: no column image; expected the columns {', '.join(REQUIRED)}")
    patients: dict[str, str] = {}
    rows = []
    for picture in pictures:
        name = picture.relative_to(folder).as_posix()
        group, modality = name.rpartition("/")[0], ""
        if is_dicom(picture):
            try:
                facts = read_facts(picture)
            except RejectedInput:  # no picture, such as a directory of a CD or a report
                continue
            group = patients.setdefault(facts.patient or name, f"patient-{len(patients) + 1}")
            modality = _MODALITIES.get(facts.modality, "")
        rows.append((name, "", group, "", modality, "", ""))
    write_text(path, csv_text(_DRAFT_HEADER, rows))
    return Recognised(
        kind="table",
        path=path,
        found=f"a table of {counted(len(rows), 'picture')}, begun here",
        lacking=f"fill in caption, group (patient or study) and licence of each row of {path}",
    )
