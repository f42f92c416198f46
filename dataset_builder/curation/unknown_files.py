"""What a file that is of no known format seems to be, in words, so that its owner knows what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dataset_builder.curation.tool_files import Opened
from rocov2_eval.shelf.words import shorten

_SEEN = 10_000  # characters, of a file that may have many millions
_SHOWN = 5  # keys of an object
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_DOCUMENT_TYPE = re.compile(r"<!DOCTYPE\b", re.IGNORECASE)
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]*)")


def described(opened: Opened) -> str:
    """Return what a file seems to be, and what to do where that is clear; to stand within a sentence."""
    beginning = opened.text.lstrip()[:_SEEN]
    if not beginning:
        return "an empty file; if it is an export without a task, name its format with --format"
    if beginning.startswith(("{", "[")):
        return _json(opened)
    return _xml(beginning) if beginning.startswith("<") else _table(beginning)


def _json(opened: Opened) -> str:
    """Return what a file is that begins like JSON."""
    document = opened.parsed
    if opened.json_fault:
        return f"damaged JSON ({opened.json_fault})"
    if isinstance(document, dict):
        return f"a JSON object {_keys(list(document))}"
    if isinstance(document, list) and document:
        first = document[0]
        return "a JSON list " + (
            f"of objects {_keys(list(first))}" if isinstance(first, dict) else "of no objects"
        )
    return "an empty JSON list; if it is an export without a task, name its format with --format"


def _keys(names: Sequence[str]) -> str:
    listed = ", ".join(shorten(repr(name), 30) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"with the keys {listed}{more}" if names else "without a key"


def _xml(beginning: str) -> str:
    """Return what a file is that begins like XML."""
    root = _ROOT.search(re.sub(r"<!--.*?-->", "", beginning, flags=re.DOTALL))
    name = shorten(root[1], 40) if root else ""
    if name.lower() == "html":
        return "an HTML page, such as the one that asks to log in"
    if _DOCUMENT_TYPE.search(beginning):
        return (
            "XML with a document type declaration (<!DOCTYPE), which is refused as it can hide other content"
        )
    return f"XML with the root <{name}>" if root else "XML without a root"


def _table(beginning: str) -> str:
    """Return what a file of lines is, by its first one."""
    header = beginning.partition("\n")[0].strip()
    for mark, name in _SEPARATORS.items():
        if mark in header and "," not in header:
            return f"a table with {name} between the columns; save it with commas"
    if "," in header:
        return f"a table with the header {shorten(header)}"
    return f"text that begins with {shorten(repr(header), 60)}"
