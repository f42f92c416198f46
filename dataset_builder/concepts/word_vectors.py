"""Word vectors from the captions themselves: counts, positive pointwise mutual information, singular vectors.

MedCAT tells the concepts that share a name by the words around it, and wants a vector of each word. These
need nothing but the captions and numpy. Source of the method: Levy, Goldberg and Dagan (2015).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rocov2_eval.records import FloatArray

_WORD = re.compile(r"[a-z0-9]\w*")
_POWER_ITERATIONS = 4
_EXTRA_DIRECTIONS = 10  # of the randomised decomposition, beyond those that are kept


@dataclass(frozen=True, kw_only=True, eq=False)
class WordVectors:
    """Words with their vectors.

    Attributes:
        counts: How often each word stands in the captions, most frequent first.
        vectors: Shape (words, size), in the order of `counts`, each of length 1 or 0.
    """

    counts: Mapping[str, int]
    vectors: FloatArray


def word_vectors(
    texts: Iterable[str], *, size: int, window: int, most_words: int, fewest: int, seed: int
) -> WordVectors:
    """Return vectors of the frequent words of texts; the same texts and seed give the same ones.

    Args:
        texts: Captions.
        size: Of a vector; smaller where there are fewer words.
        window: Words on each side that count as neighbours.
        most_words: Number of words with a vector; memory grows with its square.
        fewest: Times that a word must stand in the texts.
        seed: Of the randomised decomposition.
    """
    tokens = [_WORD.findall(text.lower()) for text in texts]
    counted = Counter(word for words in tokens for word in words)
    frequent = sorted(
        ((word, n) for word, n in counted.items() if n >= fewest), key=lambda item: (-item[1], item[0])
    )
    counts = dict(frequent[:most_words])
    if not counts:
        return WordVectors(counts={}, vectors=np.zeros((0, size)))
    neighbours = _neighbours(tokens, {word: code for code, word in enumerate(counts)}, window)
    return WordVectors(counts=counts, vectors=_directions(_positive_information(neighbours), size, seed))


def _neighbours(tokens: Sequence[Sequence[str]], codes: Mapping[str, int], window: int) -> FloatArray:
    """Return how often words stand beside each other, shape (words, words), symmetric."""
    n = len(codes)
    lines = [np.array([codes.get(word, -1) for word in words], np.int64) for words in tokens]
    together = np.zeros(n * n)
    for distance in range(1, window + 1):
        firsts = np.concatenate([line[:-distance] for line in lines] or [np.zeros(0, np.int64)])
        seconds = np.concatenate([line[distance:] for line in lines] or [np.zeros(0, np.int64)])
        known = (firsts >= 0) & (seconds >= 0)
        together += np.bincount(firsts[known] * n + seconds[known], minlength=n * n)
    square: FloatArray = together.reshape(n, n)
    return square + square.T


def _positive_information(neighbours: FloatArray) -> FloatArray:
    """Return max(0, log(p(a, b) / (p(a) p(b)))), shape (words, words)."""
    total = max(float(neighbours.sum()), 1.0)
    sums = np.maximum(neighbours.sum(axis=1), 1.0)
    ratio = neighbours * total / sums[:, None] / sums[None, :]
    information: FloatArray = np.log(np.maximum(ratio, 1.0))
    return information


def _directions(matrix: FloatArray, size: int, seed: int) -> FloatArray:
    """Return the rows along the leading singular vectors, weighted by roots of values, shape (n, size)."""
    n = len(matrix)
    random = np.random.default_rng(seed)
    base = random.standard_normal((n, min(n, size + _EXTRA_DIRECTIONS)))
    for _ in range(_POWER_ITERATIONS):
        base, _ = np.linalg.qr(matrix @ base)
    left, values, _ = np.linalg.svd(base.T @ matrix, full_matrices=False)
    rows = (base @ left)[:, :size] * np.sqrt(values[:size])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: FloatArray = rows / np.where(lengths > 0, lengths, 1.0)
    return unit
