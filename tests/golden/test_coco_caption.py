"""CIDEr-D and BLEU-1 as pycocoevalcap 1.2 has them, on captions cut into words by its own tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rocov2_eval.metrics import bleu1, cider
from rocov2_eval.metrics.bleu1 import Bleu1Options
from rocov2_eval.metrics.cider import CiderOptions

VARIANTS = json.loads(Path(__file__).with_name("coco_caption.json").read_text(encoding="utf-8"))["variants"]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> dict[str, Any]:
    recorded: dict[str, Any] = VARIANTS[request.param]
    return recorded


def test_the_cider_of_each_pair_and_its_mean_are_the_recorded_ones(variant: dict[str, Any]) -> None:
    pairs = variant["candidate_tokens"], variant["reference_tokens"]

    scores = cider.score(*pairs, CiderOptions(norm="none"))["cider"]

    np.testing.assert_allclose(scores.values, variant["cider"]["per_image"], rtol=0, atol=1e-12)
    assert scores.mean == pytest.approx(variant["cider"]["score"], abs=1e-12)


def test_the_bleu1_of_each_pair_and_of_the_corpus_are_the_recorded_ones(variant: dict[str, Any]) -> None:
    pairs = variant["candidate_tokens"], variant["reference_tokens"]

    scores = bleu1.score(*pairs, Bleu1Options(norm="none"))

    np.testing.assert_allclose(scores["bleu1"].values, variant["bleu"]["per_image"][0], rtol=0, atol=1e-12)
    assert scores["bleu1_corpus"].mean == pytest.approx(variant["bleu"]["score"][0], abs=1e-12)
