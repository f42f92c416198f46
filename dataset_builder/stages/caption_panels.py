"""What a caption says about panels: letters that lead a description, panels by name, left and right.

Letters also mark things within one picture: "aneurysm (a) compressing the artery (b)". So letters in front of
their description count for more than letters behind it, unless what stands before them is a view, a sequence
or a time: "coronal (A) and sagittal (B)". Letters count only if A and B are both there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CERTAIN = 0.8
POSSIBLE = 0.45  # not enough alone: below the default threshold

FEWEST_PANELS = 2
_BETWEEN = " .;:,\u2013\u2014"  # what stands between the parts of a caption
_LETTER = "[A-La-l]"  # figures of more than twelve panels name them from A too
_PLACE = r"(?:left|right|upper|lower|top|bottom|middle|central|first|second|third|last)"
_RANGE = r"(?:-|\u2013|\u2014|to)"
_BRACKETED = re.compile(
    rf"\(\s*(?:panels?\s+)?{_LETTER}\d?(?:\s*(?:{_RANGE}|,|;|/|&|\+|and)\s*{_LETTER}\d?)*"
    r"\s*(?:[,:;]\s*[^()]{0,60})?\)"
)
_OPENING = re.compile(
    rf"(?:^|[.;:,\u2013\u2014]\s*(?:and\s+)?)"
    rf"({_LETTER}(?:\s*[-\u2013,&]\s*{_LETTER})?)\s*[,:.)\u2013\u2014]\s*(?=\w|\()"
)
_BARE = re.compile(r"(?:^|[.;,]\s+)([a-l](?:\s*[-\u2013,]\s*[a-l])?)\s+(?=[A-Z0-9]|[a-z]{3})")
_BARE_CAPITAL = re.compile(r"(?:^|[.;]\s+)([A-L](?:\s*[-\u2013,]\s*[A-L])?)\s+(?=[A-Z])")
_CLOSED = re.compile(rf"(?:^|(?<=\s))({_LETTER})\)(?=\s*\w)")
_LETTERS = re.compile(rf"(?<!\w)({_LETTER})(?:\s*{_RANGE}\s*({_LETTER}))?(?!\w)")
_PANELS = re.compile(
    rf"""
      \b(?:{_PLACE}|two|three|four|both|all|each)(?:[-\s](?:hand|most))?(?:\s+(?:and|or)\s+{_PLACE})?\s+panels?\b
    | \b{_PLACE}(?:\s+(?:and|or)\s+{_PLACE})?\s+rows?\b
    | \bpanels?\s+(?:\(?{_LETTER}\)?(?!\w)|\d\b)
    | \b(?:left|right|upper|lower|top|bottom|middle)\s+(?:image|picture|photograph)\s*(?=[:;,()]|is\b)
    | \b(?:collage|montage|mosaic|composite)\s+of\s+(?:images|pictures|radiographs|slices|scans)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SIDES = tuple(
    (re.compile(one, re.IGNORECASE), re.compile(other, re.IGNORECASE))
    for one, other in (
        (r"\(\s*left(?:\s+side)?\s*\)", r"\(\s*right(?:\s+side)?\s*\)"),
        (r"\(\s*(?:top|upper)\s*\)", r"\(\s*(?:bottom|lower)\s*\)"),
        (r"(?:^|[.;]\s*)left\s*[:,]", r"[.;]\s*right\s*[:,]"),
    )
)
# A letter behind one of these names a kind, a person or a part of something else.
_NAMED_BEFORE = re.compile(
    r"\b(?:vitamins?|hepatitis|types?|groups?|grades?|class|stages?|points?|lines?|axis|axes|patients?|cases?|subjects?"
    r"|figs?\.?\s*\d*|figures?\s*\d*|plates?\s*\d*|refs?\.?|child(?:-pugh)?|stanford|influenza|factor|protein"
    r"|distances?|angles?|letters?|labels?|labell?ed|marked|arrows?|arrowheads?|asterisks?|position|level|zone|area)\s*\Z",
    re.IGNORECASE,
)
_VIEW_BEFORE = re.compile(
    r"\b(?:axial|coronal|sagittal|transverse|transversal|longitudinal|frontal|lateral|oblique|anteroposterior"
    r"|antero-posterior|posteroanterior|mediolateral|craniocaudal|dorsoventral|anterior|posterior|ap|pa|t1\S*|t2\S*|flair|dwi|adc|stir|pre\S*|post\S*|before|after|baseline"
    r"|follow-?up|initial|final|right|left|arterial|venous|early|delayed|late|views?|images?|scans?|phase"
    r"|radiographs?|ct|mri|mr|pet|ultrasound|x-?rays?|months?|weeks?|days?|years?|sequences?|planes?|sections?"
    r"|reconstructions?|projections?|windows?)\s*\Z",
    re.IGNORECASE,
)
_LEADS = re.compile(r"(?:^|[.;:,\u2013\u2014]|\b(?:and|or|the|in|shows?|with))\s*\Z", re.IGNORECASE)
_STARTS = re.compile(r"\s*:?\s*[A-Z]\w")
_DESCRIBES = re.compile(r"\s*[,:.\u2013\u2014-]?\s*[\w(\[]")


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What speaks for several panels.

    Attributes:
        weight: Our guess of how likely the figure is compound, in [0, 1]; 0 for nothing.
        words: What was found in the caption or the picture, for people.
    """

    weight: float
    words: str = ""


def panels_named(caption: str) -> Hint:
    """Return the strongest hint of a caption."""
    named = _PANELS.search(caption)
    if named:
        return Hint(weight=CERTAIN, words=f"the caption contains {' '.join(named[0].split())!r}")
    leading, trailing = _marks(caption)
    if {"a", "b"} <= leading:
        return Hint(weight=CERTAIN, words=f"the caption describes panels {_shown(leading)}")
    if {"a", "b"} <= leading | trailing:
        return Hint(weight=POSSIBLE, words=f"the caption has the letters {_shown(leading | trailing)}")
    for one, other in _SIDES:
        if one.search(caption) and other.search(caption):
            return Hint(weight=POSSIBLE, words="the caption distinguishes two sides")
    return Hint(weight=0.0)


def caption_parts(caption: str, n: int) -> tuple[str, ...] | None:
    """Return the part of a caption that belongs to each of n panels, in the order of the letters.

    What stands before the first letter belongs to all panels, and stands before each part.

    Returns:
        None where it is not certain: unless the letters from A on each lead one description, once and in
        order, and there are n of them.
    """
    marks = sorted(_leading_marks(caption), key=lambda mark: mark.start())
    letters = [" ".join(_letters(mark[0])) for mark in marks]
    if letters != [chr(ord("a") + index) for index in range(n)] or n < FEWEST_PANELS:
        return None
    leading = {mark.start() for mark in marks}
    others = [mark for mark in _BRACKETED.finditer(caption) if mark.start() not in leading]
    if others or _PANELS.search(caption):
        return None  # letters elsewhere, or panels by name, say more than the parts do
    ends = [*(mark.start() for mark in marks[1:]), len(caption)]
    shared = caption[: marks[0].start()].strip(_BETWEEN)
    parts = [caption[mark.end() : end].strip(_BETWEEN) for mark, end in zip(marks, ends, strict=True)]
    if not all(parts) or _sentences(parts[-1]) > max(map(_sentences, parts[:-1])):
        return None  # what follows the last part may be about all panels: abbreviations, arrows, scale bars
    return tuple(f"{shared}. {part}" if shared else part for part in parts)


def _sentences(part: str) -> int:
    return len(re.split(r"[.;]\s+", part))


def _leading_marks(caption: str) -> list[re.Match[str]]:
    """Return the marks that stand before what they describe, by the pattern that finds the most."""
    found = [list(pattern.finditer(caption)) for pattern in (_OPENING, _BARE, _BARE_CAPITAL, _CLOSED)]
    bracketed = [mark for mark in _BRACKETED.finditer(caption) if _LEADS.search(caption[: mark.start()])]
    return max((bracketed, *found), key=len)


def _marks(caption: str) -> tuple[set[str], set[str]]:
    """Return the letters that lead a description, and those that stand behind a word, as small letters."""
    leading: set[str] = set()
    trailing: set[str] = set()
    for mark in _BRACKETED.finditer(caption):
        before, after = caption[: mark.start()], caption[mark.end() :]
        if _NAMED_BEFORE.search(before):
            continue
        leads = _STARTS.match(after) or (_LEADS.search(before) and _DESCRIBES.match(after))
        (leading if leads or _VIEW_BEFORE.search(before) else trailing).update(_letters(mark[0]))
    for pattern in (_OPENING, _BARE, _BARE_CAPITAL, _CLOSED):
        for mark in pattern.finditer(caption):
            leading.update(_letters(mark[1]))
    return leading, trailing


def _letters(mark: str) -> Iterator[str]:
    """Yield the letters of a mark, and those between the ends of a range."""
    for first, last in _LETTERS.findall(mark.lower().split(":")[0]):
        for code in range(ord(first), ord(last or first) + 1):
            yield chr(code)


def _shown(letters: set[str]) -> str:
    return ", ".join(sorted(letters)).upper()
