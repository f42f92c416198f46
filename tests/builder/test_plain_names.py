"""The 18 curated concepts where captions name them, found without a model."""

from __future__ import annotations

import pytest

from dataset_builder.concepts.plain_names import named_concepts

CT, XRAY, MRI, US, PET, ANGIOGRAM = "C0040405", "C1306645", "C0024485", "C0041618", "C0032743", "C0002978"
CHEST, AP, PA, SPINE = "C0817096", "C1999039", "C1996865", "C0037949"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Axial CT of the chest.", [CT]),
        ("Chest X-ray, AP view.", [CHEST, XRAY, AP]),
        ("chest x\N{NON-BREAKING HYPHEN}ray", [CHEST, XRAY]),
        ("Posteroanterior radiographs of the thorax", [PA, XRAY, CHEST]),
        ("X ray of the spine", [XRAY, SPINE]),
        ("PET/CT, fused.", [PET, CT]),
        ("Contrast-enhanced computed\n tomography", [CT]),
        ("X-ray and CT of the chest", [XRAY, CT]),  # whose region?
        ("Coronary Angiography and sonographic image", [ANGIOGRAM, US]),
        ("MR images", [MRI]),
        ("Between us, the pet of Mr Smith leapt an octave.", []),
        ("CTA, CTX, MRSA, ultrasoundish, USA", []),
        ("Diameter 5 cm AP, on the arm", []),
        ("", []),
    ],
)
def test_names_are_found_as_whole_words_and_acronyms_in_capitals(caption: str, expected: list[str]) -> None:
    assert [mention.cui for mention in named_concepts(caption)] == expected


def test_a_mention_says_where_it_stands() -> None:
    (mention,) = named_concepts("An axial CT scan of the head")
    assert (mention.text, mention.name) == ("CT scan", "X-Ray Computed Tomography")
    assert (mention.start, mention.end) == (9, 16)
