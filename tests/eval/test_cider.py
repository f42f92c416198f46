"""CIDEr-D by hand and within its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocov2_eval.metrics.cider import CiderOptions, cider_d, frequencies, score

CORPUS = ("a b", "a c")  # idf: log 2 of b, c, `a b` and `a c`; 0 of a
WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map(" ".join)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("a b", 10 * (1 + 1) / 4),  # one word and one pair in common, no longer n-grams
        ("b", 10 * np.exp(-1 / 72) / 4),  # one pair less: exp(-1² / (2 · 6²))
        ("b b b", 10 * np.exp(-1 / 72) / 4 / 3),  # counted once of three times
        ("a", 0.0),  # stands in every caption
        ("c", 0.0),
        ("", 0.0),
    ],
)
def test_cider_d_is_what_it_is_by_hand(candidate: str, expected: float) -> None:
    assert pytest.approx(expected, abs=1e-12) == cider_d([candidate], ["a b"], frequencies(CORPUS))[0]


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_cider_d_lies_between_nothing_and_ten(pairs: list[tuple[str, str]]) -> None:
    candidates, references = zip(*pairs, strict=True)
    scores = cider_d(candidates, references, frequencies(["a b c d", "d a b", "c"]))
    assert ((scores >= 0) & (scores <= 10 + 1e-9)).all()


@given(WORDS, WORDS)
def test_nothing_scores_above_the_reference_itself(candidate: str, reference: str) -> None:
    corpus = frequencies(["a b c d", "d a b", "c"])
    other, own = cider_d([candidate, reference], [reference, reference], corpus)
    assert other <= own + 1e-9


@pytest.mark.parametrize("caption", ["A, b c!", "a b", ""])
def test_of_one_image_every_caption_scores_nothing(caption: str) -> None:
    assert score([caption], ["a b"])["cider"].values.tolist() == [0.0]


def test_captions_are_normalised_as_the_option_says() -> None:
    references = ["a b", "c d"]
    assert score(["A, b.", "x"], references)["cider"].values.tolist() == pytest.approx([5.0, 0.0])
    assert score(["A, b.", "x"], references, CiderOptions(norm="none"))["cider"].values.tolist() == [0.0, 0.0]
