"""BLEU-1 as pycocoevalcap 1.2 computes it: words in common, of one caption and of the whole run.

Which of the two the boards of 2023 and 2024 show is not known. The score of the run is no mean over images:
it counts the words of all captions together. It is shared out so that its parts have it as their mean; the
part of one image alone, or of some images, says nothing.
"""

from __future__ import annotations

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

OUTPUTS = ("bleu1", "bleu1_corpus")
# What pycocoevalcap adds to dividend and divisor, so that nothing is divided by 0.
_TINY, _SMALL = 1e-15, 1e-9


@dataclass(frozen=True, kw_only=True)
class Bleu1Options(Options):
    """Options of BLEU-1.

    Attributes:
        norm: How captions are normalised first, a key of `textnorm.NORMALISERS`; blanks then divide words.
    """

    norm: str = "clef2023"

    def __post_init__(self) -> None:
        if self.norm not in NORMALISERS:
            raise ValueError(f"norm is {self.norm!r}, expected one of {', '.join(NORMALISERS)}")


DEFAULT = Bleu1Options()


def options_of(settings: Settings, _: Truth) -> Bleu1Options:
    """Return the options that the edition prescribes."""
    return Bleu1Options(norm=settings.edition.captions.norm)


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition publishes BLEU-1."""
    return edition.captions.publishes("bleu1")


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: Bleu1Options = DEFAULT,
    resource: None = None,  # noqa: ARG001  every metric is called alike
) -> Mapping[str, SampleScores]:
    """Return the BLEU-1 of each pair of captions, and the part of each in the score of the run.

    Args:
        candidates: n captions.
        references: n captions.
        options: See `Bleu1Options`.
        resource: Not used.

    Raises:
        ValueError: The two differ in length.
    """
    require_pairs(candidates, references)
    n = len(references)
    words = [Counter(text.split()) for text in normalise([*candidates, *references], options.norm)]
    ours, theirs = (np.array([item.total() for item in side], np.float64) for side in (words[:n], words[n:]))
    common = np.array([(a & b).total() for a, b in zip(words[:n], words[n:], strict=True)], np.float64)
    of_image = (common + _TINY) / (ours + _SMALL) * _penalty(ours, theirs)
    of_run = common / (ours.sum() + _SMALL) * n * _penalty(ours.sum(), theirs.sum())
    scored = np.ones(n, np.bool_)
    return {
        "bleu1": SampleScores(values=of_image, scored=scored),
        "bleu1_corpus": SampleScores(values=of_run, scored=scored),
    }


def _penalty(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Return what is left of a score where the candidate has fewer words than the reference."""
    ratio = (ours + _TINY) / (theirs + _SMALL)
    penalty: FloatArray = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return penalty


METRIC = Metric(
    name="bleu1",
    outputs=OUTPUTS,
    meanings=(
        "Overlap of single words, with a penalty for short captions.",
        "Overlap of single words over all captions of the run together.",
    ),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=Bleu1Options,
    options_of=options_of,
    revision=1,
    bounds=(0.0, np.inf),  # of the part of an image in the score of the run
    identity=None,  # the part of an image depends on the others
    is_offered=is_offered,
    source="pycocoevalcap 1.2; Papineni et al. (2002)",
)
