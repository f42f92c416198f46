"""Elements of JATS into plain text: no word glued to the next, no bibliography mark left behind."""

from __future__ import annotations

import re
import unicodedata

from dataset_builder.pmc.xml_input import Element
from rocov2_eval.errors import RejectedInput

MATHML = "{http://www.w3.org/1998/Math/MathML}"
MAX_DEPTH = 200  # elements within one text; real captions have about ten

_WORD = 4  # letters that make a word rather than a unit or an element

# What stands inside a word or a sentence; every other element begins and ends one.
# fmt: off
_INLINE = frozenset((
    "abbrev", "bold", "email", "ext-link", "fixed-case", "inline-formula", "italic", "milestone-end",
    "milestone-start", "monospace", "named-content", "overline", "roman", "sans-serif", "sc", "strike",
    "styled-content", "sub", "sup", "target", "underline", "uri", "x", "xref",
))
_SKIPPED = frozenset((
    "alt-text", "fig", "fig-group", "graphic", "index-term", "inline-graphic", "long-desc", "media",
    "object-id", "permissions", "supplementary-material", "table-wrap",
))
# fmt: on
_SKIPPED_MATHS = frozenset({"annotation", "annotation-xml"})
_BETWEEN_PARTS = {"msup": "^", "mfrac": "/"}  # 10 to the 6 must not become 106

# The characters are not allowed in XML, so no text has them of its own.
_DROPPED = "\x00"
_CITED = "\x01"  # on both sides of a reference to the bibliography

_HYPHENS = re.compile("[\u2010\u2011]")
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u2060\ufeff]"
)  # soft hyphen, zero-width space, word joiner, byte order mark
_CITATION = r"\x01[^\x01]*\x01"
_CITATIONS = re.compile(rf"{_CITATION}(?:(?:[\s,;\u2013-]|\band\b)*{_CITATION})*")
# Words that a reference ends: without it, a sentence would end in a stump.
_LEADING = r"(?:see|see\ also|cf\.?|e\.g\.,?|as\ in|as\ per|following|per|by|in|of|to|from|after|with|using)"
_LED_BY = re.compile(
    rf"""[\s,;(\[]*\b(?:
        in\ (?:analogy|accordance|agreement|line|contrast|comparison|addition)\ (?:to|with)
        | according\ to | (?:similar|identical|analogous|comparable|compared)\ (?:to|with)
        | (?:as\ )?(?:previously\ |originally\ |first\ )?
          (?:described|reported|shown|published|suggested|proposed|defined|introduced|performed|used|outlined
          |recommended|detailed|discussed|explained|noted)
          (?:\ (?:previously|earlier|before|elsewhere|in\ detail))?\ (?:by|in)(?:\ ref(?:\.|erences?))?
        | (?:based|modell?ed)\ (?:up)?on
        | (?:{_LEADING}\ )?(?:refs?\.?|references?)
        | {_LEADING}
    )\s*[\[(]*\s*\Z""",
    re.IGNORECASE | re.VERBOSE,
)
# Words that say whose the picture is: the licence gate has to see the reference.
_CREDITING = re.compile(
    r"""\b(?:adapted|adopted|modified|copied|taken|obtained|extracted|borrowed|sourced?|reused|derived
    |re-?(?:produced|printed|published|drawn)|images?|figures?|photographs?|pictures?|illustrations?|courtesy)
    (?:\W+\w+){0,3}?\W+(?:from|by|of|after|in)(?:\s+ref(?:s?\.?|erences?))?\s*[\[(]*\s*\Z
    | \b(?:sources?|courtesy|credits?)\s*:(?:\s*ref(?:s?\.?|erences?))?\s*[\[(]*\s*\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_LEAD = 80  # characters before a reference that are looked at
_EMPTY_BRACKETS = re.compile(r" ?[\[(][\s,;\u2013\u2014-]*\x00[\x00\s,;\u2013\u2014-]*[\])]")
_LEFT_BEHIND = re.compile(r" ?\x00(?:[\s,;\u2013\u2014-]*\x00)*")
_ONLY_PUNCTUATION = re.compile(rf"(?:{_CITATION}|[\s,;\u2013\u2014-])*\Z")
_EXPONENT = re.compile(r"\s*[-\u2212\u2013+]?\d")
_TEX = re.compile(r"\$+(.*?)\$+", re.DOTALL)


def plain_text(element: Element | None) -> str:
    """Return the text of an element, empty for None.

    Superscripts become `10^6` after a number, `word 6` after a word, and stay `cm2` after a unit. References
    to the bibliography go, with the brackets and commas around them. The text is in NFC, with plain hyphens
    and single spaces. A reference to an entity stays as it is written, such as `&alpha;`.

    Raises:
        RejectedInput: The elements are nested deeper than `MAX_DEPTH`.
    """
    if element is None:
        return ""
    return _clean(_raw(element) if len(element) else element.text or "")


def _raw(element: Element) -> str:
    """Return the text with the marks of what was dropped."""
    parts: list[str] = []
    _collect(element, parts, MAX_DEPTH)
    return "".join(parts)


def _collect(element: Element, parts: list[str], depth: int) -> None:
    """Append the text between the tags of an element."""
    if not depth:
        raise RejectedInput(f"a text has elements nested deeper than {MAX_DEPTH}")
    if element.text:
        parts.append(element.text)
    between = _BETWEEN_PARTS.get(element.tag.removeprefix(MATHML), "")
    for i, child in enumerate(element):
        if between and i:
            parts.append(between)
        _append(child, parts, depth)
        if child.tail:
            parts.append(child.tail)


def _append(child: Element, parts: list[str], depth: int) -> None:
    """Append what a child says, without what follows it."""
    tag = child.tag
    if not isinstance(tag, str):  # a comment, a processing instruction or a reference to an entity
        if tag.__name__ == "Entity":
            parts.append(child.text)
    elif tag == "sup":
        inner: list[str] = []
        _collect(child, inner, depth - 1)
        parts.append(_superscript(parts[-1] if parts else "", "".join(inner), child.tail or ""))
    elif tag == "xref" and child.get("ref-type") == "bibr":
        parts.append(f"{_CITED}{''.join(child.itertext())}{_CITED}")
    elif tag == "tex-math":
        parts.append(_tex(child))
    elif tag in _INLINE or tag.startswith(MATHML):
        if tag.removeprefix(MATHML) not in _SKIPPED_MATHS:
            _collect(child, parts, depth - 1)
    elif tag not in _SKIPPED:
        parts.append(" ")
        _collect(child, parts, depth - 1)
        parts.append(" ")


def _superscript(before: str, inner: str, after: str) -> str:
    """Return a superscript so that it can be told from what it stands on."""
    if _ONLY_PUNCTUATION.match(inner):
        return inner
    if before[-1:].isdigit() and _EXPONENT.match(inner):
        raised = f"^{inner.strip()}"
    elif len(before) >= _WORD and before[-_WORD:].isalpha():
        raised = f" {inner}"
    else:
        return inner
    return f"{raised} " if after[:1].isalnum() else raised


def _tex(element: Element) -> str:
    """Return the formula without its LaTeX preamble; empty where MathML beside it says the same."""
    if element.getparent().find(f"{MATHML}math") is not None:
        return ""
    text = "".join(element.itertext())
    formulas = _TEX.findall(text)
    return " ".join(formulas) if formulas else text


def _clean(text: str) -> str:
    """Return normalised text, without what the dropped marks leave behind."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", _HYPHENS.sub("-", text)))
    text = " ".join(text.split())
    if _CITED in text:
        text = _without_citations(text)
    if _DROPPED in text:
        text = _EMPTY_BRACKETS.sub(
            _DROPPED, _EMPTY_BRACKETS.sub(_DROPPED, text)
        )  # one pair may be in another
        text = _LEFT_BEHIND.sub("", text).strip(" ,;").replace(" al..", " al.")
    return text


def _without_citations(text: str) -> str:
    """Return text with a mark for each reference to the bibliography, or with the reference itself.

    An author in the sentence stays (`according to Roe et al.`), and so does what says whose the picture is
    (`adapted from [12]`); a number goes with the words that led to it.
    """
    parts: list[str] = []
    end = 0
    for match in _CITATIONS.finditer(text):
        before = text[end : match.start()]
        end = match.end()
        lead = before[-_LONGEST_LEAD:]
        led_by = _LED_BY.search(lead)
        names_authors = any(map(str.isalpha, match[0].split(_CITED)[1]))
        if _CREDITING.search(lead) or (led_by and names_authors):
            parts += [before, match[0].replace(_CITED, "")]
        elif led_by:
            brackets = "".join(sign for sign in led_by[0] if sign in "([")
            parts += [before[: len(before) - len(led_by[0])], " ", brackets, _DROPPED]
        else:
            parts += [before, re.sub(_CITATION, _DROPPED, match[0])]
    return "".join([*parts, text[end:]])
