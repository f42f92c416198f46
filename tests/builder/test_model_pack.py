"""Model packs: what MedCAT finds with one that we built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataset_builder.concepts.concept_names import ConceptName, with_everyday_names
from dataset_builder.concepts.extraction import open_extractor
from dataset_builder.concepts.model_pack import (
    DEFAULT_SETTINGS,
    PackSettings,
    build_pack,
)
from rocov2_eval.concept_extraction import MedcatExtractor, Mention, longest

pytestmark = pytest.mark.slow

COLD, CHILL = "C0009443", "C0009264"
ROWS = [
    ConceptName(cui="C0019552", name="hip", status="P", types=("T029",)),
    ConceptName(cui="C0032227", name="pleural effusion", status="P", types=("T047",)),
    ConceptName(cui="C0013687", name="effusion", status="P", types=("T046",)),
    ConceptName(cui="C0003507", name="NA", status="P", types=("T047",)),
    ConceptName(cui="C0000009", name="left | right", status="P", types=("T082",)),
    ConceptName(cui=COLD, name="common cold", status="P", types=("T047",)),
    ConceptName(cui=COLD, name="cold", types=("T047",)),
    ConceptName(cui=CHILL, name="cold temperature", status="P", types=("T070",)),
    ConceptName(cui=CHILL, name="cold", types=("T070",)),
]

Find = Callable[[str], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "small.zip"
    summary = build_pack(with_everyday_names(ROWS), path)
    assert summary.settings == DEFAULT_SETTINGS
    assert [each.name for each in path.parent.iterdir()] == ["small.zip"]
    return path


@pytest.fixture(scope="module")
def extractor(pack: Path) -> Iterator[MedcatExtractor]:
    with open_extractor(pack) as opened:
        yield opened


@pytest.fixture(scope="module")
def find(extractor: MedcatExtractor) -> Find:
    def longest_in(text: str) -> list[tuple[str, str]]:
        (mentions,) = extractor.extract([text])
        return [(one.text, one.cui) for one in sorted(longest(mentions), key=lambda one: one.start)]

    return longest_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CT and US; MR, PET.",
            [("CT", "C0040405"), ("US", "C0041618"), ("MR", "C0024485"), ("PET", "C0032743")],
        ),
        ("let us pet it", []),  # an acronym in small letters is a word
        ("hip, Hip, hips", [("hip", "C0019552"), ("Hip", "C0019552"), ("hips", "C0019552")]),
        ("X\u2011rays, xray", [("X\u2011rays", "C1306645"), ("xray", "C1306645")]),
        ("pleural\neffusions", [("pleural\neffusions", "C0032227")]),
        ("NA", [("NA", "C0003507")]),  # tables take it for an empty cell
        ("left; left right", [("left right", "C0000009")]),  # MedCAT cuts names at a bar
        ("cold", [("cold", min(COLD, CHILL))]),
    ],
)
def test_names_are_found(find: Find, text: str, expected: list[tuple[str, str]]) -> None:
    assert find(text) == expected


def test_mentions_tell_name_types_and_accuracy(extractor: MedcatExtractor) -> None:
    (mentions,) = extractor.extract(["a pleural effusion"])
    expected = Mention(
        start=2,
        end=18,
        text="pleural effusion",
        cui="C0032227",
        name="pleural effusion",
        types=("T047",),
        accuracy=1.0,
    )
    assert expected in mentions


def test_the_extractor_of_the_builder_hands_out_nested_mentions(extractor: MedcatExtractor) -> None:
    (mentions,) = extractor.extract(["pleural effusion"])
    assert {one.text for one in mentions} == {"pleural effusion", "effusion"}


@pytest.mark.slow
def test_medcats_own_settings_lose_the_modality(tmp_path: Path) -> None:
    path = tmp_path / "default.zip"
    theirs = PackSettings(min_name_len=3, upper_case_limit_len=4, disamb_length_limit=3, plurals=False)
    build_pack(with_everyday_names(ROWS), path, theirs)
    with open_extractor(path) as extractor:
        (mentions,) = extractor.extract(["CT of the chest and hip"])
    assert [(one.text, one.cui) for one in mentions] == [("chest", "C0817096")]
