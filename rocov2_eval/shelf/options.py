"""Tables of a TOML file into frozen dataclasses: unknown keys and wrong types are refused by name.

A field of type Path is a file, or a folder of files: relative to the TOML file, and what they hold is part of
the configuration.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from rocov2_eval.errors import RocoError, UsageFault
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import shorten, suggestion

Options = TypeVar("Options")

# Metadata of a field that cannot change what comes out, only how fast: it is left out of the digest.
ONLY_SPEED: Mapping[str, bool] = {"only_speed": True}


def read_options(kind: type[Options], table: Mapping[str, Any], where: str, folder: Path) -> Options:
    """Return the options that a table sets.

    Args:
        kind: A frozen dataclass.
        table: Of the TOML file.
        where: Its name for messages, such as `build.toml [licence]`.
        folder: What paths are relative to.

    Raises:
        UsageFault: A key is unknown or missing, or a value is of another type or out of bounds.
    """
    hints = typing.get_type_hints(kind)
    known: tuple[Field[Any], ...] = fields(typing.cast("Any", kind))
    names = [item.name for item in known]
    for key in table:
        if key not in names:
            raise UsageFault(f"{where}: unknown key {shorten(key)!r}; {suggestion(key, names)}")
    lacking = [item.name for item in known if _is_required(item) and item.name not in table]
    if lacking:
        raise UsageFault(f"{where}: {', '.join(lacking)} is missing")
    values = {key: _value(value, hints[key], f"{where} {key}", folder) for key, value in table.items()}
    try:
        return kind(**values)
    except RocoError as error:
        raise UsageFault(f"{where} {error}") from None


def options_digest(options: object) -> str:
    """Return the SHA-256 of options, with the contents of the files they name.

    Raises:
        MissingResource: A file they name cannot be read.
    """
    document = json.dumps(_plain(options), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def _is_required(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _value(value: object, hint: Any, where: str, folder: Path) -> Any:  # noqa: ANN401  what typing makes of a type
    """Return a value as a field wants it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _of_any(value, arguments, where, folder)
    if origin is Literal:
        if value not in arguments or isinstance(value, bool) != isinstance(arguments[0], bool):
            raise _wrong(value, " or ".join(repr(item) for item in arguments), where)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(value, "a list", where)
        return tuple(_value(item, arguments[0], where, folder) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(value, "a table", where)
        return {name: _value(item, arguments[1], f"{where}.{name}", folder) for name, item in value.items()}
    if hint is Path:
        return folder / _scalar(value, str, where)
    return _scalar(value, hint, where)


def _of_any(value: object, hints: Sequence[Any], where: str, folder: Path) -> Any:  # noqa: ANN401  as above
    """Return a value as the first alternative that takes it wants it; an integer stays one where it may."""
    hints = sorted(hints, key=lambda hint: hint is not type(value))
    for hint in hints:
        if hint is type(None):
            continue
        try:
            return _value(value, hint, where, folder)
        except UsageFault:
            continue
    raise _wrong(value, " or ".join(_named(hint) for hint in hints if hint is not type(None)), where)


def _scalar(value: object, kind: type, where: str) -> Any:  # noqa: ANN401  of the kind asked for
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(value, _named(kind), where)
    return value


def _wrong(value: object, expected: str, where: str) -> UsageFault:
    return UsageFault(f"{where}: {shorten(repr(value), 60)}, expected {expected}")


def _named(hint: Any) -> str:  # noqa: ANN401  what typing makes of a type
    if typing.get_origin(hint) is Literal:
        return " or ".join(repr(item) for item in typing.get_args(hint))
    plain = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a file"}
    return plain.get(hint, "a list" if typing.get_origin(hint) is tuple else "a table")


def _plain(value: object) -> Any:  # noqa: ANN401  what JSON can hold
    """Return options as JSON can hold them; a file as the digest of its content."""
    if is_dataclass(value):
        return {
            item.name: _plain(getattr(value, item.name))
            for item in fields(value)
            if not item.metadata.get("only_speed")
        }
    if isinstance(value, Path):
        files = sorted(file for file in value.rglob("*") if file.is_file()) if value.is_dir() else (value,)
        return [{"sha256": file_digest(file)} for file in files]
    if isinstance(value, Mapping):
        return [[name, _plain(item)] for name, item in value.items()]  # the order of splits counts
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
