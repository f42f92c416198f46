"""Records as lines of JSON and back: the form in which the stages hand them on.

Fields at their default are left away; keys stand in the order of the fields. The same records give the same
bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from rocov2_eval.errors import RejectedInput

Record = TypeVar("Record")


def to_lines(records: Iterable[object]) -> bytes:
    """Return one line of JSON a record."""
    # Before msgspec 0.22 what another iterable yields is never freed.
    return msgspec.json.Encoder().encode_lines(list(records))


def from_lines(content: bytes, kind: type[Record], path: str) -> list[Record]:
    """Return the records of a file.

    Raises:
        RejectedInput: A line is none of them: the file was changed by hand, or is of another version.
    """
    decoder = msgspec.json.Decoder(kind)
    records: list[Record] = []
    for line in content.splitlines():
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RejectedInput(
                f"{path}:{len(records) + 1}: no {kind.__name__} ({error}); remove the file and run again"
            ) from None
    return records
