"""The JSON Schemas of the package: rows of a run, and every JSON document that it reads or writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import finding, findings
from rocov2_eval.records import Finding, Task
from rocov2_eval.shelf.parsing import Malformed, json_of
from rocov2_eval.shelf.words import is_shown, shorten

SchemaName = Literal[
    "concept_row", "caption_row", "submission", "result", "results", "comparison", "leaderboard"
]
_RECORDS = re.compile(r'\s*\[\s*(?:\{|\[\s*")')  # a list of objects or of pairs
_DOCUMENTS: tuple[SchemaName, ...] = ("submission", "result", "results", "comparison", "leaderboard")
_MOST_JSON_BYTES = 1 << 24
_TOLD_BY: Mapping[str, SchemaName] = {
    "metrics": "result",
    "results": "results",
    "pairs": "comparison",
    "boards": "leaderboard",
}


@cache
def schema(name: SchemaName) -> dict[str, Any]:
    """Return a schema of the package."""
    text = files("rocov2_eval").joinpath(f"schema/{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def row_schema(task: Task) -> dict[str, Any]:
    """Return the schema of a run's rows; the reader compiles its patterns instead of calling a validator."""
    return schema("concept_row" if task == "concepts" else "caption_row")


def check_document(path: str, document: object, name: SchemaName) -> list[Finding]:
    """Return a finding for each place where a document leaves its schema."""
    from jsonschema import Draft202012Validator, FormatChecker  # 0.1 s that only metadata pays

    formats = FormatChecker(formats=())
    formats.checks("date-time", raises=ValueError)(_is_time)
    formats.checks("shown-text")(lambda value: not isinstance(value, str) or is_shown(value))
    errors = Draft202012Validator(schema(name), format_checker=formats).iter_errors(document)
    faults = ((None, f"{shorten(error.json_path, 100)}: {shorten(error.message, 200)}") for error in errors)
    return list(findings("R601", path, faults))


def check_json_file(path: str, text: str) -> list[Finding]:
    """Return the findings of a JSON document of ours, told from a submission.json by a key of its own."""
    try:
        document = parse_json(path, text)
    except RejectedInput as error:
        return list(error.findings)
    held = document if isinstance(document, dict) else {}
    name: SchemaName = next((name for key, name in _TOLD_BY.items() if key in held), "submission")
    found = check_document(path, document, name)
    if name == "results" and not found:
        found += [item for result in held["results"] for item in check_document(path, result, "result")]
    return found


def is_table(text: str) -> bool:
    """Tell whether a JSON text is a run, a list or answers by id, and no document of ours."""
    if _RECORDS.match(text[:1000]) or len(text) > _MOST_JSON_BYTES:
        return True
    first, end, rest = text.strip().partition("\n")
    try:
        held = json_of(text)
    except Malformed:
        return bool(end) and first.startswith("{") and rest.startswith("{")  # JSON Lines
    known = {name for kind in _DOCUMENTS for name in schema(kind)["properties"]}
    return isinstance(held, dict) and bool(held) and not known & held.keys()


def parse_json(path: str, text: str) -> object:
    """Return the document in a text.

    Raises:
        RejectedInput: The text is no JSON, or more than a document of ours ever needs.
    """
    if len(text) > _MOST_JSON_BYTES:
        raise _rejected(path, None, f"more than {_MOST_JSON_BYTES:,} characters")
    try:
        document: object = json_of(text)
    except Malformed as error:
        raise _rejected(path, error.line, f"not JSON: {error}") from None
    return document


def _is_time(value: object) -> bool:
    """Tell whether a text is a time that a calendar has; the pattern in the schema says how it is written."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _rejected(path: str, line: int | None, message: str) -> RejectedInput:
    return RejectedInput(message, [finding("R601", path, line, message)])
