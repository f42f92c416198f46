"""Mentions that a caption denies."""

from __future__ import annotations

import pytest

from dataset_builder.concepts.negation import negated
from rocov2_eval.concept_extraction import Mention


def told(text: str) -> list[str]:
    """Return the mentions, marked with brackets, that are denied."""
    plain = text.replace("[", "").replace("]", "")
    mentions = []
    start = 0
    while (start := text.find("[", start)) >= 0:
        end = text.index("]", start)
        name = text[start + 1 : end]
        place = start - 2 * text[:start].count("]")
        mentions.append(
            Mention(
                start=place, end=place + len(name), text=name, cui=name, name=name, types=(), accuracy=1.0
            )
        )
        start = end
    assert [plain[one.start : one.end] for one in mentions] == [one.text for one in mentions]
    return [one.text for one, denied in zip(mentions, negated(plain, mentions), strict=True) if denied]


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("No [pleural effusion].", ["pleural effusion"]),
        ("There is no evidence of [pneumothorax].", ["pneumothorax"]),
        ("Without [effusion], [oedema] or [fracture].", ["effusion", "oedema", "fracture"]),
        ("[Fracture] is not seen.", ["Fracture"]),
        ("A [mass] was ruled out.", ["mass"]),
        ("NO [FRACTURE]", ["FRACTURE"]),
        ("negative for [fracture]", ["fracture"]),
        ("[Chest] shows a [mass].", []),
        ("No [effusion] but a [mass].", ["effusion"]),
        ("No [effusion]. A [mass].", ["effusion"]),
        ("No [effusion]\na [mass]", ["effusion"]),
        ("No increase of the [mass].", []),
        ("Not only the [mass].", []),
        ("A [mass] that cannot be ruled out", []),
        ("No lesion larger than 3.5 [cm]", []),
        ("A mass of 3 cm. [Effusion] is absent; [oedema].", ["Effusion"]),
        ("nodule, not [cancer]", ["cancer"]),
    ],
)
def test_what_is_denied(text: str, denied: list[str]) -> None:
    assert told(text) == denied


def test_a_phrase_reaches_five_words() -> None:
    assert told("no one two three four [five]") == ["five"]
    assert told("no one two three four five [six]") == []


def test_a_mention_counts_as_one_word() -> None:
    assert told("no [one two three four], [a b], [c], [d], [e], [f]") == [
        "one two three four",
        "a b",
        "c",
        "d",
        "e",
    ]


def test_a_phrase_after_reaches_back_five_words() -> None:
    assert told("[a] b c d e f was ruled out") == []
    assert told("[a] c d e f was ruled out") == ["a"]


def test_nested_mentions_are_denied_together() -> None:
    text = "no chest pain"
    names = ((3, 8), (3, 13))
    mentions = [
        Mention(start=a, end=b, text=text[a:b], cui="C1", name="", types=(), accuracy=1.0) for a, b in names
    ]
    assert negated(text, mentions) == [True, True]


def test_nothing_is_told_of_no_mention() -> None:
    assert negated("no evidence", []) == []
