"""Patterns match whole texts: a dollar lets a newline follow, and digits are of any script else."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]  # its name since Python 3.11
from typing import Any, get_type_hints

import msgspec
import pytest
from jsonschema import Draft202012Validator

from dataset_builder.concepts.identifiers import cui_fault, tui_fault
from dataset_builder.packaging.options import PackageOptions

ROOT = Path(__file__).parents[1]
SCHEMAS = sorted((ROOT / "rocov2_eval/schema").glob("*.json"))
SOURCES = [
    path for name in ("rocov2_eval", "dataset_builder", "baselines") for path in (ROOT / name).rglob("*.py")
]
AFTER = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", " "]
# A text for each pattern of a schema.
GOOD = [
    "C0040405",
    "R105",
    "0" * 64,
    "alice",
    "a@b",
    "https://a/b",
    "sample_valid_000001",
    "2026-05-07T21:59Z",
]


def patterns_of(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns_of(value)


PATTERNS = sorted(
    {each for path in SCHEMAS for each in patterns_of(json.loads(path.read_text(encoding="utf-8")))}
)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("after", AFTER, ids=ascii)
def test_nothing_may_follow_what_a_schema_describes(pattern: str, after: str) -> None:
    validator = Draft202012Validator({"pattern": pattern})
    good = [text for text in GOOD if validator.is_valid(text)]
    assert good
    assert not [text for text in good if validator.is_valid(text + after)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_a_schema_means_the_same_in_javascript(pattern: str) -> None:
    """There the end of Python is a letter, and flags, names and classes are others."""
    assert not re.search(r"\\[AZzDdWw]|\(\?[aiLmsuxP<#]", pattern)
    assert pattern.endswith(r"$(?!\n)")


def text_patterns(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the literal patterns of a module, for `re` and msgspec, with their lines; f-strings in pieces."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        is_re = isinstance(node.func, ast.Attribute) and ast.unparse(node.func).startswith("re.")
        given = node.args[:1] if is_re else [item.value for item in node.keywords if item.arg == "pattern"]
        for part in (each for value in given for each in ast.walk(value)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield node.lineno, part.value


def test_no_pattern_of_the_source_ends_with_a_dollar() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {pattern}"
        for path in SOURCES
        for line, pattern in text_patterns(ast.parse(path.read_text(encoding="utf-8")))
        if _may_end_before_a_newline(pattern)
    ]
    assert faults == []


def _may_end_before_a_newline(pattern: str) -> bool:
    try:
        return "AT_END)" in repr(_parser.parse(pattern))
    except re.error:  # a piece of an f-string
        return re.search(r"(?<!\\)\$(?:[)|]|\Z)", pattern) is not None


def _is_date(text: str) -> bool:
    try:
        msgspec.convert(text, get_type_hints(PackageOptions, include_extras=True)["published"])
    except msgspec.ValidationError:
        return False
    return True


IDENTIFIERS: dict[str, tuple[Callable[[str], object], str]] = {
    "CUI": (lambda text: not cui_fault(text), "C0040405"),
    "TUI": (lambda text: not tui_fault(text), "T047"),
    "date": (_is_date, "2026-01-31"),
}


@pytest.mark.parametrize("name", IDENTIFIERS)
@pytest.mark.parametrize("after", AFTER, ids=ascii)
def test_an_identifier_is_the_whole_text(name: str, after: str) -> None:
    is_good, text = IDENTIFIERS[name]
    assert is_good(text)
    assert not is_good(text + after)


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_an_identifier_has_ascii_digits(name: str) -> None:
    is_good, text = IDENTIFIERS[name]
    assert not is_good(text[:-1] + chr(0xFF10 + int(text[-1])))
    assert not is_good(text[:-1] + chr(0x660 + int(text[-1])))
