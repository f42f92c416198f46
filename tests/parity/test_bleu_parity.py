"""Stems and BLEU against NLTK itself; its later versions agree where every order of n-grams has a match."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from nltk.stem.snowball import EnglishStemmer
from nltk.translate.bleu_score import sentence_bleu

from rocov2_eval.metrics.bleu import BleuOptions, score
from rocov2_eval.shelf.porter2 import _STEP_2, _STEP_3, _STEP_4, stem
from rocov2_eval.textnorm import clef2017

pytestmark = pytest.mark.parity

ENDINGS = [
    *_STEP_2,
    *_STEP_3,
    *_STEP_4,
    *("ed", "ing", "edly", "ingly", "eed", "eedly", "ies", "ied", "sses"),
]
ENDINGS += ["s", "us", "y", "e", "l", "bb", "'s", "\u2019s", "\u2019", "'s'", ""]
LETTERS = "aeioubcdlmnrstyywxgzv\u2019"


@pytest.fixture
def captions(shared: Path) -> list[str]:
    with (shared / "data/roco/captions.csv").open(encoding="utf-8", newline="") as file:
        return [row[1] for row in csv.reader(file)][1:]


def test_drawn_words_have_the_stems_of_nltk() -> None:
    source = random.Random(13)
    words = {
        "".join(
            source.choices(LETTERS, k=source.randint(0, 6)) + source.choices(ENDINGS, k=source.randint(0, 3))
        )
        for _ in range(100_000)
    }

    theirs = EnglishStemmer()
    assert {word: theirs.stem(word) for word in words} == {word: stem(word) for word in words}


def test_words_of_real_captions_have_the_stems_of_nltk(captions: list[str]) -> None:
    words = {word for caption in captions for word in clef2017(caption).split()}

    theirs = EnglishStemmer()
    assert {word: theirs.stem(word) for word in words} == {word: stem(word) for word in words}


def test_bleu_is_that_of_nltk_where_every_order_has_a_match() -> None:
    source = random.Random(7)
    pairs = [[source.choices("abc", k=source.randint(4, 12)) for _ in range(2)] for _ in range(2_000)]
    ours = score(*(list(map(" ".join, side)) for side in zip(*pairs, strict=True)), BleuOptions(norm="none"))

    compared = [
        (value, sentence_bleu([reference], candidate))
        for (candidate, reference), value in zip(pairs, ours["bleu"].values.tolist(), strict=True)
        if _has_match_of_four(candidate, reference)
    ]
    assert len(compared) > 100
    for value, expected in compared:
        assert value == pytest.approx(expected, abs=1e-12)


def _has_match_of_four(candidate: list[str], reference: list[str]) -> bool:
    grams = [{tuple(side[i : i + 4]) for i in range(len(side) - 3)} for side in (candidate, reference)]
    return not grams[0].isdisjoint(grams[1])
