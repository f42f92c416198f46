"""Word vectors from captions."""

from __future__ import annotations

import numpy as np

from dataset_builder.concepts.word_vectors import WordVectors, word_vectors

TEXTS = [
    "cold room winter snow",
    "winter cold snow room",
    "fever cough patient",
    "patient with fever and cough",
] * 5


def made(texts: list[str], seed: int = 0) -> WordVectors:
    return word_vectors(texts, size=3, window=2, most_words=20, fewest=2, seed=seed)


def likeness(words: WordVectors, first: str, second: str) -> float:
    order = list(words.counts)
    return float(words.vectors[order.index(first)] @ words.vectors[order.index(second)])


def test_words_of_like_contexts_have_like_vectors() -> None:
    words = made(TEXTS)
    assert likeness(words, "snow", "winter") > likeness(words, "snow", "fever") + 0.5


def test_the_same_texts_give_the_same_vectors() -> None:
    assert np.array_equal(made(TEXTS).vectors, made(TEXTS).vectors)


def test_frequent_words_come_first_and_rare_ones_not_at_all() -> None:
    words = made([*TEXTS, "once", "cold"])
    assert next(iter(words.counts)) == "cold"
    assert "once" not in words.counts


def test_vectors_have_length_one() -> None:
    assert np.allclose(np.linalg.norm(made(TEXTS).vectors, axis=1), 1)


def test_no_text_gives_no_vector() -> None:
    assert made([]).vectors.shape == (0, 3)


def test_one_word_gives_a_vector_without_direction() -> None:
    assert np.isfinite(made(["cold", "cold"]).vectors).all()
