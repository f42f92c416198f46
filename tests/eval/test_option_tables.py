from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.options import ONLY_SPEED, options_digest, read_options


@dataclass(frozen=True, kw_only=True)
class Options:
    kind: Literal["a", "b"]
    floor: float = 0.5
    most: int = 3
    is_on: bool = True
    words: tuple[str, ...] = ()
    table: Path | None = None
    shares: Mapping[str, float | int | Literal["rest"]] = field(default_factory=dict)
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    per_second: Annotated[float, ONLY_SPEED] = 1.0

    def __post_init__(self) -> None:
        if self.most < 0:
            raise UsageFault(f"most: {self.most} is negative")


def read(folder: Path, **table: Any) -> Options:
    return read_options(Options, {"kind": "a"} | table, "build.toml [x]", folder)


def test_values_are_taken_as_the_fields_want_them(tmp_path: Path) -> None:
    shares = {"train": "rest", "valid": 0.5, "test": 7}

    found = read(tmp_path, floor=1, words=["u", "v"], table="t.csv", shares=shares)

    assert (1.0, ("u", "v"), tmp_path / "t.csv", shares) == (
        found.floor,
        found.words,
        found.table,
        found.shares,
    )


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"flor": 1}, r"build\.toml \[x\]: unknown key 'flor'; did you mean floor\?"),
        ({"zzz": 1}, "unknown key 'zzz'; expected one of kind, floor"),
        ({"kind": "c"}, r"\[x\] kind: 'c', expected 'a' or 'b'"),
        ({"floor": "much"}, r"\[x\] floor: 'much', expected a number"),
        ({"most": 1.5}, r"\[x\] most: 1.5, expected a whole number"),
        ({"most": True}, r"\[x\] most: True, expected a whole number"),
        ({"is_on": 1}, r"\[x\] is_on: 1, expected true or false"),
        ({"words": "u"}, r"\[x\] words: 'u', expected a list"),
        ({"words": [1]}, r"\[x\] words\[0\]: 1, expected text"),
        ({"table": 3}, r"\[x\] table: 3, expected a file"),
        ({"shares": {"test": "some"}}, r"\[x\] shares: \{'test': 'some'\}, expected 'rest'"),
        ({"shares": {"test": [1]}}, r"\[x\] shares: .*, expected a whole number or a number or text"),
        ({"share": 1.5}, r"\[x\] share: 1\.5, expected a number <= 1\.0"),
        ({"share": math.nan}, r"\[x\] share: nan, expected a finite number"),
        ({"most": -1}, r"\[x\] most: -1 is negative"),
    ],
)
def test_a_wrong_table_is_told_with_key_and_expectation(
    tmp_path: Path, table: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageFault, match=told):
        read(tmp_path, **table)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    floor: Annotated[float, Meta(ge=0)] = 0.5
    per_second: Annotated[float, ONLY_SPEED] = 1.0


def test_a_struct_is_read_as_a_dataclass_is(tmp_path: Path) -> None:
    assert Table(floor=1.0) == read_options(Table, {"floor": 1}, "a.toml [y]", tmp_path)
    assert options_digest(Table()) == options_digest(Table(per_second=9))
    assert options_digest(Table()) != options_digest(Table(floor=0.1))
    with pytest.raises(UsageFault, match=r"a\.toml \[y\] floor: -1, expected a number >= 0\.0"):
        read_options(Table, {"floor": -1}, "a.toml [y]", tmp_path)


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="kind is missing"):
        read_options(Options, {}, "build.toml [x]", tmp_path)


def test_the_digest_follows_the_content_of_a_file_and_not_its_place(tmp_path: Path) -> None:
    for name, content in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(content)
    digests = [options_digest(read(tmp_path, table=name)) for name in "abc"]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_the_digest_follows_the_content_of_the_files_of_a_folder(tmp_path: Path) -> None:
    for name, content in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "list.csv").write_text(content)
    digests = [options_digest(read(tmp_path, table=name)) for name in "abc"]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_the_digest_passes_over_what_only_moves_the_speed(tmp_path: Path) -> None:
    assert options_digest(read(tmp_path)) == options_digest(read(tmp_path, per_second=9))


def test_the_digest_follows_the_order_of_splits(tmp_path: Path) -> None:
    first = read(tmp_path, shares={"a": 1, "b": "rest"})
    second = read(tmp_path, shares={"b": "rest", "a": 1})

    assert options_digest(first) != options_digest(second)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"t\.csv: No such file"):
        options_digest(read(tmp_path, table="t.csv"))
