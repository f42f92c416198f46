"""Semantic types: the table, and the words that choose them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.concepts.semantic_types import (
    DEFAULT_TYPES,
    GROUPS,
    NAMES,
    chosen_types,
    type_name,
)
from rocov2_eval.errors import UsageFault


def test_names_are_those_of_the_release(shared: Path) -> None:
    lines = (shared / "data" / "concepts" / "tui_names.tsv").read_text(encoding="utf-8").splitlines()
    names = {tui: name for tui, name, _ in (line.split("\t") for line in lines)}
    assert {tui: type_name(tui) for tui in names} == names


def test_every_type_is_in_a_group_and_some_are_kept_by_default() -> None:
    assert sorted(tui for types in GROUPS.values() for tui in types) == sorted(NAMES)
    assert len(NAMES) == 127
    assert set(DEFAULT_TYPES) < set(NAMES)
    assert ("T023" in DEFAULT_TYPES, "T054" in DEFAULT_TYPES) == (True, False)


@pytest.mark.parametrize(
    ("words", "types"),
    [
        (["all"], ()),
        (["DEVI", "T023", "T074"], ("T023", "T074", "T075", "T203")),
        (["default", "T061"], tuple(sorted((*DEFAULT_TYPES, "T061")))),
    ],
)
def test_words_add_up(words: list[str], types: tuple[str, ...]) -> None:
    assert chosen_types(words) == types


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["all", "T023"], "all includes every type"),
        (["anatomy"], "'anatomy' is neither default nor all"),
        (["T999"], "T999 is none of the 127 semantic types"),
    ],
)
def test_words_that_choose_no_type_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        chosen_types(words)
