"""A file of an annotation tool, opened once, and what an exchange format is."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from dataset_builder.curation.annotations import Task
from dataset_builder.curation.exchange import Export
from dataset_builder.curation.facets import Facets
from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import MOST_BYTES
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.words import shorten

_MEMBERS = (".xml", ".json", ".jsonl", ".csv")  # what an archive is looked through for; pictures are not
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A file of a tool.

    Attributes:
        path: As the user named it.
        text: Decoded, without a byte order mark.
    """

    path: Path
    text: str

    @cached_property
    def parsed(self) -> object:
        """What it holds as one JSON document; None where it is none."""
        return self._json[0]

    @cached_property
    def json_fault(self) -> str:
        """Why it is no JSON document, with the line; empty where it is one."""
        return self._json[1]

    @cached_property
    def _json(self) -> tuple[object, str]:
        try:
            return json.loads(self.text), ""
        except json.JSONDecodeError as error:
            cut = error.pos >= len(self.text.rstrip()) or error.msg.startswith("Unterminated string")
            hint = "; it ends in the middle, as a file that was cut off does" if cut else ""
            return None, f"{self.path}:{error.lineno}: no well-formed JSON: {error.msg}{hint}"
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; nested without end
            return None, f"{self.path}: no JSON that can be read: {shorten(str(error), 80)}"


class Read(Protocol):
    """Reads an opened file; `rater` answered where the file does not tell who did."""

    def __call__(self, opened: Opened, facets: Facets, rater: str) -> Export:
        """Return what the file says."""
        ...


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How pictures reach raters.

    Attributes:
        address: What stands before the name of a picture in the tasks; empty for what the tool is used to.
        root: A folder above that of the tasks: the document root of a Label Studio that serves local files.
            None for the folder that holds the tasks' own.
        link: Make hard links in the place of copies, which cost no room, where the file system allows it.
        progress: Told how many of how many pictures are there.
    """

    address: str = ""
    root: Path | None = None
    link: bool = False
    progress: Callable[[int, int], None] = lambda _done, _total: None


class Write(Protocol):
    """Writes tasks into a folder, which it makes."""

    def __call__(self, tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
        """Write the tasks."""
        ...


@dataclass(frozen=True, kw_only=True)
class Format:
    """An exchange format.

    Attributes:
        title: For people, such as `Label Studio JSON`.
        expected: What a file of it looks like, for messages.
        recognises: Tells whether a file is of it, without reading all of it where it need not.
        read: From an export.
        write: Tasks to import.
        is_empty: Tells whether a file that is not recognised is an export of no task, if it is of this one.
    """

    title: str
    expected: str
    recognises: Callable[[Opened, Facets], bool]
    read: Read
    write: Write
    is_empty: Callable[[Opened], bool] = lambda _opened: False


def open_export(path: Path) -> Opened:
    """Read a file, or the one file of a known kind in a zip archive, as CVAT hands it out with its pictures.

    Raises:
        RejectedInput: It cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise RejectedInput(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) <= MOST_BYTES and content.startswith(b"PK\x03\x04"):
        content = _member(content, path)
    if len(content) > MOST_BYTES:
        raise RejectedInput(f"{path}: more than {MOST_BYTES:,} bytes; export fewer tasks at a time")
    try:
        return Opened(path=path, text=content.decode("utf-8").removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RejectedInput(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def _member(content: bytes, path: Path) -> bytes:
    """Return the one file of an archive that can be an export."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [
                item
                for item in archive.infolist()
                if item.filename.lower().endswith(_MEMBERS) and "__MACOSX" not in item.filename
            ]
            if len(names) != 1:
                listed = ", ".join(shorten(item.filename, 40) for item in names[:5]) or "none"
                raise RejectedInput(
                    f"{path}: expected one file ending in {', '.join(_MEMBERS)} in the archive, "
                    f"found {len(names)}: {listed}"
                )
            with archive.open(names[0]) as member:
                return member.read(MOST_BYTES + 1)
    except _DAMAGED as error:
        raise RejectedInput(f"{path}: cannot be unpacked: {shorten(str(error), 100)}") from None
