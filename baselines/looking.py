"""Whether captions look at their pictures, or say of all pictures what is most frequent.

Rouge hardly falls when a captioner ignores its pictures, so this is measured apart:

    distinct_captions     distinct captions per hundred pictures
    unknown_words         share of the words that no training caption has
    shuffled_gap          how much more a token costs with the picture of another image, in nats
    modality_agreement    F1 of the modalities that a caption names and those of its picture
    modality_by_chance    the same with the picture of any image of the split

and `region_…` as `modality_…`. The concepts of a picture are the manual ones where the dataset has them, else
those that its own caption names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

MODALITY_WORDS: Mapping[str, str] = {
    "C0040405": r"cts?|cta|cbct|hrct|\w*computed tomogra\w+|\w*computeri[sz]ed tomogra\w+",
    "C1306645": r"x[- ]?rays?|radiogra(?:phs?|phic|phy|ms?)|roentgeno\w+|orthopanto\w+|cxr|plain films?",
    "C0024485": r"mris?|(?-i:MR)|mra|mrcp|cmr|magnetic[- ]resonance|t[12][- ]?weighted|t[12]wi?|flair",
    "C0041618": r"ultraso\w+|(?-i:US)|sonogra\w+|echocardiogra\w+|echogra\w+|doppler",
    "C0002978": r"\w*angiogra\w+|arteriogra\w+|venogra\w+|aortogra\w+",
    "C0032743": r"pet|positron[- ]emission|fdg",
}
REGION_WORDS: Mapping[str, str] = {
    "C0817096": r"chest|thora\w+|lungs?|pulmonary",
    "C0023216": r"legs?|knees?|ankles?|foot|feet|femu\w+|femoral|tibia\w*|lower (?:extremit\w+|limbs?)",
    "C0037303": r"skull|crani\w+|head|brain|cerebral|jaws?|mandib\w+|maxill\w+|dental|panoramic",
    "C0000726": r"abdom\w+|liver|hepatic|kidneys?|renal|pancrea\w+|bowel",
    "C1140618": r"arms?|hands?|wrists?|elbows?|shoulders?|humer\w+|radius|upper (?:extremit\w+|limbs?)",
    "C0037949": r"spine|spinal|vertebra\w*|cervical|lumbar|sacr\w+",
    "C0030797": r"pelvi\w+|hips?|bladder|prostate|uter\w+",
    "C0006141": r"breasts?|mammogra\w+",
}
FACETS: Mapping[str, Mapping[str, str]] = {"modality": MODALITY_WORDS, "region": REGION_WORDS}

FEWEST_DISTINCT = 10.0  # per hundred pictures; real captions are nearly all distinct
SMALLEST_GAP = 0.01  # nats a token; captioners that look have some tenths
SMALLEST_GAIN = 0.05  # of F1, over that of another picture

_WORD = re.compile(r"\w+")
Concepts = Sequence[Collection[str]]


def named(caption: str, words: Mapping[str, str]) -> frozenset[str]:
    """Return the concepts that a caption names; `words` has a pattern for each."""
    return frozenset(
        cui for cui, pattern in words.items() if re.search(rf"\b(?:{pattern})\b", caption, re.IGNORECASE)
    )


def vocabulary(captions: Iterable[str]) -> frozenset[str]:
    """Return the words of captions, in lower case."""
    return frozenset(word for caption in captions for word in _words(caption))


def looks(
    said: Sequence[str], wanted: Sequence[str], manual: Concepts | None, known: Collection[str]
) -> dict[str, float]:
    """Return what captions alone tell, see the head of the module.

    Args:
        said: Generated captions.
        wanted: The caption of each picture.
        manual: Manual concepts of each picture, None where the dataset has none.
        known: Words of the training captions.

    Returns:
        Scores by name; agreement is left out where all pictures have the same concepts, or none.
    """
    scores = {"distinct_captions": distinct(said), "unknown_words": _unknown(said, known)}
    for facet, words in FACETS.items():
        found = [named(caption, words) for caption in said]
        true = [
            frozenset(cui for cui in cuis if cui in words)
            for cuis in (manual if manual is not None else [named(caption, words) for caption in wanted])
        ]
        if agreement := _agreement(found, true):
            scores[f"{facet}_agreement"], scores[f"{facet}_by_chance"] = agreement
    return scores


def distinct(captions: Sequence[str]) -> float:
    """Return the number of distinct captions per hundred."""
    return 100 * len(set(captions)) / len(captions)


def doubts(scores: Mapping[str, float]) -> list[str]:
    """Return a sentence for each sign that captions do not depend on their pictures.

    Args:
        scores: Scores of `looks`, and `shuffled_gap`; those that are absent tell nothing.
    """
    found = []
    if scores.get("distinct_captions", 100.0) < FEWEST_DISTINCT:
        found.append(f"only {scores['distinct_captions']:.2g} of 100 captions are distinct")
    if scores.get("shuffled_gap", 1.0) < SMALLEST_GAP:
        found.append(
            f"with pictures of other images the loss of a token changes by only {scores['shuffled_gap']:.4f}"
        )
    for facet in FACETS:
        own, chance = scores.get(f"{facet}_agreement"), scores.get(f"{facet}_by_chance")
        if own is not None and chance is not None and own < chance + SMALLEST_GAIN:
            found.append(
                f"captions name the {facet} of their picture ({own:.2f}) hardly more often than that of "
                f"any other picture ({chance:.2f})"
            )
    return found


def _words(caption: str) -> list[str]:
    return _WORD.findall(caption.lower())


def _unknown(said: Sequence[str], known: Collection[str]) -> float:
    words = [word for caption in said for word in _words(caption)]
    return sum(word not in known for word in words) / max(len(words), 1)


def _agreement(found: Sequence[frozenset[str]], true: Sequence[frozenset[str]]) -> tuple[float, float] | None:
    """Return the mean F1 of what captions name with their own pictures, and with any of the split."""
    pairs = [(one, other) for one, other in zip(found, true, strict=True) if other]
    truths = Counter(other for _, other in pairs)
    if len(truths) < 2:  # noqa: PLR2004  all alike: constant captions would agree
        return None
    own = sum(f1(*pair) for pair in pairs) / len(pairs)
    said = Counter(one for one, _ in pairs)
    chance = sum(
        many * often * f1(one, other) for one, many in said.items() for other, often in truths.items()
    )
    return own, chance / len(pairs) ** 2


def f1(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how far two sets agree, one of which is not empty."""
    return 2 * len(one & other) / (len(one) + len(other))
