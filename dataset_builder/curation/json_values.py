"""Values of JSON from a stranger, who may have put anything anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocov2_eval.errors import RejectedInput


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
