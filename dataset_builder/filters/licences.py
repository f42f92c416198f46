"""The licence gate: what may be redistributed, decided figure by figure.

Every statement about a licence is brought to exact codes. A statement that says nothing decidable is passed
over; two that say different things drop the figure, because nobody but the publisher can tell which of them
holds. A figure that shows somebody else's work is not covered by the licence of its article.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import unescape
from typing import Literal, get_args
from urllib.parse import unquote

from dataset_builder.records import Drop, Figure, LicenceSource, LicenceStatement, parted
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

STAGE = "licence"
CODES = (
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
)
NO_LICENCE = "no licence found"
SOURCES_DISAGREE = "licence sources disagree"
NOT_ALLOWED = "licence not allowed"
THIRD_PARTY = "third-party content"

ThirdParty = Literal["drop", "keep"]

_SOURCES: tuple[LicenceSource, ...] = get_args(LicenceSource)
# Publishers waive the rights in the data of an article in the paragraph that puts its text under CC BY.
_WAIVER_SOURCES = frozenset({"license_ref", "license-link", "license-text"})
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
_ELSEWHERE = re.compile(
    r"""©
    | \(c\)\s*(?:19|20)\d\d
    | \bcopyright\W+(?:by\b|(?:19|20)\d\d|of\s+[A-Z])
    | \ball\s+rights\s+reserved\b
    | \b(?:by\s+)?courtesy\s+(?:of|from)\b
    | \b(?:image|photo|photograph|picture|figure)\s+(?:credits?|by\s+courtesy)\b
    | \b(?:re-?produced|re-?printed|re-?published|re-?drawn|adapted|modified|copied)\s+(?:\w+\s+){0,3}?from\b
    | \b(?:re-?produced|re-?printed|re-?published|re-?drawn|adapted|modified|copied|taken|used|shown)\b
      [^.;]{0,120}?\b(?:with|by)\s+(?:\w+\s+){0,3}?permission\b(?!\s+(?:of|from)\s+(?:\w+\s+){0,2}?PATIENT)
    | \b(?:with|by)\s+(?:\w+\s+){0,3}?permission\s+(?:of|from)\b(?!\s+(?:\w+\s+){0,2}?PATIENT)
    """.replace("PATIENT", "(?:patient|parent|famil|guardian|relative|participant|volunteer|subject)"),
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class LicenceOptions:
    """What passes the gate.

    Attributes:
        allow: Codes that pass, each exactly: `CC BY` lets neither `CC BY-ND` nor `CC BY-SA` through.
        third_party: What becomes of figures that show somebody else's work.
    """

    allow: tuple[str, ...] = ("CC BY", "CC BY-NC")
    third_party: ThirdParty = "drop"

    def __post_init__(self) -> None:
        unknown = [code for code in self.allow if code not in CODES]
        if unknown:
            known = ", ".join(CODES)
            raise UsageFault(
                f"allow: {shorten(str(unknown[0]))!r} is no licence code, expected some of {known}"
            )
        if not self.allow:
            raise UsageFault("allow: no licence passes, expected at least one, such as 'CC BY'")
        if self.third_party not in get_args(ThirdParty):
            raise UsageFault(f"third_party: {shorten(str(self.third_party))!r}, expected 'drop' or 'keep'")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the statements about one licence come to.

    Attributes:
        code: One of `CODES`; None where the statements do not settle it.
        reason: `NO_LICENCE` or `SOURCES_DISAGREE` where they do not.
        detail: Which source says what.
    """

    code: str | None
    reason: str
    detail: str


def select(figures: Iterable[Figure], options: LicenceOptions) -> tuple[list[Figure], list[Drop]]:
    """Return the figures that may be redistributed, with their licence, and a drop for each other one."""
    return parted(_judge(figure, options) for figure in figures)


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


def decide(statements: Sequence[LicenceStatement]) -> Verdict:
    """Return what the statements about one article or figure come to.

    The strongest source comes first in `detail`; but a weaker one that contradicts it leaves the matter open.
    """
    ordered = sorted(statements, key=lambda statement: _SOURCES.index(statement.source))
    claims = [(statement.source, codes_in(statement.text)) for statement in ordered]
    named = {code for _, codes in claims for code in codes}
    if len(named) > 1:
        claims = [
            (source, codes - {"CC0"} if source in _WAIVER_SOURCES else codes) for source, codes in claims
        ]
        named = {code for _, codes in claims for code in codes}
    says = [f"{source}: {' and '.join(sorted(codes))}" for source, codes in claims if codes]
    detail = "; ".join(dict.fromkeys(says))
    if len(named) == 1:
        return Verdict(code=named.pop(), reason="", detail=detail)
    if named:
        return Verdict(code=None, reason=SOURCES_DISAGREE, detail=detail)
    quoted = "; ".join(f"{statement.source}: {shorten(statement.text)}" for statement in ordered)
    return Verdict(code=None, reason=NO_LICENCE, detail=quoted)


def third_party_words(text: str) -> str | None:
    """Return the words of a text that credit somebody else with the picture, None where there are none."""
    match = _ELSEWHERE.search(text)
    return shorten(text[match.start() : match.start() + 80], 80) if match else None


def _judge(figure: Figure, options: LicenceOptions) -> Figure | Drop:
    """Return the figure with its licence, or why it is dropped."""
    own = decide(figure.own_licences)
    foreign = _third_party(figure, has_own_licence=own.code is not None)
    if foreign and options.third_party == "drop":
        return _drop(figure, THIRD_PARTY, foreign)
    if own.reason == SOURCES_DISAGREE:
        return _drop(figure, own.reason, f"the figure's own: {own.detail}")
    verdict = own if own.code else decide(figure.article_licences)
    if verdict.code is None:
        return _drop(figure, verdict.reason, verdict.detail)
    if verdict.code not in options.allow:
        return _drop(figure, NOT_ALLOWED, verdict.code)
    return replace(figure, licence=verdict.code)


def _third_party(figure: Figure, *, has_own_licence: bool) -> str | None:
    """Return what shows that the figure is somebody else's work, None where nothing does.

    Whoever gives a figure a licence of its own may well state a copyright and a source beside it.
    """
    words = third_party_words(f"{figure.caption} {figure.attribution}")
    if words or has_own_licence:
        return words
    if figure.permissions:
        return f"own permissions: {shorten(figure.permissions, 80)}"
    return f"attribution: {shorten(figure.attribution, 80)}" if figure.attribution else None


def _drop(figure: Figure, reason: str, detail: str) -> Drop:
    """Return the drop of a figure."""
    return Drop(stage=STAGE, key=figure.key, reason=reason, detail=detail)


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
