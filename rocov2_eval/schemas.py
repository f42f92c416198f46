"""The JSON Schemas of the package: rows of a run, submission.json, result.json."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from rocov2_eval.findings import finding, findings, shorten
from rocov2_eval.records import Finding, Task

SchemaName = Literal["concept_row", "caption_row", "submission", "result"]
_MOST_JSON_BYTES = 1 << 24


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
    from jsonschema import Draft202012Validator  # 0.1 s that only metadata pays

    errors = Draft202012Validator(schema(name)).iter_errors(document)
    faults = ((None, f"{shorten(error.json_path, 100)}: {shorten(error.message, 200)}") for error in errors)
    return list(findings("R601", path, faults))


def check_json_file(path: str, text: str) -> list[Finding]:
    """Return the findings of a submission.json or result.json; a document with `metrics` is a result."""
    if len(text) > _MOST_JSON_BYTES:
        return [finding("R601", path, None, f"more than {_MOST_JSON_BYTES:,} characters")]
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        return [finding("R601", path, error.lineno, f"not JSON: {error.msg} (column {error.colno})")]
    except ValueError:  # Python converts no integer of more than 4,300 digits
        return [finding("R601", path, None, "a number of too many digits")]
    except RecursionError:
        return [finding("R601", path, None, "nested too deeply")]
    name: SchemaName = "result" if isinstance(document, dict) and "metrics" in document else "submission"
    return check_document(path, document, name)
