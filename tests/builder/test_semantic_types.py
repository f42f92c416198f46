"""Semantic types: the table, the words that choose them, and what a filter took out."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.concepts.semantic_types import (
    DEFAULT_TYPES,
    GROUPS,
    SEMANTIC_TYPES,
    RemovedType,
    absent_types,
    chosen_types,
    report_removed,
    type_name,
)
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.errors import UsageFault


def mention(cui: str, name: str, *types: str) -> Mention:
    return Mention(start=0, end=4, text="text", cui=cui, name=name, types=types, accuracy=1.0)


def test_the_semantic_network_has_127_types() -> None:
    assert len(SEMANTIC_TYPES) == 127


def test_every_type_is_in_a_group() -> None:
    assert {one.group for one in SEMANTIC_TYPES.values()} == set(GROUPS)


def test_names_are_those_of_the_release(shared: Path) -> None:
    lines = (shared / "data" / "concepts" / "tui_names.tsv").read_text(encoding="utf-8").splitlines()
    names = {tui: name for tui, name, _ in (line.split("\t") for line in lines)}
    assert {tui: type_name(tui) for tui in names} == names


def test_default_types_hold_body_parts_and_no_social_behaviour() -> None:
    assert "T023" in DEFAULT_TYPES
    assert "T054" not in DEFAULT_TYPES


def test_default_types_are_sorted_types_of_the_network() -> None:
    assert sorted(set(DEFAULT_TYPES)) == list(DEFAULT_TYPES)
    assert set(DEFAULT_TYPES) <= set(SEMANTIC_TYPES)


def test_all_stands_for_no_filter() -> None:
    assert chosen_types(["all"]) == ()


def test_words_add_up() -> None:
    assert chosen_types(["DEVI", "T023", "T074"]) == ("T023", "T074", "T075", "T203")


def test_default_can_be_added_to() -> None:
    assert set(chosen_types(["default", "T061"])) == {*DEFAULT_TYPES, "T061"}


def test_all_beside_others_is_refused() -> None:
    with pytest.raises(UsageFault, match="all takes every type"):
        chosen_types(["all", "T023"])


def test_an_unknown_word_is_refused_by_name() -> None:
    with pytest.raises(UsageFault, match="'anatomy' is neither default nor all"):
        chosen_types(["anatomy"])


def test_a_type_that_is_none_of_umls_is_refused() -> None:
    with pytest.raises(UsageFault, match="T999 is none of the 127 semantic types"):
        chosen_types(["T999"])


def test_words_are_absent_of_whose_types_none_is_known() -> None:
    assert absent_types(["T023", "ANAT", "PROC", "T184", "all"], frozenset({"T023"})) == ("PROC", "T184")


def test_report_counts_mentions_and_concepts_by_type() -> None:
    removed = [mention("C1", "one", "T054"), mention("C1", "one", "T054"), mention("C2", "two", "T054")]
    expected = RemovedType(
        tui="T054", name="Social Behavior", mentions=3, concepts=2, examples=(("one", 2), ("two", 1))
    )
    assert report_removed(removed) == (expected,)


def test_report_has_most_mentions_first_and_a_concept_in_each_of_its_types() -> None:
    removed = [mention("C1", "one", "T054", "T121"), mention("C2", "two", "T121")]
    assert [(line.tui, line.mentions) for line in report_removed(removed)] == [("T121", 2), ("T054", 1)]


def test_report_of_nothing_is_empty() -> None:
    assert report_removed([]) == ()
