"""What all exchange formats share: a file opened once, what it says, and how answers and times are read."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from dataset_builder.curation.annotations import Annotation, Task
from dataset_builder.curation.facets import Facet, choice_named
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import shorten
from rocov2_eval.formats import BYTE_ORDER_MARK, MOST_BYTES

Facets = Mapping[str, Facet]

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
            return None, f"{self.path}:{error.lineno}: no well-formed JSON: {error.msg}"
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; nested without end
            return None, f"{self.path}: no JSON that can be read: {shorten(str(error), 80)}"


@dataclass(frozen=True, kw_only=True)
class Export:
    """What a file of a tool says.

    Attributes:
        annotations: The answers, in the order of the file.
        left_out: What of the file is no answer, such as cancelled annotations, with its number.
        format: Name of the format; empty until the file has been read to the end.
    """

    annotations: tuple[Annotation, ...]
    left_out: Mapping[str, int]
    format: str = ""


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
        link: Make hard links in the place of copies, which cost no room, where the file system allows it.
        progress: Told how many of how many pictures are there.
    """

    address: str = ""
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
    """

    title: str
    expected: str
    recognises: Callable[[Opened, Facets], bool]
    read: Read
    write: Write


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


def value_of(facet: Facet, text: object, place: str) -> str:
    """Return the value of an answer, which may be written as value, label or canonical name.

    Raises:
        RejectedInput: It is no answer to the facet.
    """
    choice = choice_named(facet, str(text)) if isinstance(text, str | int) else None
    if choice is None:
        offered = ", ".join(choice.label for choice in facet.choices)
        raise RejectedInput(
            f"{place}: {shorten(str(text))!r} is no {facet.name}, expected a CUI of it or one of: {offered}"
        )
    return choice.value


def utc_time(text: object, place: str) -> str:
    """Return a time as ISO 8601 in UTC with microseconds, so that times sort as text; empty for none.

    Args:
        text: ISO 8601, or seconds since 1970; without a zone, it is UTC.
        place: For the message.

    Raises:
        RejectedInput: It is no time.
    """
    if text is None or text == "":
        return ""
    try:
        if isinstance(text, int | float):
            moment = datetime.fromtimestamp(text, UTC)
        else:
            moment = datetime.fromisoformat(str(text).strip())
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise RejectedInput(
            f"{place}: {shorten(str(text))!r} is no time, expected one such as 2026-01-31T12:00:00Z"
        ) from None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def named_rater(found: object, rater: str, place: str) -> str:
    """Return who answered.

    Args:
        found: What the file tells: a name, a number, or an object with an address or a number; or nothing.
        rater: Who answered where the file does not tell.
        place: For the message.

    Raises:
        RejectedInput: Nobody knows.
    """
    if isinstance(found, Mapping):
        found = next((found[key] for key in ("email", "username", "id") if found.get(key)), None)
    name = _name(found, place)
    if not (name or rater):
        raise RejectedInput(f"{place}: it is not told who answered; name the rater with --rater")
    return name or rater


def named_image(found: object, place: str) -> str:
    """Return the key of an image.

    Raises:
        RejectedInput: It is empty, or no text that a file could hold.
    """
    name = _name(found, place)
    if not name:
        raise RejectedInput(f"{place}: it does not tell the image, expected its key")
    return name


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


def _name(found: object, place: str) -> str:
    """Return a name that may be written as a number; empty for anything else."""
    name = str(found).strip() if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if any("\ud800" <= letter <= "\udfff" for letter in name):  # JSON can hold half a character
        raise RejectedInput(f"{place}: {shorten(ascii(name))} is no text that a file could hold")
    return name


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
