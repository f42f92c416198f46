"""CIDEr-D of captions with one reference each: how much of what is rare they have in common.

Vedantam et al. (2015), "CIDEr: consensus-based image description evaluation", the variant D: n-grams of 1 to
4 words weigh by their inverse document frequency, a repeated one counts no more often than in the
reference, and another length is punished by a Gaussian. Counts are raw and lengths are numbers of word pairs,
as in the authors' evaluation code. Words are those of the official caption scores.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray
from rocov2_eval.textnorm import clef2023

ORDERS = (1, 2, 3, 4)
SIGMA = 6.0  # of the lengths; section 5 of the paper
SCALE = 10.0  # section 5 of the paper

Gram = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Frequencies:
    """In how many captions each n-gram stands.

    Attributes:
        documents: Number of captions.
        counts: Number of captions with each n-gram.
    """

    documents: int
    counts: Mapping[Gram, int]

    def weight(self, gram: Gram) -> float:
        """Return the inverse document frequency; an n-gram that stands nowhere weighs as if it stood once."""
        return math.log(self.documents / max(1, self.counts.get(gram, 0)))


def frequencies(captions: Sequence[str]) -> Frequencies:
    """Return the frequencies in a corpus, such as the training captions.

    Raises:
        UsageFault: Of fewer than two captions every n-gram weighs nothing.
    """
    if len(set(captions)) < 2:  # noqa: PLR2004  one caption makes no difference
        raise UsageFault(f"CIDEr-D needs a corpus of different captions, found {len(set(captions))}")
    counts: Counter[Gram] = Counter()
    for caption in captions:
        words = _words(caption)
        counts.update({gram for order in ORDERS for gram in _grams(words, order)})
    return Frequencies(documents=len(captions), counts=counts)


def cider_d(candidates: Sequence[str], references: Sequence[str], corpus: Frequencies) -> FloatArray:
    """Return the score of each candidate, shape (n,), from 0 to 10."""
    pairs = zip(candidates, references, strict=True)
    return np.array([_score(_words(ours), _words(theirs), corpus) for ours, theirs in pairs])


def _words(caption: str) -> list[str]:
    return clef2023(caption).split()


def _grams(words: Sequence[str], order: int) -> list[Gram]:
    return [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]


def _score(candidate: Sequence[str], reference: Sequence[str], corpus: Frequencies) -> float:
    similar = [
        _clipped_cosine(_weighted(candidate, order, corpus), _weighted(reference, order, corpus))
        for order in ORDERS
    ]
    difference = len(_grams(candidate, 2)) - len(_grams(reference, 2))
    penalty = math.exp(-(difference**2) / (2 * SIGMA**2))
    return SCALE * penalty * sum(similar) / len(ORDERS)


def _weighted(words: Sequence[str], order: int, corpus: Frequencies) -> dict[Gram, float]:
    return {gram: count * corpus.weight(gram) for gram, count in Counter(_grams(words, order)).items()}


def _clipped_cosine(candidate: Mapping[Gram, float], reference: Mapping[Gram, float]) -> float:
    lengths = math.hypot(*candidate.values()) * math.hypot(*reference.values())
    shared = sum(
        min(value, reference[gram]) * reference[gram]
        for gram, value in candidate.items()
        if gram in reference
    )
    return shared / lengths if lengths else 0.0
