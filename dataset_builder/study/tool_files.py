"""A file of an annotation tool, opened once, and what an exchange format is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.facets import Facets
from dataset_builder.study.annotations import Export, RatingTask
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_text
from rocov2_eval.shelf.parsing import Malformed, json_of


@dataclass(frozen=True, kw_only=True, eq=False)
class ToolFile:
    """A file of an annotation tool: JSON, or a table.

    Attributes:
        path: Path of the file as the user wrote it.
        text: Decoded content, without a byte order mark.
        document: Value of a JSON document; None for a table.
        header: Cells of the first line of a table; empty for a JSON document.
    """

    path: Path
    text: str
    document: object = None
    header: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Format:
    """An exchange format.

    Attributes:
        title: Name for people, such as `MedCATtrainer JSON`.
        expected: What a file of the format looks like, for messages.
        recognises: Tells whether a file is of the format.
        read: Reads a file; its third argument is the rater of files that name none.
        write: Writes tasks into a folder; its fourth argument is the address of each picture by image.
        shows_pictures: Whether the tool shows pictures to raters.
    """

    title: str
    expected: str
    recognises: Callable[[ToolFile], bool]
    read: Callable[[ToolFile, Facets, str], Export]
    write: Callable[[Sequence[RatingTask], Facets, Path, Mapping[str, str]], None]
    shows_pictures: bool = True


def open_file(path: Path) -> ToolFile:
    """Read a file.

    Raises:
        RejectedInput: It cannot be read, is too large, is not UTF-8, or begins like JSON and is none.
    """
    text = read_text(path)
    if text.lstrip().startswith(("{", "[")):
        return ToolFile(path=path, text=text, document=_document(text, path))
    try:
        header = next(csv.reader([text.partition("\n")[0]]), [])
    except csv.Error:  # a line of a megabyte is no header
        header = []
    return ToolFile(path=path, text=text, header=header)


def as_object(value: object, place: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        RejectedInput: It is something else.
    """
    if not isinstance(value, dict):
        raise RejectedInput(f"{place}: {_kind(value)}, expected an object")
    return value


def as_list(value: object, place: str) -> Sequence[Any]:
    """Return a JSON list; nothing is an empty one.

    Raises:
        RejectedInput: It is something else.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RejectedInput(f"{place}: {_kind(value)}, expected a list")
    return value


def _document(text: str, path: Path) -> object:
    try:
        return json_of(text)
    except Malformed as error:
        place = path if error.line is None else f"{path}:{error.line}"
        is_cut = "Unterminated string" in str(error) or (error.offset or 0) >= len(text.rstrip())
        hint = "; it ends in the middle, as a file that was cut off does" if is_cut else ""
        raise RejectedInput(f"{place}: no well-formed JSON: {error}{hint}") from None


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
