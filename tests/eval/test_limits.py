"""Each limit of a file: what is at it passes, what is one above it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval import formats, front_door, schemas
from rocov2_eval.errors import RejectedInput
from rocov2_eval.leaderboard import submissions
from rocov2_eval.leaderboard.submissions import find_submissions
from rocov2_eval.shelf import parsing

from mutations import archive

METADATA = {
    "schema_version": 1,
    "team": "a",
    "run": "r",
    "task": "concepts",
    "edition": "rocov2",
    "method": "x",
    "external_data": [],
    "contact": "a@b",
}
LIMIT = 10  # in the place of those that a test cannot afford

# By name: a file that has so many, and the limit that it is at.
FILES: dict[str, tuple[Callable[[int], bytes], str]] = {
    "bytes": (lambda n: b"x" * n, "MOST_BYTES"),
    "lines": (lambda n: b"x\n" * n, "MOST_LINES"),
    "lines of Windows": (lambda n: b"x\r\n" * n, "MOST_LINES"),
    "lines of an old Mac": (lambda n: b"x\r" * n, "MOST_LINES"),
    "separators": (lambda n: b"," * n, "MOST_SEPARATORS"),
    "unpacked lines": (lambda n: archive(("run.csv", b"x\n" * n)), "MOST_LINES"),
    "members": (
        lambda n: archive(("run.csv", b"x"), *((f"__MACOSX/{i}", b"") for i in range(n - 1))),
        "MOST_MEMBERS",
    ),
}
# By name: the value of a field of submission.json that has so many, and its limit.
FIELDS: dict[str, tuple[str, Callable[[int], object], int]] = {
    "letters of a team": ("team", lambda n: "a" * n, 64),
    "letters of a run": ("run", lambda n: "r" * n, 64),
    "letters of a method": ("method", lambda n: "é" * n, 4000),
    "letters of a contact": ("contact", lambda n: f"a@{'b' * (n - 2)}", 254),
    "items of external data": ("external_data", lambda n: ["x"] * n, 100),
    "letters of an item": ("external_data", lambda n: ["x" * n], 500),
    "letters of a link": ("paper", lambda n: "https://" + "x" * (n - 8), 2000),
}


@pytest.fixture
def valid(tmp_path: Path) -> Callable[[str, bytes], bool]:
    """Return a function that tells whether a file passes, against a truth of one image."""
    truth = tmp_path / "truth.csv"
    truth.write_text("ID,CUIs\na,C1\n", encoding="utf-8")

    def passes(name: str, content: bytes) -> bool:
        (tmp_path / name).write_bytes(content)
        found = front_door.validate(tmp_path / name, truth)
        return all(item.severity == "warning" for item in found)

    return passes


@pytest.mark.parametrize("name", FILES)
def test_a_file_at_its_limit_is_read_and_one_above_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made, limit = FILES[name]
    monkeypatch.setattr(formats, limit, LIMIT)
    path = tmp_path / "run.csv"
    for number in (LIMIT - 1, LIMIT):
        path.write_bytes(made(number))
        assert formats.load(path).text
    path.write_bytes(made(LIMIT + 1))

    with pytest.raises(RejectedInput, match=rf"more than {LIMIT}") as caught:
        formats.load(path)
    assert len(caught.value.findings) == 1


@pytest.mark.parametrize(("number", "is_valid"), [(99, True), (100, True), (101, False)])
def test_an_image_has_a_hundred_concepts_at_most(
    valid: Callable[[str, bytes], bool], number: int, *, is_valid: bool
) -> None:
    cell = ";".join(f"C{i}" for i in range(number))

    assert valid("run.csv", f"ID,CUIs\na,{cell}\n".encode()) == is_valid


@pytest.mark.parametrize(("number", "is_valid"), [(131_071, True), (131_072, True), (131_073, False)])
def test_a_cell_is_as_long_as_the_csv_module_reads(
    valid: Callable[[str, bytes], bool], number: int, *, is_valid: bool
) -> None:
    assert valid("run.csv", f"ID,CUIs\na,C{'1' * (number - 1)}\n".encode()) == is_valid


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_at_its_limit_is_valid_and_one_above_is_not(
    valid: Callable[[str, bytes], bool], name: str
) -> None:
    field, value, limit = FIELDS[name]

    def passes(number: int) -> bool:
        return valid("submission.json", json.dumps(METADATA | {field: value(number)}).encode())

    assert [passes(limit - 1), passes(limit), passes(limit + 1)] == [True, True, False]


def test_a_document_is_as_deep_and_as_long_as_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_read(text: str) -> bool:
        return not any("more than" in item.message for item in schemas.check_json_file("x.json", text))

    levels = parsing.MOST_LEVELS
    assert [is_read("[" * n + "]" * n) for n in (levels - 1, levels, levels + 1)] == [True, True, False]
    monkeypatch.setattr(schemas, "_MOST_JSON_BYTES", LIMIT)
    assert [is_read(f'"{"x" * (n - 2)}"') for n in (LIMIT - 1, LIMIT, LIMIT + 1)] == [True, True, False]


def test_metadata_on_disk_is_as_long_as_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(METADATA)
    folder = tmp_path / "a" / "r"
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text(text, encoding="utf-8")
    (folder / "run.csv").write_bytes(b"x")

    for limit, accepted in ((len(text), 1), (len(text) - 1, 0)):
        monkeypatch.setattr(submissions, "_MOST_METADATA_BYTES", limit)
        assert len(find_submissions(tmp_path)[0]) == accepted
