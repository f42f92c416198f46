from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from rocov2_eval import schemas
from rocov2_eval.editions import EDITIONS
from rocov2_eval.schemas import SchemaName, check_document, check_json_file, row_schema, schema

SUBMISSION: dict[str, Any] = {
    "schema_version": 1,
    "team": "example-team",
    "run": "nearest.1",
    "task": "concepts",
    "edition": "rocov2",
    "method": "The concepts of the nearest picture.",
    "external_data": [],
    "contact": "someone@example.org",
}


def messages(document: object, name: SchemaName = "submission") -> list[str]:
    return [item.message for item in check_document("x.json", document, name)]


@pytest.mark.parametrize("name", get_args(SchemaName))
def test_each_schema_is_a_valid_one(name: SchemaName) -> None:
    assert Draft202012Validator.check_schema(schema(name)) is None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"image_id": "a", "cuis": ["C1", "C2"]}, True),
        ({"image_id": "a", "cuis": []}, True),
        ({"image_id": "a b", "cuis": []}, True),
        ({"image_id": "", "cuis": []}, False),
        ({"image_id": " a", "cuis": []}, False),
        ({"image_id": "a", "cuis": ["c1"]}, False),
        ({"image_id": "a", "cuis": ["C1", "C1"]}, False),
        ({"image_id": "a", "cuis": ["C"]}, False),
        ({"image_id": "a", "cuis": [f"C{i}" for i in range(101)]}, False),
        ({"image_id": "a"}, False),
    ],
)
def test_a_concept_row_is_an_id_and_distinct_cuis(document: object, expected: bool) -> None:  # noqa: FBT001
    assert expected is Draft202012Validator(row_schema("concepts")).is_valid(document)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"image_id": "a", "caption": "x"}, True),
        ({"image_id": "a", "caption": ""}, False),
        ({"image_id": "a"}, False),
    ],
)
def test_a_caption_row_is_an_id_and_words(document: object, expected: bool) -> None:  # noqa: FBT001
    assert expected is Draft202012Validator(row_schema("captions")).is_valid(document)


def test_a_complete_submission_has_no_finding() -> None:
    expected: list[str] = []

    assert expected == messages(SUBMISSION)


@pytest.mark.parametrize("key", SUBMISSION)
def test_a_submission_needs_every_key(key: str) -> None:
    expected = [f"$: '{key}' is a required property"]

    assert expected == messages({name: value for name, value in SUBMISSION.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_version", 2),
        ("team", "../up"),
        ("team", "a/b"),
        ("run", ""),
        ("run", "x" * 65),
        ("task", "caption"),
        ("edition", "imageclef-2016"),
        ("method", ""),
        ("external_data", "none"),
        ("contact", "nobody"),
        ("paper", "ftp://example.org"),
        ("extra", 1),
    ],
)
def test_a_wrong_value_in_a_submission_is_one_finding(key: str, value: object) -> None:
    expected = 1

    assert expected == len(messages({**SUBMISSION, key: value}))


def test_a_submission_may_name_every_edition() -> None:
    assert list(EDITIONS) == schema("submission")["properties"]["edition"]["enum"]


def test_all_faults_of_a_document_are_told_with_their_place() -> None:
    expected = {"$.team", "$.task"}

    found = messages({**SUBMISSION, "team": "", "task": "x"})

    assert expected == {message.partition(":")[0] for message in found}


def test_a_document_with_metrics_is_checked_as_a_result() -> None:
    found = check_json_file("x.json", '{"metrics": {}}')

    assert any("'schema_version' is a required property" in item.message for item in found)


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "\ufeff{}", "[" * 100_000, "1" * 5_000, '{"a": 1e999}', "NaN", "[]", '"\\ud800"']
)
def test_what_is_no_document_of_ours_is_a_finding(text: str) -> None:
    expected = {"R601"}

    assert expected == {item.code for item in check_json_file("x.json", text)}


def test_a_syntax_error_is_told_with_its_line() -> None:
    expected = [3]

    assert expected == [item.line for item in check_json_file("x.json", '{\n"team": "a",\n"run": }')]


def test_a_document_of_too_many_characters_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "_MOST_JSON_BYTES", 10)
    expected = ["more than 10 characters"]

    found = check_json_file("x.json", json.dumps(SUBMISSION))

    assert expected == [item.message for item in found]


def test_a_finding_shows_no_control_characters_of_a_hostile_key() -> None:
    found = check_json_file("x.json", json.dumps({"metrics": {"a\x1b[31m\nb": 1}}))

    assert all(item.message.isprintable() for item in found)
