"""BLEU as NLTK 3.2.2 computes it for one caption with one reference: the caption score of 2017 to 2022.

Papineni et al. (2002), "BLEU: a method for automatic evaluation of machine translation", with the four n-gram
orders weighed alike. From the first order without a match on, the others are left out, and the weights of
those that stay are not raised: a caption of one right word scores 1. NLTK 3.3 and later count about 0 for
such an order instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rocov2_eval.editions import Edition
from rocov2_eval.metric import Metric, Options, require_pairs
from rocov2_eval.records import SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.porter2 import stem
from rocov2_eval.textnorm import NORMALISERS, normalise
from rocov2_eval.truth import Truth

_ORDERS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class BleuOptions(Options):
    """Options of BLEU.

    Attributes:
        norm: How captions are normalised first, a key of `textnorm.NORMALISERS`; blanks then divide words.
        stem: Words are compared by their stems, as until 2021.
        both_empty: Score where no word is left of both captions.
    """

    norm: str = "clef2017"
    stem: bool = True
    both_empty: float = 1.0

    def __post_init__(self) -> None:
        if self.norm not in NORMALISERS:
            raise ValueError(f"norm is {self.norm!r}, expected one of {', '.join(NORMALISERS)}")


DEFAULT = BleuOptions()


def options_of(settings: Settings, _: Truth) -> BleuOptions:
    """Return the options that the edition prescribes."""
    rules = settings.edition.captions
    return BleuOptions(norm=rules.norm, stem=rules.stem)


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition scores captions by BLEU."""
    return edition.captions.publishes("bleu")


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: BleuOptions = DEFAULT,
    resource: None = None,  # noqa: ARG001  every metric is called alike
) -> Mapping[str, SampleScores]:
    """Return the BLEU of each pair of captions.

    Args:
        candidates: n captions.
        references: n captions.
        options: See `BleuOptions`.
        resource: Not used.

    Raises:
        ValueError: The two differ in length.
    """
    require_pairs(candidates, references)
    pairs = zip(_words(candidates, options), _words(references, options), strict=True)
    values = [_bleu(ours, theirs) if ours or theirs else options.both_empty for ours, theirs in pairs]
    return {"bleu": SampleScores(values=np.array(values, np.float64), scored=np.ones(len(values), np.bool_))}


def _words(captions: Sequence[str], options: BleuOptions) -> list[list[str]]:
    texts = normalise(captions, options.norm)
    return [[stem(word) for word in text.split()] if options.stem else text.split() for text in texts]


def _bleu(candidate: Sequence[str], reference: Sequence[str]) -> float:
    logarithms = []
    for order in _ORDERS:
        grams = _grams(candidate, order)
        clipped = sum((grams & _grams(reference, order)).values())
        if not clipped:
            break
        logarithms.append(math.log(clipped / grams.total()) / len(_ORDERS))
    if not logarithms:
        return 0.0
    is_short = len(candidate) <= len(reference)
    penalty = math.exp(1 - len(reference) / len(candidate)) if is_short else 1.0
    return penalty * math.exp(math.fsum(logarithms))


def _grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


METRIC = Metric(
    name="bleu",
    outputs=("bleu",),
    meanings=("Overlap of sequences of one to four words, with a penalty for short captions.",),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=BleuOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 1.0),
    identity=1.0,
    is_offered=is_offered,
    source="nltk 3.2.2, sentence_bleu with method0 of its smoothing; Papineni et al. (2002)",
)
