"""ROUGE against rouge-score itself, to the last bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rocov2_eval.metrics.rouge import RougeOptions, score
from rocov2_eval.textnorm import clef2023

pytestmark = pytest.mark.parity

OUTPUTS = ("rouge1", "rouge2", "rougeL")
RAW = RougeOptions(norm="none", both_empty=0.0)
# Letters whose lower case is special, separators of every kind, and characters that no tokenizer expects.
ALPHABET = (
    "aAbB12 .,-_'\t\n\0\r\x0b\x1f\x85\u00a0\u2028Σ\u03c3ςİ\u0131\u017f\u212aÅéß\ufb01肺½²٣\U0001f600\ud800"
)
WORDS = ["the", "chest", "CT", "x-ray", "a", "mass", "1.5", "cm", "ΑΣ", "in", "İstanbul", "number", "left"]

Pairs = tuple[list[str], list[str]]
Theirs = Callable[[list[str], list[str]], dict[str, list[float]]]


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    """Return rouge-score's F measure of each pair."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(OUTPUTS), use_stemmer=False)

    def measure(candidates: list[str], references: list[str]) -> dict[str, list[float]]:
        scored = [scorer.score(right, left) for left, right in zip(candidates, references, strict=True)]
        return {name: [item[name].fmeasure for item in scored] for name in OUTPUTS}

    return measure


def ours(candidates: list[str], references: list[str], options: RougeOptions = RAW) -> dict[str, list[float]]:
    return {name: item.values.tolist() for name, item in score(candidates, references, options).items()}


def characters(generator: random.Random) -> Iterator[str]:
    while True:
        yield "".join(generator.choices(ALPHABET, k=generator.randint(0, 40)))


def sentences(generator: random.Random) -> Iterator[str]:
    while True:
        yield " ".join(generator.choices(WORDS, k=generator.randint(0, 30)))


def drawn(texts: Iterator[str], number: int) -> Pairs:
    return [next(texts) for _ in range(number)], [next(texts) for _ in range(number)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("draw", [characters, sentences])
def test_rouge_of_random_text_is_bit_equal(
    theirs: Theirs, draw: Callable[[random.Random], Iterator[str]], seed: int
) -> None:
    pairs = drawn(draw(random.Random(seed)), 500)

    assert theirs(*pairs) == ours(*pairs)


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ("", ""),
        ("", "a"),
        ("a", ""),
        (" ", "\0"),
        ("\0", "\0"),
        ("a\0b", "a b"),
        ("a\0", "a"),
        ("a", "a"),
        ("a", "A"),
        ("a a a", "a"),
        ("a b", "b a"),
        ("a b a b", "b a b a"),
        ("ΑΣ", "ας"),
        ("aΣ b", "a\u03c3 b"),
        ("İ", "i"),
        ("\u212a", "k"),
        ("ﬁ", "fi"),
        ("x-ray", "x ray"),
        ("肺", "肺"),
        ("...", "!!!"),
        ("\ud800 a", "a"),
    ],
    ids=ascii,
)
def test_rouge_of_an_odd_pair_is_bit_equal(theirs: Theirs, candidate: str, reference: str) -> None:
    assert theirs([candidate], [reference]) == ours([candidate], [reference])


def test_rouge_of_odd_pairs_does_not_depend_on_their_neighbours(theirs: Theirs) -> None:
    texts = ["", "a\0b", "\0", "ΑΣ", "a", "", "Σ", "a\0"]
    pairs = [left for left in texts for _ in texts], [right for _ in texts for right in texts]

    assert theirs(*pairs) == ours(*pairs)


def test_rouge_of_long_captions_is_bit_equal(theirs: Theirs) -> None:
    generator = random.Random(11)
    texts = (" ".join(generator.choices(WORDS, k=generator.randint(1000, 1300))) for _ in range(4))
    pairs = drawn(texts, 2)

    assert theirs(*pairs) == ours(*pairs)


def test_rouge_of_many_distinct_words_is_bit_equal(theirs: Theirs) -> None:
    generator = random.Random(12)
    words = [f"w{i}" for i in range(60_000)]  # codes beyond those of the surrogates, 0xD800 to 0xDFFF
    texts = (" ".join(generator.sample(words[start : start + 2000], 60)) for start in range(0, 60_000, 500))
    pairs = drawn(texts, 60)
    filler = " ".join(words)

    assert theirs(*pairs) == {
        name: found[:-1] for name, found in ours([*pairs[0], filler], [*pairs[1], ""]).items()
    }


def test_rouge_of_duplicates_is_bit_equal(theirs: Theirs) -> None:
    candidates, references = drawn(sentences(random.Random(13)), 5)
    pairs = candidates * 20, [reference for reference in references for _ in range(20)]

    assert theirs(*pairs) == ours(*pairs)


def test_rouge_after_the_normalisation_of_the_challenge_is_that_of_normalised_text(theirs: Theirs) -> None:
    pairs = drawn(characters(random.Random(14)), 500)
    normalised = [clef2023(text) for text in pairs[0]], [clef2023(text) for text in pairs[1]]

    expected = theirs(*normalised)
    assert expected == ours(*pairs, RougeOptions(both_empty=0.0))


def test_only_pairs_empty_on_both_sides_score_otherwise_than_rouge_score(theirs: Theirs) -> None:
    pairs = ["", "...", "a", "肺"], ["", "!", "", "肺"]

    unequal = [
        np.flatnonzero(np.array(found) != np.array(ours(*pairs, RougeOptions())[name])).tolist()
        for name, found in theirs(*pairs).items()
    ]

    expected = [[0, 1]] * len(OUTPUTS)
    assert expected == unequal
