"""Records as lines of JSON and back: the form in which the stages hand them on.

Fields at their default are left away; keys stand in the order of the fields. The same records give the same
bytes on every machine.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

from rocov2_eval.errors import RejectedInput

Record = TypeVar("Record")


def to_lines(records: Iterable[object]) -> bytes:
    """Return one line of JSON a record."""
    lines = (json.dumps(_encode(record), ensure_ascii=False, separators=(",", ":")) for record in records)
    return "".join(f"{line}\n" for line in lines).encode()


def from_lines(content: bytes, kind: type[Record], path: str) -> list[Record]:
    """Return the records of a file.

    Raises:
        RejectedInput: A line is none of them: the file was changed by hand, or is of another version.
    """
    decode: Callable[[Any], Record] = _decoder(typing.cast("Any", kind))
    records = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            records.append(decode(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise RejectedInput(
                f"{path}:{number}: no {kind.__name__} ({error}); remove the file and run again"
            ) from None
    return records


def _encode(value: object) -> Any:  # noqa: ANN401  what JSON can hold
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if not is_dataclass(value):
        return value
    return {
        item.name: _encode(found)
        for item in _fields(typing.cast("Any", type(value)))
        if (found := getattr(value, item.name)) != item.default
    }


@lru_cache(maxsize=32)
def _fields(kind: Any) -> tuple[Field[Any], ...]:  # noqa: ANN401  a dataclass
    return fields(kind)


@lru_cache(maxsize=128)
def _decoder(kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401  a type, or what typing makes of one
    """Return what turns JSON into a type of ours."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        item = _decoder(arguments[0])
        return lambda value: tuple(map(item, _listed(value)))
    if origin in (types.UnionType, typing.Union):
        (other,) = (argument for argument in arguments if argument is not type(None))
        inner = _decoder(other)
        return lambda value: None if value is None else inner(value)
    if not is_dataclass(kind) or not isinstance(kind, type):
        return lambda value: value
    hints = typing.get_type_hints(kind)
    parts = {item.name: _decoder(hints[item.name]) for item in fields(kind)}
    required = {item.name for item in fields(kind) if item.default is MISSING}

    def decode(value: Any) -> Any:  # noqa: ANN401  JSON
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, found {type(value).__name__}")
        lacking = required - value.keys()
        if lacking:
            raise KeyError(f"{', '.join(sorted(lacking))} is missing")
        return kind(**{name: parts[name](item) for name, item in value.items()})

    return decode


def _listed(value: Any) -> list[Any]:  # noqa: ANN401  JSON
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    return value
