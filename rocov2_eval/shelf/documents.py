"""JSON and TOML of unknown origin: whatever is wrong with a text is a ValueError."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TOO_DEEP = "nested too deeply"


def read_json(text: str | bytes) -> object:
    """Return the document in a text.

    Raises:
        ValueError: It is no JSON, no UTF-8, nested too deeply, or has a number of thousands of digits.
    """
    with _bounded():
        document: object = json.loads(text)
    return document


def read_toml(text: str) -> dict[str, Any]:
    """Return the document in a text.

    Raises:
        ValueError: It is no TOML, nested too deeply, or has a number of thousands of digits.
    """
    with _bounded():
        return tomllib.loads(text)


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
