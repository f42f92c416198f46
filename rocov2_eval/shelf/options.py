"""Tables of a TOML file into frozen options: unknown keys and wrong types are refused by name.

Options are a frozen dataclass or a `msgspec.Struct`; bounds stand in the types of their fields, such as
`Annotated[int, Meta(ge=1)]`.
A field of type Path is a file, or a folder of files: relative to the TOML file, and what they hold is part of
the configuration.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import typing
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from rocov2_eval.errors import RocoError, UsageFault
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import shorten, suggestion

Options = TypeVar("Options")

# Marks a field that cannot change what comes out, only how fast: it is left out of the digest.
ONLY_SPEED = msgspec.Meta(extra={"only_speed": True})

_FAULT = re.compile(r"(?P<reason>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_NO_TIME = re.compile("Expected datetime with a timezone component|Invalid RFC3339 encoded datetime")
_KINDS: Mapping[str, str] = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "array": "a list", "object": "a table",
}  # fmt: skip


def read_options(kind: type[Options], table: Mapping[str, Any], where: str, folder: Path) -> Options:
    """Return the options that a table sets.

    Args:
        kind: A frozen dataclass or Struct.
        table: Keys and values of the TOML file.
        where: Name of the table for messages, such as `build.toml [licence]`.
        folder: Folder that paths are relative to.

    Raises:
        UsageFault: A key is unknown or missing, or a value is of another type or out of bounds.
    """
    names = list(typing.get_type_hints(kind))
    for key, value in table.items():
        if key not in names:
            raise UsageFault(f"{where}: unknown key {shorten(key)!r}; {suggestion(key, names)}")
        _require_sound(value, f"{where} {key}")
    try:
        return msgspec.convert(table, kind, strict=True, dec_hook=partial(_file, folder))
    except msgspec.ValidationError as error:
        raise UsageFault(f"{where}{_explained(str(error), kind, table)}") from None
    except RocoError as error:
        raise UsageFault(f"{where} {error}") from None


def options_digest(options: object) -> str:
    """Return the SHA-256 of options, with the contents of the files they name.

    Raises:
        MissingResource: A file they name cannot be read.
    """
    hints = typing.get_type_hints(type(options), include_extras=True)
    values = {name: getattr(options, name) for name in sorted(hints) if not _is_only_speed(hints[name])}
    document = json.dumps(msgspec.to_builtins(values, enc_hook=_contents), ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def _require_sound(value: object, where: str) -> None:
    """Refuse nan and inf, which no comparison with a bound stops, and NUL, which no file name can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageFault(f"{where}: {value}, expected a finite number")
    if isinstance(value, str) and "\0" in value:
        raise UsageFault(f"{where}: {shorten(value)!r} contains a NUL, expected text without")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _require_sound(item, f"{where}.{name}")


def _file(folder: Path, kind: type, value: object) -> Path:
    """Return the file that a value names."""
    if kind is not Path or not isinstance(value, str):
        raise TypeError("expected a file")
    return folder / value


def _contents(value: object) -> list[str]:
    """Return the digests of a file, or of all files of a folder."""
    if not isinstance(value, Path):
        raise NotImplementedError(f"options contain a {type(value).__name__}")
    files = sorted(file for file in value.rglob("*") if file.is_file()) if value.is_dir() else [value]
    return [file_digest(file) for file in files]


def _is_only_speed(hint: object) -> bool:
    return ONLY_SPEED in getattr(hint, "__metadata__", ())


def _explained(fault: str, kind: type, table: Mapping[str, Any]) -> str:
    """Return where a table is wrong, what was found and what was expected, from a message of msgspec."""
    match = _FAULT.fullmatch(fault)
    assert match is not None, "the pattern matches any text"
    reason, path = match["reason"], match["path"]
    if not path:
        return f": {reason.removeprefix('Object missing required field ').strip('`')} is missing"
    key, found = path.strip("."), typing.cast("Any", table)
    for name, index in _STEP.findall(path):
        found = found[int(index)] if index else found[name]
    if reason.startswith("Invalid enum value"):
        (name, *_) = re.findall(r"\w+", path)
        reason = "expected " + " or ".join(map(repr, _words(typing.get_type_hints(kind)[name])))
    reason = re.sub(r", got `\w+`\Z", "", reason)
    reason = re.sub(r"`([^`]*)`", lambda types: " or ".join(_named(types[1])), reason)
    reason = _NO_TIME.sub("expected a time with its zone, such as 12:00:00Z", reason)
    shown = str(found) if isinstance(found, datetime) else repr(found)
    return f" {key.removesuffix('[...]')}: {shorten(shown)}, {reason[0].lower()}{reason[1:]}"


def _named(types: str) -> list[str]:
    """Return the names that people have for types, as `int | null` lists them."""
    return [_KINDS.get(name, name) for name in types.split(" | ") if name != "null"]


def _words(hint: object) -> list[object]:
    """Return the words that a type allows."""
    arguments = list(typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return arguments
    return [word for argument in arguments for word in _words(argument)]
