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


def any_of(rows: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of the verbose ones, in letters of any case."""
    return re.compile("|".join(f"(?:{row})" for row in rows), re.IGNORECASE | re.VERBOSE)


_ELEMENT_NAME = re.compile("nc|nd|sa", re.IGNORECASE)
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
        | licen[sc]es?/+(publicdomain)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# No code is the prefix of another: what follows must not be one more element, known or unknown.
_ABBREVIATED = re.compile(
    rf"""\b(?:cc[\s-]*(?:(0)|by{_ELEMENTS}) | creative\s*commons\s+(?:licen[sc]e\s+)?(?-i:BY){_ELEMENTS})
    (?!\w | -[a-z] | \W{{0,3}}(?:non?[\s-]*(?:comm|deriv)|share))""",
    re.IGNORECASE | re.VERBOSE,
)
# As PMC writes in attributes and publishers in addresses: `ccbyncndlicense`, `authorchoice_ccby_terms.html`.
_GLUED = re.compile(
    r"(?<![a-z])cc_?by((?:[_-]?(?:nc|nd|sa))*+)(?:[_-]?licen[sc]e)?(?![a-z]|\W{0,3}(?:nc|nd|sa)\b)",
    re.IGNORECASE,
)
# Without any mark before it, but never without an element behind it: `(by-nc 3.0)`.
_BARE = re.compile(r"\bby((?:-(?:nc|nd|sa))++)(?![\w-])", re.IGNORECASE)
_ATTRIBUTION = (  # as the licences call themselves in the languages of the articles of PMC
    "attribution|atribuci[oó]n|reconocimiento|atribui[cç][aã]o|attribuzione|namensnennung|naamsvermelding"
)
_NAMES = {
    "NC": r"""non?[\s-]*comm?er[cz]i\w+ | n[ãa]o[\s-]*comercial | nicht[\s-]*kommerziell
        | niet[\s-]*commercieel | pas\W+d\W?utilisation\W+commerciale""",
    "ND": r"""non?[\s-]*deriv\w* | s[ie][nm][\s-]*(?:obras?[\s-]+)?deriva\w* | keine[\s-]*bearbeitung\w*
        | pas\W+de\W+modification | non\W+opere\W+derivate | geen[\s-]*afgeleide\W*werken""",
    "SA": r"""share[\s-]*alike | compart\w+[\s-]*igual | partage\W+dans\W+les\W+m\w+\W+conditions
        | weitergabe\W+unter\W+gleichen\W+bedingungen | condividi\W+allo\W+stesso\W+modo
        | gelijk[\s-]*delen""",
}
_NAMED = re.compile(
    rf"""creative\s*commons\W+
    (?:(?:cc|licen[sc]e|licença|licencia|lizenz|licenza|public|the|deed|international)\W+){{0,3}}
    (?:{_ATTRIBUTION})\b
    (?:\s+v?\d(?:\.\d)?)?
    ((?:
        [\s,(/-]*(?:and\s+)?(?:{"|".join(_NAMES.values())})
        | {_GAP}{_ELEMENT}
    )*+)""",
    re.IGNORECASE | re.VERBOSE,
)
_ZERO = re.compile(
    r"creative\s*commons\W+(?:cc\s*0\W+)?(?:zero\b|(?:universal\s+)?public\s+domain\s+(?:dedication|declaration))",
    re.IGNORECASE,
)
_PUBLIC_DOMAIN = re.compile(
    r"\b(?:is|are|lies|be|placed)\s+(?:\w+\s+)?in\s+the\s+public\s+domain\b|\bnot\s+subject\s+to\s+(?:\w+\s+){0,2}copyright",
    re.IGNORECASE,
)
_NO = r"""\b(?:not|no|nor|never|cannot|without|prohibit\w*|forbid\w*|forbidden|exclud\w+
    |sin|sem|sans|senza|keine?r?|pas)\b"""
# What a licence withholds, by element, in the words of statements and in the languages they are written in.
_RESTRICTIONS = {
    "NC": (
        _NAMES["NC"],
        r"\bnon?[\W_]{0,3}(?:commerc|commerz|kommerz|comerc|for[\W_]{0,3}profit|profit|lucrati)",
        r"\bnot[\W_]{0,3}for[\W_]{0,3}(?:commerc|profit|sale) | \bnot\s+(?:be\s+)?(?:sell|sold)\b",
        rf"""{_NO}(?![\W_]{{0,2}}(?:\w+[\W_]{{1,2}})?(?:limit|restrict))
        [^.;:]{{0,60}}? \b(?:comm?erc|kommerz|lucr)""",
        r"""(?<!even\ )\bcommercial(?:ly)?\b [^.;]{0,60}?
        \b(?:not|prohibited|forbidden|requires?|contact|permissions?|excluded|reserved
        |licen[sc]ed?\ separately)\b""",
        r"\b(?:except|excluding|other\s+than|anything\s+but)\s+(?:for\s+)?commercial",
        r"\b(?:contact|permission\w*|consent)\b [^.;:]{0,60}? \bcommercial",
        r"""\b(?:personal|private|educational|academic|scholarly|research)\b [^.;:]{0,40}
        \b(?:use|purposes?|teaching|study)\s+only\b""",
        r"\bfor\s+(?:the\s+)?purposes?\s+of\s+(?:personal|private|educational|academic|scholarly)\b",
        r"\bfor\s+(?:\w+,?\s+){0,4}?private\s+study\b",
        r"\bnot\s+(?:to\s+)?be\s+used\s+for\s+profit\b",
        r"""\bonly\s+(?:be\s+used\s+)?for\s+(?:\w+,?\s+){0,4}?
        (?:personal|private|educational|academic|research)\b""",
    ),
    "ND": (
        _NAMES["ND"],
        r"\bno[nt]?[\W_]{0,3}deriv | \b(?:sans|senza|keine|geen|pas)\b[^.;:]{0,20}\bd[ée]riva",
        r"""\bnot\b [^.;:]{0,40}?
        \b(?:alter|altered|modify|modified|changed|transform|transformed|adapted|derivative)\b""",
        r"""\bno\s+(?:modifications?|alterations?|adaptations?|changes)\b
        [^.;:]{0,40}? \b(?:made|allowed|permitted)\b""",
        r"""\b(?:modifications?|adaptations?|alterations?|derivatives?(?:\s+works?)?)\s+
        (?:(?:is|are)\s+)?(?:strictly\s+)?(?:prohibited|forbidden|not\s+(?:permitted|allowed))\b""",
        r"\bverbatim\s+(?:cop|repro|use) | (?<!or\s)\bwithout\s+(?:any\s+)?(?:modif|alter|adapt|chang)\w+",
    ),
    "SA": (
        _NAMES["SA"],
        r"\bshare[\W_]{0,3}alike",
        r"\bunder\s+(?:the\s+same|an?\s+identical)\s+or\s+(?:an?\s+)?(?:similar|compatible)\s+licen[sc]e",
        r"\bunder\s+(?:the\s+)?(?:same|identical)\s+(?:terms|conditions|licen[sc]e)\b",
    ),
}
RESTRICTIONS = {element: any_of(rows) for element, rows in _RESTRICTIONS.items()}
_ANY_COMMERCE = re.compile(
    r"\b(?:non[\s-]*)?commercial(?:ly)?,?\s+(?:and(?:/or)?|or|as\s+well\s+as)\s+(?:non[\s-]*)?commercial",
    re.IGNORECASE,
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
    return frozenset(places_of_codes(plain(text or "")))


def places_of_codes(words: str) -> dict[str, re.Match[str] | None]:
    """Return every licence code that a plain text names, with where it first does; None for the whole."""
    if words.upper() in CODES:
        return {words.upper(): None}
    places: dict[str, re.Match[str] | None] = {}
    for code, match in _named(words):
        places.setdefault(code, match)
    if "CC0" in places:
        places.pop("PUBLIC DOMAIN", None)  # to which it dedicates the work
    restrictions = restrictions_in(words)
    beyond = [element for element in restrictions if not any(element in code.split("-") for code in places)]
    for code in [code for code in places if beyond and code.startswith("CC BY")]:
        places.setdefault(_code([*code.split("-")[1:], *beyond]), restrictions[beyond[0]])
    return places


def restrictions_in(words: str) -> dict[str, re.Match[str]]:
    """Return the elements of a licence that words spell out, each with where it first does."""
    words = _ANY_COMMERCE.sub("", words)
    found = {element: pattern.search(words) for element, pattern in RESTRICTIONS.items()}
    return {element: match for element, match in found.items() if match}


def plain(text: str) -> str:
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


def _named(words: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield the code of each URL, abbreviation and full name, with where it stands."""
    for match in _URL.finditer(words):
        if match[2] or match[3]:
            yield "CC0" if (match[2] or "").lower() == "zero" else "PUBLIC DOMAIN", match
        else:
            yield _code(_abbreviations(match[1])), match
    for match in _ABBREVIATED.finditer(words):
        yield "CC0" if match[1] else _code(_abbreviations(match[2] or match[3] or "")), match
    for pattern in (_GLUED, _BARE):
        for match in pattern.finditer(words):
            yield _code(_ELEMENT_NAME.findall(match[1])), match
    for match in _NAMED.finditer(words):
        yield _code([*restrictions_in(match[1]), *_abbreviations(match[1])]), match
    for code, pattern in (("CC0", _ZERO), ("PUBLIC DOMAIN", _PUBLIC_DOMAIN)):
        yield from ((code, match) for match in pattern.finditer(words))


def _abbreviations(words: str) -> list[str]:
    """Return the elements of a licence that words abbreviate."""
    runs = (match[1].replace(".", "") for match in _ONE_MORE.finditer(words))
    return [run[i : i + 2].upper() for run in runs for i in range(0, len(run), 2)]


def _code(elements: Iterable[str]) -> str:
    """Return the code of a licence with these elements beside attribution, in their usual order."""
    return "-".join(["CC BY", *sorted({element.upper() for element in elements})])
