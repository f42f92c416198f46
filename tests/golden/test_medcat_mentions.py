"""The concepts that MedCAT F1 of 2025 and 2026 finds in captions, on the small pack and four rows more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocov2_eval.concept_extraction import MedcatExtractor, open_pack

import concept_pack

RECORDED = json.loads(Path(__file__).with_name("medcat_f1.json").read_text(encoding="utf-8"))
FOUND = {row[side]: row[f"{side}_cuis"] for row in RECORDED["rows"] for side in ("reference", "candidate")}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MedcatExtractor]:
    rows = [*concept_pack.ROWS, *map(tuple, RECORDED["extra_rows"])]
    with open_pack(concept_pack.make_pack(tmp_path_factory.mktemp("pack"), rows)) as opened:
        yield opened


@pytest.mark.parametrize("caption", FOUND)
def test_the_concepts_of_a_caption_are_the_official_ones(extractor: MedcatExtractor, caption: str) -> None:
    assert set(FOUND[caption]) == {mention.cui for mention in extractor.extract([caption])[0]}
