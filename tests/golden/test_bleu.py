"""BLEU and ROUGE-1 of the evaluators of 2017 to 2022, on made pairs of captions, as NLTK 3.2.2 has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.metrics import bleu, rouge
from rocov2_eval.metrics.bleu import BleuOptions
from rocov2_eval.metrics.rouge import RougeOptions
from rocov2_eval.shelf.porter2 import stem
from rocov2_eval.textnorm import STOP_WORDS, clef2017

RECORDED = json.loads(Path(__file__).with_name("bleu_nltk322.json").read_text(encoding="utf-8"))
CANDIDATES = [pair["candidate"] for pair in RECORDED["pairs"]]
REFERENCES = [pair["reference"] for pair in RECORDED["pairs"]]
STEMS = pytest.mark.parametrize(("variant", "stems"), [("2018", True), ("2022_no_lemma", False)])


def test_the_stop_words_are_the_recorded_ones() -> None:
    assert set(RECORDED["stop_words"]) == STOP_WORDS


@STEMS
def test_the_words_of_each_caption_are_the_recorded_ones(variant: str, stems: bool) -> None:  # noqa: FBT001
    for pair in RECORDED["pairs"]:
        for side in ("candidate", "reference"):
            words = clef2017(pair[side]).split()
            assert pair[variant][f"{side}_tokens"] == [stem(word) if stems else word for word in words]


@STEMS
def test_the_bleu_of_each_pair_and_its_mean_are_the_recorded_ones(variant: str, stems: bool) -> None:  # noqa: FBT001
    scores = bleu.score(CANDIDATES, REFERENCES, BleuOptions(stem=stems))["bleu"]

    expected = [pair[variant]["bleu"] for pair in RECORDED["pairs"]]
    np.testing.assert_allclose(scores.values, expected, rtol=0, atol=1e-12)
    assert scores.mean == pytest.approx(RECORDED["mean"][variant], abs=1e-12)


def test_the_rouge1_of_each_pair_in_2022_is_the_recorded_one() -> None:
    scores = rouge.score(CANDIDATES, REFERENCES, RougeOptions(norm="clef2017"))["rouge1"]

    assert scores.values.tolist() == [pair["2022_no_lemma"]["rouge1"] for pair in RECORDED["pairs"]]
    assert scores.mean == pytest.approx(RECORDED["mean"]["rouge1_2022_no_lemma"], abs=1e-12)
