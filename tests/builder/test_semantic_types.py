"""Semantic types: the table, and the words that choose them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.concepts.semantic_types import (
    DEFAULT_TYPES,
    GROUPS,
    NAMES,
    absent_types,
    chosen_types,
    type_name,
)
from rocov2_eval.errors import UsageFault


def test_the_semantic_network_has_127_types() -> None:
    assert len(NAMES) == 127


def test_every_type_is_in_a_group() -> None:
    assert sorted(tui for types in GROUPS.values() for tui in types) == sorted(NAMES)


def test_names_are_those_of_the_release(shared: Path) -> None:
    lines = (shared / "data" / "concepts" / "tui_names.tsv").read_text(encoding="utf-8").splitlines()
    names = {tui: name for tui, name, _ in (line.split("\t") for line in lines)}
    assert {tui: type_name(tui) for tui in names} == names


def test_default_types_hold_body_parts_and_no_social_behaviour() -> None:
    assert "T023" in DEFAULT_TYPES
    assert "T054" not in DEFAULT_TYPES


def test_default_types_are_sorted_types_of_the_network() -> None:
    assert sorted(set(DEFAULT_TYPES)) == list(DEFAULT_TYPES)
    assert set(DEFAULT_TYPES) <= set(NAMES)


def test_all_stands_for_no_filter() -> None:
    assert chosen_types(["all"]) == ()


def test_words_add_up() -> None:
    assert chosen_types(["DEVI", "T023", "T074"]) == ("T023", "T074", "T075", "T203")


def test_default_can_be_added_to() -> None:
    assert set(chosen_types(["default", "T061"])) == {*DEFAULT_TYPES, "T061"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["all", "T023"], "all takes every type"),
        (["anatomy"], "'anatomy' is neither default nor all"),
        (["T999"], "T999 is none of the 127 semantic types"),
    ],
)
def test_words_that_choose_no_type_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        chosen_types(words)


def test_words_are_absent_of_whose_types_none_is_known() -> None:
    assert absent_types(["T023", "ANAT", "PROC", "T184", "all"], frozenset({"T023"})) == ("PROC", "T184")
