"""MedCAT F1 of 2025 and 2026, its concepts and its score, on the small pack and four rows more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocov2_eval.concept_extraction import MedcatExtractor, open_pack
from rocov2_eval.metrics.umls_f1 import score

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


def test_the_score_of_each_pair_is_the_official_one(extractor: MedcatExtractor) -> None:
    candidates, references = ([row[side] for row in RECORDED["rows"]] for side in ("candidate", "reference"))
    expected = [row["official_f1"] for row in RECORDED["rows"]]

    found = score(candidates, references, resource=extractor)["umls_f1"].values.tolist()
    assert pytest.approx(expected, abs=1e-12) == found
