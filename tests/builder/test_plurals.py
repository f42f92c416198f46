"""Plurals of names."""

from __future__ import annotations

import pytest

from dataset_builder.concepts.concept_names import ConceptName
from dataset_builder.concepts.plurals import plurals, with_plurals


def row(cui: str, name: str, status: str = "A") -> ConceptName:
    return ConceptName(cui=cui, name=name, status=status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("radiograph", {"radiographs"}),
        ("Tomography", {"tomographies"}),
        ("mass", {"masses"}),
        ("bronchus", {"bronchi", "bronchuses"}),
        ("sinus", {"sinuses"}),
        ("diagnosis", {"diagnoses"}),
        ("arthritis", {"arthritides", "arthritises"}),
        ("diverticulum", {"diverticula", "diverticulums"}),
        ("vertebra", {"vertebrae", "vertebras"}),
        ("carcinoma", {"carcinomas", "carcinomata"}),
        ("appendix", {"appendices", "appendixes"}),
        ("cortex", {"cortices", "cortexes"}),
        ("foramen", {"foramina", "foramens"}),
        ("femur", {"femurs", "femora"}),
        ("phalanx", {"phalanges"}),
        ("left foot", {"left feet"}),
        ("fracture of femur", {"fractures of femur"}),
        ("disease due to virus", {"diseases due to virus"}),
        ("MRI", {"MRIs"}),
        ("lateral MRI", {"lateral MRIs"}),
    ],
)
def test_plurals_of_english_latin_and_greek(name: str, expected: set[str]) -> None:
    assert expected <= set(plurals(name))


@pytest.mark.parametrize(
    "name",
    [
        "lungs",
        "vertebrae",
        "PET",
        "US",
        "CM",
        "CAT",
        "T2",
        "lung, left",
        "one two three four five six seven",
        "Na",
        "--",
    ],
)
def test_a_name_that_is_plural_sayable_or_no_noun_has_no_plural(name: str) -> None:
    assert list(plurals(name)) == []


def test_a_plural_follows_its_name_and_is_not_preferred() -> None:
    assert with_plurals([row("C0000001", "rib", "P")]) == [
        row("C0000001", "rib", "P"),
        row("C0000001", "ribs"),
    ]


def test_a_plural_never_takes_the_name_of_another_concept() -> None:
    rows = [row("C0000001", "glass"), row("C0000002", "glasses", "P")]
    assert with_plurals(rows) == rows


def test_of_equal_plurals_that_of_a_preferred_name_wins() -> None:
    rows = with_plurals([row("C0000001", "rib", "P"), row("C0000002", "rib")])
    assert [one.cui for one in rows if one.name == "ribs"] == ["C0000001"]


def test_equal_plurals_of_names_nobody_prefers_stay_with_both() -> None:
    rows = with_plurals([row("C0000001", "rib"), row("C0000002", "rib")])
    assert [one.cui for one in rows if one.name == "ribs"] == ["C0000001", "C0000002"]
