"""Mentions that a caption denies: NegEx.

Source of the algorithm: Chapman, Bridewell, Hanbury, Cooper and Buchanan (2001), A simple algorithm for
identifying negated findings and diseases in discharge summaries, J Biomed Inform 34:301-310. The phrases are
our own choice for captions. ROCOv2 keeps negated mentions (each of 37 in the validation set of 2023), so none
is dropped unless the user asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rocov2_eval.concept_extraction import Mention

Kind = Literal["before", "after", "pseudo", "end"]

WINDOW = 5  # words or mentions that a phrase reaches, as in the paper
# Phrases that deny what follows, what precedes, nothing although they seem to, and where a denial ends.
PHRASES: Mapping[Kind, tuple[str, ...]] = {
    "before": (
        "absence of",
        "absent",
        "cannot see",
        "declined",
        "denied",
        "denies",
        "devoid of",
        "did not reveal",
        "did not show",
        "does not reveal",
        "does not show",
        "excluded",
        "excludes",
        "excluding",
        "failed to demonstrate",
        "failed to reveal",
        "failed to show",
        "fails to reveal",
        "free from",
        "free of",
        "lack of",
        "lacking",
        "lacks",
        "negative for",
        "neither",
        "never",
        "no",
        "no abnormal",
        "no evidence of",
        "no finding of",
        "no findings of",
        "no longer",
        "no new",
        "no obvious",
        "no other",
        "no residual",
        "no sign of",
        "no signs of",
        "no suspicious",
        "no visible",
        "nor",
        "not",
        "not demonstrate",
        "not reveal",
        "not show",
        "rather than",
        "resolution of",
        "rule out",
        "ruled out",
        "rules out",
        "ruling out",
        "unremarkable for",
        "with no",
        "without",
        "without any",
        "without evidence of",
        "without sign of",
        "without signs of",
    ),
    "after": (
        "are absent",
        "be ruled out",
        "cannot be seen",
        "had resolved",
        "has been excluded",
        "has been ruled out",
        "has disappeared",
        "has resolved",
        "have disappeared",
        "have resolved",
        "is absent",
        "is excluded",
        "is not demonstrated",
        "is not identified",
        "is not present",
        "is not seen",
        "is not visible",
        "is not visualised",
        "is not visualized",
        "is ruled out",
        "not detected",
        "not identified",
        "not observed",
        "not present",
        "not seen",
        "not visible",
        "not visualised",
        "not visualized",
        "unlikely",
        "was absent",
        "was excluded",
        "was negative",
        "was not seen",
        "was ruled out",
        "were absent",
        "were not seen",
        "were ruled out",
    ),
    "pseudo": (
        "cannot be excluded",
        "cannot be ruled out",
        "could not be excluded",
        "could not be ruled out",
        "gram negative",
        "no change",
        "no decrease",
        "no difference",
        "no further",
        "no improvement",
        "no increase",
        "no interval change",
        "no significant change",
        "no significant difference",
        "not certain",
        "not clear",
        "not clearly",
        "not excluded",
        "not exclude",
        "not extend",
        "not known",
        "not necessarily",
        "not only",
        "not rule out",
        "not ruled out",
        "not shown",
        "not to scale",
        "without change",
        "without difficulty",
        "without further",
    ),
    "end": (
        "although",
        "apart from",
        "as well as",
        "aside from",
        "because",
        "because of",
        "besides",
        "but",
        "cause of",
        "causing",
        "compatible with",
        "confirming",
        "consistent with",
        "demonstrates",
        "demonstrating",
        "due to",
        "except",
        "except for",
        "however",
        "indicating",
        "nevertheless",
        "other than",
        "revealing",
        "reveals",
        "secondary to",
        "showing",
        "shows",
        "still",
        "suggesting",
        "suggestive of",
        "though",
        "whereas",
        "which",
        "while",
        "yet",
    ),
}

_TOKEN = re.compile(r"\w+|[^\w\s]|\n")
# A full stop ends a sentence where a blank follows; so 3.5 does not, and the stop of an abbreviation does.
_ENDS = re.compile(r"[.!?;](?=\s|$)|\n")
_KINDS: Mapping[tuple[str, ...], Kind] = {
    tuple(phrase.split()): kind for kind, phrases in PHRASES.items() for phrase in phrases
}
_FIRST_WORDS = frozenset(words[0] for words in _KINDS)
_DENYING = frozenset(words[0] for words, kind in _KINDS.items() if kind in ("before", "after"))
_LONGEST = max(map(len, _KINDS))


@dataclass(frozen=True, kw_only=True)
class _Phrase:
    """Where a phrase stands.

    Attributes:
        first: Its first word.
        after: The word after its last one.
        kind: What it does.
    """

    first: int
    after: int
    kind: Kind


def negated(text: str, mentions: Sequence[Mention]) -> list[bool]:
    """Tell of each mention whether the text denies it.

    A phrase reaches five words, a mention counting as one, to the end of the sentence or to a word such as
    `but`. A mention is denied if it begins within reach of a phrase before it, or ends within reach of one
    after it.
    """
    tokens = list(_TOKEN.finditer(text))
    words = [token.group().lower() for token in tokens]
    if not mentions or _DENYING.isdisjoint(words):
        return [False] * len(mentions)
    spans = [_span(tokens, mention) for mention in mentions]
    phrases = list(_phrases(words))
    walls = _walls(text, tokens, phrases)
    denied: set[int] = set()
    for phrase in phrases:
        if phrase.kind == "before":
            denied.update(_reached(phrase.after, 1, words, spans, walls))
        elif phrase.kind == "after":
            denied.update(_reached(phrase.first - 1, -1, words, spans, walls))
    return [index in denied for index in range(len(mentions))]


def _span(tokens: Sequence[re.Match[str]], mention: Mention) -> tuple[int, int]:
    """Return the first and the last word of a mention."""
    inside = [
        i for i, token in enumerate(tokens) if token.start() < mention.end and token.end() > mention.start
    ]
    return (inside[0], inside[-1]) if inside else (-1, -1)


def _phrases(words: Sequence[str]) -> Iterator[_Phrase]:
    """Yield the phrases of a text, the longest at each place, none within another."""
    place = 0
    while place < len(words):
        found = _phrase_at(words, place) if words[place] in _FIRST_WORDS else None
        if found:
            yield found
        place = found.after if found else place + 1


def _phrase_at(words: Sequence[str], place: int) -> _Phrase | None:
    for length in range(min(_LONGEST, len(words) - place), 0, -1):
        kind = _KINDS.get(tuple(words[place : place + length]))
        if kind:
            return _Phrase(first=place, after=place + length, kind=kind)
    return None


def _walls(text: str, tokens: Sequence[re.Match[str]], phrases: Sequence[_Phrase]) -> frozenset[int]:
    """Return the words that no phrase reaches beyond."""
    ends = {i for i, token in enumerate(tokens) if _ENDS.match(text, token.start())}
    ends.update(i for phrase in phrases if phrase.kind == "end" for i in range(phrase.first, phrase.after))
    return frozenset(ends)


def _reached(
    place: int, step: int, words: Sequence[str], spans: Sequence[tuple[int, int]], walls: frozenset[int]
) -> Iterator[int]:
    """Yield the mentions within reach of a phrase, walking from a word forwards or backwards."""
    left = WINDOW
    near, far = (0, 1) if step > 0 else (1, 0)
    further: Callable[..., int] = max if step > 0 else min
    while 0 <= place < len(words) and left and place not in walls:
        here = [index for index, span in enumerate(spans) if span[near] == place]
        yield from here
        left -= bool(here) or words[place].isalnum()
        place = further([spans[index][far] for index in here], default=place) + step
