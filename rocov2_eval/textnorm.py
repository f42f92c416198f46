"""Caption normalisation of the official evaluators, named so that it reaches the signature."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence

_DIGITS = re.compile(r"\d+")
_DROP_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Words that NLTK 3.2.2 cuts in two, once punctuation is gone; behind "wanna" it wants a blank.
_JOINED_WORDS = re.compile(
    r"\b(?:(can)(not)|(gim)(me)|(gon)(na)|(got)(ta)|(lem)(me)|(wan)(na)(?= ))\b", re.IGNORECASE
)
# NLTK's list of English stop words; those with an apostrophe, which no word has here, are left out.
STOP_WORDS = frozenset(
    """
    a about above after again against ain all am an and any are aren as at be because been before being below
    between both but by can couldn d did didn do does doesn doing don down during each few for from further
    had hadn has hasn have haven having he her here hers herself him himself his how i if in into is isn it
    its itself just ll m ma me mightn more most mustn my myself needn no nor not now o of off on once only or
    other our ours ourselves out over own re s same shan she should shouldn so some such t than that the their
    theirs them themselves then there these they this those through to too under until up ve very was wasn we
    were weren what when where which while who whom why will with won wouldn y you your yours yourself
    yourselves
    """.split()  # noqa: SIM905
)


def clef2023(caption: str) -> str:
    """Lower-case, put `number` for each run of digits, delete ASCII punctuation, in this order.

    It glues words together (`x-ray` becomes `xray`, `1.5` becomes `numbernumber`): that is what the
    evaluators of 2023 to 2026 do. Any Unicode decimal digit counts; only ASCII punctuation is deleted.
    """
    return _DIGITS.sub("number", caption.lower()).translate(_DROP_PUNCTUATION)


def clef2017(caption: str) -> str:
    """Lower-case, delete ASCII punctuation, cut into words, drop stop words; the words are joined by blanks.

    The evaluators of 2017 to 2022 do so, with the word tokenizer of NLTK 3.2.2. Without ASCII punctuation it
    cuts at blanks, and a few words in two (`cannot`, `gonna`); later versions also cut at curly quotes and
    dashes.
    """
    text = f" {caption.lower().translate(_DROP_PUNCTUATION)} "
    return " ".join(word for word in _JOINED_WORDS.sub(_in_two, text).split() if word not in STOP_WORDS)


def _in_two(match: re.Match[str]) -> str:
    first, second = filter(None, match.groups())
    return f" {first} {second} "


def unchanged(caption: str) -> str:
    """Return the caption as it is."""
    return caption


NORMALISERS: Mapping[str, Callable[[str], str]] = {
    "clef2017": clef2017,
    "clef2023": clef2023,
    "none": unchanged,
}


def normalise(captions: Sequence[str], name: str) -> list[str]:
    """Apply the normaliser of that name to every caption."""
    normaliser = NORMALISERS[name]
    return [normaliser(caption) for caption in captions]
