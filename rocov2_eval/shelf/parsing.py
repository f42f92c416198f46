"""TOML and JSON from outside, whatever is in them: as values that a program can walk over; and back.

The parsers themselves stop at a bad comma in one way and at deep nesting, long numbers and bytes that are no
text in others; here all of it is one error. What they let pass and others break at later is refused too.
"""

from __future__ import annotations

import json
import math
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Content = TypeVar("Content")

MOST_BYTES = 1 << 28
MOST_LEVELS = 64  # of tables and lists; the deepest file of ours has eight
_HALF = re.compile("[\ud800-\udfff]")
_MOST_BITS = 64  # of a whole number: msgspec takes no longer one either


class Malformed(ValueError):
    """A text is not what it should be.

    Attributes:
        line: The line with the fault, None where the parser does not tell it.
        offset: How many characters before the fault are sound, None where the parser does not tell it.
    """

    def __init__(self, message: str, line: int | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.offset = offset


def read_plain(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a plain file: a pipe would have us wait, a device would never end.

    Raises:
        OSError: It cannot be read, has more than `most` bytes, or is no plain file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(EINVAL, "not a plain file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(EINVAL, f"more than {most:,} bytes", str(path))
    return content


def toml_of(content: bytes | str) -> dict[str, Any]:
    """Return the tables of a TOML file, with or without a byte order mark.

    Raises:
        Malformed: It is none.
    """
    with _told():
        tables = tomllib.loads(_text(content))
        _require_tame(tables)
        return tables


def json_of(content: bytes | str) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return what a JSON text holds, with or without a byte order mark.

    Raises:
        Malformed: It is none.
    """
    with _told():
        value = json.loads(_text(content))
        _require_tame(value)
        return value


def json_as(content: bytes | str, kind: type[Content]) -> Content:
    """Return what a JSON text holds, as a value of a type that msgspec knows.

    Raises:
        Malformed: It is no JSON, or of another type.
    """
    with _told():
        return msgspec.json.decode(content, type=kind)


def json_dumped(value: object, indent: int | None = None) -> str:
    """Return plain values as JSON; NaN and infinities are refused.

    Half a surrogate pair, as a file name may bring in, becomes its escape as text: strict readers take none.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return _HALF.sub(lambda half: f"\\\\u{ord(half[0]):x}", text)


def json_bytes(content: object) -> bytes:
    """Return JSON of whatever msgspec knows, and of paths."""
    try:
        return msgspec.json.encode(content, enc_hook=str)
    except UnicodeEncodeError:
        return json_dumped(msgspec.to_builtins(content, enc_hook=str)).encode()


def _text(content: bytes | str) -> str:
    return content if isinstance(content, str) else content.decode("utf-8-sig")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Malformed:
        raise
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Malformed(f"byte 0x{error.object[error.start]:02x} is not UTF-8", line) from None
    except json.JSONDecodeError as error:
        raise Malformed(f"{error.msg} (column {error.colno})", error.lineno, error.pos) from None
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise Malformed(str(error)) from None
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except ValueError:  # Python converts no integer of more than 4,300 digits
        raise Malformed("a number of too many digits") from None


def _require_tame(value: object) -> None:
    """Refuse nesting that would exhaust whoever walks over it, and numbers that cannot be printed."""
    level = [value]
    for _ in range(MOST_LEVELS):
        if any(type(node) is int and node.bit_length() > _MOST_BITS for node in level):
            raise Malformed("a number of too many digits")
        if any(type(node) is float and not math.isfinite(node) for node in level):
            raise Malformed("NaN or an infinite number")
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise Malformed(f"nested more than {MOST_LEVELS} levels deep")


def _children(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, list):
        yield from node
