"""Model packs: what MedCAT finds with one that we built."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataset_builder.concepts.concept_names import ConceptName, with_everyday_names
from dataset_builder.concepts.extraction import open_extractor
from dataset_builder.concepts.model_pack import (
    DEFAULT_SETTINGS,
    DESCRIPTION,
    PackSettings,
    PackSource,
    build_pack,
)
from rocov2_eval.concept_extraction import MedcatExtractor, Mention, longest
from rocov2_eval.errors import UsageFault

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
    build_pack(with_everyday_names(ROWS), path, sources=[PackSource(name="a.csv", sha256="0")])
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


def test_short_names_of_modalities_are_found(find: Find) -> None:
    assert find("CT and US; MR, PET.") == [
        ("CT", "C0040405"),
        ("US", "C0041618"),
        ("MR", "C0024485"),
        ("PET", "C0032743"),
    ]


def test_an_acronym_in_small_letters_is_a_word(find: Find) -> None:
    assert find("let us pet it") == []


def test_a_short_word_is_found_in_any_case(find: Find) -> None:
    assert find("hip, Hip") == [("hip", "C0019552"), ("Hip", "C0019552")]


def test_plurals_and_hyphens_are_found(find: Find) -> None:
    assert find("hips; X\u2011rays, xray and pleural effusions") == [
        ("hips", "C0019552"),
        ("X\u2011rays", "C1306645"),
        ("xray", "C1306645"),
        ("pleural effusions", "C0032227"),
    ]


def test_a_name_over_a_line_break_is_found(find: Find) -> None:
    assert find("pleural\neffusion") == [("pleural\neffusion", "C0032227")]


def test_a_name_that_tables_take_for_nothing_is_found(find: Find) -> None:
    assert find("NA") == [("NA", "C0003507")]


def test_a_bar_in_a_name_does_not_cut_it(find: Find) -> None:
    assert find("left; left right") == [("left right", "C0000009")]


def test_an_ambiguous_name_is_that_of_the_lowest_cui(find: Find) -> None:
    assert find("cold") == [("cold", min(COLD, CHILL))]


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


def test_a_pack_says_what_it_was_made_of(pack: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        told = json.loads(archive.read(DESCRIPTION))
    assert told["sources"] == [{"name": "a.csv", "sha256": "0"}]
    assert PackSettings(**told["settings"]) == DEFAULT_SETTINGS


def test_nothing_but_the_pack_is_left_in_its_folder(pack: Path) -> None:
    assert [path.name for path in pack.parent.iterdir()] == ["small.zip"]


@pytest.mark.slow
def test_medcats_own_settings_lose_the_modality(tmp_path: Path) -> None:
    path = tmp_path / "default.zip"
    theirs = PackSettings(min_name_len=3, upper_case_limit_len=4, disamb_length_limit=3, plurals=False)
    build_pack(with_everyday_names(ROWS), path, theirs)
    with open_extractor(path) as extractor:
        (mentions,) = extractor.extract(["CT of the chest and hip"])
    assert [(one.text, one.cui) for one in mentions] == [("chest", "C0817096")]


@pytest.mark.slow
def test_two_packs_of_the_same_input_find_the_same(tmp_path: Path) -> None:
    texts = ["patient with common cold and fever", "cold temperature of a room"]
    outcomes = []
    for name in ("first.zip", "second.zip"):
        build_pack(ROWS, tmp_path / name)
        with open_extractor(tmp_path / name) as extractor:
            outcomes.append(extractor.extract(texts))
    assert outcomes[0] == outcomes[1]


def test_no_name_makes_no_pack(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no name"):
        build_pack([], tmp_path / "pack.zip")


def test_a_pack_must_be_called_zip(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=r"ends in \.zip"):
        build_pack(ROWS, tmp_path / "pack")
