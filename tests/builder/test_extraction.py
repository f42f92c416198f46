"""Captions to concepts: what is kept, and why the rest is not."""

from __future__ import annotations

from typing import Any

import pytest

from dataset_builder.concepts.extraction import (
    CaptionConcepts,
    ExtractionOptions,
    RemovedType,
    extraction_document,
    sift,
    summarise,
)
from dataset_builder.records import Removal
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.errors import UsageFault
from rocov2_eval.rendering.render import render

EVERYTHING = ExtractionOptions(types=())


def mention(text: str, within: str, cui: str, *types: str, accuracy: float = 1.0) -> Mention:
    start = within.index(text)
    return Mention(
        start=start, end=start + len(text), text=text, cui=cui, name=text, types=types, accuracy=accuracy
    )


TEXT = "CT of the chest: chest pain, no effusion, liver"
CT = mention("CT", TEXT, "C0040405", "T060")
CHEST = mention("chest", TEXT, "C0817096", "T029")
PAIN = Mention(
    start=17, end=27, text="chest pain", cui="C0008031", name="pain", types=("T184",), accuracy=1.0
)
IN_PAIN = Mention(start=17, end=22, text="chest", cui="C0817096", name="chest", types=("T029",), accuracy=1.0)
EFFUSION = mention("effusion", TEXT, "C0013687", "T046")
LIVER = mention("liver", TEXT, "C0023884", accuracy=0.4)
FOUND = [CT, CHEST, PAIN, IN_PAIN, EFFUSION, LIVER]


def test_concepts_come_in_order_of_first_mention_each_once() -> None:
    outcome = sift(FOUND, ExtractionOptions())
    assert IN_PAIN in outcome.kept  # a name within one of a removed type
    assert outcome.cuis == ("C0040405", "C0817096", "C0013687", "C0023884")


@pytest.mark.parametrize(
    ("options", "cui", "reason"),
    [
        ({}, "C0008031", "type"),
        ({"types": (), "blacklist": ("C0040405",)}, "C0040405", "blacklist"),
        ({"types": (), "min_accuracy": 0.5}, "C0023884", "accuracy"),
    ],
)
def test_what_is_removed_has_its_reason(options: dict[str, Any], cui: str, reason: str) -> None:
    outcome = sift(FOUND, ExtractionOptions(**options))
    assert {one.mention.cui: one.reason for one in outcome.removed}[cui] == reason
    assert len(outcome.kept) + len(outcome.removed) == len(FOUND)


def test_a_name_within_a_kept_one_is_removed() -> None:
    removed = [one for one in sift(FOUND, EVERYTHING).removed if one.reason == "nested"]
    assert [one.mention for one in removed] == [IN_PAIN]


def test_a_concept_without_type_passes_the_filter() -> None:
    assert LIVER in sift(FOUND, ExtractionOptions(types=("T060",))).kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_accuracy": 1.5}, "expected 0 to 1"),
        ({"blacklist": ("liver",)}, "'liver' is no CUI"),
    ],
)
def test_options_out_of_bounds_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        ExtractionOptions(**options)


def test_a_summary_counts_captions_mentions_and_what_was_removed() -> None:
    summary = summarise([sift(FOUND, ExtractionOptions()), sift([], ExtractionOptions())])
    assert (summary.captions, summary.covered, summary.mentions, summary.untyped) == (2, 1, 5, 1)
    assert summary.concepts["C0040405", "CT"] == 1
    assert [(line.tui, line.mentions) for line in summary.removed_types] == [("T184", 1)]


def test_parts_add_up_to_the_whole() -> None:
    outcomes = [sift(FOUND, ExtractionOptions()), sift(FOUND[:3], ExtractionOptions())]
    assert summarise(outcomes[:1]) + summarise(outcomes[1:]) == summarise(outcomes)


def test_reports_say_what_a_type_filter_cost() -> None:
    summary = summarise([sift(FOUND, ExtractionOptions())])
    document = extraction_document(summary, "pack@0")
    assert "1         1  T184 Sign or Symptom  pain 1" in render(document, "text")
    assert "| 1 | 1 | T184 Sign or Symptom | pain 1 |" in render(document, "markdown")
    assert document.data["removed"]["type"] == 1


def test_removed_types_have_most_mentions_first_and_a_concept_in_each_of_its_types() -> None:
    mentions = [
        mention(*it) for it in (("CT", TEXT, "C0000001", "T054", "T121"), ("liver", TEXT, "C0000002", "T121"))
    ]
    removed = tuple(Removal(mention=one, reason="type") for one in mentions)
    assert summarise([CaptionConcepts(kept=(), removed=removed)]).removed_types == (
        RemovedType(
            tui="T121",
            name="Pharmacologic Substance",
            mentions=2,
            concepts=2,
            examples=(("CT", 1), ("liver", 1)),
        ),
        RemovedType(tui="T054", name="Social Behavior", mentions=1, concepts=1, examples=(("CT", 1),)),
    )
