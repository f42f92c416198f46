"""BLEU by hand, where it differs from that of later versions of NLTK, and what its options do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocov2_eval.metrics import bleu1
from rocov2_eval.metrics.bleu import BleuOptions, score
from rocov2_eval.metrics.bleu1 import Bleu1Options
from rocov2_eval.metrics.cider import CiderOptions
from rocov2_eval.textnorm import clef2017

PLAIN = BleuOptions(norm="none", stem=False)
TEXTS = st.lists(st.sampled_from("abcd"), max_size=7).map(" ".join)


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        ("a b c", "a b c", 1.0),  # later versions: 1.2e-77
        ("a", "a", 1.0),  # later versions: 1.8e-231
        ("a b x y z", "a b c d e", (2 / 5 * 1 / 4) ** 0.25),
        ("a b c x y z", "a b c d e f", (3 / 6 * 2 / 5 * 1 / 4) ** 0.25),
        ("a b c d", "a b c d", 1.0),
        ("x y", "a b", 0.0),
        ("a a a", "a b", (1 / 3) ** 0.25),  # counted as often as in the reference
        ("a b", "a b c d", np.exp(1 - 4 / 2)),
        ("a b c d", "a b", (2 / 4 * 1 / 3) ** 0.25),  # a long one has no penalty
        ("", "a", 0.0),
        ("a", "", 0.0),
    ],
)
def test_bleu_is_what_it_is_by_hand(candidate: str, reference: str, expected: float) -> None:
    assert pytest.approx(expected, abs=1e-15) == score([candidate], [reference], PLAIN)["bleu"].values[0]


@pytest.mark.parametrize("pair", [("", ""), ("...", "the"), ("not of the", " ")])
@pytest.mark.parametrize("both_empty", [1.0, 0.0])
def test_a_pair_without_any_word_scores_as_the_option_says(pair: tuple[str, str], both_empty: float) -> None:
    scores = score([pair[0]], [pair[1]], BleuOptions(both_empty=both_empty))

    assert [both_empty] == scores["bleu"].values.tolist()


@pytest.mark.parametrize(("stem", "expected"), [(True, 1.0), (False, 0.0)])
def test_words_of_one_stem_are_one_word_where_the_edition_stems(stem: bool, expected: float) -> None:  # noqa: FBT001
    scores = score(["fractured"], ["fractures"], BleuOptions(stem=stem))

    assert [expected] == scores["bleu"].values.tolist()


@given(TEXTS, TEXTS)
def test_bleu_is_1_for_the_reference_alone_or_for_orders_that_all_match(
    candidate: str, reference: str
) -> None:
    (value,) = score([candidate], [reference], PLAIN)["bleu"].values

    assert 0 <= value <= 1
    if candidate == reference:
        assert value == 1


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("The X-ray shows 1.5 cm!", "xray shows 15 cm"),
        ("It cannot be", ""),  # can not: stop words both
        ("gonna, wanna see", "gon na wan na see"),
        ("they wanna", "wan na"),
        ("wanna’s", "wanna’s"),  # noqa: RUF001  behind wanna stands no blank
        ("α\u202fβ\u00a0γ", "α β γ"),  # noqa: RUF001  every blank of Unicode divides words
        ("", ""),
    ],
)
def test_words_of_2017_to_2022(caption: str, words: str) -> None:
    assert words == clef2017(caption)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_the_parts_of_the_run_have_its_bleu1_as_their_mean(pairs: list[tuple[str, str]]) -> None:
    ours, theirs = ([text.split() for text in side] for side in zip(*pairs, strict=True))
    common = sum(
        min(a.count(word), b.count(word)) for a, b in zip(ours, theirs, strict=True) for word in set(a)
    )
    c, r = sum(map(len, ours)), sum(map(len, theirs))
    expected = common / c * min(1, np.exp(1 - r / c)) if c else 0

    found = bleu1.score([a for a, _ in pairs], [b for _, b in pairs], Bleu1Options(norm="none"))

    assert pytest.approx(expected, abs=1e-7) == found["bleu1_corpus"].mean


@pytest.mark.parametrize("options", [BleuOptions, Bleu1Options, CiderOptions])
def test_an_unknown_normaliser_is_refused(options: type) -> None:
    with pytest.raises(ValueError, match="norm is 'x', expected one of clef2017, clef2023, none"):
        options(norm="x")
