"""The model card: what a reader must know stands in it, figures with their split."""

from __future__ import annotations

from typing import Any

import pytest

from baselines.card import model_card
from baselines.config import read_recipe

DATA = {
    "folder": "/data/rocov2",
    "train": {"images": 59958, "pixels_sha256": "a" * 64},
    "valid": {"images": 9904, "pixels_sha256": "b" * 64},
}
RULES = [
    {"rule": "fixed", "parameters": "{}", "valid_f1": "0.500000", "gain_over_half": "0.000000"},
    {"rule": "expected-f", "parameters": "{}", "valid_f1": "0.531250", "gain_over_half": "0.031250"},
]
METRICS = [{"step": 10, "seconds": 61.0, "images_per_second": 812.4, "waiting": 0.02}]


def record(name: str) -> dict[str, Any]:
    return {
        "recipe": read_recipe(name).document(),
        "name": name,
        "data": DATA,
        "device": "cpu",
        "precision": "fp32",
        "scores": {"valid_concept_f1": 0.53125, "images": 9904},
    }


@pytest.mark.parametrize(
    "told",
    [
        "not for diagnosis",
        "59,958 training and 9,904 validation images of `rocov2`",
        "timm/efficientnet_b0.ra4_e3600_r224_in1k",
        "| valid_concept_f1 | 0.5312 |",
        "These scores are of the validation split",
        "| expected-f | 0.5312 | +0.0312 |",
        "812 images/s, 2 % of the time waiting for data",
        "seed 0",
    ],
)
def test_the_card_of_concept_detection_says(told: str) -> None:
    assert told in model_card(record("concepts_b0"), METRICS, RULES)


def test_biomedlm_passes_its_terms_on() -> None:
    assert "BigScience BLOOM RAIL licence 1.0" in model_card(record("captions_biomedlm"), METRICS, ())


def test_what_is_made_of_other_weights_has_no_such_terms() -> None:
    assert "RAIL" not in model_card(record("captions_distilgpt2"), METRICS, ())


def test_weights_that_need_a_base_name_it() -> None:
    bases = {"decoder.": {"source": "stanford-crfm/BioMedLM", "sha256": "ab" * 32}}
    card = model_card({**record("captions_biomedlm_lora"), "bases": bases}, METRICS, ())
    assert "need `stanford-crfm/BioMedLM` (frozen weights of SHA-256 abababababababab…)" in card


def test_random_weights_are_called_random() -> None:
    assert "none, random" in model_card(record("concepts_nano"), METRICS, ())


def test_captions_that_ignore_their_pictures_are_doubted_on_the_card() -> None:
    scores = {"valid_distinct_captions": 2.0, "valid_shuffled_gap": 0.002, "valid_rouge1": 0.2}
    card = model_card({**record("captions_nano"), "scores": scores}, METRICS, ())
    assert "hardly depend on the picture:**\n\n- only 2 of 100 captions are distinct\n- with pictures" in card
