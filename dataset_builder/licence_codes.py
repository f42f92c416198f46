"""Licence codes in codes, URLs and sentences: what a text about a licence says, exactly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from typing import Literal, get_args
from urllib.parse import unquote

LicenceCode = Literal[
    "CC BY",
    "CC BY-NC",
    "CC BY-NC-ND",
    "CC BY-NC-SA",
    "CC BY-ND",
    "CC BY-SA",
    "CC0",
    "PUBLIC DOMAIN",  # the mark, which is no licence
    "NO-CC CODE",  # PMC found no Creative Commons licence
    "TDM",  # to be mined, not to be redistributed
]
CODES: tuple[str, ...] = get_args(LicenceCode)
_MOST_ENCODINGS = 4  # one in the other
_LETTER = r"[^\W\d_]"
# Several may stand without anything between: the text of an article has lost its soft hyphens.
_ELEMENT = rf"(?:n\.?c|n\.?d|s\.?a)+(?!{_LETTER})"
# What may stand before one more element: no letters but those of the version and of its place.
_GAP = rf"""(?:
    [\W\d_]
    | (?<!{_LETTER})
      (?: v | ver | version | international | intl | unported | generic | igo | licen[sc]es? | and
        | (?<=\d[\s/-])(?!nc|nd|sa)[a-z][a-z])
      (?:(?!{_LETTER}) | (?={_ELEMENT}))
){{0,16}}"""
# Taken whole or not at all: of `BY-NC-XX` nothing must be left that could pass for `BY`.
_ELEMENTS = rf"((?:{_GAP}{_ELEMENT})*+)"
_ONE_MORE = re.compile(rf"{_GAP}({_ELEMENT})", re.IGNORECASE | re.VERBOSE)
_URL = re.compile(
    rf"""creativecommons\.org/+(?:
        licen[sc]es?/+(?:cc-)?by{_ELEMENTS}(?![\w%~+=*@$-])
        | publicdomain/+(zero|mark)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# No code is the prefix of another: what follows must not be one more element, known or unknown.
_ABBREVIATED = re.compile(
    rf"""\bcc[\s-]*(?:(0)|by{_ELEMENTS})
    (?!\w | -[a-z] | \W{{0,3}}(?:non?[\s-]*(?:comm|deriv)|share))""",
    re.IGNORECASE | re.VERBOSE,
)
_NAMED = re.compile(
    rf"""creative\s+commons\W+(?:(?:cc|licen[sc]e|licença|licencia|public|the)\W+){{0,3}}attribution\b
    (?:\s+v?\d(?:\.\d)?)?
    ((?:
        [\s,(/-]*(?:and\s+)?(?:non[\s-]*commercial|non?[\s-]*deriv\w*|share[\s-]*alike)
        | {_GAP}{_ELEMENT}
    )*+)""",
    re.IGNORECASE | re.VERBOSE,
)
_ZERO = re.compile(
    r"creative\s+commons\W+(?:cc\s*0\W+)?(?:zero\b|(?:universal\s+)?public\s+domain\s+(?:dedication|declaration))",
    re.IGNORECASE,
)
_RESTRICTIONS = {
    "NC": re.compile(r"\bnon[\W_]{0,3}commercial", re.IGNORECASE),
    "ND": re.compile(r"\bno[nt]?[\W_]{0,3}deriv", re.IGNORECASE),
    "SA": re.compile(r"\bshare[\W_]{0,3}alike", re.IGNORECASE),
}
_ANY_COMMERCE = re.compile(
    r"\bcommercial(?:ly)?,?\s+(?:and(?:/or)?|or|as\s+well\s+as)\s+non[\s-]*commercial", re.IGNORECASE
)


def normalise(text: str | None) -> str | None:
    """Return the one licence code that a text names; None where it names none or several."""
    codes = codes_in(text)
    return next(iter(codes)) if len(codes) == 1 else None


def codes_in(text: str | None) -> frozenset[str]:
    """Return every licence code that a code, URL or sentence names; version and jurisdiction are passed over.

    A text that names one licence and makes a restriction of another, such as `CC BY, for non-commercial use`,
    counts as naming both.
    """
    words = _plain(text or "")
    if words.upper() in CODES:
        return frozenset({words.upper()})
    codes = frozenset(_named(words))
    restricted = _restrictions(_ANY_COMMERCE.sub("", words))
    beyond = [element for element in restricted if not any(element in code for code in codes)]
    return codes | {_code([*code.split("-")[1:], *beyond]) for code in codes if code.startswith("CC BY")}


def _plain(text: str) -> str:
    """Return a text with single blanks, without entities and percent signs, its separators in ASCII.

    A separator that is taken for a letter, or for nothing, would hide the element behind it.
    """
    for _ in range(_MOST_ENCODINGS):
        decoded = unquote(unescape(text))
        if decoded == text:
            break
        text = decoded
    if not text.isascii():
        text = unicodedata.normalize("NFKC", "".join(map(_plain_character, text)))
    return " ".join(text.split())


@lru_cache(maxsize=1 << 12)
def _plain_character(character: str) -> str:
    """Return a hyphen for a dash, nothing for what is invisible, a blank for any other separator."""
    category = unicodedata.category(character)
    is_letter = category[0] in "LN" and category != "Lm"  # a prolonged sound mark looks like a dash
    if character.isascii() or is_letter:
        return character
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    return "" if category == "Cf" else " "


def _named(words: str) -> Iterator[str]:
    """Yield the code of each URL, abbreviation and full name."""
    for match in _URL.finditer(words):
        if match[2]:
            yield "CC0" if match[2].lower() == "zero" else "PUBLIC DOMAIN"
        else:
            yield _code(_abbreviations(match[1]))
    for match in _ABBREVIATED.finditer(words):
        yield "CC0" if match[1] else _code(_abbreviations(match[2]))
    for match in _NAMED.finditer(words):
        yield _code([*_restrictions(match[1]), *_abbreviations(match[1])])
    if _ZERO.search(words):
        yield "CC0"


def _restrictions(words: str) -> list[str]:
    """Return the elements of a licence that words spell out."""
    return [element for element, pattern in _RESTRICTIONS.items() if pattern.search(words)]


def _abbreviations(words: str) -> list[str]:
    """Return the elements of a licence that words abbreviate."""
    runs = (match[1].replace(".", "") for match in _ONE_MORE.finditer(words))
    return [run[i : i + 2].upper() for run in runs for i in range(0, len(run), 2)]


def _code(elements: Iterable[str]) -> str:
    """Return the code of a licence with these elements beside attribution, in their usual order."""
    return "-".join(["CC BY", *sorted({element.upper() for element in elements})])
