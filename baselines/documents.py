"""JSON documents of a run folder: written in one step, read as the type that was written."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.files import write_bytes
from rocov2_eval.shelf.parsing import Malformed, json_as, json_bytes, read_plain

Content = TypeVar("Content")


def write_document(path: Path, content: object) -> None:
    """Write what msgspec can encode: dictionaries, dataclasses, structs."""
    write_bytes(path, msgspec.json.format(json_bytes(content), indent=2) + b"\n")


def read_document(path: Path, kind: type[Content]) -> Content:
    """Return the content of a document.

    Args:
        path: A file that `write_document` has written.
        kind: The type of its content; keys that the type does not know are ignored.

    Raises:
        MissingResource: There is no such file.
        RejectedInput: It is no JSON, or of another type.
    """
    try:
        return json_as(read_plain(path), kind)
    except OSError as error:
        raise MissingResource(f"{path}: {error.strerror}; name the folder of a finished run") from None
    except Malformed as error:
        raise RejectedInput(f"{path}: changed or damaged: {error}; copy the folder again") from None
