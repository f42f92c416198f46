"""A file of an annotation tool, opened once, and what an exchange format is."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dataset_builder.facets import Facets
from dataset_builder.study.annotations import Export, Task
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_text
from rocov2_eval.shelf.words import shorten


@dataclass(frozen=True, kw_only=True, eq=False)
class ToolFile:
    """A file of an annotation tool.

    Attributes:
        path: Path of the file as the user wrote it.
        text: Decoded content, without a byte order mark.
    """

    path: Path
    text: str

    @cached_property
    def parsed(self) -> object:
        """The content as one JSON document; None where it is none."""
        return self._json[0]

    @cached_property
    def json_fault(self) -> str:
        """Why the content is no JSON document, with the line; empty where it is one."""
        return self._json[1]

    @cached_property
    def header(self) -> Sequence[str]:
        """The cells of the first line; empty if the file begins like JSON."""
        if self.text.lstrip().startswith(("{", "[")):
            return ()
        try:
            return next(csv.reader([self.text.partition("\n")[0]]), ())
        except csv.Error:
            return ()

    @cached_property
    def _json(self) -> tuple[object, str]:
        try:
            return json.loads(self.text), ""
        except json.JSONDecodeError as error:
            is_cut = error.pos >= len(self.text.rstrip()) or error.msg.startswith("Unterminated string")
            hint = "; it ends in the middle, as a file that was cut off does" if is_cut else ""
            return None, f"{self.path}:{error.lineno}: no well-formed JSON: {error.msg}{hint}"
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; nested without end
            return None, f"{self.path}: no JSON that can be read: {shorten(str(error), 80)}"


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
    recognises: Callable[[ToolFile, Facets], bool]
    read: Callable[[ToolFile, Facets, str], Export]
    write: Callable[[Sequence[Task], Facets, Path, Mapping[str, str]], None]
    shows_pictures: bool = True


def open_file(path: Path) -> ToolFile:
    """Read a file.

    Raises:
        RejectedInput: It cannot be read, is too large or is not UTF-8.
    """
    return ToolFile(path=path, text=read_text(path))


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


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
