"""UMLS F1 by its definition: on made mentions, and against MedCAT itself on a small model pack."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocov2_eval.concept_extraction import Mention, medcat_version
from rocov2_eval.errors import UsageFault
from rocov2_eval.metrics.umls_f1 import METRIC, UmlsF1Options, identified, load, score
from rocov2_eval.signature import parse, signature

pytestmark = pytest.mark.slow

CAPTIONS = (
    "Axial CT scan of the chest wall: pleural effusion.",
    "CT of the chest, no effusion",
    "US of the liver and US of the chest",
    "Hepatic mass on ultrasound",
    "Chest radiograph",
    "Let us compare",
    " ",
    "",
)
# Words of the made captions: the name of a concept and its CUI, so that one name may have two.
WORDS = st.sampled_from(["heart:C1", "heart:C2", "lung:C3", "liver:C4", "bone:C5"])
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=8)
SOME = settings(max_examples=50, deadline=None)


class Spelt:
    """Find what a caption spells: `name:CUI`, one a word; remember what was asked."""

    identity = "spelt@123456789abc"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def extract(self, texts: Sequence[str]) -> list[tuple[Mention, ...]]:
        self.asked += texts
        return [tuple(map(mention, text.split())) for text in texts]


def mention(word: str) -> Mention:
    name, _, cui = word.partition(":")
    return Mention(start=0, end=1, text=word, cui=cui, name=name, types=(), accuracy=1.0)


def scores(candidate: str, reference: str, options: UmlsF1Options | None = None) -> list[float]:
    """Return F1, precision and recall of a pair."""
    found = score([candidate], [reference], options or UmlsF1Options(), Spelt())
    return [float(item.values[0]) for item in found.values()]


def columns(pairs: Sequence[tuple[str, str]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = score([pair[0] for pair in pairs], [pair[1] for pair in pairs], UmlsF1Options(), Spelt())
    return np.stack([item.values for item in found.values()])


# ---- the definition


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        ("heart:C1 lung:C3", "heart:C1 lung:C3", [1, 1, 1]),
        ("heart:C1", "heart:C1 lung:C3", [2 / 3, 1, 1 / 2]),
        ("heart:C1 lung:C3 bone:C5", "heart:C1", [1 / 2, 1 / 3, 1]),
        ("heart:C1", "lung:C3", [0, 0, 0]),
        ("heart:C1 heart:C1 heart:C1", "heart:C1", [1, 1, 1]),
    ],
)
def test_f1_precision_and_recall_are_those_of_sets(
    candidate: str, reference: str, expected: list[float]
) -> None:
    assert pytest.approx(expected, abs=1e-15) == scores(candidate, reference)


def test_the_same_name_with_another_cui_is_no_hit() -> None:
    assert scores("heart:C1", "heart:C2") == [0, 0, 0]


def test_two_concepts_of_one_name_count_each() -> None:
    assert scores("heart:C1 heart:C2", "heart:C2") == pytest.approx([2 / 3, 1 / 2, 1])


def test_the_order_in_which_a_caption_names_two_concepts_of_one_name_does_not_matter() -> None:
    assert scores("heart:C1 heart:C2", "heart:C2 heart:C1") == [1, 1, 1]


@pytest.mark.parametrize(
    ("candidate", "reference"), [(" ", " "), ("", " "), (" ", "heart:C1"), ("heart:C1", "")]
)
def test_a_side_without_concepts_scores_0(candidate: str, reference: str) -> None:
    assert scores(candidate, reference) == [0, 0, 0]


@pytest.mark.parametrize("both_empty", [1.0, 0.0])
def test_two_empty_captions_score_as_the_option_says(both_empty: float) -> None:
    assert [both_empty] * 3 == scores("", "", UmlsF1Options(both_empty=both_empty))


def test_every_image_is_scored() -> None:
    found = score(["", " ", "heart:C1"], ["", "", ""], UmlsF1Options(), Spelt())

    assert {name: [True] * 3 for name in METRIC.outputs} == {k: v.scored.tolist() for k, v in found.items()}


def test_no_image_gives_no_score() -> None:
    assert [len(item) for item in score([], [], UmlsF1Options(), Spelt()).values()] == [0, 0, 0]


def test_each_distinct_text_is_read_once() -> None:
    extractor = Spelt()

    score(["lung:C3", "heart:C1", "lung:C3"], ["heart:C1", "heart:C1", "bone:C5"], UmlsF1Options(), extractor)

    assert extractor.asked == ["heart:C1", "bone:C5", "lung:C3"]


# ---- what holds of any captions


@SOME
@given(pairs=PAIRS)
def test_exchanging_the_sides_exchanges_precision_and_recall(pairs: list[tuple[str, str]]) -> None:
    f1, precision, recall = columns(pairs)

    there = columns([(reference, candidate) for candidate, reference in pairs])

    assert np.array_equal(np.stack([f1, recall, precision]), there)


@SOME
@given(text=TEXTS.filter(bool))
def test_a_caption_with_concepts_scores_1_against_itself(text: str) -> None:
    assert scores(text, text) == [1, 1, 1]


@SOME
@given(pairs=PAIRS)
def test_f1_lies_between_precision_and_recall(pairs: list[tuple[str, str]]) -> None:
    f1, precision, recall = columns(pairs)

    assert (np.minimum(precision, recall) - 1e-15 <= f1).all()
    assert (f1 <= np.maximum(precision, recall) + 1e-15).all()


@SOME
@given(pairs=PAIRS)
def test_f1_is_twice_the_hits_over_the_concepts_of_both_sides(pairs: list[tuple[str, str]]) -> None:
    expected = [exact_f1(*pair) for pair in pairs]

    assert pytest.approx([float(value) for value in expected], abs=1e-15) == columns(pairs)[0].tolist()


def exact_f1(candidate: str, reference: str) -> Fraction:
    if not candidate and not reference:
        return Fraction(1)
    ours, theirs = ({word.split(":")[1] for word in text.split()} for text in (candidate, reference))
    total = len(ours) + len(theirs)
    return Fraction(2 * len(ours & theirs), total) if total else Fraction(0)


# ---- what is refused


def test_without_an_extractor_nothing_is_scored() -> None:
    with pytest.raises(ValueError, match="needs an extractor"):
        score(["CT"], ["CT"])


@pytest.mark.parametrize("name", ["T47", "T0471", "TO47", "t047", "", "T\u0660\u0664\u0667"])
def test_what_is_no_semantic_type_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match=f"types contains {name!r}"):
        UmlsF1Options(types=("T047", name))


def test_without_a_pack_there_is_nothing_to_load() -> None:
    with pytest.raises(UsageFault, match="name one with --concept-model"):
        load(UmlsF1Options())


# ---- the signature, and a real pack


def test_the_signature_names_pack_library_types_and_nesting() -> None:
    options = identified(UmlsF1Options(pack="a/b.zip", types=("T023", "T047")), Spelt())

    expected = {
        "pack": "spelt@123456789abc",
        "medcat": medcat_version(),
        "types": "T023+T047",
        "nested": "no",
        "both_empty": "1.0",
    }
    parts = parse(signature(METRIC, options))
    assert expected == {name: parts[name] for name in expected}


@pytest.mark.parametrize("nested", [False, True])
def test_scores_of_a_pack_are_those_of_the_definition_read_literally(nested: bool, pack: Path) -> None:  # noqa: FBT001
    options = UmlsF1Options(pack=str(pack), nested=nested)
    pairs = [(candidate, reference) for candidate in CAPTIONS for reference in CAPTIONS]
    with load(options) as extractor:
        found = score([c for c, _ in pairs], [r for _, r in pairs], options, extractor)["umls_f1"]
        expected = [literal_f1(extractor.cat, *pair, nested=nested) for pair in pairs]

    assert expected == found.values.tolist()


def literal_f1(cat: Any, candidate: str, reference: str, *, nested: bool) -> float:
    """Score a pair as one would read the definition aloud, by what MedCAT answers."""
    if candidate == "" and reference == "":
        return 1.0
    predicted, true = (pairs_of(cat, text, nested=nested) for text in (candidate, reference))
    hits = sum(cui in [other for _, other in predicted] for _, cui in true)
    if not hits:
        return 0.0
    precision, recall = hits / len(predicted), hits / len(true)
    return 2 * precision * recall / (precision + recall)


def pairs_of(cat: Any, text: str, *, nested: bool) -> list[tuple[str, str]]:
    """Return the preferred name and the CUI of each mention, each pair once."""
    entities = sorted(
        cat.get_entities(text).get("entities", {}).values(), key=lambda it: (it["start"], it["end"])
    )
    if not nested:
        # In this pack spans that overlap lie within each other.
        spans = [range(it["start"], it["end"]) for it in entities]
        entities = [
            it
            for it, own in zip(entities, spans, strict=True)
            if not any(set(own) < set(other) for other in spans)
        ]
    return list(dict.fromkeys((it["pretty_name"], it["cui"]) for it in entities))


@pytest.mark.slow
def test_scores_do_not_depend_on_what_was_read_before(pack: Path) -> None:
    options = UmlsF1Options(pack=str(pack))
    backwards = CAPTIONS[::-1]
    with load(options) as extractor:
        first = score(CAPTIONS, backwards, options, extractor)["umls_f1"].values
        again = score(backwards, CAPTIONS, options, extractor)["umls_f1"].values

    assert first.tolist() == again[::-1].tolist()
