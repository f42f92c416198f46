from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import get_type_hints

import pytest

from dataset_builder.cli import build as commands
from dataset_builder.running.config import BuildOptions, read_build
from dataset_builder.stages import STAGES, TABLES
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

LEAST = '[source]\nkind = "s3"\nlist = "a.txt"\n[concepts]\ntable = "c.csv"\nnames = "n.csv"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "build.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_to_begin_with_says_the_defaults(tmp_path: Path) -> None:
    text = resources.files("dataset_builder").joinpath("build.toml").read_text(encoding="utf-8")
    found = read_build(write(tmp_path, text))
    least = read_build(write(tmp_path, LEAST))

    same = [name for name in TABLES if found.tables[name] == least.tables[name]]
    assert [name for name in TABLES if name not in ("source", "concepts")] == [
        name for name in same if name not in ("source", "concepts")
    ]
    assert (found.out, found.work, found.shards) == (least.out, least.work, least.shards)


def test_the_page_has_every_key_with_its_default(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/builder.md").read_text(encoding="utf-8")
    block = page.partition("```toml\n")[2].partition("```")[0]
    named = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", block, flags=re.MULTILINE))
    kinds = {"build": BuildOptions, **TABLES}
    assert {name: set(table) for name, table in named.items()} == {
        name: set(get_type_hints(kind)) for name, kind in kinds.items()
    }
    found = read_build(write(tmp_path, block.replace("# list = ", "list = ")))
    least = read_build(write(tmp_path, '[source]\nkind = "s3"\nlist = "pmcids.csv"\n'))
    assert {name: found.tables[name] for name in TABLES} == dict(least.tables)
    assert (found.out, found.work, found.shards) == (least.out, least.work, least.shards)


def test_the_command_knows_every_stage_in_order() -> None:
    assert tuple(stage.name for stage in STAGES) == commands._STAGES


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[sauce]\n", r"unknown table \[sauce\], expected some of \[build\], \[source\]"),
        ("source = 1\n", "source = 1, expected a table"),
        (LEAST + "[build]\nshards = -1\n", r"\[build\] shards: -1, expected a whole number >= 0"),
        (LEAST + '[build]\nout = ""\n', r"out: '', expected a folder"),
        (LEAST + '[build]\nwork = "a\\u0000b"\n', "work: .* holds a NUL"),
        (LEAST + '[build]\nwork = "a\\u0007b"\n', "work: .*, expected a folder"),
        (LEAST + '[build]\nout = "."\n', r"is replaced as a whole .* contains this file"),
        (LEAST + '[build]\nout = "data"\nwork = "data/work"\n', r"is replaced as a whole .* contains work"),
        (LEAST + '[build]\nout = "a.txt"\n', r"is replaced as a whole .* contains \[source\] list"),
        (LEAST + '[split]\nshares = { train = "rest" }\n', r"held_out: 'test' has no share in \[split\]"),
        ("[source]\n", r"\[source\]: kind is missing"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        read_build(write(tmp_path, text))


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match=r"build\.toml: no TOML"):
        read_build(write(tmp_path, "[source"))


def test_a_file_that_is_not_there_is_told_with_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="rocov2-build init"):
        read_build(tmp_path / "build.toml")
