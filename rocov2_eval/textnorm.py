"""Caption normalisation of the official evaluators, named so that it reaches the signature."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence

_DIGITS = re.compile(r"\d+")
_DROP_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clef2023(caption: str) -> str:
    """Lower-case, put `number` for each run of digits, delete ASCII punctuation, in this order.

    It glues words together (`x-ray` becomes `xray`, `1.5` becomes `numbernumber`): that is what the
    evaluators of 2023 to 2026 do. Any Unicode decimal digit counts; only ASCII punctuation is deleted.
    """
    return _DIGITS.sub("number", caption.lower()).translate(_DROP_PUNCTUATION)


def unchanged(caption: str) -> str:
    """Return the caption as it is."""
    return caption


NORMALISERS: Mapping[str, Callable[[str], str]] = {"clef2023": clef2023, "none": unchanged}


def normalise(captions: Sequence[str], name: str) -> list[str]:
    """Apply the normaliser of that name to every caption."""
    normaliser = NORMALISERS[name]
    return [normaliser(caption) for caption in captions]
