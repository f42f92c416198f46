"""CIDEr-D of captions with one reference each: how much of what is rare they have in common.

Vedantam et al. (2015), "CIDEr: consensus-based image description evaluation", the variant D: n-grams of 1 to
4 words weigh by their inverse document frequency, a repeated one counts no more often than in the
reference, and another length is punished by a Gaussian. Counts are raw and lengths are numbers of word pairs,
as in the authors' evaluation code, which is that of pycocoevalcap.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rocov2_eval.editions import Edition
from rocov2_eval.metric import Metric, Options, require_pairs
from rocov2_eval.records import FloatArray, SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.textnorm import NORMALISERS, normalise
from rocov2_eval.truth import Truth

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
        """Return the inverse document frequency; an n-gram that stands nowhere weighs as if it stood once.

        Of one caption, or of equal ones, every n-gram in them weighs nothing.
        """
        return math.log(self.documents / max(1, self.counts.get(gram, 0)))


@dataclass(frozen=True, kw_only=True)
class CiderOptions(Options):
    """Options of CIDEr-D.

    Attributes:
        norm: How captions are normalised first, a key of `textnorm.NORMALISERS`; blanks then divide words.
        corpus: Digest of the references that the document frequencies are of, None where it was not asked
            for: scores weighed by other references are not comparable.
    """

    norm: str = "clef2023"
    corpus: str | None = None

    def __post_init__(self) -> None:
        if self.norm not in NORMALISERS:
            raise ValueError(f"norm is {self.norm!r}, expected one of {', '.join(NORMALISERS)}")


DEFAULT = CiderOptions()


def options_of(settings: Settings, truth: Truth) -> CiderOptions:
    """Return the options that edition and truth prescribe."""
    norm = settings.edition.captions.norm
    references = normalise([cell or "" for cell in truth.table.cells], norm)
    digest = hashlib.sha256("\0".join(references).encode()).hexdigest()[:12]
    return CiderOptions(norm=norm, corpus=digest)


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition publishes CIDEr."""
    return edition.captions.publishes("cider")


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: CiderOptions = DEFAULT,
    resource: None = None,  # noqa: ARG001  every metric is called alike
) -> Mapping[str, SampleScores]:
    """Return the CIDEr-D of each pair of captions, by the frequencies of all references.

    Args:
        candidates: n captions.
        references: n captions.
        options: How captions are normalised; the rest does not count.
        resource: Not used.

    Raises:
        ValueError: The two differ in length.
    """
    require_pairs(candidates, references)
    ours, theirs = normalise(candidates, options.norm), normalise(references, options.norm)
    values = cider_d(ours, theirs, frequencies(theirs))
    return {"cider": SampleScores(values=values, scored=np.ones(len(values), np.bool_))}


def frequencies(texts: Sequence[str]) -> Frequencies:
    """Return the frequencies in a corpus of normalised captions, such as those of the training split."""
    counts: Counter[Gram] = Counter()
    for text in texts:
        words = text.split()
        counts.update({gram for order in ORDERS for gram in _grams(words, order)})
    return Frequencies(documents=len(texts), counts=counts)


def cider_d(candidates: Sequence[str], references: Sequence[str], corpus: Frequencies) -> FloatArray:
    """Return the score of each normalised candidate, shape (n,), from 0 to 10."""
    pairs = zip(candidates, references, strict=True)
    return np.array([_score(ours.split(), theirs.split(), corpus) for ours, theirs in pairs], np.float64)


def _grams(words: Sequence[str], order: int) -> list[Gram]:
    return [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]


def _score(candidate: Sequence[str], reference: Sequence[str], corpus: Frequencies) -> float:
    similar = [
        _clipped_cosine(_weighted(candidate, order, corpus), _weighted(reference, order, corpus))
        for order in ORDERS
    ]
    difference = len(_grams(candidate, 2)) - len(_grams(reference, 2))
    penalty = math.exp(-(difference**2) / (2 * SIGMA**2))
    return min(SCALE, SCALE * penalty * sum(similar) / len(ORDERS))  # rounding may exceed it


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


METRIC = Metric(
    name="cider",
    outputs=("cider",),
    meanings=("Overlap of sequences of one to four words, in which rare sequences weigh more.",),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=CiderOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, SCALE),
    identity=None,  # a caption of two words has no longer n-grams: 5 against itself
    is_offered=is_offered,
    source="pycocoevalcap 1.2; Vedantam et al. (2015)",
    weighs_by_idf=lambda _: True,
)
